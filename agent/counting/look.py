"""One look: quality, heads, headcount with its interval. Used by the worker and by the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.counting import estimate, quality
from agent.counting.detector import HeadDetector
from agent.counting.estimate import Box, Polygon
from agent.counting.limits import LIMITS, Limits
from agent.counting.quality import Grey
from agent.media.containers import BgrImage


@dataclass(frozen=True, slots=True)
class LookResult:
    """The result of a look.

    `people`: given even if the picture cannot be judged; `boxes`: the `people` most likely candidates (x1, y1, x2, y2 in
    pixels, probability); `candidates`: every box, unlikely and left-out ones too, since a drawing must pixelate all of them.
    """

    people: int
    low: int
    high: int
    judged: bool
    reason: str | None
    boxes: tuple[Box, ...]
    width: int
    height: int
    measures: Mapping[str, float]
    candidates: tuple[Box, ...]


def take_look(
    picture: BgrImage,
    detector: HeadDetector,
    *,
    leave_out: Sequence[Polygon] = (),
    reference: quality.ViewFingerprint | None = None,
    still_s: float = 0.0,
    grey: Grey | None = None,
    limits: Limits = LIMITS,
) -> LookResult:
    """Take one look at a picture (height x width x 3, uint8, BGR).

    `leave_out`: polygons in parts of width and height (a window, a mirror, a screen that shows faces); `reference`: the
    camera's usual view; `still_s`: seconds without any change; `grey`: the picture's luma, if the caller has it already.
    """
    verdict = quality.judge_picture(
        quality.convert_to_luma(picture) if grey is None else grey, reference, still_s, limits
    )
    found = detector.heads(picture)
    height, width = picture.shape[:2]
    every: list[Box] = [(*box, score) for box, score in zip(found.boxes.tolist(), found.scores.tolist(), strict=True)]
    candidates = estimate.filter_outside(every, leave_out, width, height)
    people, low, high = estimate.estimate_look([b[4] for b in candidates], detector.doubt)
    boxes = tuple(_round_box(b) for b in candidates[:people])
    judged, reason = verdict.judged, verdict.reason
    return LookResult(people, low, high, judged, reason, boxes, width, height, verdict.measures, tuple(every))


def _round_box(box: Box) -> Box:
    return round(box[0], 1), round(box[1], 1), round(box[2], 1), round(box[3], 1), round(box[4], 3)
