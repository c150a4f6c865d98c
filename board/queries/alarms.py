"""Alarms about the boxes' evidence, found by the board itself."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, literal_column, select, update

from agent.core.clock import format_utc
from agent.core.errors import InputError
from board.ingest.fields import clean
from board.store.database import Database
from board.store.tables import alarms, boxes, class_boxes, logs, statements

OPEN_ALARM = alarms.c.cleared_at.is_(literal_column("null")) & alarms.c.acknowledged_at.is_(literal_column("null"))

_COLUMNS = [column for column in alarms.c if column.name not in ("box_id", "evidence")]
AlarmRow = dict[str, object]
MINOR = ("malformed",)
"""Kinds that do not put evidence in doubt; all others are critical."""


def judge_alarm_severity(kind: str) -> str:
    """Return how grave an alarm is, in the words of alerts."""
    return "warning" if kind in MINOR else "critical"


def count_open_alarms(database: Database) -> int:
    """Return how many alarms nobody has looked into."""
    with database.read() as connection:
        return connection.execute(select(func.count()).select_from(alarms).where(OPEN_ALARM)).scalar() or 0


def list_alarms(
    database: Database,
    *,
    open_only: bool = True,
    limit: int = 500,
    box: str = "",
    number: int | None = None,
    before: int | None = None,
) -> list[dict[str, object]]:
    """Return alarms, the newest first, with their box and evidence (JSON text); `box` is its whole name.

    `before`: those with a lower number than this one.
    """
    query = select(*[c for c in alarms.c if c.name != "box_id"], boxes.c.name.label("box"))
    query = query.select_from(alarms.join(boxes, boxes.c.id == alarms.c.box_id))
    if open_only:
        query = query.where(OPEN_ALARM)
    if box:
        query = query.where(boxes.c.name == box)
    if number is not None:
        query = query.where(alarms.c.id == number)
    if before is not None:
        query = query.where(alarms.c.id < before)
    with database.read() as connection:
        # for the few that are open an expression: by the column itself SQLite would go through all that ever were
        order = (alarms.c.id + 0).desc() if open_only else alarms.c.id.desc()
        rows = connection.execute(query.order_by(order).limit(limit)).mappings()
        return [{str(key): value for key, value in row.items()} for row in rows]


def list_class_alarms(database: Database, class_id: str, limit: int = 100) -> list[AlarmRow]:
    """Return the alarms about a class in any state, and those open about its boxes as a whole; the newest first."""
    query = select(*_COLUMNS, boxes.c.name.label("box")).select_from(alarms.join(boxes, boxes.c.id == alarms.c.box_id))
    query = query.order_by(alarms.c.id.desc()).limit(limit)
    own = select(class_boxes.c.box_id).where(class_boxes.c.class_id == class_id)
    found: dict[int, AlarmRow] = {}
    with database.read() as connection:
        for wanted in (
            query.where(alarms.c.class_id == class_id),
            query.where(OPEN_ALARM, alarms.c.class_id.is_(None), alarms.c.box_id.in_(own)),
        ):
            for row in connection.execute(wanted).mappings():
                found[row["id"]] = {str(key): value for key, value in row.items()}
    return [found[number] for number in sorted(found, reverse=True)]


def acknowledge_alarm(database: Database, number: int, by: str, note: str, now: datetime) -> None:
    """Note that somebody looked into an alarm. Raises InputError where there is none of that number."""
    with database.write() as connection:
        row = {"acknowledged_at": format_utc(now), "acknowledged_by": clean(by, 64), "note": clean(note, 2000)}
        if not connection.execute(update(alarms).where(alarms.c.id == number).values(row)).rowcount:
            raise InputError("board.no_alarm", number=number)


def list_stored_contents(database: Database, box: str, log: str, number: int) -> list[dict[str, object]]:
    """Return what is stored under a number of a box's log: received_at, time, name, hash. More than one is a fork."""
    query = (
        select(statements.c.received_at, statements.c.time, statements.c.name, statements.c.hash)
        .select_from(statements.join(logs, logs.c.id == statements.c.log_id).join(boxes, boxes.c.id == logs.c.box_id))
        .where(boxes.c.name == box, logs.c.log == log, statements.c.number == number)
        .order_by(statements.c.id)
    )
    with database.read() as connection:
        return [{str(key): value for key, value in row.items()} for row in connection.execute(query).mappings()]
