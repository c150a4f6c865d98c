"""Counting over time, measured: simulated half-days in rooms with things, people pasted in."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np

from agent.core.headcounts import PlacedLook, combine_looks, combine_placed
from agent.counting.detector import OpenVinoDetector
from agent.counting.estimate import Box
from agent.counting.look import LookResult, take_look
from agent.counting.timeline import FileTimeline, TimedLook
from benchmarks.support.half_day import (
    CutFigure,
    SeatedPerson,
    SimulatedRoom,
    cut_figure,
    extend_head,
    spoil_picture,
)

LOOKS, INTERVAL_S, BLOCK_LOOKS = 90, 20.0, 15
LEARNT_AFTER = 31
"""Looks after which what stays is known to be a thing."""
_START = datetime(2026, 1, 1, tzinfo=UTC)
_PEOPLE, _STAY = 8, 4
_BEFORE_THINGS, _SCREENED, _AWAY_SHARE = 2, 2, 0.3
_LIKELY_THING, _LEAST_THING_PX, _HIDDEN_PARTS = 0.3, 14, (0.2, 0.6)
SAME_THING = 0.4
"""Intersection over union from which a box is a known thing."""
_HIDDEN_SHARE = 0.4
_LEAST_FIGURE_PX = 24


@dataclass
class SimulatedFigures:
    """What one simulated room showed, per look after LEARNT_AFTER: probability of false heads and of people.

    `false`: of the room's own things; `behind`: of those of them before which somebody sits; `beside`: of second boxes on the
    pasted people, which move with them and are no things; `removed`, `behind_removed`, `lost`: the parts of false heads, of
    those behind people, and of people that were counted out; `placed`, `raw`: errors of the five-minute estimates.
    """

    name: str
    findings: set[str]
    false: float = 0.0
    removed: float = 0.0
    behind: float = 0.0
    behind_removed: float = 0.0
    beside: float = 0.0
    people: float = 0.0
    lost: float = 0.0
    placed: list[float] = field(default_factory=list)
    raw: list[float] = field(default_factory=list)


def iter_simulated_rooms(data: Path, detector: OpenVinoDetector, rooms: int, seed: int) -> Iterator[SimulatedFigures]:
    """Simulate half an hour in empty rooms in whose pictures the detector sees heads: people are pasted in."""
    rng = np.random.default_rng(seed)
    paths = sorted((data / "empty" / "images").iterdir())
    entries = [json.loads(x) for x in (data / "index.jsonl").read_text(encoding="utf-8").splitlines() if x.strip()]
    sources = [e for e in entries if e.get("box_type") == "head" and e["count"]]
    for index in rng.permutation(len(paths)):
        picture = cv2.imread(str(paths[index]))
        if picture is None or take_look(picture, detector).people == 0:
            continue
        script = write_script(paths[index].name, picture, data, sources, detector, rng)
        yield measure_room(script, iter_room_looks(script, detector, rng), detector.doubt.sure)
        rooms -= 1
        if rooms <= 0:
            return


@dataclass
class RoomLook:
    """One look at a simulated room: the picture, and what the detector saw in it."""

    picture: np.ndarray
    found: LookResult


@dataclass
class RoomScript:
    """A simulated room: its people, the boxes of its own things, and those of them before which somebody sits."""

    name: str
    room: SimulatedRoom
    size: float
    things: list[Box]
    behind: list[Box]

    def name_box(self, box: Box, k: int) -> str:
        """Return what a box of look `k` is: person, behind, thing or beside."""
        x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        # a hidden person is there too: whatever is seen in that place stands for this person
        present = [p for p in self.room.people if p.first <= k <= p.last]
        alike = 0.6 * self.size < math.sqrt((box[2] - box[0]) * (box[3] - box[1])) < 1.7 * self.size
        near = min((max(abs(x - p.x), abs(y - p.y)) for p in present), default=math.inf)
        for kind, boxes in (("behind", self.behind), ("thing", self.things)):
            for thing in boxes:
                centre = max(abs(x - (thing[0] + thing[2]) / 2), abs(y - (thing[1] + thing[3]) / 2))
                if compute_share(box, thing) >= SAME_THING and not (alike and near < min(centre, 0.6 * self.size)):
                    return kind
        if any(p.has_screen_at(x, y) for p in present):
            return "thing"
        if alike and near < 0.6 * self.size:
            return "person"
        return "beside" if any(p.covers(x, y) for p in present) else "thing"


def compute_share(one: Box, other: Box) -> float:
    """Return intersection over union."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = sum((b[2] - b[0]) * (b[3] - b[1]) for b in (one, other)) - width * height
    return width * height / both


def write_script(
    name: str,
    picture: np.ndarray,
    data: Path,
    sources: list[dict],
    detector: OpenVinoDetector,
    rng: np.random.Generator,
) -> RoomScript:
    """Seat people in the picture of an empty room: eight anywhere, two before things, two behind screens."""
    height, width = picture.shape[:2]
    size = max(28.0, width / 22)
    seats = np.random.default_rng([width, height, int(picture[::7, ::7].sum())])
    things = _find_things(picture, detector, seats)
    people = _seat_people(_cut_figures(data, sources, size, rng, _PEOPLE), width, height, size, rng)
    behind = []
    for number, thing in enumerate(_choose_things(things, width, height, people, size)[:_BEFORE_THINGS]):
        person = _seat_before(thing, _cut_figures(data, sources, size, seats, 1)[0], size, seats)
        if person is not None:
            # the second one stands up now and then
            away = [k for k in range(LOOKS) if number == 1 and seats.random() < _AWAY_SHARE]
            people.append(replace(person, hidden=frozenset(away)))
            behind.append(thing)
    for figure in _cut_figures(data, sources, size, seats, _SCREENED):
        seat = _find_seat(people, width, height, size, seats)
        screen = _cut_screen(picture, size, seats)
        people.append(SeatedPerson(figure, *seat, 0, LOOKS, screen=screen))
    return RoomScript(name, SimulatedRoom(picture, people), size, things, behind)


def _find_things(picture: np.ndarray, detector: OpenVinoDetector, rng: np.random.Generator) -> list[Box]:
    """Return what the detector takes for heads in the empty room."""
    found: list[Box] = []
    for k in range(3):
        seen = take_look(spoil_picture(picture.astype(np.float32), k, LOOKS, rng), detector).candidates
        found += [b for b in seen if all(compute_share(b, known) < SAME_THING for known in found)]
    return found


def _choose_things(things: list[Box], width: int, height: int, people: list[SeatedPerson], size: float) -> list[Box]:
    """Return the likely things that nobody sits before yet and that lie inside the picture, the likeliest first."""
    free = [
        b
        for b in things
        if b[4] >= _LIKELY_THING
        and min(b[2] - b[0], b[3] - b[1]) >= _LEAST_THING_PX
        and b[0] > size
        and b[2] < width - size
        and b[3] < height - size
        and not any(p.covers((b[0] + b[2]) / 2, (b[1] + b[3]) / 2) for p in people)
    ]
    return sorted(free, key=lambda b: -b[4])


def _seat_before(thing: Box, figure: CutFigure, size: float, rng: np.random.Generator) -> SeatedPerson | None:
    """Seat somebody so that a fifth to three fifths of the thing are hidden."""
    side = math.sqrt((thing[2] - thing[0]) * (thing[3] - thing[1]))
    for _ in range(60):
        across, down = rng.uniform(-1, 1) * (side + size) / 2, rng.uniform(-0.2, 1) * (side + size) / 2
        person = SeatedPerson(figure, (thing[0] + thing[2]) / 2 + across, (thing[1] + thing[3]) / 2 + down, 0, LOOKS)
        if _HIDDEN_PARTS[0] <= person.measure_cover(thing) <= _HIDDEN_PARTS[1]:
            return person
    return None


def _cut_screen(picture: np.ndarray, size: float, rng: np.random.Generator) -> np.ndarray:
    """Return a piece of the room as wide as a screen, with as much texture as the room has in places."""
    width, height = round(2.4 * size), round(1.6 * size)
    best = picture[:height, :width]
    for _ in range(12):
        x, y = int(rng.integers(0, picture.shape[1] - width)), int(rng.integers(0, picture.shape[0] - height))
        piece = picture[y : y + height, x : x + width]
        best = max((best, piece), key=lambda p: float(np.abs(np.diff(p.astype(np.float32), axis=1)).mean()))
    return best.copy()


def iter_room_looks(script: RoomScript, detector: OpenVinoDetector, rng: np.random.Generator) -> Iterator[RoomLook]:
    """Yield the looks at a simulated room."""
    for picture in script.room.render(LOOKS, INTERVAL_S, rng):
        yield RoomLook(picture, take_look(picture, detector))


def measure_room(script: RoomScript, looks: Iterable[RoomLook], sure: float) -> SimulatedFigures:
    """Feed the looks to a timeline and return what it made of them."""
    timeline, rows, findings = FileTimeline(), [], set()
    for k, look in enumerate(looks):
        timed = timeline.feed(look.picture, look.found.candidates, _START + timedelta(seconds=INTERVAL_S * k))
        rows.append((look.found, timed))
        findings |= {timed.finding.reason} if timed.finding else set()
    figures = SimulatedFigures(script.name, findings)
    for k in range(LEARNT_AFTER, LOOKS):
        _add_look(figures, script, k, *rows[k])
    for first in range(0, LOOKS, BLOCK_LOOKS):
        block = range(first, first + BLOCK_LOOKS)
        seen = [
            PlacedLook(
                (rows[k][0].people, rows[k][0].low, rows[k][0].high),
                timeline.mark_things(rows[k][1].sightings, _START + timedelta(seconds=INTERVAL_S * k)),
                sure,
            )
            for k in block
        ]
        true = float(np.median([script.room.count_at(k) for k in block]))
        figures.placed.append(combine_placed(seen)[0] - true)
        figures.raw.append(combine_looks([x.figures for x in seen])[0] - true)
    return figures


def _add_look(figures: SimulatedFigures, script: RoomScript, k: int, found: LookResult, timed: TimedLook) -> None:
    share = 1 / (LOOKS - LEARNT_AFTER)
    for box, seen in zip(found.candidates, timed.sightings, strict=True):
        kind, chance = script.name_box(box, k), box[4] * share
        out = chance * seen.thing
        if kind == "person":
            figures.people += chance
            figures.lost += out
        elif kind == "beside":
            figures.beside += chance
        else:
            figures.false += chance
            figures.removed += out
            figures.behind += chance * (kind == "behind")
            figures.behind_removed += out * (kind == "behind")


def _cut_figures(
    data: Path, sources: list[dict], size: float, rng: np.random.Generator, people: int
) -> list[CutFigure]:
    found: list[CutFigure] = []
    while len(found) < people:
        entry = sources[rng.integers(len(sources))]
        box = entry["boxes"][rng.integers(len(entry["boxes"]))]
        if box[2] - box[0] < _LEAST_FIGURE_PX or _has_neighbour(box, entry["boxes"]):
            continue
        figure = cut_figure(cv2.imread(str(data / entry["file"])), tuple(box), size)
        found += [figure] if figure is not None else []
    return found


def _has_neighbour(box: list[float], boxes: list[list[float]]) -> bool:
    """Return whether the part that is cut out with a head would hold another person's head."""
    left, top, right, bottom = extend_head((box[0], box[1], box[2], box[3]))
    inside = [b for b in boxes if b[2] > left and b[0] < right and b[3] > top and b[1] < bottom]
    return len(inside) > 1


def _seat_people(
    figures: list[CutFigure], width: int, height: int, size: float, rng: np.random.Generator
) -> list[SeatedPerson]:
    """Seat the people apart: the first only breathes, the next two are hidden in many looks, the last ones come and go."""
    people: list[SeatedPerson] = []
    for number, figure in enumerate(figures):
        x, y = _find_seat(people, width, height, size, rng)
        hides = number in (1, 2)
        hidden = frozenset(k for k in range(LOOKS) if hides and rng.random() < _HIDDEN_SHARE)
        stays = number < _STAY
        first, last = (0, LOOKS) if stays else (int(rng.integers(5, 40)), int(rng.integers(50, LOOKS)))
        people.append(SeatedPerson(figure, x, y, first, last, number == 0, hidden))
    return people


def _find_seat(
    people: list[SeatedPerson], width: int, height: int, size: float, rng: np.random.Generator
) -> tuple[float, float]:
    """Return a place for a head, apart from the others where there is room."""
    for _ in range(50):
        x, y = rng.uniform(2 * size, width - 2 * size), rng.uniform(1.5 * size, height - 2.5 * size)
        if all(abs(x - p.x) > 2.6 * size or abs(y - p.y) > 2.4 * size for p in people):
            break
    return x, y
