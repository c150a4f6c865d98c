"""Tiles to train the head detector on: cut from pictures at a chosen head size, turned, dressed and disturbed."""

from __future__ import annotations

import math
import queue
import random
import threading
from pathlib import Path

import cv2
import numpy as np

PICTURES = {".webp", ".jpg", ".jpeg", ".png"}


class Pictures:
    """Every picture decoded once into one memory-mapped file: cutting tiles from it costs no decoding."""

    def __init__(self, folders: list[Path], cache: Path, more: dict[str, int]) -> None:
        self.order: list[int] = []  # indices in one round of training, those that `more` names several times
        self.items: list[tuple[int, int, int]] = []  # offset, height, width
        self.heads: list[np.ndarray] = []  # N x 4 float32, xyxy pixels
        offset = 0
        with cache.open("wb") as out:
            for folder in folders:
                for path in sorted(p for p in (folder / "images").iterdir() if p.suffix.lower() in PICTURES):
                    picture = cv2.imread(str(path))
                    if picture is None:
                        continue
                    height, width = picture.shape[:2]
                    out.write(picture.tobytes())
                    times = next((n for start, n in more.items() if path.name.startswith(start)), 1)
                    self.order += [len(self.items)] * times
                    self.items.append((offset, height, width))
                    self.heads.append(_labels(folder / "labels" / f"{path.stem}.txt", width, height))
                    offset += height * width * 3
        self.bytes = np.memmap(cache, np.uint8, "r")

    def picture(self, index: int) -> np.ndarray:
        offset, height, width = self.items[index]
        return self.bytes[offset : offset + height * width * 3].reshape(height, width, 3)


def _labels(path: Path, width: int, height: int) -> np.ndarray:
    if not path.exists():
        return np.zeros((0, 4), np.float32)
    rows = [[float(v) for v in line.split()[1:5]] for line in path.read_text().splitlines() if line.strip()]
    if not rows:
        return np.zeros((0, 4), np.float32)
    cx, cy, w, h = np.array(rows, np.float32).T
    return np.stack([(cx - w / 2) * width, (cy - h / 2) * height, (cx + w / 2) * width, (cy + h / 2) * height], 1)


def cut_tile(data: Pictures, index: int, tile: int, rng: random.Random) -> tuple[np.ndarray, np.ndarray]:
    """A `tile` x `tile` BGR picture and its boxes (xyxy pixels).

    The median head gets a drawn size of 8 to 110 pixels, more where the picture would else not fill the tile. One tile in
    six shows a place without heads, so that chair backs and lamps are learnt as well.
    """
    picture, heads = data.picture(index), data.heads[index]
    height, width = picture.shape[:2]
    scale, centre = rng.uniform(0.6, 2.0), (rng.uniform(0, width), rng.uniform(0, height))
    if len(heads):
        size = float(np.median(np.sqrt((heads[:, 2] - heads[:, 0]) * (heads[:, 3] - heads[:, 1]))))
        scale = min(3.0, math.exp(rng.uniform(math.log(8), math.log(110))) / max(size, 1.0))
        scale = max(scale, tile / max(width, height))  # not a stamp on an empty tile
        empty = _empty_place(heads, width, height, rng) if rng.random() < 1 / 6 else None
        if empty:
            centre, scale = empty[:2], max(scale, tile / empty[2])
        elif rng.random() < 0.8:
            x1, y1, x2, y2 = heads[rng.randrange(len(heads))]
            reach = 0.4 * tile / scale
            centre = ((x1 + x2) / 2 + rng.uniform(-reach, reach), (y1 + y2) / 2 + rng.uniform(-reach, reach))
    linear = _turned(scale, rng)
    shift = np.array([tile / 2, tile / 2]) - linear @ np.array(centre)
    shift = _keep_inside(linear, shift, width, height, tile)
    out = cv2.warpAffine(
        _smaller_source(picture, scale),
        _for_source(np.hstack([linear, shift[:, None]]), scale),
        (tile, tile),
        flags=cv2.INTER_LINEAR,
        borderValue=(114, 114, 114),
    )
    return out, _moved(heads, linear, shift, tile) if len(heads) else heads


def _empty_place(heads: np.ndarray, width: int, height: int, rng: random.Random) -> tuple[float, float, float] | None:
    """Centre and side of a square without heads, of eight tries the largest; None where all are smaller than 128 pixels."""
    best = None
    for _ in range(8):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        apart = np.maximum.reduce([heads[:, 0] - x, x - heads[:, 2], heads[:, 1] - y, y - heads[:, 3]])
        side = 2 * float(apart.min())
        if side >= 128 and (best is None or side > best[2]):
            best = (x, y, side)
    return best


def _turned(scale: float, rng: random.Random) -> np.ndarray:
    """A 2 x 2 map: mostly upright; some tilted, some any way round, as under a ceiling camera."""
    kind = rng.random()
    turn = rng.gauss(0, 4) if kind < 0.72 else rng.uniform(-45, 45) if kind < 0.86 else rng.uniform(-180, 180)
    reach = 0.12 if rng.random() < 0.75 else 0.3
    stretch = math.exp(rng.uniform(-reach, reach))
    flip = -1.0 if rng.random() < 0.5 else 1.0
    c, s = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    across, down = scale * stretch, scale / stretch
    return np.array([[flip * across * c, -flip * across * s], [down * s, down * c]])


def _moved(heads: np.ndarray, linear: np.ndarray, shift: np.ndarray, tile: int) -> np.ndarray:
    """Boxes round the ellipses that heads are, after the map; those of which a tile's edge leaves at least two fifths."""
    middle = np.stack([heads[:, 0] + heads[:, 2], heads[:, 1] + heads[:, 3]], 1) / 2 @ linear.T + shift
    half = np.sqrt(((heads[:, 2:] - heads[:, :2]) / 2) ** 2 @ (linear**2).T)
    clipped = np.concatenate([middle - half, middle + half], 1).clip(0, tile)
    area = (clipped[:, 2:] - clipped[:, :2]).prod(1)
    seen = (area >= 0.4 * 4 * half.prod(1)) & (half.min(1) >= 2)
    return clipped[seen].astype(np.float32)


def _keep_inside(linear: np.ndarray, shift: np.ndarray, width: int, height: int, tile: int) -> np.ndarray:
    """Let what the picture has fill the tile where it is large enough."""
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]]) @ linear.T + shift
    low, high = corners.min(0), corners.max(0)
    for axis in (0, 1):
        if high[axis] - low[axis] >= tile:
            shift[axis] -= max(0.0, low[axis]) + min(0.0, high[axis] - tile)
    return shift


def _halvings(scale: float) -> int:
    return 1 if scale < 0.6 else 0


def _smaller_source(picture: np.ndarray, scale: float) -> np.ndarray:
    """Halve by areas before a strong reduction, so that it does not alias."""
    return cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) if _halvings(scale) else picture


def _for_source(matrix: np.ndarray, scale: float) -> np.ndarray:
    if not _halvings(scale):
        return matrix
    out = matrix.copy()
    out[:, :2] *= 2
    return out


Ellipse = tuple[tuple[float, float], tuple[float, float], float]
"""Centre, axes, slant in degrees, as OpenCV takes it."""
_CLOTH = (
    (235, 235, 235),
    (200, 160, 90),
    (215, 190, 130),
    (40, 40, 40),
    (150, 170, 90),
    (120, 150, 190),
    (150, 150, 150),
)
"""Masks, caps and scarves as they are mostly seen: white, blues, black, green, beige, grey (BGR)."""
_CHAIRS = ((30, 30, 30), (200, 70, 20), (150, 60, 30), (40, 40, 190), (20, 120, 230), (70, 130, 40), (110, 110, 110))
_HELMETS = ((0, 200, 240), (40, 40, 210), (190, 90, 30), (240, 240, 240), (0, 120, 240))


def _cover(tile: np.ndarray, box: np.ndarray, rng: random.Random) -> None:
    """Draw a mask, a cap, a helmet or a scarf over a head, or the edge of a desk or a neighbour before a part of it."""
    x1, y1, x2, y2 = (float(v) for v in box)
    wide, high = x2 - x1, y2 - y1
    kind = rng.random()
    shade = _shade(_HELMETS if 0.45 <= kind < 0.6 else _CLOTH, rng)
    middle, slant = ((x1 + x2) / 2 + rng.uniform(-0.1, 0.1) * wide, (y1 + y2) / 2), rng.uniform(-15, 15)
    if kind < 0.3:  # a mask below the eyes
        cv2.ellipse(tile, ((middle[0], y1 + 0.72 * high), (wide * 0.9, high * rng.uniform(0.4, 0.6)), slant), shade, -1)
    elif kind < 0.6:  # a cap or a helmet above them
        size = wide * rng.uniform(0.95, 1.15), high * rng.uniform(0.5, 0.8)
        _clothe(tile, [((middle[0], y1 + 0.22 * high), size, slant)], None, shade, rng)
    elif kind < 0.85:  # a scarf or a hood, with a face in it or from behind
        face = (middle[0] + rng.uniform(-0.3, 0.3) * wide, middle[1] + rng.uniform(0, 0.15) * high)
        hole = (face, (wide * rng.uniform(0.35, 0.65), high * rng.uniform(0.4, 0.65)), slant)
        over = [(middle, (wide * rng.uniform(1.0, 1.2), high * rng.uniform(1.05, 1.25)), slant)]
        if rng.random() < 0.5:  # it falls over the shoulders
            fall = (middle[0], y2 + rng.uniform(-0.05, 0.3) * high), (wide * rng.uniform(1.2, 1.9), high * 0.9), slant
            over.append(fall)
        _clothe(tile, over, hole if rng.random() < 0.8 else None, shade, rng)
    else:
        part = rng.uniform(0.2, 0.5)
        corners = [(x1, y2 - part * high, x2, y2), (x1, y1, x1 + part * wide, y2), (x2 - part * wide, y1, x2, y2)]
        left, top, right, bottom = (round(v) for v in rng.choice(corners))
        cv2.rectangle(tile, (left, top), (right, bottom), shade, -1)


def _shade(usual: tuple[tuple[int, int, int], ...], rng: random.Random) -> tuple[int, ...]:
    shade = rng.choice(usual) if rng.random() < 0.6 else tuple(rng.randrange(256) for _ in range(3))
    return tuple(min(255, max(0, v + rng.randrange(-25, 26))) for v in shade)


def _strew(tile: np.ndarray, boxes: np.ndarray, rng: random.Random) -> None:
    """Things that are no heads, apart from all heads: chair backs, bags, lamps, of the colours of cloth and chairs."""
    usual = float(np.median(boxes[:, 2] - boxes[:, 0])) if len(boxes) else math.exp(rng.uniform(2.5, 4.5))
    for _ in range(rng.randint(1, 4)):
        wide = usual * rng.uniform(0.6, 1.6)
        high, x, y = wide * rng.uniform(0.5, 1.5), rng.uniform(0, tile.shape[1]), rng.uniform(0, tile.shape[0])
        far = wide + usual / 2, 1.5 * max(wide, high) + usual / 2
        across, down = np.abs(boxes[:, ::2].sum(1) / 2 - x), np.abs(boxes[:, 1::2].sum(1) / 2 - y)
        if ((across < far[0]) & (down < far[1])).any():
            continue
        slant = rng.uniform(-20, 20)
        grip = ((x, y - 0.2 * high), (0.4 * wide, 0.2 * high), slant) if rng.random() < 0.3 else None
        shade = _shade(rng.choice((_CLOTH, _CHAIRS)), rng)
        _clothe(tile, [((x, y), (wide, high), slant)], grip, shade, rng, rng.choice((2.0, 3.0, 5.0)))


def _outline(ellipse: Ellipse, power: float) -> np.ndarray:
    """Corners (N x 2, whole pixels) of |x|^power + |y|^power = 1, stretched and turned as the ellipse."""
    (x, y), size, slant = ellipse
    round_ = np.linspace(0, 2 * math.pi, 40, endpoint=False)
    edge = np.stack([np.cos(round_), np.sin(round_)])
    edge = np.sign(edge) * np.abs(edge) ** (2 / power) * np.array(size)[:, None] / 2
    c, s = math.cos(math.radians(slant)), math.sin(math.radians(slant))
    return np.round(np.array([[c, -s], [s, c]]) @ edge + np.array([[x], [y]])).astype(np.int32).T


def _clothe(
    tile: np.ndarray,
    over: list[Ellipse],
    hole: Ellipse | None,
    shade: tuple[int, ...],
    rng: random.Random,
    power: float = 2.0,
) -> None:
    """Cloth of a colour in ellipses, darker towards one side, with folds and soft edges; `hole` stays as it was. A `power`
    above 2 makes them squarer."""
    reach = math.ceil(max(max(size) / 2 + math.dist(over[0][0], centre) for centre, size, _ in over)) + 2
    left, top = max(0, int(over[0][0][0]) - reach), max(0, int(over[0][0][1]) - reach)
    part = tile[top : max(0, int(over[0][0][1]) + reach), left : max(0, int(over[0][0][0]) + reach)]
    if min(part.shape[:2]) < 4:
        return
    mask = np.zeros(part.shape[:2], np.float32)
    for value, ellipses in ((1.0, over), (0.0, [hole] if hole else [])):
        for ellipse in ellipses:
            cv2.fillPoly(mask, [_outline(ellipse, power) - np.array([left, top])], value)
    mask = cv2.GaussianBlur(mask, (0, 0), max(0.5, max(over[0][1]) / 60))[:, :, None]
    y, x = np.mgrid[-1 : 1 : part.shape[0] * 1j, -1 : 1 : part.shape[1] * 1j]
    turn, waves = rng.uniform(0, 2 * math.pi), rng.uniform(2, 9)
    along, across = x * math.cos(turn) + y * math.sin(turn), y * math.cos(turn) - x * math.sin(turn)
    light = 0.9 + rng.uniform(0, 0.3) * along + rng.uniform(0, 0.12) * np.sin(waves * across + 2 * along)
    dim = min(1.1, 0.4 + 0.6 * float(part.mean()) / 110)  # as light as its surroundings
    cloth = np.clip(np.array(shade, np.float32) * dim * light[:, :, None], 0, 255)
    part[:] = (part * (1 - mask) + cloth * mask).astype(np.uint8)


def disturb(tile: np.ndarray, boxes: np.ndarray, rng: random.Random, noise: np.random.Generator) -> np.ndarray:
    """Light, colour, infrared, blur, compression, sensor noise; some heads partly covered, as by masks and scarves; things
    that are no heads."""
    if rng.random() < 0.3:
        _strew(tile, boxes, rng)
    share = rng.choice((0.0, 0.0, 0.05, 0.3))
    for box in boxes:
        if rng.random() < share:
            _cover(tile, box, rng)
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


def mosaic(parts: list[tuple[np.ndarray, np.ndarray]], tile: int) -> tuple[np.ndarray, np.ndarray]:
    """Four half-size tiles in one."""
    out, boxes, half = np.empty((tile, tile, 3), np.uint8), [], tile // 2
    for place, (picture, heads) in enumerate(parts):
        x, y = half * (place % 2), half * (place // 2)
        out[y : y + half, x : x + half] = picture
        boxes.append(heads + np.array([x, y, x, y], np.float32))
    return out, np.concatenate(boxes)


class Feeder(threading.Thread):
    """Cuts tiles ahead of the training."""

    def __init__(self, data: Pictures, tile: int, batch: int, seed: int) -> None:
        super().__init__(daemon=True)
        self.data, self.tile, self.batch = data, tile, batch
        self.rng, self.noise = random.Random(seed), np.random.default_rng(seed)
        self.ready: queue.Queue[tuple[np.ndarray, list[np.ndarray]]] = queue.Queue(4)
        self.mosaic_share = 0.3

    def run(self) -> None:
        order: list[int] = []
        while True:
            tiles, boxes = [], []
            for _ in range(self.batch):
                if len(order) < 5:
                    order = self.rng.sample(self.data.order, len(self.data.order))
                if self.rng.random() < self.mosaic_share:
                    picture, heads = mosaic(
                        [cut_tile(self.data, order.pop(), self.tile // 2, self.rng) for _ in range(4)], self.tile
                    )
                else:
                    picture, heads = cut_tile(self.data, order.pop(), self.tile, self.rng)
                tiles.append(disturb(picture, heads, self.rng, self.noise)[:, :, ::-1].transpose(2, 0, 1))
                boxes.append(heads)
            self.ready.put((np.ascontiguousarray(np.stack(tiles)), boxes))
