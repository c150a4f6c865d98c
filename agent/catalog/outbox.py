"""Transactional outbox: messages for the bureau that are not yet acknowledged.

A change of data and its message are written in one transaction. The bureau link wraps and publishes the messages and
deletes them on acknowledgement. A message that matters is a statement of the box's log (statements.py): numbered, chained,
kept beside the outbox, and queued again if its row in the outbox is gone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from agent.catalog.base import CatalogStore, Row, dump_json, make_id, parse_moment
from agent.catalog.statements import Statements, to_statement
from agent.core import clock as clocks
from agent.core.model import JsonObject
from agent.core.statement_model import STATEMENT_TYPES, LogCause, LogPosition, Statement

if TYPE_CHECKING:
    from agent.contract.statements import AdoptedBody


@dataclass(frozen=True, slots=True)
class OutboxMessage:
    """One queued message.

    `topic`: the part after `training/v1/{county}/{site}/{box}/`. `type`: the last part of the CloudEvents type; empty means
    that the topic's retained message is to be removed. `latest` is False for a message of a retained topic if a newer one
    is queued or remembered. `statement` is the message's place in the box's log; `held`: no drive has it yet.
    """

    seq: int
    event_id: str
    topic: str
    type: str
    data: JsonObject | Sequence[JsonObject]
    retained: bool
    created_at: datetime
    latest: bool = True
    statement: Statement | None = None
    held: bool = False


IDLE_JOURNAL = "journal.idle"
"""Fact that stands while no drive takes a journal: then no statement waits for one."""
# topics that only repeat what statements say: values in between may be skipped
_REPEATED = ("alerts/open", "statements")
# topics of which a message that equals the last one is not queued again
_STATES = (*_REPEATED, "camera/")
_RETAINED_STATEMENTS = ("attendance", "camera", "chain")
_COLUMNS = (
    "s.log, s.number, s.previous, s.hash, s.subject, s.time, s.data as stated,"
    " (s.id in (select row from changes where name = 'statements')"
    " and not exists (select 1 from facts where name = 'journal.idle')) as held"
)


class Outbox:
    """Tables `outbox` and `retained`."""

    def __init__(self, store: CatalogStore, statements: Statements) -> None:
        self._store = store
        self._statements = statements

    def put(
        self,
        topic: str,
        type_: str,
        data: Mapping[str, object] | Sequence[object],
        at: datetime,
        *,
        retained: bool = False,
        expires_at: datetime | None = None,
    ) -> Statement | None:
        """Queue a message; return its statement where it is one.

        A retained one is also remembered, for brokers that lose their data; a state that equals the last one of its topic
        is not queued again.
        """
        event_id, text = make_id(), dump_json(data)
        statement = None
        with self._store.write() as db:
            if retained and topic.startswith(_STATES) and self._is_current(topic, text):
                return None
            if retained and topic.startswith(_REPEATED):
                db.execute("delete from outbox where topic = ?", [topic])
            if type_ in STATEMENT_TYPES:
                if type_ != "log":
                    self.ensure_log(at)
                statement = self._statements.append(event_id, topic, type_, data, at)
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
        return statement

    def ensure_log(self, at: datetime) -> None:
        """Begin a log where the catalog has none."""
        if self._statements.current() is None:
            self.begin_log(self._find_cause(), at)

    def begin_log(
        self, cause: LogCause, at: datetime, before: LogPosition | None = None, adopted: AdoptedBody | None = None
    ) -> None:
        """Begin a new log; its first statement names the cause, and the log before as far as it is known."""
        with self._store.write():
            data = self._statements.start_log(cause, at, before, adopted)
            self.put("log", "log", data, at)

    def _find_cause(self) -> LogCause:
        """Return why a log begins in a catalog that has none: with traces of work, an earlier version filled it."""
        row = self._store.row("select exists (select 1 from segments union select 1 from events) as worked")
        return "upgraded" if row and row["worked"] else "first"

    def requeue(self, after: int) -> int:
        """Queue statements of the current log again that are neither acknowledged nor queued; return how many.

        The outbox of a box that was rebuilt from its drive is empty. `after`: the number up to which the broker had all.
        """
        newest = self._statements.current()
        if newest is None:
            return 0
        with self._store.write() as db:
            db.execute("update statements set told = 1 where log = ? and number <= ?", [newest.log, after])
            rows = self._store.rows(
                "select * from statements where log = ? and told = 0 and event_id not in (select event_id from outbox)"
                " order by number",
                [newest.log],
            )
            for row in rows:
                retained = row["type"] in _RETAINED_STATEMENTS
                values = [row["event_id"], row["subject"], row["type"], row["data"], row["made_at"]]
                db.execute(
                    "insert into outbox (event_id, topic, type, data, retained, created_at) values (?, ?, ?, ?, ?, ?)",
                    [*values[:4], int(retained), values[4]],
                )
                if retained and self._is_newest(row):
                    topic, *rest = values[1], values[0], *values[2:]
                    db.execute("insert or replace into retained values (?, ?, ?, ?, ?)", [topic, *rest])
        return len(rows)

    def _is_newest(self, row: Row) -> bool:
        """Return whether no later statement of the topic is known."""
        last = self._statements.last_of(row["type"], row["subject"])
        return last is not None and last.event_id == row["event_id"]

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
                [make_id(), topic, clocks.format_utc(at)],
            )

    def waiting(self, after: int = 0, limit: int = 100, *, retained: bool = False) -> list[OutboxMessage]:
        """Return messages with `seq` above `after`, in order; `retained`: only those of retained topics."""
        rows = self._store.rows(
            f"select o.*, o.retained = 0 or o.type = '' or r.event_id = o.event_id as latest, {_COLUMNS} from outbox o"  # noqa: S608
            " left join retained r using (topic) left join statements s on s.event_id = o.event_id"
            " where o.seq > ? and o.retained >= ? order by o.seq limit ?",
            [after, int(retained), limit],
        )
        return [_to_message(row) for row in rows]

    def remembered(self, prefix: str = "", *, settled: bool = False) -> list[OutboxMessage]:
        """Return the newest message of each retained topic, with `seq` 0.

        `prefix`: only topics that start with it. `settled`: only topics without a message waiting for delivery.
        """
        rows = self._store.rows(
            f"select 0 as seq, 1 as retained, 1 as latest, r.*, {_COLUMNS} from retained r"  # noqa: S608
            " left join statements s on s.event_id = r.event_id where substr(topic, 1, ?) = ?"
            " and not (? and topic in (select topic from outbox)) order by topic",
            [len(prefix), prefix, int(settled)],
        )
        return [_to_message(row) for row in rows]

    def done(self, seq: int) -> None:
        """Delete a message that the broker has acknowledged."""
        with self._store.write() as db:
            db.execute(
                "update statements set told = 1 where event_id = (select event_id from outbox where seq = ?)", [seq]
            )
            db.execute("delete from outbox where seq = ?", [seq])

    def expire(self, now: datetime) -> int:
        """Delete expired messages, which are worthless when late (heartbeats); return how many."""
        with self._store.write() as db:
            cursor = db.execute(
                "delete from outbox where expires_at is not null and expires_at < ?", [clocks.format_utc(now)]
            )
            return int(cursor.rowcount)

    def drop(self, before: datetime) -> int:
        """Delete messages queued before a time, where there is no bureau to tell; return how many.

        The newest message of each retained topic is still remembered, and the log still holds the statements.
        """
        with self._store.write() as db:
            db.execute(
                "update statements set told = 1 where event_id in (select event_id from outbox where created_at < ?)",
                [clocks.format_utc(before)],
            )
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
        statement=None if row["log"] is None else to_statement({**row, "data": row["stated"]}),
        held=bool(row["held"]),
    )
