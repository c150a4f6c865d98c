"""The network that training works on: load it, freeze parts of it, give it a lighter box branch, save it for ultralytics."""

from __future__ import annotations

import argparse
import copy
import os
import zipfile
from pathlib import Path

os.environ.setdefault("YOLO_AUTOINSTALL", "False")
CLS_GAIN = 1.0
"""Twice ultralytics' weight of the score's loss: what is counted are scores, the box need not fit to the pixel."""
_KEPT: list[object] = []


def declare_torchvision() -> None:
    """Some CPU builds of torchvision lack their compiled part: declare the operator that its import registers against."""
    import torch

    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _KEPT.append(library)  # the declaration lasts as long as this object


def weights_file(text: str) -> Path:
    """An argument that names a `.pt`. Checked here: ultralytics looks for a missing one on the internet."""
    path = Path(text)
    if not path.is_file():
        raise argparse.ArgumentTypeError(
            f"{text}: no such file; name a .pt that scripts/train or ultralytics has written"
        )
    if not zipfile.is_zipfile(path):
        raise argparse.ArgumentTypeError(f"{text}: no weights as torch saves them; name another .pt")
    return path


def load(weights: str) -> object:
    """The ultralytics model of a `.pt` (go on training) or `.yaml` (from random weights), float32, one class."""
    declare_torchvision()
    from ultralytics import YOLO
    from ultralytics.nn.tasks import DetectionModel
    from ultralytics.utils import DEFAULT_CFG

    model = DetectionModel(weights, nc=1, verbose=False) if weights.endswith(".yaml") else YOLO(weights).model
    model = model.float().train()
    model.args = copy.copy(DEFAULT_CFG)
    model.args.cls = CLS_GAIN
    model.names = {0: "head"}
    vars(model).pop("pt_path", None)  # weights shall not tell the paths of this machine
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    return model


def freeze(model: object, layers: int) -> None:
    """Leave the first `layers` as they are, and the running figures of batch normalisation everywhere: for a short training
    from good weights, which then costs a fifth less and may go in small batches."""
    import torch

    if not layers:
        return
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    for layer in model.model[:layers]:
        for parameter in layer.parameters():
            parameter.requires_grad_(False)


def lighten(model: object) -> bool:
    """Give the box branch depthwise convolutions with random weights, as the score branch has: saves a seventh of the
    network's time. False where that was done before."""
    from torch import nn
    from ultralytics.nn.modules.conv import Conv, DWConv

    boxes = model.model[-1].cv2
    if not isinstance(boxes[0][0], Conv):
        return False
    for number, branch in enumerate(boxes):
        wide, narrow = branch[0].conv.in_channels, branch[0].conv.out_channels
        one = nn.Sequential(DWConv(wide, wide, 3), Conv(wide, narrow, 1))
        two = nn.Sequential(DWConv(narrow, narrow, 3), Conv(narrow, narrow, 1))
        boxes[number] = nn.Sequential(one, two, branch[-1])
    return True


def save(average: object, path: Path, note: dict[str, object]) -> None:
    import torch

    part = path.with_suffix(".part")
    average = copy.deepcopy(average).cpu().half()  # for machines without a GPU as well
    torch.save({"model": average, "ema": None, "train_args": note, "epoch": -1}, part)
    part.replace(path)
