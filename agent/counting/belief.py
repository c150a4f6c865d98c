"""How likely a candidate is a person: one look at its score, its size and its neighbours.

The network's score alone says too little. Of boxes with a score between 0.15 and 0.6 on the measuring pictures, two thirds were
heads where nothing overlapped them and one third where a better box did; those far larger or smaller than the heads round
them were seldom heads. `tell` turns five such figures into a probability; its weights are fitted by `scripts/tune.py`.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
LEVEL_PX = 24.0
_SURE = 0.45
_FAIR = 0.30
_FEW = 3


@dataclass(frozen=True, slots=True)
class Belief:
    """Weights of the sum that the logistic function turns into a probability.

    `base` alone; `score` times the score's log odds; `overlap` times the share of the smaller of two boxes that a
    better-scored box has in common with it; `size` times the doublings of its size over 24 pixels of the input; `larger`
    and `smaller` times the doublings by which it is out of the range of this picture's sure heads.
    """

    base: float = 0.85
    score: float = 1.0
    overlap: float = 0.0
    size: float = 0.0
    larger: float = 0.0
    smaller: float = 0.0


def figures(boxes: Floats, scores: Floats, scale: float) -> npt.NDArray[np.float64]:
    """N x 6, in the order of `Belief`'s weights. `boxes`: x1 y1 x2 y2, pixels of the picture; `scale`: input over picture."""
    odds = scores.astype(np.float64).clip(0.02, 0.98)
    sizes = np.log2(np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(axis=1)).clip(1e-3))
    beside = sizes - _usual(sizes, scores)
    return np.stack(
        [
            np.ones(len(scores)),
            np.log(odds / (1 - odds)),
            overlaps(boxes, scores),
            (sizes + np.log2(scale / LEVEL_PX)).clip(-2, 3),
            (beside - 0.8).clip(0),
            (-0.7 - beside).clip(0),
        ],
        axis=1,
    )


def tell(boxes: Floats, scores: Floats, scale: float, belief: Belief) -> Floats:
    """The probability of each candidate, 0 to 1."""
    total = figures(boxes, scores, scale) @ np.array(astuple(belief))
    return np.asarray(1 / (1 + np.exp(-total.clip(-30, 30))), np.float32)


def overlaps(boxes: Floats, scores: Floats) -> npt.NDArray[np.float64]:
    """Of each box: the largest share of the smaller of two that it has in common with a box of a better score."""
    if not len(scores):
        return np.zeros(0)
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    share = (high - low).clip(0).prod(axis=2) / np.minimum(area[:, None], area[None]).clip(1e-6)
    return np.asarray(np.where(scores[None] > scores[:, None], share, 0).max(axis=1), np.float64)


def _usual(sizes: npt.NDArray[np.float64], scores: Floats) -> float | npt.NDArray[np.float64]:
    """What a head's size is in this picture; each candidate's own where too few are sure."""
    for least in (_SURE, _FAIR):
        sure = scores >= least
        if sure.sum() >= _FEW:
            return float(np.median(sizes[sure]))
    return sizes
