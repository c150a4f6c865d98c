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

    Infinity if the shapes differ (another stream of the camera) or nothing can be seen in one of them.
    """
    if before.shape != now.shape or not _is_visible(before) or not _is_visible(now):
        return float("inf")
    height, width = before.shape
    across = np.broadcast_to(np.linspace(-1, 1, width, dtype=np.float32), before.shape)
    down = np.broadcast_to(np.linspace(-1, 1, height, dtype=np.float32)[:, None], before.shape)
    terms = np.stack([before.ravel(), np.ones(before.size, np.float32), across.ravel(), down.ravel()], axis=1)
    # normal equations with a tiny ridge: a flat crop has no gain
    square = (terms.T @ terms).astype(np.float64) + np.diag([1.0, 1e-6, 1e-6, 1e-6])
    fitted = np.linalg.solve(square, (terms.T @ now.ravel()).astype(np.float64))
    rest = now.ravel() - terms @ fitted.astype(np.float32)
    gain = min(max(float(fitted[0]), 0.3), 3.0)
    expected = noise.floor + noise.slope * gain * gain * _measure_gradient(before)
    # a crop that lost its contrast is no likeness: the fit would explain it with a gain of zero
    lost = 1.0 if 0.3 <= float(fitted[0]) <= 3.0 or float(before.std()) < 3 * noise.floor**0.5 else 10.0
    return lost * float(np.sqrt(np.mean(rest * rest) / expected))


def _is_visible(crop: Plane) -> bool:
    mean = float(crop.mean())
    return _DARKEST < mean < _LIGHTEST


def _measure_gradient(crop: Plane) -> float:
    """Return the mean square of the gradient, in grey levels per pixel."""
    across, down = np.diff(crop, axis=1), np.diff(crop, axis=0)
    return float(np.mean(across * across) + np.mean(down * down))


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
    texture = (np.diff(first, axis=2) ** 2).mean((1, 2)) + (np.diff(first, axis=1) ** 2).mean((1, 2))
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
