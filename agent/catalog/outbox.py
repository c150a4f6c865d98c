"""Messages for the bureau that were not yet acknowledged. Whoever changes a fact puts its message here in the same
transaction; the bureau link wraps, publishes and deletes on acknowledgement."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from agent import clock as clocks
from agent.catalog.base import Row, Store, dump, moment


@dataclass(frozen=True, slots=True)
class Message:
    """`topic` is the part after `training/v1/{county}/{site}/{box}/`; `type` ends the CloudEvents type (empty: the
    topic's retained message is to be removed). `latest` is False for a retained topic's message that a newer one follows.
    """

    seq: int
    event_id: str
    topic: str
    type: str
    data: Mapping[str, Any] | Sequence[Any]
    retained: bool
    created_at: datetime
    latest: bool = True


# a state, where nobody misses the values between; every message of the other topics is delivered
_STATES = ("alerts/open", "camera/")


class Outbox:
    def __init__(self, store: Store) -> None:
        self._store = store

    def put(
        self,
        topic: str,
        type_: str,
        data: Mapping[str, Any] | Sequence[Any],
        at: datetime,
        *,
        retained: bool = False,
        expires_at: datetime | None = None,
    ) -> None:
        """Queue a message. A retained one is also remembered, for brokers that come back empty; a state that was told already
        is not told again."""
        event_id, text = str(uuid.uuid4()), dump(data)
        with self._store.write() as db:
            if retained and topic.startswith(_STATES):
                if self._is_told(topic, text):
                    return
                db.execute("delete from outbox where topic = ?", [topic])
            if retained:
                db.execute(
                    "insert into retained values (?, ?, ?, ?, ?) on conflict (topic) do update set event_id ="
                    " excluded.event_id, type = excluded.type, data = excluded.data, created_at = excluded.created_at",
                    [topic, event_id, type_, text, clocks.stamp(at)],
                )
            db.execute(
                "insert into outbox (event_id, topic, type, data, retained, created_at, expires_at)"
                " values (?, ?, ?, ?, ?, ?, ?)",
                [event_id, topic, type_, text, int(retained), clocks.stamp(at),
                 clocks.stamp(expires_at) if expires_at else None],
            )  # fmt: skip

    def _is_told(self, topic: str, data: str) -> bool:
        """Whether a state's newest message, waiting or delivered, says the same: several may notice one change."""
        row = self._store.row("select data from retained where topic = ?", [topic])
        return row is not None and row["data"] == data

    def forget(self, topic: str, at: datetime) -> None:
        """The retained message of a topic has served its time: remove it here and, by an empty message, at the broker."""
        with self._store.write() as db:
            db.execute("delete from retained where topic = ?", [topic])
            db.execute(
                "insert into outbox (event_id, topic, type, data, retained, created_at) values (?, ?, '', '{}', 1, ?)",
                [str(uuid.uuid4()), topic, clocks.stamp(at)],
            )

    def waiting(self, after: int = 0, limit: int = 100, *, retained: bool = False) -> list[Message]:
        """Messages with seq above `after`, in order; only those of retained topics if asked."""
        rows = self._store.rows(
            "select o.*, o.retained = 0 or o.type = '' or r.event_id = o.event_id as latest from outbox o"
            " left join retained r using (topic) where o.seq > ? and o.retained >= ? order by o.seq limit ?",
            [after, int(retained), limit],
        )
        return [_message(row) for row in rows]

    def remembered(self, prefix: str = "", *, settled: bool = False) -> list[Message]:
        """The newest message of each retained topic (seq 0); `settled`: only where none waits to be delivered."""
        rows = self._store.rows(
            "select 0 as seq, 1 as retained, 1 as latest, r.* from retained r where substr(topic, 1, ?) = ?"
            " and not (? and topic in (select topic from outbox)) order by topic",
            [len(prefix), prefix, int(settled)],
        )
        return [_message(row) for row in rows]

    def done(self, seq: int) -> None:
        """The broker has acknowledged it."""
        with self._store.write() as db:
            db.execute("delete from outbox where seq = ?", [seq])

    def expire(self, now: datetime) -> int:
        """Drop messages that are worthless when late (heartbeats); return how many."""
        with self._store.write() as db:
            cursor = db.execute(
                "delete from outbox where expires_at is not null and expires_at < ?", [clocks.stamp(now)]
            )
            return int(cursor.rowcount)

    def drop(self, before: datetime) -> int:
        """Give up messages that nobody fetches; return how many. The newest of each retained topic is remembered all the
        same."""
        with self._store.write() as db:
            cursor = db.execute("delete from outbox where created_at < ?", [clocks.stamp(before)])
            return int(cursor.rowcount)

    def size(self) -> int:
        row = self._store.row("select count(*) as n from outbox")
        return int(row["n"]) if row else 0

    def last(self) -> int:
        """The number of the newest message ever queued."""
        row = self._store.row("select seq from sqlite_sequence where name = 'outbox'")
        return int(row["seq"]) if row else 0

    def oldest(self) -> datetime | None:
        """Since when the first of the waiting messages waits."""
        row = self._store.row("select min(created_at) as at from outbox")
        return moment(row["at"]) if row else None


def _message(row: Row) -> Message:
    return Message(
        seq=row["seq"], event_id=row["event_id"], topic=row["topic"], type=row["type"], data=json.loads(row["data"]),
        retained=bool(row["retained"]), created_at=clocks.parse(row["created_at"]), latest=bool(row["latest"]),
    )  # fmt: skip
