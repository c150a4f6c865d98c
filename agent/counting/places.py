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
from agent.counting.cover import COVERING_CHANCE
from agent.counting.still_run import RETURNED_AFTER, STILL_CHANGE, LookView, StillRun
from agent.counting.stillness import CameraNoise, Corners, Grey, Mask, Plane, cut_crop, measure_noise

Candidate = tuple[Corners, float]
"""Corners in parts of the picture, and the probability that it is a person."""

THING_AFTER = timedelta(minutes=10)
THING_AFTER_LIFE = timedelta(minutes=30)
ENDED_AFTER_LOOKS = 3
ALIVE_AFTER_LOOKS, ALIVE_MOVES = 3, 2
KEPT_RUNS, KEPT_RUN_LOOKS = 4, 2
"""So many earlier runs of a place are kept, those with so many looks without change."""
LOST_SHARE = 0.4
"""A run of which less than this share is still has come to its end."""
SEEN_LATELY = timedelta(minutes=2)
_FORGOTTEN_AFTER = timedelta(minutes=30)
_MOST_PLACES, _MOST_REMEMBERED = 400, 100
_NOISE_LOOKS = 15


@dataclass(slots=True)
class KnownThing:
    """A thing that stays in a place.

    `start`: since when, also before it was known; `overruled`: an operator says: a person; `free`: the pixels of `crop` that
    nobody hid.
    """

    place_id: int
    corners: Corners
    crop: Plane
    start: datetime
    overruled: bool = False
    changed: int = 0
    changed_at: datetime | None = None
    free: Mask | None = None


@dataclass(slots=True)
class CandidatePlace:
    """One place.

    `alive`: somebody moved in it while being seen; `moves`: runs in a row that ended by movement; `earlier`: runs that ended
    and may come back.
    """

    place_id: int
    corners: Corners
    seen_at: datetime
    run: StillRun | None = None
    earlier: list[StillRun] = field(default_factory=list)
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
            heads = [
                (p.place_id, corners)
                for p, (corners, chance) in zip(joined, candidates, strict=True)
                if chance >= COVERING_CHANCE and p.thing is None
            ]
            view = LookView(plane, noise, at, heads)
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

    def list_still(self, at: datetime) -> dict[int, datetime]:
        """Return the places without any change for THING_AFTER that are not (yet) things, and since when."""
        recent = [p for p in self.places if p.thing is None and at - p.seen_at <= SEEN_LATELY]
        runs = {p.place_id: p.run for p in recent if p.run is not None}
        return {i: r.start for i, r in runs.items() if r.is_still() and at - r.start >= THING_AFTER}

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
            thing = place.thing
            if view.shows_thing(thing.corners, thing.crop, seen, thing.free, place.place_id):
                whole = view.is_same(thing.corners, thing.crop)
                if whole or view.shows_free_part(thing.corners, thing.crop, thing.free, place.place_id):
                    _refresh_thing(thing, view, place.place_id)
                place.run = None
                return True
            if seen is not None:
                self._doubt_thing(place, view.at, changes)
        doubted = place.thing is not None
        if place.run is not None:
            same = asked = self._extend_run(place, place.run, view, seen, changes)
        else:
            same, asked = seen is not None and self._begin_run(place, view, seen), False
        if not asked and seen is not None and place.thing is None:
            past = self._recall(view, seen)
            if past is not None:
                fresh = replace(past, place_id=place.place_id, start=view.at, changed=0, changed_at=None)
                self._set_thing(place, fresh, changes)
                return True
        return same and not doubted

    def _begin_run(self, place: CandidatePlace, view: LookView, seen: Corners) -> bool:
        """Begin a run, or go on with an earlier one whose pixels are back; return whether there is one."""
        for run in reversed(place.earlier):
            if is_same_place(seen, run.corners) and view.is_same(run.corners, run.crop):
                place.earlier.remove(run)
                run.resume(view.at)
                place.run = run
                return True
        crop = cut_crop(view.plane, seen)
        if crop is not None:
            free = view.find_free(seen, place.place_id)
            place.run = StillRun(seen, crop, view.at, 1, 1, 1, free=free, alive=place.alive)
        return crop is not None

    def _extend_run(
        self, place: CandidatePlace, run: StillRun, view: LookView, seen: Corners | None, changes: PlaceChanges
    ) -> bool:
        here = seen is not None and is_same_place(seen, run.corners)
        found = view.compare(run.corners, run.crop)
        if found.change > STILL_CHANGE:
            part = view.compare_free(run.corners, run.crop, run.free, place.place_id)
            differs = found.change > RETURNED_AFTER and (part is None or part.change > STILL_CHANGE)
            if differs and run.alike >= KEPT_RUN_LOOKS and not run.shifted:
                run.shifted = view.is_shifted(run.corners, run.crop)
            if part is None and not run.shifted and view.is_hidden(run.corners, place.place_id):
                return False
            found = part or found
        same = run.add(found, here, seen is not None)
        run.same_at = view.at if same else run.same_at
        lost = not same and run.compared > ALIVE_AFTER_LOOKS and run.still < LOST_SHARE * run.compared
        if run.changed >= ALIVE_AFTER_LOOKS or lost:
            # it moved: a new run begins; a place that moves again and again while it is seen is alive
            place.moves = place.moves + 1 if run.changed else 0
            place.alive |= place.moves >= ALIVE_MOVES
            place.run = None
            if run.alike >= KEPT_RUN_LOOKS:
                place.earlier = sorted([*place.earlier, run], key=lambda r: (r.returns, r.start))[-KEPT_RUNS:]
            return False
        if place.thing is None and same and here and is_thing(run, view.at):
            self._set_thing(place, KnownThing(place.place_id, run.corners, run.crop, run.start, free=run.free), changes)
        return same and (here or seen is None)

    def _set_thing(self, place: CandidatePlace, thing: KnownThing, changes: PlaceChanges) -> None:
        place.thing, place.run, place.moves, place.alive, place.earlier = thing, None, 0, False, []
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

    def _recall(self, view: LookView, seen: Corners) -> KnownThing | None:
        """Return a thing that was here before and looks the same now."""
        near = [t for t in self._past if is_same_place(seen, t.corners)]
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


def is_thing(run: StillRun, at: datetime) -> bool:
    """Return whether what a run shows is a thing: still for long enough, or back again and again.

    Who moved in its place after its very first look was somebody else before it.
    """
    wanted = THING_AFTER_LIFE if run.alive else THING_AFTER
    if run.is_still() and at - run.start + run.before >= wanted:
        return True
    return run.has_returned() and at - (run.first or run.start) >= THING_AFTER


def _make_sighting(place: CandidatePlace, chance: float, unchanged: bool) -> PlaceSighting:
    thing = unchanged and place.thing is not None and not place.thing.overruled
    return PlaceSighting(place.place_id, chance, unchanged, thing)


def _refresh_thing(thing: KnownThing, view: LookView, place_id: int) -> None:
    """Let the remembered appearance follow slow changes of the light, and take in what was hidden before."""
    now = cut_crop(view.plane, thing.corners)
    if now is not None and now.shape == thing.crop.shape:
        free = view.find_free(thing.corners, place_id)
        known = np.ones(now.shape, np.bool_) if thing.free is None else thing.free
        free = np.ones(now.shape, np.bool_) if free is None else free
        blended = np.where(known, thing.crop * 0.95 + now * 0.05, now)
        thing.crop = np.asarray(np.where(free, blended, thing.crop), np.float32)
        thing.free = known | free
    thing.changed, thing.changed_at = 0, None
