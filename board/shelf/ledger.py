"""The shelf: where each drive lies, until when it must be kept, what was asked of it; and its checks."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from agent.core.clock import format_utc
from agent.core.errors import InputError
from board.accounts.audit import BoardAudit
from board.ingest.fields import clean
from board.shelf.told import ToldClass, list_told_classes, list_told_drives
from board.store.database import Database
from board.store.tables import boxes, clips, drive_checks, shelf_drives

_AWAY = ("clip.handed_over", "clip.drive_away")
"""Why a box has no clip to give: the drive with the recordings is not in it."""
_MOST_ASKED = 500
Row = dict[str, Any]
_NOTHING: Row = {column.name: None for column in shelf_drives.c}
"""Of a drive that boxes told of and nobody entered."""


@dataclass(slots=True)
class ShelfDrive:
    """A drive that came in, or that boxes told of. `asked`: orders of video that its box refused because it is away."""

    drive_id: str
    row: Row
    classes: list[ToldClass]
    keep_until: date | None
    asked: list[Row] = field(default_factory=list)
    checks: list[Row] = field(default_factory=list)

    @property
    def is_here(self) -> bool:
        """Return whether it was handed in."""
        return bool(self.row["handed_in_on"])


@dataclass(frozen=True, slots=True)
class ShelfEntry:
    """What a person enters of a drive. `handed_in_on` None: it is at the site."""

    drive_id: str
    place: str
    handed_in_on: date | None
    handed_in_by: str
    note: str = ""


def list_shelf(database: Database, years: int) -> list[ShelfDrive]:
    """Return every drive that came in or that boxes told of: those here first, by place; then the others. Raises StoreError."""
    with database.read() as connection:
        rows = {row["drive_id"]: dict(row) for row in connection.execute(select(shelf_drives)).mappings()}
        known = sorted({*rows, *list_told_drives(connection)})
        found = [_load(connection, drive_id, rows.get(drive_id, {}), years) for drive_id in known]
        _add_asked(connection, found)
        _add_checks(connection, found)
    return sorted(found, key=lambda x: (not x.is_here, x.row["place"] or "", x.drive_id))


def find_on_shelf(database: Database, drive_id: str, years: int) -> ShelfDrive | None:
    """Return one drive; None where nobody has told of it. Raises StoreError."""
    with database.read() as connection:
        row = connection.execute(select(shelf_drives).where(shelf_drives.c.drive_id == drive_id)).mappings().first()
        found = _load(connection, drive_id, dict(row) if row else {}, years)
        if row is None and not found.classes:
            return None
        _add_asked(connection, [found])
        _add_checks(connection, [found])
    return found


def put_on_shelf(database: Database, entry: ShelfEntry, by: str, who: str, now: datetime) -> None:
    """Enter where a drive lies and who brought it when. Raises InputError for a day that is to come, StoreError."""
    if entry.handed_in_on and (entry.handed_in_on - now.date()).days > 1:
        raise InputError("shelf.bad_day")
    values = {
        "place": clean(entry.place.strip(), 200),
        "handed_in_on": entry.handed_in_on.isoformat() if entry.handed_in_on else None,
        "handed_in_by": clean(entry.handed_in_by.strip(), 100),
        "note": clean(entry.note.strip(), 2000),
        "set_at": format_utc(now),
        "set_by": by[:64],
    }
    with database.write() as connection:
        mine = shelf_drives.c.drive_id == entry.drive_id
        if connection.execute(update(shelf_drives).where(mine).values(values)).rowcount == 0:
            connection.execute(insert(shelf_drives).values({"drive_id": entry.drive_id} | values))
        detail = {"drive_id": entry.drive_id, "place": values["place"], "handed_in_on": values["handed_in_on"] or ""}
        BoardAudit(database).add_in(connection, now, who, "drive.shelve", "", detail)


def find_check(database: Database, number: int) -> Row | None:
    """Return a check with its `report` as an object; None where there is none. Raises StoreError."""
    with database.read() as connection:
        row = connection.execute(select(drive_checks).where(drive_checks.c.id == number)).mappings().first()
    return dict(row) | {"report": json.loads(row["report"])} if row else None


def add_years(day: date, years: int) -> date:
    """Return the same day `years` later; 29 February becomes 1 March, so that nothing may go a day early."""
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return date(day.year + years, 3, 1)


def _load(connection: Connection, drive_id: str, row: Row, years: int) -> ShelfDrive:
    told = list_told_classes(connection, drive_id)
    last = max((x.last for x in told), default="")
    return ShelfDrive(drive_id, _NOTHING | row, told, add_years(date.fromisoformat(last), years) if last else None)


def _add_asked(connection: Connection, found: list[ShelfDrive]) -> None:
    """Add the refused orders: the box's reason names the drive."""
    query = select(clips, boxes.c.name.label("box")).join(boxes, boxes.c.id == clips.c.box_id)
    query = query.where(clips.c.code.in_(_AWAY)).order_by(clips.c.asked_at.desc()).limit(_MOST_ASKED)
    rows = [dict(row) for row in connection.execute(query).mappings()]
    for drive in found:
        drive.asked = [row for row in rows if drive.drive_id in row["reason"]]


def _add_checks(connection: Connection, found: list[ShelfDrive]) -> None:
    columns = [c for c in drive_checks.c if c.name != "report"]
    query = select(*columns).order_by(drive_checks.c.id.desc())
    query = query.where(drive_checks.c.drive_id == found[0].drive_id) if len(found) == 1 else query
    by_id = {drive.drive_id: drive for drive in found}
    for row in connection.execute(query).mappings():
        if row["drive_id"] in by_id:
            by_id[row["drive_id"]].checks.append(dict(row))
