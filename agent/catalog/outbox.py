"""Transactional outbox: messages for the bureau that are not yet acknowledged.

A change of data and its message are written in one transaction. The bureau link wraps and publishes the messages and
deletes them on acknowledgement.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from agent.catalog.base import CatalogStore, Row, dump_json, parse_moment
from agent.core import clock as clocks
from agent.core.model import JsonObject


@dataclass(frozen=True, slots=True)
class OutboxMessage:
    """One queued message.

    `topic`: the part after `training/v1/{county}/{site}/{box}/`. `type`: the last part of the CloudEvents type; empty means
    that the topic's retained message is to be removed. `latest` is False for a message of a retained topic if a newer one
    is queued or remembered.
    """

    seq: int
    event_id: str
    topic: str
    type: str
    data: JsonObject | Sequence[JsonObject]
    retained: bool
    created_at: datetime
    latest: bool = True


# topics that describe a state: values in between may be skipped; every message of the other topics is delivered
_STATES = ("alerts/open", "camera/")


class Outbox:
    """Tables `outbox` and `retained`."""

    def __init__(self, store: CatalogStore) -> None:
        self._store = store

    def put(
        self,
        topic: str,
        type_: str,
        data: Mapping[str, object] | Sequence[object],
        at: datetime,
        *,
        retained: bool = False,
        expires_at: datetime | None = None,
    ) -> None:
        """Queue a message.

        A retained one is also remembered, for brokers that lose their data; a state that equals the last one of its topic
        is not queued again.
        """
        event_id, text = str(uuid.uuid4()), dump_json(data)
        with self._store.write() as db:
            if retained and topic.startswith(_STATES):
                if self._is_current(topic, text):
                    return
                db.execute("delete from outbox where topic = ?", [topic])
            if retained:
                db.execute(
                    "insert into retained values (?, ?, ?, ?, ?) on conflict (topic) do update set event_id ="
                    " excluded.event_id, type = excluded.type, data = excluded.data, created_at = excluded.created_at",
                    [topic, event_id, type_, text, clocks.format_utc(at)],
                )
            db.execute(
                "insert into outbox (event_id, topic, type, data, retained, created_at, expires_at)"
                " values (?, ?, ?, ?, ?, ?, ?)",
                [
                    event_id,
                    topic,
                    type_,
                    text,
                    int(retained),
                    clocks.format_utc(at),
                    clocks.format_utc(expires_at) if expires_at else None,
                ],
            )

    def _is_current(self, topic: str, data: str) -> bool:
        """Return whether a state's newest message, waiting or delivered, equals `data`: several may report one change."""
        row = self._store.row("select data from retained where topic = ?", [topic])
        return row is not None and row["data"] == data

    def forget(self, topic: str, at: datetime) -> None:
        """Remove the retained message of a topic, here and, by an empty message, at the broker."""
        with self._store.write() as db:
            db.execute("delete from retained where topic = ?", [topic])
            db.execute(
                "insert into outbox (event_id, topic, type, data, retained, created_at) values (?, ?, '', '{}', 1, ?)",
                [str(uuid.uuid4()), topic, clocks.format_utc(at)],
            )

    def waiting(self, after: int = 0, limit: int = 100, *, retained: bool = False) -> list[OutboxMessage]:
        """Return messages with `seq` above `after`, in order; `retained`: only those of retained topics."""
        rows = self._store.rows(
            "select o.*, o.retained = 0 or o.type = '' or r.event_id = o.event_id as latest from outbox o"
            " left join retained r using (topic) where o.seq > ? and o.retained >= ? order by o.seq limit ?",
            [after, int(retained), limit],
        )
        return [_to_message(row) for row in rows]

    def remembered(self, prefix: str = "", *, settled: bool = False) -> list[OutboxMessage]:
        """Return the newest message of each retained topic, with `seq` 0.

        `prefix`: only topics that start with it. `settled`: only topics without a message waiting for delivery.
        """
        rows = self._store.rows(
            "select 0 as seq, 1 as retained, 1 as latest, r.* from retained r where substr(topic, 1, ?) = ?"
            " and not (? and topic in (select topic from outbox)) order by topic",
            [len(prefix), prefix, int(settled)],
        )
        return [_to_message(row) for row in rows]

    def done(self, seq: int) -> None:
        """Delete a message that the broker has acknowledged."""
        with self._store.write() as db:
            db.execute("delete from outbox where seq = ?", [seq])

    def expire(self, now: datetime) -> int:
        """Delete expired messages, which are worthless when late (heartbeats); return how many."""
        with self._store.write() as db:
            cursor = db.execute(
                "delete from outbox where expires_at is not null and expires_at < ?", [clocks.format_utc(now)]
            )
            return int(cursor.rowcount)

    def drop(self, before: datetime) -> int:
        """Delete messages queued before a time; return how many.

        The newest message of each retained topic is still remembered.
        """
        with self._store.write() as db:
            cursor = db.execute("delete from outbox where created_at < ?", [clocks.format_utc(before)])
            return int(cursor.rowcount)

    def size(self) -> int:
        """Return the number of waiting messages."""
        row = self._store.row("select count(*) as n from outbox")
        return int(row["n"]) if row else 0

    def last(self) -> int:
        """Return the `seq` of the newest message ever queued."""
        row = self._store.row("select seq from sqlite_sequence where name = 'outbox'")
        return int(row["seq"]) if row else 0

    def oldest(self) -> datetime | None:
        """Return when the oldest waiting message was queued, or None."""
        row = self._store.row("select min(created_at) as at from outbox")
        return parse_moment(row["at"]) if row else None


def _to_message(row: Row) -> OutboxMessage:
    return OutboxMessage(
        seq=row["seq"],
        event_id=row["event_id"],
        topic=row["topic"],
        type=row["type"],
        data=json.loads(row["data"]),
        retained=bool(row["retained"]),
        created_at=clocks.parse_time(row["created_at"]),
        latest=bool(row["latest"]),
    )
