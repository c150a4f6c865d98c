"""How likely a candidate is a person: one look at its score, its size and its neighbours.

The network's score alone says too little. Of boxes with a score between 0.15 and 0.6 on the measuring pictures, two thirds were
heads where nothing overlapped them and one third where a better box did; those far larger or smaller than heads
at that height of the picture were seldom heads. `tell` turns five such figures into a probability; its weights are fitted by
`scripts/tune.py`.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
LEVEL_PX = 24.0
_SURE = 0.45
_FAIR = 0.30
_FEW = 3
_NEAR, _LEVEL = 0.4, 0.03
"""Doublings from the line at which a head begins to weigh less; how firmly the line is held level."""


@dataclass(frozen=True, slots=True)
class Belief:
    """Weights of the sum that the logistic function turns into a probability.

    `base` alone; `score` times the score's log odds; `overlap` times the share of the smaller of two boxes that a
    better-scored box has in common with it; `size` times the doublings of its size over 24 pixels of the input; `larger`
    and `smaller` times the doublings by which it is out of the range of what this picture's sure heads say of its height.
    """

    base: float = 0.85
    score: float = 1.0
    overlap: float = 0.0
    size: float = 0.0
    larger: float = 0.0
    smaller: float = 0.0


def figures(boxes: Floats, scores: Floats, scale: float) -> Doubles:
    """N x 6, in the order of `Belief`'s weights. `boxes`: x1 y1 x2 y2, pixels of the picture; `scale`: input over picture."""
    odds = scores.astype(np.float64).clip(0.02, 0.98)
    sizes = np.log2(np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(axis=1)).clip(1e-3)).astype(np.float64)
    beside = sizes - _usual(boxes, sizes, scores, scale)
    return np.stack(
        [
            np.ones(len(scores)),
            np.log(odds / (1 - odds)),
            overlaps(boxes, scores),
            (sizes + np.log2(scale / LEVEL_PX)).clip(-2, 3),
            (beside - 0.5).clip(0),
            (-0.4 - beside).clip(0),
        ],
        axis=1,
    )


def tell(boxes: Floats, scores: Floats, scale: float, belief: Belief) -> Floats:
    """The probability of each candidate, 0 to 1."""
    total = figures(boxes, scores, scale) @ np.array(astuple(belief))
    return np.asarray(1 / (1 + np.exp(-total.clip(-30, 30))), np.float32)


def overlaps(boxes: Floats, scores: Floats) -> Doubles:
    """Of each box: the largest share of the smaller of two that it has in common with a box of a better score."""
    if not len(scores):
        return np.zeros(0)
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    share = (high - low).clip(0).prod(axis=2) / np.minimum(area[:, None], area[None]).clip(1e-6)
    return np.asarray(np.where(scores[None] > scores[:, None], share, 0).max(axis=1), np.float64)


def _usual(boxes: Floats, sizes: Doubles, scores: Floats, scale: float) -> Doubles:
    """The size (doublings of a pixel) that a head has at each candidate's height in this picture; each candidate's own where
    too few are sure.

    Near heads are lower in the picture and larger than far ones: a straight line through the sure heads, level where they
    do not say otherwise, that gives little weight to those far from it.
    """
    height = (boxes[:, 1] + boxes[:, 3]).astype(np.float64) / 2 * scale / 1000
    for least in (_SURE, _FAIR):
        sure = scores >= least
        if sure.sum() >= _FEW:
            line = np.array([np.median(sizes[sure]), 0.0])
            terms = np.stack([np.ones(len(sizes)), height - height[sure].mean()], axis=1)
            for _ in range(3):
                off = np.abs(sizes[sure] - terms[sure] @ line)
                weighted = terms[sure].T * (scores[sure] / np.maximum(1, off / _NEAR))
                line = np.linalg.solve(weighted @ terms[sure] + np.diag([0, _LEVEL]), weighted @ sizes[sure])
            return np.asarray(terms @ line, np.float64)
    return sizes
