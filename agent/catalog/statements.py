"""The statement log: the box's messages that matter, numbered and chained (docs/proof.md).

A statement is written in the transaction of the fact that it states. Numbers have no hole; the table `logs` holds the
newest place of each log, so that pruned statements are still continued.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from agent.catalog.base import CatalogStore, Row, dump_json, make_id
from agent.core import clock as clocks
from agent.core.statement_model import (
    EVENT_TYPE,
    GENESIS_HASH,
    LogCause,
    LogPosition,
    Statement,
    compute_statement_hash,
    strip_delivery,
)

STATEMENTS_KEPT = timedelta(days=30)
"""Statements that a drive holds and the broker has acknowledged stay this long."""
_PAGE = 1000
_COMPARED = ("gaps", "papers", "journal")
"""Kinds that are stated again only where they differ from the last statement of their subject."""


class Statements:
    """Tables `statements` and `logs`."""

    def __init__(self, store: CatalogStore, zone: ZoneInfo) -> None:
        self._store = store
        self._zone = zone

    def current(self) -> LogPosition | None:
        """Return the newest place of the log that the box writes; None before its first statement."""
        row = self._store.row("select * from logs where current = 1")
        return LogPosition(row["log"], row["number"], row["hash"]) if row else None

    def ends(self) -> list[LogPosition]:
        """Return the newest known place of every log, the current one last."""
        rows = self._store.rows("select * from logs order by current, began_at")
        return [LogPosition(row["log"], row["number"], row["hash"]) for row in rows]

    def start_log(
        self, cause: LogCause, at: datetime, before: LogPosition | None = None, adopted: object = None
    ) -> dict[str, object]:
        """Make a new log the current one; return the data of its first statement, which the caller appends.

        `before`: the newest place of the log before where somebody else knows it better. `adopted`: the drive that was taken
        over.
        """
        before = before or next(reversed(self.ends()), None)
        with self._store.write() as db:
            row = self._store.row("select coalesce(max(batch), 0) as batch from looks")
            # a box that lost its catalog must not number batches of looks as before
            batch = max(int(row["batch"]) if row else 0, int(at.timestamp() // 60))
            db.execute("update logs set current = 0")
            db.execute(
                "insert into logs values (?, ?, 0, ?, ?, 1, ?)",
                [make_id().replace("-", ""), cause, GENESIS_HASH, batch, clocks.format_utc(at)],
            )
        body: dict[str, object] = {"cause": cause, "before": before.as_data() if before else None}
        return body if adopted is None else {**body, "adopted": adopted}

    def append(self, event_id: str, subject: str, name: str, data: object, at: datetime) -> Statement:
        """Append a statement to the current log. Raises ValueError for data without a canonical form."""
        with self._store.write() as db:
            newest = self.current()
            assert newest is not None, "the outbox begins a log before the first statement"
            # through JSON once: what is hashed is what a receiver parses
            body = json.loads(dump_json(strip_delivery(data)))
            time = clocks.format_local(at, self._zone)
            type_ = EVENT_TYPE.format(name=name)
            number = newest.number + 1
            draft = Statement(newest.log, number, newest.hash, "", event_id, subject, type_, time, body)
            digest = compute_statement_hash(draft)
            about = body if isinstance(body, dict) else {}
            db.execute(
                "insert into statements (log, number, previous, hash, event_id, subject, type, time, data, class_id, date,"
                " session, made_at) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    newest.log,
                    number,
                    newest.hash,
                    digest,
                    event_id,
                    subject,
                    name,
                    time,
                    dump_json(body),
                    about.get("class_id"),
                    about.get("date"),
                    about.get("session"),
                    clocks.format_utc(at),
                ],
            )
            db.execute("update logs set number = ?, hash = ? where log = ?", [number, digest, newest.log])
        return Statement(newest.log, number, newest.hash, digest, event_id, subject, type_, time, body)

    def at(self, log: str, number: int) -> LogPosition | None:
        """Return the place of a statement; None where it is unknown or pruned."""
        row = self._store.row("select hash from statements where log = ? and number = ?", [log, number])
        return LogPosition(log, number, row["hash"]) if row else None

    def of_log(self, log: str, first: int = 1) -> Iterable[Statement]:
        """Yield the stored statements of a log in order, from a number on."""
        while rows := self._store.rows(
            "select * from statements where log = ? and number >= ? order by number limit ?", [log, first, _PAGE]
        ):
            yield from map(to_statement, rows)
            first = rows[-1]["number"] + 1

    def list_range(self, log: str, first: int, last: int) -> list[Statement]:
        """Return the stored statements of a log with numbers from `first` to `last`, in order; pruned ones are missing."""
        rows = self._store.rows(
            "select * from statements where log = ? and number >= ? and number <= ? order by number", [log, first, last]
        )
        return [to_statement(row) for row in rows]

    def find_held(self, log: str) -> int | None:
        """Return the lowest number that has not left the box, as the drive in use does not hold it yet; None without one."""
        row = self._store.row(
            "select min(number) as n from statements where log = ? and told = 0 and id in (select row from changes where name ="
            " 'statements') and not exists (select 1 from facts where name = 'journal.idle')",
            [log],
        )
        return int(row["n"]) if row and row["n"] is not None else None

    def last_of(self, name: str, subject: str) -> Statement | None:
        """Return the newest stored statement of a kind and subject."""
        row = self._store.row(
            "select * from statements where subject = ? and type = ? order by id desc limit 1", [subject, name]
        )
        return to_statement(row) if row else None

    def lowest_kept(self, log: str) -> int:
        """Return the number from which the catalog holds the log without a hole up to its newest statement."""
        row = self._store.row(
            "select max(number) as n from statements s where log = ? and not exists"
            " (select 1 from statements b where b.log = s.log and b.number = s.number - 1)",
            [log],
        )
        return int(row["n"] or 1) if row else 1

    def delivered(self) -> int:
        """Return the number up to which the broker has acknowledged the whole current log."""
        newest = self.current()
        if newest is None:
            return 0
        row = self._store.row("select min(number) as n from statements where log = ? and told = 0", [newest.log])
        return newest.number if row is None or row["n"] is None else int(row["n"]) - 1

    def prune(self, before: datetime) -> int:
        """Delete statements that a drive holds and the broker has, older than `before`; return how many.

        Those of the newest retained messages stay, as they are sent again to a broker that lost its data; and the newest of
        each subject that is compared before it is stated again. What no drive holds or nobody has acknowledged stays, so
        the catalog never forgets what is nowhere else.
        """
        compared = ", ".join("?" for _ in _COMPARED)
        with self._store.write() as db:
            cursor = db.execute(
                "delete from statements where told = 1 and made_at < ?"  # noqa: S608 - marks only
                " and event_id not in (select event_id from retained)"
                " and event_id not in (select event_id from outbox)"
                " and id not in (select row from changes where name = 'statements')"
                f" and id not in (select max(id) from statements where type in ({compared}) group by subject, type)"
                " and number < (select number from logs where logs.log = statements.log)",
                [clocks.format_utc(before), *_COMPARED],
            )
            return int(cursor.rowcount)

    def resume(self) -> LogPosition | None:
        """Rebuild the table `logs` from statements that came from a drive; the log stated last is the current one."""
        rows = self._store.rows(
            "select s.*, coalesce((select max(json_extract(data, '$.batch')) from statements l where l.log = s.log and"
            " l.type = 'looks'), 0) as batch,"
            " (select min(time) from statements f where f.log = s.log) as began from statements s"
            " where number = (select max(number) from statements m where m.log = s.log)"
        )
        if not rows:
            return self.current()
        with self._store.write() as db:
            known = {row["log"]: row for row in self._store.rows("select * from logs")}
            for row in rows:
                if row["log"] in known and known[row["log"]]["number"] >= row["number"]:
                    continue
                began = clocks.format_utc(clocks.parse_time(row["began"]))
                db.execute(
                    "insert into logs values (?, 'first', ?, ?, ?, 0, ?) on conflict (log) do update set"
                    " number = excluded.number, hash = excluded.hash, batch = max(batch, excluded.batch)",
                    [row["log"], row["number"], row["hash"], row["batch"], began],
                )
            newest = max(rows, key=lambda row: (clocks.parse_time(row["time"]), row["id"]))
            db.execute("update logs set current = (log = ?)", [newest["log"]])
        return self.current()


def to_statement(row: Row) -> Statement:
    """Return a row of the table, or of a journal, as a statement. Raises KeyError, ValueError, TypeError for foreign rows."""
    return Statement(
        log=str(row["log"]),
        number=int(row["number"]),
        previous=str(row["previous"]),
        hash=str(row["hash"]),
        event_id=str(row["event_id"]),
        subject=str(row["subject"]),
        type=EVENT_TYPE.format(name=row["type"]),
        time=str(row["time"]),
        data=json.loads(row["data"]),
    )
