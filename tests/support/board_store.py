"""A board's database for tests, SQLite or a real PostgreSQL of Debian; and a writer with a clock that tests step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any

from sqlalchemy import Table, select

from agent.core.clock import Trust, format_utc
from benchmarks.support.reporting_box import Message
from board.ingest.batch import BatchWriter
from board.ingest.message import Arrival, parse_arrivals
from board.store.database import Database


class BoardClock:
    """Starts now; `step` moves both clocks."""

    def __init__(self) -> None:
        self.time = datetime.now(UTC)
        self.seconds = 1000.0

    def step(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)
        self.seconds += seconds

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.seconds

    def wait(self, stop: Event, seconds: float) -> bool:
        return stop.wait(0)

    def trust(self) -> Trust:
        return "trusted"


class BoardStore:
    """Database, clock and writer. `hear` stores messages as one batch."""

    def __init__(self, url: str, *, witness_key: str = "") -> None:
        self.url = url
        self.witness_key = witness_key
        self.clock = BoardClock()
        self.database = Database(url)
        self.database.migrate()
        self.restart()

    def restart(self) -> None:
        """Forget what only memory holds."""
        self.writer = BatchWriter(self.database, self.clock, witness_key=self.witness_key)

    def arrivals(self, messages: Iterable[Message], *, retained: bool = False, again: bool = False) -> list[Arrival]:
        at = format_utc(self.clock.now())
        found: list[Arrival] = []
        for topic, payload in messages:
            found += parse_arrivals(topic, payload, retained=retained, again=again, at=at)
        return found

    def hear(self, *messages: Message, retained: bool = False, again: bool = False) -> None:
        if arrivals := self.arrivals(messages, retained=retained, again=again):
            self.writer.write(arrivals)

    def hear_one_by_one(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self.hear(message)

    def all(self, table: Table) -> list[dict[str, Any]]:
        with self.database.read() as connection:
            return [dict(row) for row in connection.execute(select(table)).mappings()]

    def alarms(self) -> list[tuple[str, int]]:
        from board.store.tables import alarms

        return sorted((row["kind"], row["number"]) for row in self.all(alarms) if row["cleared_at"] is None)
