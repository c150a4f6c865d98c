"""Augmentation of training tiles: cloth on heads, objects that are not heads, light, noise, compression."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class AugmentationShares:
    """Shares of the tiles (0 to 1) in which some heads are covered, and in which objects that are not heads are drawn."""

    covered: float
    strewn: float


Ellipse = tuple[tuple[float, float], tuple[float, float], float]
"""Centre, axes, rotation in degrees, as OpenCV takes it."""
_CLOTH = (
    (235, 235, 235),
    (200, 160, 90),
    (215, 190, 130),
    (40, 40, 40),
    (150, 170, 90),
    (120, 150, 190),
    (150, 150, 150),
)
"""The usual colours of masks, caps and scarves: white, blues, black, green, beige, grey (BGR)."""
_CHAIRS = ((30, 30, 30), (200, 70, 20), (150, 60, 30), (40, 40, 190), (20, 120, 230), (70, 130, 40), (110, 110, 110))
_HELMETS = ((0, 200, 240), (40, 40, 210), (190, 90, 30), (240, 240, 240), (0, 120, 240))


def _cover_head(tile: np.ndarray, box: np.ndarray, rng: random.Random) -> None:
    """Draw a mask, a cap, a helmet or a scarf over a head, or cover a part of it as a desk or a neighbour does."""
    x1, y1, x2, y2 = (float(v) for v in box)
    wide, high = x2 - x1, y2 - y1
    kind = rng.random()
    shade = _choose_colour(_HELMETS if 0.45 <= kind < 0.6 else _CLOTH, rng)
    middle, slant = ((x1 + x2) / 2 + rng.uniform(-0.1, 0.1) * wide, (y1 + y2) / 2), rng.uniform(-15, 15)
    if kind < 0.3:  # a mask below the eyes
        cv2.ellipse(tile, ((middle[0], y1 + 0.72 * high), (wide * 0.9, high * rng.uniform(0.4, 0.6)), slant), shade, -1)
    elif kind < 0.6:  # a cap or a helmet above them
        size = wide * rng.uniform(0.95, 1.15), high * rng.uniform(0.5, 0.8)
        _draw_cloth(tile, [((middle[0], y1 + 0.22 * high), size, slant)], None, shade, rng)
    elif kind < 0.85:  # a scarf or a hood, with a face in it or from behind
        face = (middle[0] + rng.uniform(-0.3, 0.3) * wide, middle[1] + rng.uniform(0, 0.15) * high)
        hole = (face, (wide * rng.uniform(0.35, 0.65), high * rng.uniform(0.4, 0.65)), slant)
        over = [(middle, (wide * rng.uniform(1.0, 1.2), high * rng.uniform(1.05, 1.25)), slant)]
        if rng.random() < 0.5:  # it falls over the shoulders
            fall = (middle[0], y2 + rng.uniform(-0.05, 0.3) * high), (wide * rng.uniform(1.2, 1.9), high * 0.9), slant
            over.append(fall)
        _draw_cloth(tile, over, hole if rng.random() < 0.6 else None, shade, rng)
    else:
        part = rng.uniform(0.2, 0.5)
        corners = [(x1, y2 - part * high, x2, y2), (x1, y1, x1 + part * wide, y2), (x2 - part * wide, y1, x2, y2)]
        left, top, right, bottom = (round(v) for v in rng.choice(corners))
        cv2.rectangle(tile, (left, top), (right, bottom), shade, -1)


def _choose_colour(usual: tuple[tuple[int, int, int], ...], rng: random.Random) -> tuple[int, ...]:
    shade = rng.choice(usual) if rng.random() < 0.6 else tuple(rng.randrange(256) for _ in range(3))
    return tuple(min(255, max(0, v + rng.randrange(-25, 26))) for v in shade)


def _draw_distractors(tile: np.ndarray, boxes: np.ndarray, rng: random.Random) -> None:
    """Draw objects that are not heads, such as chair backs, bags and lamps, at a distance from all heads.

    They have the colours of cloth and chairs. Equal ones form rows, smaller towards the far end, as chairs do.
    """
    usual = float(np.median(boxes[:, 2] - boxes[:, 0])) if len(boxes) else math.exp(rng.uniform(2.5, 4.5))
    for _ in range(rng.randint(1, 4)):
        wide = usual * rng.uniform(0.6, 1.8)
        tall, slant, power = rng.uniform(0.5, 1.5), rng.uniform(-20, 20), rng.choice((2.0, 3.0, 5.0))
        shade, gripped = _choose_colour(rng.choice((_CLOTH, _CHAIRS)), rng), rng.random() < 0.3
        x, y, way = rng.uniform(0, tile.shape[1]), rng.uniform(0, tile.shape[0]), rng.uniform(-0.6, 0.6)
        smaller = rng.uniform(0.8, 1.0)
        for _ in range(1 if rng.random() < 0.4 else rng.randint(2, 6)):
            if _is_apart(boxes, x, y, wide, tall * wide, usual):
                grip = ((x, y - 0.2 * tall * wide), (0.4 * wide, 0.2 * tall * wide), slant) if gripped else None
                _draw_cloth(tile, [((x, y), (wide, tall * wide), slant)], grip, shade, rng, power)
            step = wide * rng.uniform(1.1, 1.5)
            x, y, wide = x + step * math.cos(way), y + step * math.sin(way), wide * smaller


def _is_apart(boxes: np.ndarray, x: float, y: float, wide: float, high: float, usual: float) -> bool:
    across, down = np.abs(boxes[:, ::2].sum(1) / 2 - x), np.abs(boxes[:, 1::2].sum(1) / 2 - y)
    return not ((across < wide + usual / 2) & (down < 1.5 * max(wide, high) + usual / 2)).any()


def _compute_outline(ellipse: Ellipse, power: float) -> np.ndarray:
    """Return corners (N x 2 int32, pixels) of |x|^power + |y|^power = 1, scaled and rotated as the ellipse."""
    (x, y), size, slant = ellipse
    round_ = np.linspace(0, 2 * math.pi, 40, endpoint=False)
    edge = np.stack([np.cos(round_), np.sin(round_)])
    edge = np.sign(edge) * np.abs(edge) ** (2 / power) * np.array(size)[:, None] / 2
    c, s = math.cos(math.radians(slant)), math.sin(math.radians(slant))
    return np.round(np.array([[c, -s], [s, c]]) @ edge + np.array([[x], [y]])).astype(np.int32).T


def _draw_cloth(
    tile: np.ndarray,
    over: list[Ellipse],
    hole: Ellipse | None,
    shade: tuple[int, ...],
    rng: random.Random,
    power: float = 2.0,
) -> None:
    """Draw cloth in ellipses, darker towards one side, with folds and soft edges.

    `hole` (a face) stays unchanged; a `power` above 2 makes the ellipses more rectangular.
    """
    reach = math.ceil(max(max(size) / 2 + math.dist(over[0][0], centre) for centre, size, _ in over)) + 2
    left, top = max(0, int(over[0][0][0]) - reach), max(0, int(over[0][0][1]) - reach)
    part = tile[top : max(0, int(over[0][0][1]) + reach), left : max(0, int(over[0][0][0]) + reach)]
    if min(part.shape[:2]) < 4:
        return
    mask = np.zeros(part.shape[:2], np.float32)
    for value, ellipses in ((1.0, over), (0.0, [hole] if hole else [])):
        for ellipse in ellipses:
            cv2.fillPoly(mask, [_compute_outline(ellipse, power) - np.array([left, top])], value)
    mask = cv2.GaussianBlur(mask, (0, 0), max(0.5, max(over[0][1]) / 60))[:, :, None]
    y, x = np.mgrid[-1 : 1 : part.shape[0] * 1j, -1 : 1 : part.shape[1] * 1j]
    turn, waves = rng.uniform(0, 2 * math.pi), rng.uniform(2, 9)
    along, across = x * math.cos(turn) + y * math.sin(turn), y * math.cos(turn) - x * math.sin(turn)
    light = 0.9 + rng.uniform(0, 0.3) * along + rng.uniform(0, 0.12) * np.sin(waves * across + 2 * along)
    dim = min(1.1, 0.4 + 0.6 * float(part.mean()) / 110)  # as bright as its surroundings
    cloth = np.clip(np.array(shade, np.float32) * dim * light[:, :, None], 0, 255)
    part[:] = (part * (1 - mask) + cloth * mask).astype(np.uint8)


def augment_tile(
    tile: np.ndarray, boxes: np.ndarray, dressing: AugmentationShares, rng: random.Random, noise: np.random.Generator
) -> np.ndarray:
    """Return the tile (BGR, uint8) augmented at random.

    Covers some heads (`boxes`: N x 4, xyxy pixels), draws objects that are not heads, and changes light and colour, or makes
    it grey as infrared pictures are; adds blur, sensor noise and JPEG compression.
    """
    if rng.random() < dressing.strewn:
        _draw_distractors(tile, boxes, rng)
    share = rng.choice((0.05, 0.3)) if rng.random() < dressing.covered else 0.0
    for box in boxes:
        if rng.random() < share:
            _cover_head(tile, box, rng)
    hsv = cv2.cvtColor(tile, cv2.COLOR_BGR2HSV)
    value = np.arange(256, dtype=np.float32)
    light = np.clip(255 * (value / 255) ** math.exp(rng.uniform(-0.5, 0.5)) * rng.uniform(0.7, 1.25), 0, 255).astype(
        np.uint8
    )
    colour = np.clip(value * rng.uniform(0.3, 1.6), 0, 255).astype(np.uint8)
    hue = ((value + rng.uniform(-4, 4)) % 180).astype(np.uint8)
    tile = cv2.cvtColor(
        cv2.merge([cv2.LUT(p, t) for p, t in zip(cv2.split(hsv), (hue, colour, light), strict=True)]), cv2.COLOR_HSV2BGR
    )
    if rng.random() < 0.15:
        tile = cv2.cvtColor(cv2.cvtColor(tile, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    if rng.random() < 0.2:
        tile = cv2.GaussianBlur(tile, (0, 0), rng.uniform(0.4, 1.6))
    if rng.random() < 0.15:
        tile = np.clip(tile + noise.normal(0, rng.uniform(2, 12), tile.shape).astype(np.float32), 0, 255).astype(
            np.uint8
        )
    if rng.random() < 0.2:
        tile = cv2.imdecode(
            cv2.imencode(".jpg", tile, [cv2.IMWRITE_JPEG_QUALITY, rng.randrange(25, 80)])[1], cv2.IMREAD_COLOR
        )
    return tile
