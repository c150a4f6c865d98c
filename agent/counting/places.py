"""Places: candidates of successive looks of one camera joined over time, and which of them are things. Pure.

A *place* is where candidates of successive looks lie on each other. Its *run* is the time since when its pixels are as they
were in one look. A run of THING_AFTER in which nearly all looks show no change beyond the camera's noise is a thing (a coat,
a chair back, a portrait): people who sit, read or sleep move by more than that within minutes (stillness.py has figures). A
place that was alive before, that is where somebody moved while being seen, must be still for THING_AFTER_LIFE.

A thing stays one until its pixels change while a candidate is seen there, in ENDED_AFTER_LOOKS looks in a row; then the place
is asked anew. A single look with other pixels (somebody stands before the thing) is judged by itself.
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np

from agent.core.model import PlaceSighting
from agent.counting.corners import JOIN_DISTANCE, SAME_DISTANCE, blend_corners, is_same_place, match_corners
from agent.counting.still_run import LookView, StillRun
from agent.counting.stillness import CameraNoise, Corners, Grey, Plane, cut_crop, measure_noise

Candidate = tuple[Corners, float]
"""Corners in parts of the picture, and the probability that it is a person."""

THING_AFTER = timedelta(minutes=10)
THING_AFTER_LIFE = timedelta(minutes=30)
ENDED_AFTER_LOOKS = 3
ALIVE_AFTER_LOOKS, ALIVE_MOVES = 3, 2
LOST_SHARE = 0.4
"""A run of which less than this share is still has come to its end."""
_FORGOTTEN_AFTER = timedelta(minutes=30)
_MOST_PLACES, _MOST_REMEMBERED = 400, 100
_NOISE_LOOKS = 15


@dataclass(slots=True)
class KnownThing:
    """A thing that stays in a place. `start`: since when, also before it was known; `overruled`: an operator says: a person."""

    place_id: int
    corners: Corners
    crop: Plane
    start: datetime
    overruled: bool = False
    changed: int = 0
    changed_at: datetime | None = None


@dataclass(slots=True)
class CandidatePlace:
    """One place. `alive`: somebody moved in it while being seen; `moves`: runs in a row that ended by movement."""

    place_id: int
    corners: Corners
    seen_at: datetime
    run: StillRun | None = None
    thing: KnownThing | None = None
    moves: int = 0
    alive: bool = False
    chance: float = 0.0


@dataclass(slots=True)
class PlaceChanges:
    """What one look changed: things that are `found`, and things `ended` (with the instant)."""

    found: list[KnownThing] = field(default_factory=list)
    ended: list[tuple[KnownThing, datetime]] = field(default_factory=list)


class CameraPlaces:
    """The places of one camera. `first_id`: places get this number and the following ones."""

    def __init__(self, first_id: int, things: Sequence[KnownThing] = (), past: Sequence[KnownThing] = ()) -> None:
        self._next = first_id
        self.places: list[CandidatePlace] = [CandidatePlace(t.place_id, t.corners, t.start, thing=t) for t in things]
        self._past = deque(past, _MOST_REMEMBERED)
        self._before: Grey | None = None
        self._noises: deque[CameraNoise] = deque(maxlen=_NOISE_LOOKS)

    @property
    def noise(self) -> CameraNoise | None:
        """The noise of the camera over the last looks; None before the second look."""
        if not self._noises:
            return None
        return CameraNoise(
            statistics.median(n.floor for n in self._noises), statistics.median(n.slope for n in self._noises)
        )

    def feed(
        self, plane: Grey, candidates: Sequence[Candidate], at: datetime
    ) -> tuple[list[PlaceSighting], PlaceChanges]:
        """Add one look that can be judged; return a sighting for each candidate, and what changed."""
        if self._before is not None and (found := measure_noise(self._before, plane)) is not None:
            self._noises.append(found)
        self._before = plane
        changes = PlaceChanges()
        joined = self._join(candidates, at)
        seen = {place.place_id: corners for place, (corners, _) in zip(joined, candidates, strict=True)}
        noise = self.noise
        if noise is None:
            states = dict.fromkeys((p.place_id for p in self.places), False)
        else:
            view = LookView(plane, noise, at)
            states = {p.place_id: self._compare(p, view, seen.get(p.place_id), changes) for p in self.places}
        self._forget(at)
        return [_make_sighting(p, c, states[p.place_id]) for p, (_, c) in zip(joined, candidates, strict=True)], changes

    def adopt(self, thing: KnownThing) -> None:
        """Take over a thing that an operator declared, unless one is known in its place."""
        place = next((p for p in self.places if p.place_id == thing.place_id), None)
        if place is None:
            self.places.append(CandidatePlace(thing.place_id, thing.corners, thing.start, thing=thing))
        elif place.thing is None:
            place.thing, place.run, place.moves, place.alive = thing, None, 0, False

    def _join(self, candidates: Sequence[Candidate], at: datetime) -> list[CandidatePlace]:
        """Return the place of each candidate, nearest pairs first; candidates without one get a new place."""
        reach = [SAME_DISTANCE if p.thing is not None else JOIN_DISTANCE for p in self.places]
        chosen = match_corners([c for c, _ in candidates], [p.corners for p in self.places], reach)
        found: list[CandidatePlace] = []
        known = list(self.places)
        for (corners, chance), index in zip(candidates, chosen, strict=True):
            if index is None:
                place = CandidatePlace(self._next, corners, at)
                self._next += 1
                self.places.append(place)
            else:
                place = known[index]
                place.corners = blend_corners(place.corners, corners)
                place.seen_at = at
            place.chance += (chance - place.chance) * (0.2 if place.chance else 1.0)
            found.append(place)
        return found

    def _compare(self, place: CandidatePlace, view: LookView, seen: Corners | None, changes: PlaceChanges) -> bool:
        """Compare a place with its thing or its run; return whether it is unchanged, and seen where it was."""
        if place.thing is not None:
            if view.shows_thing(place.thing.corners, place.thing.crop, seen):
                if view.is_same(place.thing.corners, place.thing.crop):
                    _refresh_thing(place.thing, view.plane)
                place.run = None
                return True
            if seen is not None:
                self._doubt_thing(place, view.at, changes)
        doubted = place.thing is not None
        if place.run is not None:
            return self._extend_run(place, place.run, view, seen, changes) and not doubted
        crop = cut_crop(view.plane, seen) if seen is not None else None
        if seen is None or crop is None:
            return False
        place.run = StillRun(seen, crop, view.at, 1, 1, 1)
        past = None if doubted else self._recall(place, view)
        if past is not None:
            self._set_thing(
                place, replace(past, place_id=place.place_id, start=view.at, changed=0, changed_at=None), changes
            )
        return not doubted

    def _extend_run(
        self, place: CandidatePlace, run: StillRun, view: LookView, seen: Corners | None, changes: PlaceChanges
    ) -> bool:
        here = seen is not None and is_same_place(seen, run.corners)
        same = run.add(view.compare(run.corners, run.crop), here, seen is not None)
        lost = not same and run.compared > ALIVE_AFTER_LOOKS and run.still < LOST_SHARE * run.compared
        if run.changed >= ALIVE_AFTER_LOOKS or lost:
            # it moved: a new run begins; a place that moves again and again while it is seen is alive
            place.moves = place.moves + 1 if run.changed else 0
            place.alive |= place.moves >= ALIVE_MOVES
            place.run = None
            return False
        wanted = THING_AFTER_LIFE if place.alive else THING_AFTER
        if place.thing is None and same and here and run.is_still() and view.at - run.start >= wanted:
            self._set_thing(place, KnownThing(place.place_id, run.corners, run.crop, run.start), changes)
        return same and (here or seen is None)

    def _set_thing(self, place: CandidatePlace, thing: KnownThing, changes: PlaceChanges) -> None:
        place.thing, place.run, place.moves, place.alive = thing, None, 0, False
        changes.found.append(thing)

    def _doubt_thing(self, place: CandidatePlace, at: datetime, changes: PlaceChanges) -> None:
        thing = place.thing
        assert thing is not None
        thing.changed_at = thing.changed_at or at
        thing.changed += 1
        if thing.changed >= ENDED_AFTER_LOOKS:
            changes.ended.append((thing, thing.changed_at))
            place.thing = None
            self._past.append(thing)

    def _recall(self, place: CandidatePlace, view: LookView) -> KnownThing | None:
        """Return a thing that was here before and looks the same now."""
        near = [t for t in self._past if is_same_place(place.corners, t.corners)]
        return next((t for t in reversed(near) if view.is_same(t.corners, t.crop)), None)

    def _forget(self, at: datetime) -> None:
        """Drop places that were not seen for long; things stay."""
        kept = [p for p in self.places if p.thing is not None or at - p.seen_at < _FORGOTTEN_AFTER]
        excess = len(kept) - _MOST_PLACES
        if excess > 0:
            oldest = sorted((p for p in kept if p.thing is None), key=lambda p: p.seen_at)[:excess]
            dropped = {p.place_id for p in oldest}
            kept = [p for p in kept if p.place_id not in dropped]
        self.places = kept


def _make_sighting(place: CandidatePlace, chance: float, unchanged: bool) -> PlaceSighting:
    thing = unchanged and place.thing is not None and not place.thing.overruled
    return PlaceSighting(place.place_id, chance, unchanged, thing)


def _refresh_thing(thing: KnownThing, plane: Grey) -> None:
    """Let the remembered appearance follow slow changes of the light."""
    now = cut_crop(plane, thing.corners)
    if now is not None and now.shape == thing.crop.shape:
        thing.crop = np.asarray(thing.crop * 0.95 + now * 0.05, np.float32)
    thing.changed, thing.changed_at = 0, None
