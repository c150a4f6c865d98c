"""Places of a camera's picture where a thing stays: a coat, a chair back, a portrait. People's places are not stored."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from agent.catalog.base import CatalogStore, Row, dump_json, parse_moment
from agent.core import clock as clocks
from agent.core.model import Look, PlaceSighting

PlaceVerdict = Literal["", "person", "thing"]


@dataclass(frozen=True, slots=True)
class StoredPlace:
    """A thing in a place, from `start` (also before it was known, at `found_at`) to `end`, None as long as it stays.

    `corners`: x1 y1 x2 y2 in parts of the picture; `appearance`: what counting needs to know the thing again, opaque here;
    `verdict`: what an operator says against the agent ("person") or for it ("thing"), empty if nobody did; `found_by`: the
    operator who declared it a thing, empty where the agent found it.
    """

    camera_id: str
    place: int
    start: datetime
    end: datetime | None
    found_at: datetime
    corners: tuple[float, float, float, float]
    appearance: str
    verdict: PlaceVerdict = ""
    verdict_by: str = ""
    verdict_at: datetime | None = None
    found_by: str = ""

    @property
    def is_overruled(self) -> bool:
        """Whether an operator says that it is no thing, or withdrew having called it one."""
        return self.verdict == "person" or (bool(self.found_by) and self.verdict != "thing")

    def is_thing_at(self, at: datetime) -> bool:
        """Return whether an unchanged sighting in this place at an instant shows a thing."""
        return not self.is_overruled and self.stays_at(at)

    def stays_at(self, at: datetime) -> bool:
        """Return whether it was in its place at an instant, whatever an operator says of it."""
        return self.start <= at and (self.end is None or at < self.end)


class Places:
    """Table `places`."""

    def __init__(self, store: CatalogStore) -> None:
        self._store = store

    def put(self, place: StoredPlace) -> None:
        """Insert a thing, or update end and appearance of a known one; an operator's verdict stays."""
        with self._store.write() as db:
            db.execute(
                'insert into places (camera_id, place, start, "end", found_at, corners, appearance)'
                " values (?, ?, ?, ?, ?, ?, ?) on conflict (camera_id, place, start)"
                ' do update set "end" = excluded."end", appearance = excluded.appearance',
                [
                    place.camera_id,
                    place.place,
                    clocks.format_utc(place.start),
                    clocks.format_utc(place.end) if place.end else None,
                    clocks.format_utc(place.found_at),
                    dump_json(list(place.corners)),
                    place.appearance,
                ],
            )

    def declare(self, place: StoredPlace, by: str, at: datetime) -> None:
        """Store what an operator declares to be a thing."""
        with self._store.write() as db:
            self.put(place)
            db.execute(
                "update places set found_by = ? where camera_id = ? and place = ? and start = ? and verdict = ''",
                [by, place.camera_id, place.place, clocks.format_utc(place.start)],
            )
            self.overrule(place.camera_id, place.place, place.start, "thing", by, at)

    def overrule(
        self, camera_id: str, place: int, start: datetime, verdict: PlaceVerdict, by: str, at: datetime
    ) -> bool:
        """Store an operator's verdict on a thing, or withdraw it (""); return False if there is no such thing."""
        with self._store.write() as db:
            cursor = db.execute(
                "update places set verdict = ?, verdict_by = ?, verdict_at = ?"
                " where camera_id = ? and place = ? and start = ?",
                [verdict, by, clocks.format_utc(at), camera_id, place, clocks.format_utc(start)],
            )
            return int(cursor.rowcount) > 0

    def last_verdict(self, camera_id: str) -> datetime | None:
        """Return when an operator last said something of a camera's things."""
        row = self._store.row("select max(verdict_at) as at from places where camera_id = ?", [camera_id])
        return parse_moment(row["at"]) if row else None

    def of_camera(self, camera_id: str, since: datetime) -> list[StoredPlace]:
        """Return a camera's things that stay or stayed until after `since`, oldest first."""
        rows = self._store.rows(
            'select * from places where camera_id = ? and ("end" is null or "end" >= ?) order by start, id',
            [camera_id, clocks.format_utc(since)],
        )
        return [_to_place(row) for row in rows]

    def mark_things(self, looks: Sequence[Look]) -> list[Look]:
        """Return the looks with `thing` set on sightings of things, as is known today: also in looks before it was known."""
        joined = [x for x in looks if x.sightings]
        if not joined:
            return list(looks)
        first = min(x.at for x in joined)
        things: dict[tuple[str, int], list[StoredPlace]] = {}
        for camera_id in sorted({x.camera_id for x in joined}):
            for place in self.of_camera(camera_id, first):
                things.setdefault((camera_id, place.place), []).append(place)
        return [_mark_look(x, things) if x.sightings else x for x in looks]


def _mark_look(look: Look, things: dict[tuple[str, int], list[StoredPlace]]) -> Look:
    assert look.sightings is not None
    # most places are nobody's but people's: only the others are looked at
    if not any((look.camera_id, s.place) in things for s in look.sightings):
        return look
    marked = tuple(
        s._replace(thing=any(p.is_thing_at(look.at) for p in things.get((look.camera_id, s.place), ())))
        if s.unchanged
        else s
        for s in look.sightings
    )
    return replace(look, sightings=marked)


def dump_sightings(sightings: Iterable[PlaceSighting] | None) -> str | None:
    """Serialise sightings for the table of looks; what is a thing is not stored there, since it may become known later."""
    if sightings is None:
        return None
    return dump_json([[s.place, round(s.chance, 3), int(s.unchanged)] for s in sightings])


def parse_sightings(text: str | None) -> tuple[PlaceSighting, ...] | None:
    """Parse the result of `dump_sightings`; None also for a row of a foreign drive that has another form."""
    if text is None:
        return None
    try:
        return tuple(PlaceSighting(int(place), float(chance), bool(same)) for place, chance, same in json.loads(text))
    except (ValueError, TypeError, OverflowError):
        return None


def _to_place(row: Row) -> StoredPlace:
    x1, y1, x2, y2 = json.loads(row["corners"])
    verdict: PlaceVerdict = row["verdict"]
    return StoredPlace(
        camera_id=row["camera_id"],
        place=row["place"],
        start=clocks.parse_time(row["start"]),
        end=parse_moment(row["end"]),
        found_at=clocks.parse_time(row["found_at"]),
        corners=(x1, y1, x2, y2),
        appearance=row["appearance"],
        verdict=verdict,
        verdict_by=row["verdict_by"],
        verdict_at=parse_moment(row["verdict_at"]),
        found_by=row["found_by"],
    )
