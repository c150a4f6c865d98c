"""Scoring: the probability that a candidate is a person, from its score, its size and its neighbours.

The network's score alone is not enough. Of the boxes with a score between 0.15 and 0.6 on the measuring pictures, two thirds
were heads if nothing overlapped them, and one third if a box with a better score did; boxes far larger or smaller than heads
at that height of the picture were seldom heads. A logistic function of five such features gives the probability; its weights
are fitted by training (fit of the calibration, see docs/reference/counting.md).
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
REFERENCE_SIZE_PX = 24.0
DUPLICATE_DISTANCE = 0.4
_SURE_SCORE = 0.45
_FAIR_SCORE = 0.30
_LEAST_SURE_HEADS = 3
_OUTLIER_DISTANCE, _LEVEL_PRIOR = 0.4, 0.03
"""Distance from the line (log2 of size) above which a head weighs less; strength of the prior for a level line."""


@dataclass(frozen=True, slots=True)
class ScoringWeights:
    """Weights of the sum that the logistic function turns into a probability.

    `base`: constant; `score`: of the score's log odds; `overlap`: of the share of the smaller of two boxes that it has in
    common with a box with a better score; `size`: of log2 of its size over 24 pixels of the input; `larger`, `smaller`: of
    log2 of the factor by which it is outside the range that the sure heads of this picture predict for its height in it.
    """

    base: float = 0.85
    score: float = 1.0
    overlap: float = 0.0
    size: float = 0.0
    larger: float = 0.0
    smaller: float = 0.0


def compute_features(boxes: Floats, scores: Floats, scale: float) -> Doubles:
    """Return the features of each candidate: N x 6 float64, in the order of the weights.

    `boxes`: N x 4, x1 y1 x2 y2 in pixels of the picture; `scores`: N, 0 to 1; `scale`: size of the input over that of the
    picture.
    """
    odds = scores.astype(np.float64).clip(0.02, 0.98)
    sizes = np.log2(np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(axis=1)).clip(1e-3)).astype(np.float64)
    beside = sizes - _predict_sizes(boxes, sizes, scores, scale)
    return np.stack(
        [
            np.ones(len(scores)),
            np.log(odds / (1 - odds)),
            compute_overlaps(boxes, scores),
            (sizes + np.log2(scale / REFERENCE_SIZE_PX)).clip(-2, 3),
            (beside - 0.5).clip(0),
            (-0.4 - beside).clip(0),
        ],
        axis=1,
    )


def compute_probabilities(boxes: Floats, scores: Floats, scale: float, weights: ScoringWeights) -> Floats:
    """Return the probability of each candidate: N float32, 0 to 1. Arguments as for the features."""
    total = compute_features(boxes, scores, scale) @ np.array(astuple(weights))
    return np.asarray(1 / (1 + np.exp(-total.clip(-30, 30))), np.float32)


def find_single_boxes(boxes: Floats, scores: Floats, scale: float) -> npt.NDArray[np.bool_]:
    """Return which boxes are the best one of their head: N booleans.

    In a dense row two boxes on one head may overlap less than the network's suppression asks for. Centres nearer than
    DUPLICATE_DISTANCE of the size that heads have at that height of the picture cannot be two heads.
    """
    single = np.ones(len(scores), np.bool_)
    if len(scores) < 2:
        return single
    sizes = np.log2(np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(axis=1)).clip(1e-3)).astype(np.float64)
    expected = 2 ** _predict_sizes(boxes, sizes, scores, scale)
    centres = ((boxes[:, :2] + boxes[:, 2:]) / 2).astype(np.float64)
    for i in np.argsort(-scores, kind="stable"):
        if single[i]:
            apart = np.hypot(*(centres - centres[i]).T)
            single &= ~((apart < DUPLICATE_DISTANCE * np.minimum(expected, expected[i])) & (scores < scores[i]))
    return single


def compute_overlaps(boxes: Floats, scores: Floats) -> Doubles:
    """Return for each box the largest overlap with a box with a better score, as a share of the smaller of the two."""
    if not len(scores):
        return np.zeros(0)
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    share = (high - low).clip(0).prod(axis=2) / np.minimum(area[:, None], area[None]).clip(1e-6)
    return np.asarray(np.where(scores[None] > scores[:, None], share, 0).max(axis=1), np.float64)


def _predict_sizes(boxes: Floats, sizes: Doubles, scores: Floats, scale: float) -> Doubles:
    """Predict the size of a head (log2 of pixels) at each candidate's height in this picture.

    Near heads are lower in the picture and larger than far ones: a straight line is fitted to the sure heads, with a prior
    for a level one and little weight for outliers. With too few sure heads, each candidate's own size is returned.
    """
    height = (boxes[:, 1] + boxes[:, 3]).astype(np.float64) / 2 * scale / 1000
    for least in (_SURE_SCORE, _FAIR_SCORE):
        sure = scores >= least
        if sure.sum() >= _LEAST_SURE_HEADS:
            line = np.array([np.median(sizes[sure]), 0.0])
            terms = np.stack([np.ones(len(sizes)), height - height[sure].mean()], axis=1)
            for _ in range(3):
                off = np.abs(sizes[sure] - terms[sure] @ line)
                weighted = terms[sure].T * (scores[sure] / np.maximum(1, off / _OUTLIER_DISTANCE))
                line = np.linalg.solve(weighted @ terms[sure] + np.diag([0, _LEVEL_PRIOR]), weighted @ sizes[sure])
            return np.asarray(terms @ line, np.float64)
    return sizes
