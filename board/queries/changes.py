"""Whether what the overview shows has changed: one short text, cheap enough to ask twice a second."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Select, case, func, select

from agent.core.clock import format_utc
from board.ingest.judge import SILENT_S
from board.queries.alarms import OPEN_ALARM
from board.queries.alerts import OPEN
from board.store.database import Database
from board.store.tables import alarms, alerts, boxes, classes, half_days


def read_change_mark(database: Database, now: datetime, zone: ZoneInfo) -> str:
    """Return a text that differs from an earlier one where figures, alerts, alarms, boxes or plans of today do.

    Self-check and drive of a box come with each heartbeat and are not looked into: pages read them anew by themselves.
    """
    day = now.astimezone(zone).date().isoformat()
    silent = case((boxes.c.beat_at < format_utc(now - timedelta(seconds=SILENT_S)), 1), else_=0)
    queries: tuple[Select[*tuple[object, ...]], ...] = (
        select(func.count(), func.max(half_days.c.at), func.sum(half_days.c.revision)).where(half_days.c.date == day),
        select(func.count(), func.max(alerts.c.at)).where(OPEN),
        select(func.count(), func.max(alarms.c.id)).where(OPEN_ALARM),
        select(func.max(classes.c.approved_at)).where(classes.c.last_day >= day),
        select(boxes.c.state, func.count(), func.count(boxes.c.beat_at), func.sum(silent), func.max(boxes.c.state_since))
        .group_by(boxes.c.state)
        .order_by(boxes.c.state),
    )  # fmt: skip
    with database.read() as connection:
        return repr([[tuple(row) for row in connection.execute(query)] for query in queries])
