"""What the worker keeps of one camera over time: places, things and liveness, with the catalog as their memory."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from agent.catalog import Catalog
from agent.catalog.places import StoredPlace
from agent.core import clock as clocks
from agent.core.model import PlaceSighting
from agent.counting import liveness
from agent.counting.estimate import Box
from agent.counting.liveness import HeadHistory, LivenessFinding, LivenessWatch
from agent.counting.photograph import LIKELY, PhotographWatch
from agent.counting.places import CameraPlaces, KnownThing, PlaceChanges
from agent.counting.stillness import Plane, make_detail_plane
from agent.media.containers import BgrImage

HISTORY_DAYS = 30
PLACES_A_SECOND = 8
"""Places are numbered from the instant at which the worker begins, so that none gets the number of an earlier run's."""
_SAVE_AFTER = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class TimedLook:
    """What time says of one look: a sighting for each candidate, and a finding if the picture is not alive."""

    sightings: tuple[PlaceSighting, ...]
    finding: LivenessFinding | None = None


class FileTimeline:
    """Places and liveness of one camera or file, without memory beyond it. `first_place`: number of the first place."""

    def __init__(
        self,
        first_place: int = 0,
        things: Sequence[KnownThing] = (),
        past: Sequence[KnownThing] = (),
        history: HeadHistory | None = None,
    ) -> None:
        self.places = CameraPlaces(first_place, things, past)
        self.watch = LivenessWatch(history or HeadHistory())
        self.changes = PlaceChanges()
        self.photograph = PhotographWatch()
        self._spans: dict[int, list[tuple[datetime, datetime | None]]] = {}

    def mark_things(self, sightings: Sequence[PlaceSighting], at: datetime) -> list[PlaceSighting]:
        """Return sightings of an earlier look with things marked as is known now."""
        return [
            s._replace(
                thing=s.unchanged and any(a <= at and (b is None or at < b) for a, b in self._spans.get(s.place, ()))
            )
            for s in sightings
        ]

    def feed(self, picture: BgrImage, candidates: Sequence[Box], at: datetime) -> TimedLook:
        """Add one look whose picture can be judged; `candidates`: x1 y1 x2 y2 in pixels, probability."""
        height, width = picture.shape[:2]
        scaled = [((b[0] / width, b[1] / height, b[2] / width, b[3] / height), b[4]) for b in candidates]
        sightings, self.changes = self.places.feed(make_detail_plane(picture), scaled, at)
        for thing in self.changes.found:
            self._spans.setdefault(thing.place_id, []).append((thing.start, None))
        for thing, ended in self.changes.ended:
            spans = self._spans.setdefault(thing.place_id, [])
            self._spans[thing.place_id] = [(a, ended if b is None else b) for a, b in spans]
        likely = [
            (box, seen) for box, seen in zip(candidates, sightings, strict=True) if box[4] >= LIKELY and not seen.thing
        ]
        heads = liveness.make_fingerprint([box[:4] for box, _ in likely], width, height)
        alive = frozenset(seen.place for _, seen in likely)
        photograph = self.photograph.feed(self.places, self.changes.found, alive, at)
        finding = self.watch.feed(at.timestamp(), heads) or photograph
        return TimedLook(tuple(sightings), finding)


class CameraTimeline(FileTimeline):
    """The timeline of a camera: things and earlier looks are loaded from the catalog, new things are stored there."""

    def __init__(self, catalog: Catalog, camera_id: str, at: datetime) -> None:
        self._verdict_at = catalog.places.last_verdict(camera_id)
        stored = catalog.places.of_camera(camera_id, at - timedelta(days=HISTORY_DAYS))
        known = [(s, thing) for s in stored if (thing := _load_thing(s)) is not None]
        super().__init__(
            int(at.timestamp() * PLACES_A_SECOND),
            [thing for s, thing in known if s.end is None],
            [thing for s, thing in known if s.end is not None],
            load_history(catalog, camera_id, at),
        )
        self._catalog, self._camera_id, self._saved, self.last = catalog, camera_id, at, at

    def feed(self, picture: BgrImage, candidates: Sequence[Box], at: datetime) -> TimedLook:
        """Add one look, not earlier than `last`; store what changed."""
        self.last = at
        self._follow_operators(at)
        seen = super().feed(picture, candidates, at)
        for thing in self.changes.found:
            self._store(thing, at, None)
            if thing.overruled:  # known again: what an operator said of it still holds
                self._catalog.places.overrule(self._camera_id, thing.place_id, thing.start, "person", "", at)
        for thing, ended in self.changes.ended:
            self._store(thing, at, ended)
        if not timedelta() <= at - self._saved < _SAVE_AFTER:
            self._saved = at
            self._refresh(at)
        return seen

    def _refresh(self, at: datetime) -> None:
        """Store the present appearance of the things."""
        for place in self.places.places:
            if place.thing is not None:
                self._store(place.thing, at, None)

    def _follow_operators(self, at: datetime) -> None:
        """Take over what operators said since the last look: verdicts, and things that they declared."""
        newest = self._catalog.places.last_verdict(self._camera_id)
        if newest == self._verdict_at:
            return
        self._verdict_at = newest
        stored = {(s.place, s.start): s for s in self._catalog.places.of_camera(self._camera_id, at) if s.end is None}
        for place in self.places.places:
            if place.thing is not None:
                said = stored.pop((place.place_id, _round_moment(place.thing.start)), None)
                place.thing.overruled = said is not None and said.is_overruled
        for declared in (s for s in stored.values() if s.found_by and not s.is_overruled):
            thing = _load_thing(declared)
            if thing is not None:
                self.places.adopt(thing)

    def _store(self, thing: KnownThing, at: datetime, end: datetime | None) -> None:
        self._catalog.places.put(
            StoredPlace(
                self._camera_id, thing.place_id, thing.start, end, at, thing.corners, dump_appearance(thing.crop)
            )
        )


def load_history(catalog: Catalog, camera_id: str, at: datetime) -> HeadHistory:
    """Load the fingerprints of a camera's judged looks of the last days."""
    history = HeadHistory()
    for moment, width, height, boxes in catalog.looks.list_boxes(camera_id, at - timedelta(days=HISTORY_DAYS), at):
        heads = liveness.make_fingerprint([(b[0], b[1], b[2], b[3]) for b in boxes if b[4] >= LIKELY], width, height)
        if len(heads):
            history.add(moment.timestamp(), heads)
    history.settle()
    return history


def dump_appearance(crop: Plane) -> str:
    """Return a thing's smoothed luma as text, for the catalog."""
    height, width = crop.shape
    grey = np.rint(crop.clip(0, 255)).astype(np.uint8)
    return json.dumps({"size": [width, height], "luma": base64.b64encode(grey.tobytes()).decode("ascii")})


def parse_appearance(text: str) -> Plane | None:
    """Parse the result of `dump_appearance`; None if another version or a foreign drive wrote something else."""
    try:
        value = json.loads(text)
        width, height = value["size"]
        raw = np.frombuffer(base64.b64decode(value["luma"], validate=True), np.uint8)
    except (ValueError, TypeError, KeyError):
        return None
    if not isinstance(width, int) or not isinstance(height, int) or min(width, height) < 1:
        return None
    return raw.reshape(height, width).astype(np.float32) if raw.size == width * height else None


def _load_thing(stored: StoredPlace) -> KnownThing | None:
    crop = parse_appearance(stored.appearance)
    if crop is None:
        return None
    return KnownThing(stored.place, stored.corners, crop, stored.start, stored.is_overruled)


def _round_moment(moment: datetime) -> datetime:
    """Return an instant as the catalog gives it back."""
    return clocks.parse_time(clocks.format_utc(moment))
