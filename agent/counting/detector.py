"""Detection of heads in a picture.

OpenVINO runs the network: on two cores it was faster than ONNX Runtime and OpenCV (measurements:
docs/reference/counting.md). The
network accepts any input size, so one large input replaces overlapping tiles, whose results would have to be merged.
"""

from __future__ import annotations

import importlib
import math
import sys
import threading
from dataclasses import dataclass
from types import ModuleType
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

from agent.core.errors import ModelError
from agent.counting import scoring
from agent.counting.estimate import IntervalParameters
from agent.counting.weights import Tuning, Weights
from agent.media.containers import BgrImage

Floats = npt.NDArray[np.float32]
_STRIDE = 32
_PADDING = 114
_SURE = 0.4
_LEAST_SCORE = 0.05
"""Candidates with a network score below this are dropped."""


@dataclass(frozen=True, slots=True)
class Heads:
    """Candidates, weak ones included.

    `boxes`: N x 4 float32, x1 y1 x2 y2 in pixels of the picture; `scores`: N float32, 0 to 1, descending. From a detector,
    scores are the probabilities that the candidates are people.
    """

    boxes: Floats
    scores: Floats

    def __len__(self) -> int:
        return len(self.scores)

    def select(self, chosen: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> Heads:
        """Return those selected by `chosen` (indices or booleans)."""
        return Heads(self.boxes[chosen], self.scores[chosen])


class HeadDetector(Protocol):
    """What finds heads. `version`: ID of the weights; `doubt`: parameters of the interval of a count."""

    version: str
    doubt: IntervalParameters

    def heads(self, picture: BgrImage) -> Heads:
        """Return the candidates in `picture` (height x width x 3, uint8, BGR). Thread-safe; one call runs at a time."""


def load_openvino() -> ModuleType:
    """Import OpenVINO lazily (it takes about 1 s) and block its telemetry.

    Its model converter, which is imported too, sends usage data to the internet if the package `openvino_telemetry` exists.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    return importlib.import_module("openvino")


class OpenVinoDetector:
    """The detector with the weights in `models/`; `threads`: CPU threads of the network.

    Raises ModelError if the file is not a network of the right shape.
    """

    def __init__(self, weights: Weights, threads: int = 1) -> None:
        openvino = load_openvino()
        self.version = weights.version
        self.tuning = weights.tuning
        tuning = weights.tuning
        self.scoring_weights = scoring.ScoringWeights(
            tuning.believe_base,
            tuning.believe_score,
            tuning.believe_overlap,
            tuning.believe_size,
            tuning.believe_larger,
            tuning.believe_smaller,
        )
        self.doubt = IntervalParameters(tuning.sure, tuning.unseen, tuning.width, tuning.usual_doubt, tuning.doubt_span)
        self._lock = threading.Lock()
        try:
            core = openvino.Core()
            model = core.read_model(str(weights.path))
            model.reshape([1, 3, -1, -1])
            shape = model.output(0).partial_shape
            options = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1}
            self._request = core.compile_model(add_preprocessing(model), "CPU", options).create_infer_request()
        except RuntimeError as error:
            detail = str(error).strip().splitlines()[-1][:120]
            raise ModelError("counting.model_not_run", file=weights.path, detail=detail) from None
        if shape.rank.get_length() != 3 or not shape[1].compatible(openvino.Dimension(5)):
            raise ModelError("counting.model_not_run", file=weights.path, detail=f"output {shape}, wanted [1,5,N]")

    def heads(self, picture: BgrImage) -> Heads:
        side = self.tuning.first_side
        found, scale = self.scored(picture, side)
        better = choose_second_side(found, max(picture.shape[:2]), self.tuning)
        if better is not None:
            found, scale = self.scored(picture, better)
        chances = scoring.compute_probabilities(found.boxes, found.scores, scale, self.scoring_weights)
        return Heads(found.boxes, chances).select(np.argsort(-chances, kind="stable"))

    def scored(self, picture: BgrImage, side: int) -> tuple[Heads, float]:
        """Return the boxes with the network's own scores for one input size, and the scale (input over picture)."""
        pixels, scale = resize_to_input(picture, side)
        with self._lock:
            rows: Floats = self._request.infer({0: pixels[None]})[0][0].T.copy()
        rows = rows[rows[:, 4] >= _LEAST_SCORE]
        half = rows[:, 2:4] / 2
        corners = np.concatenate([rows[:, :2] - half, rows[:, :2] + half], axis=1) / scale
        height, width = picture.shape[:2]
        boxes = corners.clip(0, np.array([width, height, width, height])).astype(np.float32)
        size = np.sqrt(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1))
        possible = (size > 0) & (size <= self.tuning.largest * min(height, width))
        found = suppress_overlaps(Heads(boxes, rows[:, 4]).select(possible), self.tuning.overlap)
        return found.select(scoring.find_single_boxes(found.boxes, found.scores, scale)), scale


def add_preprocessing(model: object) -> object:
    """Add the preprocessing to the network, since the runtime does it faster.

    The result takes 1 x H x W x 3, uint8, BGR, and converts it to the network's own input: 1 x 3 x H x W, float32, RGB, 0 to
    1.
    """
    openvino, process = load_openvino(), importlib.import_module("openvino.preprocess")
    steps = process.PrePostProcessor(model)
    picture = steps.input().tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
    picture.set_color_format(process.ColorFormat.BGR)
    steps.input().model().set_layout(openvino.Layout("NCHW"))
    planes = steps.input().preprocess().convert_element_type(openvino.Type.f32)
    planes.convert_color(process.ColorFormat.RGB).scale(255.0)
    return steps.build()


def resize_to_input(picture: BgrImage, side: int) -> tuple[BgrImage, float]:
    """Return the picture resized to a long side of `side` pixels, and the scale.

    It is padded at the right and the bottom to multiples of 32.
    """
    height, width = picture.shape[:2]
    scale = side / max(height, width)
    inner = max(1, round(width * scale)), max(1, round(height * scale))
    # halving with INTER_AREA first avoids moiré; then INTER_LINEAR: four times as fast as one resize with INTER_AREA
    for _ in range(int(max(0.0, -math.log2(scale)))):
        half = max(1, picture.shape[1] // 2), max(1, picture.shape[0] // 2)
        picture = np.asarray(cv2.resize(picture, half, interpolation=cv2.INTER_AREA), np.uint8)
    canvas = np.full((_round_up_to_stride(inner[1]), _round_up_to_stride(inner[0]), 3), _PADDING, np.uint8)
    canvas[: inner[1], : inner[0]] = cv2.resize(picture, inner, interpolation=cv2.INTER_LINEAR)
    return canvas, scale


def _round_up_to_stride(pixels: int) -> int:
    return math.ceil(pixels / _STRIDE) * _STRIDE


def choose_second_side(found: Heads, long_side: int, tuning: Tuning) -> int | None:
    """Return the long side of a second input, or None if the first is sufficient.

    The first input shows how large heads are in this picture. If the median head is much smaller than `head_px`, a second
    input enlarges it to that size, limited by `most_side`. `found`: with the network's own scores.
    """
    if tuning.head_px <= 0:
        return None
    sure = found.boxes[found.scores >= _SURE]
    if len(sure) < 3:
        return None
    sizes = np.sqrt((sure[:, 2] - sure[:, 0]) * (sure[:, 3] - sure[:, 1]))
    size = float(np.median(sizes)) * tuning.first_side / long_side
    side = _round_up_to_stride(int(min(tuning.most_side, tuning.first_side * tuning.head_px / max(size, 1.0))))
    return side if side > 1.15 * tuning.first_side else None


def suppress_overlaps(heads: Heads, overlap: float) -> Heads:
    """Suppress all but the best of boxes whose intersection over union exceeds `overlap` (NMS); best score first."""
    if not len(heads):
        return heads
    sides = np.concatenate([heads.boxes[:, :2], heads.boxes[:, 2:] - heads.boxes[:, :2]], axis=1)
    return heads.select(np.asarray(cv2.dnn.NMSBoxes(sides.tolist(), heads.scores.tolist(), 0.0, overlap), np.intp))
