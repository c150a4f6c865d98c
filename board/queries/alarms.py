"""Alarms about the boxes' evidence, found by the board itself."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import literal_column, select, update

from agent.core.clock import format_utc
from agent.core.errors import InputError
from board.ingest.fields import clean
from board.store.database import Database
from board.store.tables import alarms, boxes

OPEN_ALARM = alarms.c.cleared_at.is_(literal_column("null")) & alarms.c.acknowledged_at.is_(literal_column("null"))


def list_alarms(database: Database, *, open_only: bool = True, limit: int = 500) -> list[dict[str, object]]:
    """Return alarms, the newest first, with their box and evidence (JSON text)."""
    query = select(*[c for c in alarms.c if c.name != "box_id"], boxes.c.name.label("box"))
    query = query.select_from(alarms.join(boxes, boxes.c.id == alarms.c.box_id))
    if open_only:
        query = query.where(OPEN_ALARM)
    with database.read() as connection:
        rows = connection.execute(query.order_by(alarms.c.raised_at.desc(), alarms.c.id.desc()).limit(limit)).mappings()
        return [{str(key): value for key, value in row.items()} for row in rows]


def acknowledge_alarm(database: Database, number: int, by: str, note: str, now: datetime) -> None:
    """Note that somebody looked into an alarm. Raises InputError where there is none of that number."""
    with database.write() as connection:
        row = {"acknowledged_at": format_utc(now), "acknowledged_by": clean(by, 64), "note": clean(note, 2000)}
        if not connection.execute(update(alarms).where(alarms.c.id == number).values(row)).rowcount:
            raise InputError("board.no_alarm", number=number)
