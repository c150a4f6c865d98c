"""Looks of a camera over an hour, made from single pictures: things stay, people come, move, sit still and leave.

Every look gets noise of a sensor, a light that drifts, and the losses of a JPEG file; nothing of the pictures is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np

BgrPicture = np.ndarray
_NOISE = 2.5
_QUALITY = 85
_LIGHT = 0.06


@dataclass
class CutFigure:
    """A head with shoulders cut out of a picture: BGR, and how much of it is pasted (0 to 1), both for its whole size."""

    picture: BgrPicture
    cover: np.ndarray
    head: tuple[float, float, float, float]


@dataclass
class SeatedPerson:
    """A person pasted into the looks `first` to `last`.

    `x`, `y`: middle of the head in pixels; `still`: only breathes, else moves between looks; `hidden`: looks in which
    somebody else stands before the head; `screen`: what stands before the lower half of the head and never moves.
    """

    figure: CutFigure
    x: float
    y: float
    first: int
    last: int
    still: bool = False
    hidden: frozenset[int] = frozenset()
    screen: BgrPicture | None = None

    def measure_cover(self, box: tuple[float, float, float, float, float]) -> float:
        """Return which share of a box (x1 y1 x2 y2, probability) the person hides."""
        left, top = round(self.x - sum(self.figure.head[::2]) / 2), round(self.y - sum(self.figure.head[1::2]) / 2)
        x1, y1, x2, y2 = (round(v) for v in box[:4])
        inside = self.figure.cover[max(0, y1 - top) : max(0, y2 - top), max(0, x1 - left) : max(0, x2 - left)]
        return float(inside.sum()) / max(1, (x2 - x1) * (y2 - y1))

    def has_screen_at(self, x: float, y: float) -> bool:
        """Return whether a point lies well inside the screen: a box there is not the head behind it."""
        if self.screen is None:
            return False
        height, width = self.screen.shape[:2]
        head = self.figure.head[3] - self.figure.head[1]
        return abs(x - self.x) <= width / 2 and 0.15 * head <= y - self.y <= height

    def covers(self, x: float, y: float) -> bool:
        """Return whether a point lies on what is pasted of this person, wherever it moves."""
        x1, y1, x2, y2 = self.figure.head
        height, width = self.figure.picture.shape[:2]
        reach = 0.5 * (x2 - x1)
        left, top = self.x - (x1 + x2) / 2, self.y - (y1 + y2) / 2
        return left - reach <= x <= left + width + reach and top - reach <= y <= top + height + reach


@dataclass
class SimulatedRoom:
    """A picture of a room in which `present` people are seen already, and those who are pasted."""

    background: BgrPicture
    people: list[SeatedPerson] = field(default_factory=list)

    def count_at(self, look: int) -> int:
        """Return how many pasted people are in the room at a look, hidden ones too."""
        return sum(p.first <= look <= p.last for p in self.people)

    def render(self, looks: int, interval_s: float, rng: np.random.Generator) -> Iterator[BgrPicture]:
        """Yield the pictures of the looks."""
        offsets = {id(p): np.zeros(2) for p in self.people}
        for look in range(looks):
            canvas = self.background.astype(np.float32)
            for person in self.people:
                if not person.first <= look <= person.last or look in person.hidden:
                    continue
                size = person.figure.head[2] - person.figure.head[0]
                if person.still:
                    # breathing: half a pixel for a head of 40, at a phase that looks meet by chance
                    phase = 2 * np.pi * interval_s * look / 3.7
                    shift = np.array([0.2, 1.0]) * np.sin(phase) * size / 80
                else:
                    if rng.random() < 0.5:
                        offsets[id(person)] = rng.normal(0, 0.18 * size, 2)
                    shift = offsets[id(person)] + rng.normal(0, 0.02 * size, 2)
                _paste(canvas, person, shift)
                if person.screen is not None:
                    _put_screen(canvas, person)
            yield spoil_picture(canvas, look, looks, rng)


def spoil_picture(canvas: np.ndarray, look: int, looks: int, rng: np.random.Generator) -> BgrPicture:
    """Return the picture as a camera would give it: light that drifts, noise, and the losses of compression."""
    light = 1 + _LIGHT * np.sin(2 * np.pi * look / max(looks, 1)) + rng.normal(0, 0.005)
    noisy = canvas * light + rng.normal(0, _NOISE, canvas.shape).astype(np.float32)
    coded = cv2.imencode(".jpg", noisy.clip(0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1]
    return cv2.imdecode(coded, cv2.IMREAD_COLOR)


def extend_head(head: tuple[float, float, float, float]) -> tuple[int, int, int, int]:
    """Return the corners of what is cut out with a head: the head and its shoulders."""
    x1, y1, x2, y2 = head
    width, height = x2 - x1, y2 - y1
    return (
        round(x1 - 0.8 * width),
        round(y1 - 0.2 * height),
        round(x2 + 0.8 * width),
        round(y2 + 1.0 * height),
    )


def cut_figure(picture: BgrPicture, head: tuple[float, float, float, float], size: float) -> CutFigure | None:
    """Cut a head with its shoulders, scaled so that the head has this size; None where the picture's edge is near."""
    x1, y1, x2, y2 = head
    width, height = x2 - x1, y2 - y1
    left, top, right, bottom = extend_head(head)
    if left < 0 or top < 0 or right > picture.shape[1] or bottom > picture.shape[0]:
        return None
    scale = size / max(1.0, (width * height) ** 0.5)
    part = cv2.resize(picture[top:bottom, left:right], None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
    rows, columns = part.shape[:2]
    down, across = np.mgrid[0:rows, 0:columns]
    # the head whole, below it the shoulders, soft edges
    y, x = (down + 0.5) / rows, np.abs((across + 0.5) / columns - 0.5) * 2
    reach = np.where(y < 0.5, 0.45, 0.45 + 0.9 * (y - 0.5))
    cover = np.clip((reach - x) / 0.12, 0, 1) * np.clip(y / 0.06, 0, 1) * np.clip((1 - y) / 0.1, 0, 1)
    inner = (x1 - left) * scale, (y1 - top) * scale, (x2 - left) * scale, (y2 - top) * scale
    return CutFigure(part.astype(np.float32), cover.astype(np.float32), inner)


def _paste(canvas: np.ndarray, person: SeatedPerson, shift: np.ndarray) -> None:
    figure = person.figure
    x1, y1, x2, y2 = figure.head
    left, top = person.x + shift[0] - (x1 + x2) / 2, person.y + shift[1] - (y1 + y2) / 2
    column, row = int(np.floor(left)), int(np.floor(top))
    move = np.array([[1, 0, left - column], [0, 1, top - row]], np.float32)
    size = figure.picture.shape[1] + 1, figure.picture.shape[0] + 1
    picture = cv2.warpAffine(figure.picture, move, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    cover = cv2.warpAffine(figure.cover, move, size, flags=cv2.INTER_LINEAR)[:, :, None]
    a, b = max(0, row), min(canvas.shape[0], row + size[1])
    c, d = max(0, column), min(canvas.shape[1], column + size[0])
    if a >= b or c >= d:
        return
    inside = np.s_[a - row : b - row, c - column : d - column]
    canvas[a:b, c:d] = canvas[a:b, c:d] * (1 - cover[inside]) + picture[inside] * cover[inside]


def _put_screen(canvas: np.ndarray, person: SeatedPerson) -> None:
    """Put the screen before the lower half of the head, in the same place in every look."""
    assert person.screen is not None
    height, width = person.screen.shape[:2]
    top, left = round(person.y + 0.02 * (person.figure.head[3] - person.figure.head[1])), round(person.x - width / 2)
    a, b = max(0, top), min(canvas.shape[0], top + height)
    c, d = max(0, left), min(canvas.shape[1], left + width)
    if a < b and c < d:
        canvas[a:b, c:d] = person.screen[a - top : b - top, c - left : d - left]
