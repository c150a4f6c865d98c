"""Half-days of a class with what each box reported, side by side and never added."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Table, func, literal_column, select

from board.store.database import Database
from board.store.tables import (
    alerts,
    attendance,
    boxes,
    class_boxes,
    countersignatures,
    gaps,
    half_days,
    heads,
    identities,
    segments,
)

Place = tuple[int, str, str]
"""Box, date and session."""
_WORST = ("signed", "due", "refused")
# written out, not bound: only then does the database see that its index of these fits
RECOVERED = segments.c.recovered == literal_column("1")


@dataclass(slots=True)
class ReportedHalfDay:
    """A half-day of a class at one box. `figures` are those of `half_days`; `gaps` None where no ledger came.

    `witness`: signed, due, refused, or "" where it is not closed; `reason` why not. `alerts`: (kind, whether one is open).
    `recovered`: segments that another run of the box told than the one that recorded them.
    """

    box: str
    date: str
    session: str
    figures: Mapping[str, Any] = field(default_factory=dict)
    gaps: int | None = None
    head: str = ""
    witness: str = ""
    reason: str = ""
    witnessed_at: str | None = None
    alerts: dict[str, bool] = field(default_factory=dict)
    recovered: int = 0


@dataclass(slots=True)
class HalfDayEvidence:
    """What one box reported of one half-day."""

    reported: ReportedHalfDay
    revisions: list[Mapping[str, Any]]
    gaps: list[Mapping[str, Any]]
    alerts: list[Mapping[str, Any]]
    cameras: list[Mapping[str, Any]]
    heads: list[Mapping[str, Any]]

    @property
    def newest(self) -> int | None:
        """Return the highest number of a statement about recorded files."""
        return max((int(camera["number"]) for camera in self.cameras), default=None)


def list_half_days(
    database: Database, class_id: str, day: str | None = None, session: str | None = None
) -> list[ReportedHalfDay]:
    """Return the half-days of a class that any box reported, by day and box; with `day` and `session` one of them."""
    with database.read() as connection:
        names = _load_boxes(connection, class_id)
        found = _collect(connection, class_id, names, day, session)
    order = {"am": 0, "pm": 1, "ev": 2}
    return sorted(found.values(), key=lambda x: (x.date, order.get(x.session, 3), x.box))


def _load_boxes(connection: Connection, class_id: str) -> dict[int, str]:
    joined = class_boxes.join(boxes, boxes.c.id == class_boxes.c.box_id)
    query = select(boxes.c.id, boxes.c.name).select_from(joined).where(class_boxes.c.class_id == class_id)
    return {row.id: row.name for row in connection.execute(query)}


def _is_of(
    table: Table, class_id: str, ids: Iterable[int], day: str | None, session: str | None
) -> list[ColumnElement[bool]]:
    wanted = [table.c.box_id.in_(sorted(ids)), table.c.class_id == class_id]
    wanted += [table.c.date == day] if day else []
    return wanted + ([table.c.session == session] if session else [])


def _collect(
    connection: Connection, class_id: str, names: Mapping[int, str], day: str | None, session: str | None
) -> dict[Place, ReportedHalfDay]:
    found: dict[Place, ReportedHalfDay] = {}

    def at(row: RowMapping) -> ReportedHalfDay:
        place = (row["box_id"], row["date"], row["session"])
        return found.setdefault(place, ReportedHalfDay(names[place[0]], place[1], place[2]))

    def read(table: Table, *columns: ColumnElement[Any]) -> Iterable[RowMapping]:
        query = select(*(columns or table.c)).where(*_is_of(table, class_id, names, day, session))
        return connection.execute(query).mappings().all()

    for row in read(half_days):
        at(row).figures = dict(row)
    for row in read(gaps, gaps.c.box_id, gaps.c.date, gaps.c.session, gaps.c.count):
        at(row).gaps = row["count"]
    signed = {(row["box_id"], row["sequence"]): row["signed_at"] for row in read(countersignatures)}
    for row in sorted(read(heads), key=lambda x: (_WORST.index(x["state"]), x["id"])):
        half_day = at(row)  # the last one stays: the newest of the worst
        half_day.head, half_day.witness, half_day.reason = row["head"], row["state"], row["reason"]
        half_day.witnessed_at = signed.get((row["box_id"], row["sequence"])) if row["state"] == "signed" else None
    columns = [alerts.c[name] for name in ("box_id", "date", "session", "kind", "state")]
    for row in read(alerts, *columns):
        if row["date"] and row["session"]:
            kinds = at(row).alerts
            kinds[row["kind"]] = kinds.get(row["kind"], False) or row["state"] != "cleared"
    for row in _count_recovered(connection, *_is_of(segments, class_id, names, day, session)):
        at(row).recovered = row["many"]
    return found


def _count_recovered(connection: Connection, *wanted: ColumnElement[bool]) -> Sequence[RowMapping]:
    place = (segments.c.box_id, segments.c.date, segments.c.session)
    query = select(*place, func.count().label("many")).where(*wanted, RECOVERED).group_by(*place)
    return connection.execute(query).mappings().all()


def load_half_day(database: Database, class_id: str, day: str, session: str) -> list[HalfDayEvidence]:
    """Return what each box reported of a half-day, by box."""
    with database.read() as connection:
        names = _load_boxes(connection, class_id)
        found = _collect(connection, class_id, names, day, session)
        revisions = _group(connection, attendance, class_id, names, day, session)
        ledgers = _group(connection, gaps, class_id, names, day, session)
        raised = _group(connection, alerts, class_id, names, day, session)
        closed = _group(connection, heads, class_id, names, day, session)
        signed = _group(connection, countersignatures, class_id, names, day, session)
        cameras = _load_cameras(connection, class_id, names, day, session)
    made = []
    for (box_id, _, _), reported in sorted(found.items(), key=lambda item: item[1].box):
        texts = {row["sequence"]: row for row in signed[box_id]}
        items = [x for row in ledgers[box_id] for x in json.loads(row["body"]) if isinstance(x, dict)]
        made.append(
            HalfDayEvidence(
                reported,
                sorted(revisions[box_id], key=lambda row: row["revision"]),
                sorted(items, key=lambda x: str(x.get("start"))),
                sorted(raised[box_id], key=lambda row: row["since"]),
                cameras[box_id],
                [
                    {**row, "signed": texts.get(row["sequence"])}
                    for row in sorted(closed[box_id], key=lambda x: x["id"])
                ],
            )
        )
    return made


def _group(
    connection: Connection, table: Table, class_id: str, names: Mapping[int, str], day: str, session: str
) -> dict[int, list[Mapping[str, Any]]]:
    grouped: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for row in connection.execute(select(table).where(*_is_of(table, class_id, names, day, session))).mappings():
        grouped[row["box_id"]].append(dict(row))
    return grouped


def _load_cameras(
    connection: Connection, class_id: str, names: Mapping[int, str], day: str, session: str
) -> dict[int, list[Mapping[str, Any]]]:
    """Return the recorded cameras of each box with how much was stated of each, and what the camera says it is."""
    of = _is_of(segments, class_id, names, day, session)
    key = (segments.c.box_id, segments.c.room_id, segments.c.camera_id, segments.c.serial)
    spans: dict[tuple[Any, ...], list[RowMapping]] = defaultdict(list)
    for row in connection.execute(
        select(*key, segments.c.start, segments.c.end, segments.c.bytes, segments.c.number, segments.c.recovered).where(
            *of
        )
    ).mappings():
        spans[tuple(row[column.name] for column in key)].append(row)
    models = {}
    newest = select(identities).where(identities.c.box_id.in_(sorted(names))).order_by(identities.c.last_seen)
    for row in connection.execute(newest).mappings():
        models[row["box_id"], row["camera_id"], row["serial"]] = row
    grouped: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for (box_id, room_id, camera_id, serial), rows in sorted(spans.items()):
        known = models.get((box_id, camera_id, serial))
        grouped[box_id].append(
            {
                "room_id": room_id,
                "camera_id": camera_id,
                "serial": serial,
                "model": f"{known['manufacturer']} {known['model']}".strip() if known else "",
                "count": len(rows),
                "spans": [(row["start"], row["end"]) for row in rows],
                "bytes": sum(row["bytes"] for row in rows),
                "recovered": sum(row["recovered"] for row in rows),
                "number": max(row["number"] for row in rows),
            }
        )
    return grouped
