"""Heartbeats are thinned by age: one in ten minutes after a fortnight, one an hour after a quarter; the rest is kept."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import and_, delete, func, select, tuple_

from agent.core.clock import format_utc, parse_time
from board.store.database import Database
from board.store.facts import read_fact, write_fact
from board.store.tables import heartbeats

STAGES = (("minutes", timedelta(days=14), 15), ("hours", timedelta(days=90), 13))
"""Name, age, and how much of the time of arrival is the same for those of which one is kept: 2026-11-23T06:4, …T06."""
_WINDOW = timedelta(hours=1)


def thin_heartbeats(database: Database, now: datetime, keep_days: int) -> int:
    """Thin what has come of age since the last time, an hour of heartbeats a transaction; return how many went."""
    gone = 0
    for name, age, length in STAGES:
        gone += _thin(database, f"thinned.{name}", now - age, length)
    limit = format_utc(now - timedelta(days=keep_days))
    with database.write() as connection:
        return gone + connection.execute(delete(heartbeats).where(heartbeats.c.received_at < limit)).rowcount


def _thin(database: Database, fact: str, until: datetime, length: int) -> int:
    gone, begin = 0, _find_begin(database, fact)
    while begin is not None and begin + _WINDOW <= until:
        window = and_(
            heartbeats.c.received_at >= format_utc(begin), heartbeats.c.received_at < format_utc(begin + _WINDOW)
        )
        bucket = func.substr(heartbeats.c.received_at, 1, length)
        kept = select(heartbeats.c.box_id, func.min(heartbeats.c.event_id)).where(window)
        kept = kept.group_by(heartbeats.c.box_id, bucket)
        key = tuple_(heartbeats.c.box_id, heartbeats.c.event_id)
        with database.write() as connection:
            gone += connection.execute(delete(heartbeats).where(window, key.not_in(kept))).rowcount
        begin += _WINDOW
        write_fact(database, fact, format_utc(begin))
    return gone


def _find_begin(database: Database, fact: str) -> datetime | None:
    """Return the full hour from which on nothing has been thinned; None where there is no heartbeat."""
    known = read_fact(database, fact)
    if known is None:
        with database.read() as connection:
            known = connection.execute(select(func.min(heartbeats.c.received_at))).scalar()
    return parse_time(known).replace(minute=0, second=0, microsecond=0) if known else None
