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

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from agent.media.containers import BgrImage

Grey = npt.NDArray[np.uint8]
Plane = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Corners = tuple[float, float, float, float]
"""x1 y1 x2 y2 in parts of width and height of the picture, 0 to 1."""

DETAIL_SIDE_PX = 1280
LEAST_CROP_PX = 8
SMALL_BOX_PX, PATCH_SCALE = 12, 2
"""A box with a side of fewer pixels is compared with what is around it: so few pixels do not tell noise from breath, and a
body breathes with its head. From 16 pixels on breathing people were lost by it."""
_CELL_PX, _MOST_CELLS = 24, 400
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
_RIDGE = np.diag([1.0, 1e-6, 1e-6, 1e-6, 1.0, 1.0])
"""Keeps the fit solvable: a flat crop has neither gain nor gradient."""
_FULL_SCALE, _LEAST_USABLE = 240.0, 0.3
_DARKEST, _LIGHTEST = 6.0, 249.0


@dataclass(frozen=True, slots=True)
class CameraNoise:
    """What places without change show in a camera: mean square `floor` plus `slope` times the mean square gradient."""

    floor: float
    slope: float


def make_detail_plane(picture: BgrImage) -> Grey:
    """Return the smoothed luma with a long side of at most DETAIL_SIDE_PX."""
    height, width = picture.shape[:2]
    scale = DETAIL_SIDE_PX / max(height, width)
    if scale < 1:
        # linear, not by area: a third of the time; what aliasing there is, is the same in each look
        size = max(1, round(width * scale)), max(1, round(height * scale))
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    return np.asarray(cv2.GaussianBlur(grey, (0, 0), _SMOOTHING_PX), np.uint8)


def cut_crop(plane: Grey, corners: Corners) -> Plane | None:
    """Return a part of the plane as float32, of a small box with its surroundings; None where there is too little of it."""
    left, top, right, bottom = locate_crop(plane, corners)
    if right - left < LEAST_CROP_PX or bottom - top < LEAST_CROP_PX:
        return None
    return plane[top:bottom, left:right].astype(np.float32)


def locate_crop(plane: Grey, corners: Corners) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of the crop in pixels of the plane."""
    height, width = plane.shape
    x1, y1, x2, y2 = corners[0] * width, corners[1] * height, corners[2] * width, corners[3] * height
    if min(x2 - x1, y2 - y1) < SMALL_BOX_PX:
        (x1, x2), (y1, y2) = _extend_side(x1, x2, width), _extend_side(y1, y2, height)
    return max(0, round(x1)), max(0, round(y1)), min(width, round(x2)), min(height, round(y2))


def _extend_side(low: float, high: float, end: int) -> tuple[float, float]:
    """Extend a side of a small box to both sides, within 0 to `end`: at the picture's edge to the one side."""
    length = min(PATCH_SCALE * max(high - low, 0.75 * SMALL_BOX_PX), float(end))
    start = min(max(0.0, (low + high - length) / 2), end - length)
    return start, start + length


@dataclass(frozen=True, slots=True)
class CropChange:
    """The change between two crops, in units of what a place without change shows.

    `moved`: movement of the whole crop in pixels, across and down; `error2`: square of its standard error; 0 where it is not
    measured. Over many looks they tell a movement that a single look cannot: breath.
    """

    change: float
    moved: tuple[float, float] = (0.0, 0.0)
    error2: float = 0.0


_OTHER = CropChange(float("inf"))


def measure_change(before: Plane, now: Plane, noise: CameraNoise) -> float:
    """Return the change alone, as `compare_crops`."""
    return compare_crops(before, now, noise).change


def compare_crops(before: Plane, now: Plane, noise: CameraNoise, free: Mask | None = None) -> CropChange:
    """Return the change between two crops of the same place.

    It is the larger of what remains beside that noise, and of a movement of the whole crop beyond its own uncertainty.
    Infinity if the shapes differ (another stream of the camera) or nothing can be seen in one of them. `free`: the pixels that
    take part, shaped like the crops; all without it.
    """
    if before.shape != now.shape or not _is_visible(before) or not _is_visible(now):
        return _OTHER
    terms, target = _make_terms(before), now[1:-1, 1:-1].ravel().astype(np.float64)
    # pixels at full scale do not follow the light
    usable = np.maximum(terms[:, 0], target) < _FULL_SCALE
    if free is not None:
        usable &= free[1:-1, 1:-1].ravel()
    if usable.mean() < _LEAST_USABLE:
        return _OTHER
    terms, target = terms[usable], target[usable]
    square, sides = terms.T @ terms + _RIDGE, terms.T @ target
    fitted = np.linalg.solve(square[:4, :4], sides[:4])
    rest = target - terms[:, :4] @ fitted
    gain = float(fitted[0])
    edges = float(square[4, 4] + square[5, 5]) / len(target)
    expected = noise.floor + noise.slope * min(max(gain, 0.3), 3.0) ** 2 * edges
    if not 0.3 <= gain <= 3.0 and float(before.std()) >= 3 * math.sqrt(noise.floor):
        # the contrast is gone: a gain of zero would explain any flat picture
        return _OTHER
    # what the fit took away with its four terms is added again
    remains = math.sqrt(float(rest @ rest) / max(len(target) - 4, 1) / expected)
    moved, error = _measure_movement(terms, target, square, sides)
    surely = max(0.0, math.hypot(*moved) - 3 * error)
    return CropChange(max(remains, surely / MOVEMENT_PX), moved, error**2)


def _make_terms(crop: Plane) -> Doubles:
    """Return what a crop is fitted with, without its border: itself, a level, two slopes of light, its two gradients."""
    whole = crop.astype(np.float64)
    height, width = crop.shape[0] - 2, crop.shape[1] - 2
    terms = np.empty((height, width, 6))
    terms[..., 0] = whole[1:-1, 1:-1]
    terms[..., 1] = 1
    terms[..., 2] = np.linspace(-1, 1, width)
    terms[..., 3] = np.linspace(-1, 1, height)[:, None]
    terms[..., 4] = (whole[1:-1, 2:] - whole[1:-1, :-2]) / 2
    terms[..., 5] = (whole[2:, 1:-1] - whole[:-2, 1:-1]) / 2
    return terms.reshape(-1, 6)


def _measure_movement(
    terms: Doubles, target: Doubles, square: Doubles, sides: Doubles
) -> tuple[tuple[float, float], float]:
    """Return by how many pixels the crop moved, and the standard error; breathing is a fraction of a pixel."""
    fitted = np.linalg.solve(square, sides)
    rest = target - terms @ fitted
    variance = float(rest @ rest) / max(len(target) - 6, 1) * _CORRELATED
    a, b, c = float(square[4, 4]), float(square[4, 5]), float(square[5, 5])
    error = math.sqrt(variance * (a + c) / max(a * c - b * b, 1e-9))
    gain = max(float(fitted[0]), 0.3)
    return (float(fitted[4]) / gain, float(fitted[5]) / gain), error / gain


def _is_visible(crop: Plane) -> bool:
    mean = float(crop.mean())
    return _DARKEST < mean < _LIGHTEST


def measure_noise(before: Grey, now: Grey) -> CameraNoise | None:
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


def _split_cells(plane: Grey) -> Plane:
    """Return at most _MOST_CELLS cells of the plane, spread evenly: N x _CELL_PX x _CELL_PX."""
    rows, columns = plane.shape[0] // _CELL_PX, plane.shape[1] // _CELL_PX
    whole = plane[: rows * _CELL_PX, : columns * _CELL_PX].reshape(rows, _CELL_PX, columns, _CELL_PX)
    cells = whole.transpose(0, 2, 1, 3).reshape(-1, _CELL_PX, _CELL_PX)
    # multiples of the golden ratio, so that no row or column of cells is favoured
    chosen = np.unique((np.arange(_MOST_CELLS) * 0.6180339887 % 1 * len(cells)).astype(np.intp))
    return np.asarray(cells[chosen] if len(cells) else cells, np.float32)
