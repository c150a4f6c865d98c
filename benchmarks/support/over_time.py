"""Counting over time, measured: simulated half-days in rooms with things, and pictures that are not alive."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import av
import cv2
import numpy as np

from agent.core.headcounts import PlacedLook, combine_looks, combine_placed
from agent.counting.detector import OpenVinoDetector
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
_HIDDEN_SHARE = 0.4
_LEAST_FIGURE_PX = 24


@dataclass
class SimulatedFigures:
    """What one simulated room showed, per look after LEARNT_AFTER: probability of false heads and of people.

    `false`: of the room's own things; `beside`: of second boxes on the pasted people, which move with them and are no things;
    `removed`, `lost`: the parts of false heads and people that were counted out; `placed`, `raw`: errors of the five-minute
    estimates.
    """

    name: str
    findings: set[str]
    false: float = 0.0
    removed: float = 0.0
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
        yield _simulate_room(paths[index].name, picture, data, sources, detector, rng)
        rooms -= 1
        if rooms <= 0:
            return


def _simulate_room(
    name: str,
    picture: np.ndarray,
    data: Path,
    sources: list[dict],
    detector: OpenVinoDetector,
    rng: np.random.Generator,
) -> SimulatedFigures:
    height, width = picture.shape[:2]
    size = max(28.0, width / 22)
    room = SimulatedRoom(picture, _seat_people(_cut_figures(data, sources, size, rng), width, height, size, rng))
    timeline, rows, findings = FileTimeline(), [], set()
    for k, seen in enumerate(room.render(LOOKS, INTERVAL_S, rng)):
        found = take_look(seen, detector)
        timed = timeline.feed(seen, found.candidates, _START + timedelta(seconds=INTERVAL_S * k))
        rows.append((found, timed))
        findings |= {timed.finding.reason} if timed.finding else set()
    figures = SimulatedFigures(name, findings)
    for k in range(LEARNT_AFTER, LOOKS):
        _add_look(figures, room, k, *rows[k], size)
    for first in range(0, LOOKS, BLOCK_LOOKS):
        block = range(first, first + BLOCK_LOOKS)
        looks = [
            PlacedLook(
                (rows[k][0].people, rows[k][0].low, rows[k][0].high),
                timeline.mark_things(rows[k][1].sightings, _START + timedelta(seconds=INTERVAL_S * k)),
                detector.doubt.sure,
            )
            for k in block
        ]
        true = float(np.median([room.count_at(k) for k in block]))
        figures.placed.append(combine_placed(looks)[0] - true)
        figures.raw.append(combine_looks([x.figures for x in looks])[0] - true)
    return figures


def _add_look(
    figures: SimulatedFigures, room: SimulatedRoom, k: int, found: LookResult, timed: TimedLook, size: float
) -> None:
    share = 1 / (LOOKS - LEARNT_AFTER)
    for box, seen in zip(found.candidates, timed.sightings, strict=True):
        x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        # a hidden person is there too: whatever is seen in that place stands for this person
        present = [p for p in room.people if p.first <= k <= p.last]
        alike = 0.6 * size < math.sqrt((box[2] - box[0]) * (box[3] - box[1])) < 1.7 * size
        here = alike and any(max(abs(x - p.x), abs(y - p.y)) < 0.6 * size for p in present)
        beside = any(p.covers(x, y) for p in present)
        chance = box[4] * share
        if here:
            figures.people += chance
            figures.lost += chance * seen.thing
        elif beside:
            figures.beside += chance
        else:
            figures.false += chance
            figures.removed += chance * seen.thing


def _cut_figures(data: Path, sources: list[dict], size: float, rng: np.random.Generator) -> list[CutFigure]:
    found: list[CutFigure] = []
    while len(found) < _PEOPLE:
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
        for _ in range(50):
            x, y = rng.uniform(2 * size, width - 2 * size), rng.uniform(1.5 * size, height - 2.5 * size)
            if all(abs(x - p.x) > 2.6 * size or abs(y - p.y) > 2.4 * size for p in people):
                break
        hides = number in (1, 2)
        hidden = frozenset(k for k in range(LOOKS) if hides and rng.random() < _HIDDEN_SHARE)
        stays = number < _STAY
        first, last = (0, LOOKS) if stays else (int(rng.integers(5, 40)), int(rng.integers(50, LOOKS)))
        people.append(SeatedPerson(figure, x, y, first, last, number == 0, hidden))
    return people


def watch_pictures(pictures: Iterable[np.ndarray], interval_s: float, detector: OpenVinoDetector) -> tuple[str, float]:
    """Return the first finding of liveness and after how many seconds; ("", 0) without one."""
    timeline = FileTimeline()
    for k, picture in enumerate(pictures):
        at = _START + timedelta(seconds=interval_s * k)
        finding = timeline.feed(picture, take_look(picture, detector).candidates, at).finding
        if finding:
            return finding.reason, interval_s * k
    return "", 0.0


def iter_photograph(picture: np.ndarray, looks: int) -> Iterator[np.ndarray]:
    """Yield looks at a photograph before the lens: noise and light of the camera, nothing else."""
    rng = np.random.default_rng(0)
    return (spoil_picture(picture.astype(np.float32), k, 2000, rng) for k in range(looks))


def iter_loop(video: Path, looks: int, interval_s: float) -> Iterator[np.ndarray]:
    """Yield looks at a film that is played again and again."""
    rng, frames = np.random.default_rng(0), []
    with av.open(str(video)) as container:
        frames = [(f.time or 0.0, f.to_ndarray(format="bgr24")) for f in container.decode(video=0)]
    times = np.array([t for t, _ in frames])
    for k in range(looks):
        place = int(np.abs(times - (k * interval_s) % float(times[-1])).argmin())
        yield spoil_picture(frames[place][1].astype(np.float32), k, 2000, rng)


def iter_video(video: Path, step_s: float) -> Iterator[np.ndarray]:
    """Yield a picture of a video every `step_s` seconds."""
    due = 0.0
    with av.open(str(video)) as container:
        for frame in container.decode(video=0):
            if (frame.time or 0.0) >= due:
                due += step_s
                yield frame.to_ndarray(format="bgr24")
