"""Stores a batch of messages in one transaction; the caller acknowledges them afterwards."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from agent.core.clock import Clock
from board.errors import RowRefused
from board.ingest.judge import BatchJudge
from board.ingest.memory import Memories
from board.ingest.message import Arrival
from board.store.database import Database

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What a batch brought: alarms as (box, kind)."""

    alarms: list[tuple[str, str]]


class BatchWriter:
    """Judges and stores messages. For one thread; several writers may share a PostgreSQL database.

    `find_signing_key` gives the public key that approved classes must be signed with; "": the bureau has none yet.
    """

    def __init__(
        self, database: Database, clock: Clock, *, witness_key: str = "", find_signing_key: Callable[[], str] = str
    ) -> None:
        self._database = database
        self._clock = clock
        self._witness_key = witness_key
        self._find_signing_key = find_signing_key
        self._memories = Memories(clock)

    def write(self, arrivals: Sequence[Arrival]) -> BatchResult:
        """Store these messages. Raises StoreError; then nothing is stored, and they may be given again.

        One that the database refuses is set aside with an alarm: it would be refused for ever, and hold up all others.
        """
        try:
            return self._write(arrivals)
        except RowRefused as error:
            if len(arrivals) > 1:
                half = len(arrivals) // 2
                return BatchResult([*self.write(arrivals[:half]).alarms, *self.write(arrivals[half:]).alarms])
            log.warning("%s %s: %s", arrivals[0].box, arrivals[0].address, error)
            return self._write([replace(arrivals[0], event=None, statement=None, payload=arrivals[0].payload or b"-")])

    def _write(self, arrivals: Sequence[Arrival]) -> BatchResult:
        done = False
        try:
            with self._database.write() as connection:
                memories = self._memories.lock(connection, {a.box for a in arrivals}, arrivals[0].at)
                judge = BatchJudge(connection, self._memories, self._clock, self._witness_key, self._find_signing_key)
                for arrival in arrivals:
                    judge.judge(memories[arrival.box], arrival)
                judge.rows.put(connection)
                self._memories.save(connection, memories.values())
            done = True
        finally:
            if not done:
                self._memories.forget()
        return BatchResult(judge.raised)
