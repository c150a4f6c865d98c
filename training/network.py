"""The network to train: load it, freeze parts of it, give it a lighter box branch, save it for ultralytics."""

from __future__ import annotations

import argparse
import copy
import os
import zipfile
from pathlib import Path

os.environ.setdefault("YOLO_AUTOINSTALL", "False")
CLS_GAIN = 1.0
"""Gain of the score's loss, twice the default of ultralytics: counting uses scores, and boxes need not be exact."""
_KEPT: list[object] = []


def declare_torchvision() -> None:
    """Declare the operator that the import of torchvision needs: some CPU builds lack their compiled part."""
    import torch

    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _KEPT.append(library)  # the declaration lasts as long as this object


def parse_weights_path(text: str) -> Path:
    """Parse an argument that names a `.pt`.

    Raises ArgumentTypeError if the file is missing, since ultralytics would try to download it, or if torch did not save it.
    """
    path = Path(text)
    if not path.is_file():
        raise argparse.ArgumentTypeError(
            f"{text}: no such file; name a .pt that scripts/train or ultralytics has written"
        )
    if not zipfile.is_zipfile(path):
        raise argparse.ArgumentTypeError(f"{text}: no weights as torch saves them; name another .pt")
    return path


def load_model(weights: str) -> object:
    """Load the ultralytics model of a `.pt` (to continue training) or a `.yaml` (random weights): float32, one class."""
    declare_torchvision()
    from ultralytics import YOLO
    from ultralytics.nn.tasks import DetectionModel
    from ultralytics.utils import DEFAULT_CFG

    model = DetectionModel(weights, nc=1, verbose=False) if weights.endswith(".yaml") else YOLO(weights).model
    model = model.float().train()
    model.args = copy.copy(DEFAULT_CFG)
    model.args.cls = CLS_GAIN
    model.names = {0: "head"}
    vars(model).pop("pt_path", None)  # saved weights must not contain paths of this machine
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    return model


def freeze_layers(model: object, layers: int) -> None:
    """Freeze the first `layers`, and the running statistics of batch normalisation in all layers.

    For a short training from good weights: it takes a fifth less time and allows small batches.
    """
    import torch

    if not layers:
        return
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    for layer in model.model[:layers]:
        for parameter in layer.parameters():
            parameter.requires_grad_(False)


def lighten_box_branch(model: object) -> bool:
    """Replace the convolutions of the box branch by depthwise ones with random weights, as the score branch has.

    Saves a seventh of the network's time. Returns False if it was done before.
    """
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


def save_model(average: object, path: Path, note: dict[str, object]) -> None:
    """Save weights as float16 so that ultralytics can load them; `note` is stored with them as training arguments."""
    import torch

    part = path.with_suffix(".part")
    average = copy.deepcopy(average).cpu().half()  # on the CPU: it must load on machines without a GPU
    torch.save({"model": average, "ema": None, "train_args": note, "epoch": -1}, part)
    part.replace(path)
