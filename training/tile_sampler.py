"""Sampling of training tiles for the head detector: cut from pictures at a chosen head size, rotated, then augmented."""

from __future__ import annotations

import math
import multiprocessing
import random
from collections.abc import Iterator

import cv2
import numpy as np
import torch
from torch.utils.data import IterableDataset, get_worker_info

from training.augment import AugmentationShares, augment_tile
from training.training_pictures import TrainingPictures

_HALVED = 0.6
"""Scale below which pictures are halved first."""


def cut_tile(data: TrainingPictures, index: int, tile: int, rng: random.Random) -> tuple[np.ndarray, np.ndarray]:
    """Cut a `tile` x `tile` BGR picture and its boxes (N x 4, xyxy pixels).

    The median head gets a random size of 8 to 110 pixels, or more if the picture would not fill the tile otherwise. One tile
    in six shows a place without heads, so that chair backs and lamps are learnt as background.
    """
    picture, heads = data.picture(index), data.heads[index]
    height, width = picture.shape[:2]
    scale, centre = rng.uniform(0.6, 2.0), (rng.uniform(0, width), rng.uniform(0, height))
    if len(heads):
        size = float(np.median(np.sqrt((heads[:, 2] - heads[:, 0]) * (heads[:, 3] - heads[:, 1]))))
        scale = min(3.0, math.exp(rng.uniform(math.log(8), math.log(110))) / max(size, 1.0))
        scale = max(scale, tile / max(width, height))  # the picture must fill the tile in one direction
        empty = _find_empty_place(heads, width, height, rng) if rng.random() < 1 / 6 else None
        if empty:
            centre, scale = empty[:2], max(scale, tile / empty[2])
        elif rng.random() < 0.8:
            x1, y1, x2, y2 = heads[rng.randrange(len(heads))]
            reach = 0.4 * tile / scale
            centre = ((x1 + x2) / 2 + rng.uniform(-reach, reach), (y1 + y2) / 2 + rng.uniform(-reach, reach))
    linear = _make_random_map(scale, rng)
    shift = np.array([tile / 2, tile / 2]) - linear @ np.array(centre)
    shift = _shift_inside(linear, shift, width, height, tile)
    out = cv2.warpAffine(
        _halve_source(picture, scale),
        _scale_map(np.hstack([linear, shift[:, None]]), scale),
        (tile, tile),
        flags=cv2.INTER_LINEAR,
        borderValue=(114, 114, 114),
    )
    return out, _map_boxes(heads, linear, shift, tile) if len(heads) else heads


def _find_empty_place(
    heads: np.ndarray, width: int, height: int, rng: random.Random
) -> tuple[float, float, float] | None:
    """Return centre and side of a square without heads, the largest of eight tries; None if all are below 128 pixels."""
    best = None
    for _ in range(8):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        apart = np.maximum.reduce([heads[:, 0] - x, x - heads[:, 2], heads[:, 1] - y, y - heads[:, 3]])
        side = 2 * float(apart.min())
        if side >= 128 and (best is None or side > best[2]):
            best = (x, y, side)
    return best


def _make_random_map(scale: float, rng: random.Random) -> np.ndarray:
    """Return a random 2 x 2 map: mostly upright; some tilted, some at any angle, as under a ceiling camera."""
    kind = rng.random()
    turn = rng.gauss(0, 4) if kind < 0.72 else rng.uniform(-45, 45) if kind < 0.86 else rng.uniform(-180, 180)
    reach = 0.12 if rng.random() < 0.75 else 0.3
    stretch = math.exp(rng.uniform(-reach, reach))
    flip = -1.0 if rng.random() < 0.5 else 1.0
    c, s = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    across, down = scale * stretch, scale / stretch
    return np.array([[flip * across * c, -flip * across * s], [down * s, down * c]])


def _map_boxes(heads: np.ndarray, linear: np.ndarray, shift: np.ndarray, tile: int) -> np.ndarray:
    """Map the boxes, as boxes round ellipses; keep those of which at least two fifths are inside the tile."""
    middle = np.stack([heads[:, 0] + heads[:, 2], heads[:, 1] + heads[:, 3]], 1) / 2 @ linear.T + shift
    half = np.sqrt(((heads[:, 2:] - heads[:, :2]) / 2) ** 2 @ (linear**2).T)
    clipped = np.concatenate([middle - half, middle + half], 1).clip(0, tile)
    area = (clipped[:, 2:] - clipped[:, :2]).prod(1)
    seen = (area >= 0.4 * 4 * half.prod(1)) & (half.min(1) >= 2)
    return clipped[seen].astype(np.float32)


def _shift_inside(linear: np.ndarray, shift: np.ndarray, width: int, height: int, tile: int) -> np.ndarray:
    """Return the shift changed so that the picture fills the tile, where it is large enough."""
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]]) @ linear.T + shift
    low, high = corners.min(0), corners.max(0)
    for axis in (0, 1):
        if high[axis] - low[axis] >= tile:
            shift[axis] -= max(0.0, low[axis]) + min(0.0, high[axis] - tile)
    return shift


def _halve_source(picture: np.ndarray, scale: float) -> np.ndarray:
    """Halve the picture with INTER_AREA before a strong reduction, to avoid aliasing."""
    return cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) if scale < _HALVED else picture


def _scale_map(matrix: np.ndarray, scale: float) -> np.ndarray:
    return matrix * np.array([2.0, 2.0, 1.0]) if scale < _HALVED else matrix


def join_mosaic(parts: list[tuple[np.ndarray, np.ndarray]], tile: int) -> tuple[np.ndarray, np.ndarray]:
    """Join four half-size tiles and their boxes in one."""
    out, boxes, half = np.empty((tile, tile, 3), np.uint8), [], tile // 2
    for place, (picture, heads) in enumerate(parts):
        x, y = half * (place % 2), half * (place // 2)
        out[y : y + half, x : x + half] = picture
        boxes.append(heads + np.array([x, y, x, y], np.float32))
    return out, np.concatenate(boxes)


class TileBatches(IterableDataset):  # type: ignore[misc]
    """Endless batches for `torch.utils.data.DataLoader`; each of its processes cuts its own tiles.

    A batch: `img` B x 3 x tile x tile uint8 RGB; for each head in it `batch_idx` (float32, which picture), `cls` (N x 1, 0)
    and `bboxes` (N x 4 float32: centre x, centre y, width, height in parts of the tile).
    """

    def __init__(self, data: TrainingPictures, tile: int, batch: int, seed: int, dressing: AugmentationShares) -> None:
        self.data, self.tile, self.batch, self.seed, self.dressing = data, tile, batch, seed, dressing
        self.mosaic_share = multiprocessing.Value("d", 0.3)  # shared by all processes

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        cv2.setNumThreads(1)
        worker = get_worker_info()
        seed = 1000 * self.seed + (worker.id if worker else 0)
        rng, noise = random.Random(seed), np.random.default_rng(seed)
        order: list[int] = []
        while True:
            tiles, boxes = [], []
            for _ in range(self.batch):
                if len(order) < 5:
                    order = rng.sample(self.data.order, len(self.data.order))
                if rng.random() < self.mosaic_share.value:
                    parts = [cut_tile(self.data, order.pop(), self.tile // 2, rng) for _ in range(4)]
                    picture, heads = join_mosaic(parts, self.tile)
                else:
                    picture, heads = cut_tile(self.data, order.pop(), self.tile, rng)
                tiles.append(augment_tile(picture, heads, self.dressing, rng, noise)[:, :, ::-1].transpose(2, 0, 1))
                boxes.append(heads)
            yield _make_batch(np.stack(tiles), boxes, self.tile)


def _make_batch(tiles: np.ndarray, boxes: list[np.ndarray], tile: int) -> dict[str, torch.Tensor]:
    index = np.concatenate([np.full(len(b), i, np.float32) for i, b in enumerate(boxes)])
    flat = np.concatenate(boxes).reshape(-1, 4) / tile
    centre = np.hstack([(flat[:, :2] + flat[:, 2:]) / 2, flat[:, 2:] - flat[:, :2]])
    return {
        "img": torch.from_numpy(np.ascontiguousarray(tiles)),
        "batch_idx": torch.from_numpy(index),
        "cls": torch.zeros(len(index), 1),
        "bboxes": torch.from_numpy(centre.astype(np.float32)),
    }
