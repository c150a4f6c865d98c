"""Whether the pixels of a place changed between two looks, measured against the noise of the camera. Pure.

Compared are luma planes with a long side of at most DETAIL_SIDE_PX pixels, slightly smoothed. Light is put aside: of the
second crop a gain, an offset and a linear slope are fitted to the first one and removed. What remains, in mean squares, is
divided by what a place without any change shows in this camera: `floor` for a flat place, and more where it has edges,
because compression and small vibrations act on edges (`slope` times the mean square of the gradient).

The root of that quotient is the *change*, near 1 for a wall. On key frames of two videos with real people, 2 to 60 s apart,
half of the places without people had less than 1.0 and nine tenths less than 2; of 460 heads one hundredth had less than 2,
half more than 15.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from agent.media.containers import BgrImage

Grey = npt.NDArray[np.uint8]
Plane = npt.NDArray[np.float32]
Corners = tuple[float, float, float, float]
"""x1 y1 x2 y2 in parts of width and height of the picture, 0 to 1."""

DETAIL_SIDE_PX = 1280
LEAST_CROP_PX = 5
_CELL_PX = 24
_SMOOTHING_PX = 0.8
_NOISE_BINS = 6
_STILL_SHARE = 0.3
"""Share of the cells of a picture that are taken to show no change between two looks, in each bin of texture."""
_INFLATION = 1.5
"""Mean square of a cell without change over the _STILL_SHARE quantile of such cells."""
_LEAST_FLOOR = 0.02
_SLOPES = (2e-4, 0.02)
MOVEMENT_PX = 0.07
"""A movement of so many pixels is as much change as the noise of the camera."""
_CORRELATED = 4.0
"""Pixels that share one value of noise after smoothing and compression."""
_DARKEST, _LIGHTEST = 6.0, 249.0


@dataclass(frozen=True, slots=True)
class CameraNoise:
    """What places without change show in a camera: mean square `floor` plus `slope` times the mean square gradient."""

    floor: float
    slope: float


def make_detail_plane(picture: BgrImage) -> Plane:
    """Return the smoothed luma (float32) with a long side of at most DETAIL_SIDE_PX."""
    grey = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8)
    scale = DETAIL_SIDE_PX / max(grey.shape)
    if scale < 1:
        size = max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale))
        grey = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(cv2.GaussianBlur(grey.astype(np.float32), (0, 0), _SMOOTHING_PX), np.float32)


def cut_crop(plane: Plane, corners: Corners) -> Plane | None:
    """Return a copy of a part of the plane; None if it is too small to be compared."""
    height, width = plane.shape
    left, right = max(0, round(corners[0] * width)), min(width, round(corners[2] * width))
    top, bottom = max(0, round(corners[1] * height)), min(height, round(corners[3] * height))
    if right - left < LEAST_CROP_PX or bottom - top < LEAST_CROP_PX:
        return None
    return plane[top:bottom, left:right].copy()


def measure_change(before: Plane, now: Plane, noise: CameraNoise) -> float:
    """Return the change between two crops of the same place, in units of what a place without change shows.

    It is the larger of what remains beside that noise, and of a movement of the whole crop beyond its own uncertainty.
    Infinity if the shapes differ (another stream of the camera) or nothing can be seen in one of them.
    """
    if before.shape != now.shape or not _is_visible(before) or not _is_visible(now):
        return float("inf")
    terms = _make_terms(before)
    target = now[1:-1, 1:-1].ravel().astype(np.float64)
    light = terms[:, :4]
    fitted = _solve(light, target)
    rest = float(np.mean((target - light @ fitted) ** 2))
    gain = float(fitted[0])
    expected = noise.floor + noise.slope * min(max(gain, 0.3), 3.0) ** 2 * float(np.mean(terms[:, 4:] ** 2) * 2)
    # a crop that lost its contrast is no likeness: the fit would explain it with a gain of zero
    lost = 1.0 if 0.3 <= gain <= 3.0 or float(before.std()) < 3 * noise.floor**0.5 else 10.0
    return max(lost * (rest / expected) ** 0.5, _measure_movement(terms, target) / MOVEMENT_PX)


def _make_terms(crop: Plane) -> npt.NDArray[np.float64]:
    """Return what a crop is fitted with, without its border: itself, a level, two slopes of light, its two gradients."""
    height, width = crop.shape
    whole = crop.astype(np.float64)
    down, across = np.mgrid[-1 : 1 : complex(0, height - 2), -1 : 1 : complex(0, width - 2)]
    parts = (
        whole[1:-1, 1:-1],
        np.ones((height - 2, width - 2)),
        across,
        down,
        (whole[1:-1, 2:] - whole[1:-1, :-2]) / 2,
        (whole[2:, 1:-1] - whole[:-2, 1:-1]) / 2,
    )
    return np.stack([part.ravel() for part in parts], axis=1)


def _solve(terms: npt.NDArray[np.float64], target: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    # a tiny ridge: a flat crop has neither gain nor gradient
    square = terms.T @ terms + np.diag([1.0, 1e-6, 1e-6, 1e-6, 1.0, 1.0][: terms.shape[1]])
    return np.asarray(np.linalg.solve(square, terms.T @ target), np.float64)


def _measure_movement(terms: npt.NDArray[np.float64], target: npt.NDArray[np.float64]) -> float:
    """Return by how many pixels the crop moved, less three standard errors; breathing is a fraction of a pixel."""
    fitted = _solve(terms, target)
    rest = float(np.mean((target - terms @ fitted) ** 2)) * _CORRELATED
    edges = terms[:, 4:].T @ terms[:, 4:] + np.eye(2)
    error = float(np.trace(np.linalg.inv(edges)) * rest) ** 0.5
    gain = max(float(fitted[0]), 0.3)
    return max(0.0, (float(np.hypot(fitted[4], fitted[5])) - 3 * error) / gain)


def _is_visible(crop: Plane) -> bool:
    mean = float(crop.mean())
    return _DARKEST < mean < _LIGHTEST


def measure_noise(before: Plane, now: Plane) -> CameraNoise | None:
    """Measure the noise of a camera from the cells of two successive looks; None if the planes have other shapes.

    In each bin of cells with a like texture, the cells that differ least are those without change.
    """
    if before.shape != now.shape:
        return None
    first, second = _split_cells(before), _split_cells(now)
    if len(first) < 4 * _NOISE_BINS:
        return None
    visible = (first.mean((1, 2)) > _DARKEST) & (first.mean((1, 2)) < _LIGHTEST)
    if visible.sum() < 4 * _NOISE_BINS:
        return None
    first, second = first[visible], second[visible]
    across, down = (first[:, :, 2:] - first[:, :, :-2]) / 2, (first[:, 2:] - first[:, :-2]) / 2
    texture = (across**2).mean((1, 2)) + (down**2).mean((1, 2))
    a, b = first - first.mean((1, 2), keepdims=True), second - second.mean((1, 2), keepdims=True)
    own, common = (a * a).mean((1, 2)), (a * b).mean((1, 2))
    gain = np.where(own > 1.0, (common / np.maximum(own, 1e-6)).clip(0.3, 3.0), 1.0)
    rest = ((b - gain[:, None, None] * a) ** 2).mean((1, 2))
    bins = np.array_split(np.argsort(texture), _NOISE_BINS)
    levels = [(float(np.median(texture[i])), float(np.quantile(rest[i], _STILL_SHARE)) * _INFLATION) for i in bins]
    floor = max(_LEAST_FLOOR, min(level for _, level in levels[:2]))
    slopes = [(level - floor) / max(edge, 1e-3) for edge, level in levels[2:]]
    return CameraNoise(floor, min(max(float(np.median(slopes)), _SLOPES[0]), _SLOPES[1]))


def _split_cells(plane: Plane) -> Plane:
    """Return every second cell of the plane, as in a chess board: N x _CELL_PX x _CELL_PX."""
    rows, columns = plane.shape[0] // _CELL_PX, plane.shape[1] // _CELL_PX
    whole = plane[: rows * _CELL_PX, : columns * _CELL_PX].reshape(rows, _CELL_PX, columns, _CELL_PX)
    cells = whole.transpose(0, 2, 1, 3)
    chosen = (np.add.outer(np.arange(rows), np.arange(columns)) % 2) == 0
    return np.asarray(cells[chosen], np.float32)
