"""Notifications in the database: made with all that stands in them, tried, arrived or given up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import insert, select, update

from agent.core.clock import format_utc, parse_time
from board.notify.message import NewsItem, find_gravest
from board.store.database import Database
from board.store.tables import deliveries, notice_items, notices

GIVE_UP_AFTER = timedelta(days=1)
_FIRST_RETRY_S, _LONGEST_RETRY_S = 30.0, 1800.0


@dataclass(frozen=True, slots=True)
class DueDelivery:
    """A notification that has not arrived at one address."""

    notice_id: int
    place: int
    tries: int
    made_at: str
    severity: str
    title: str
    body: str

    def is_stale(self, now: datetime) -> bool:
        """Return whether it is too old to be tried again."""
        return now - parse_time(self.made_at) > GIVE_UP_AFTER


def write_notice(
    database: Database, news: Sequence[NewsItem], text: tuple[str, str], kinds: dict[int, str], now: datetime
) -> None:
    """Write a notification, what stands in it, and a delivery for each address, all or nothing. Raises StoreError."""
    at, (title, body) = format_utc(now), text
    row = {"made_at": at, "severity": find_gravest(news), "title": title, "body": body, "count": len(news)}
    with database.write() as connection:
        number = connection.execute(insert(notices).values(row).returning(notices.c.id)).scalar_one()
        connection.execute(
            insert(notice_items),
            [
                {"source": n.source, "box_id": n.box_id, "item": n.item, "severity": n.severity, "notice_id": number}
                for n in news
            ],
        )
        connection.execute(
            insert(deliveries),
            [
                {"notice_id": number, "place": place, "kind": kind, "state": "due", "tries": 0, "next_at": at}
                for place, kind in kinds.items()
            ],
        )


def list_due(database: Database, now: datetime, resting: Iterable[int], *, critical_only: bool) -> list[DueDelivery]:
    """Return what is to be tried now, the oldest first, except at addresses that rest. Raises StoreError."""
    named = (notices.c.made_at, notices.c.severity, notices.c.title, notices.c.body)
    query = (
        select(deliveries.c.notice_id, deliveries.c.place, deliveries.c.tries, *named)
        .select_from(deliveries.join(notices, notices.c.id == deliveries.c.notice_id))
        .where(
            deliveries.c.state == "due",
            deliveries.c.next_at <= format_utc(now),
            deliveries.c.place.not_in(list(resting)),
        )
        .order_by(deliveries.c.notice_id, deliveries.c.place)
        .limit(100)
    )
    if critical_only:
        query = query.where(notices.c.severity == "critical")
    with database.read() as connection:
        return [DueDelivery(**row) for row in connection.execute(query).mappings()]


def note_try(database: Database, due: DueDelivery, now: datetime, *, arrived: bool) -> datetime | None:
    """Note how a try went; return when it is tried again, None where it arrived. Raises StoreError."""
    if arrived:
        _update(database, due, {"state": "sent", "tries": due.tries + 1, "done_at": format_utc(now)})
        return None
    again = now + timedelta(seconds=min(_FIRST_RETRY_S * 2**due.tries, _LONGEST_RETRY_S))
    _update(database, due, {"tries": due.tries + 1, "next_at": format_utc(again)})
    return again


def give_up(database: Database, due: DueDelivery, now: datetime) -> None:
    """Note that it is not tried again. Raises StoreError."""
    _update(database, due, {"state": "failed", "done_at": format_utc(now)})


def _update(database: Database, due: DueDelivery, row: dict[str, object]) -> None:
    mine = (deliveries.c.notice_id == due.notice_id, deliveries.c.place == due.place)
    with database.write() as connection:
        connection.execute(update(deliveries).where(*mine).values(row))
