"""The rule for whoever receives a box's statements: what is a hole, a fork or a step back (docs/reference/mqtt.md). Pure."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Literal

from agent.core.statement_model import GENESIS_HASH, LogPosition, Statement

FaultKind = Literal["hole", "fork", "step_back", "unsound", "new_log"]
HOLE_AFTER_S = 600.0
"""A number that has not come this long after a later one, with the link up, is a hole."""
_MOST_WAITING, _MOST_REMEMBERED = 100_000, 200_000


@dataclass(frozen=True, slots=True)
class LogFault:
    """An alarm. `number` is the statement that it is about."""

    kind: FaultKind
    log: str
    number: int
    detail: str = ""


@dataclass(frozen=True, slots=True)
class MissingRange:
    """Numbers of a log that have not come; `since` is the monotonic time at which a later one did."""

    log: str
    first: int
    last: int
    since: float


@dataclass(slots=True)
class LogObserver:
    """What a receiver remembers of one box, and what it concludes from the next message.

    `whole` is the newest place up to which every statement has come and fits; `waiting` holds later ones, which may
    overtake each other (order holds for each topic only), with the monotonic time of arrival. `hashes` are those of numbers
    up to `whole`; it may be backed by a database. `ends` are the last places of logs that were followed by another, `hole` the
    number last reported as missing, `stated` a number that a live message named and since when it is known not to have come.
    """

    whole: LogPosition | None = None
    waiting: dict[int, tuple[Statement, float]] = field(default_factory=dict)
    hashes: MutableMapping[int, str] = field(default_factory=dict)
    ends: dict[str, int] = field(default_factory=dict)
    hole: int = 0
    stated: tuple[int, float] | None = None

    def take(self, statement: Statement, now: float) -> list[LogFault]:
        """Take in a statement; return what is wrong with it."""
        log, number = statement.log, statement.number
        if not statement.is_sound():
            return [LogFault("unsound", log, number)]
        faults: list[LogFault] = []
        if self.whole is not None and log in self.ends:
            return [LogFault("step_back", log, number)] if number > self.ends[log] else []
        if self.whole is not None and log != self.whole.log:
            faults.append(LogFault("new_log", log, number, _cause(statement)))
            self._change_log(log)
        if self.whole is None:
            # the first statement ever heard of a box: the receiver begins here
            self.whole = LogPosition(log, number - 1, statement.previous)
        known = self._find_hash(number)
        if known is not None:
            return [*faults, *([LogFault("fork", log, number)] if known != statement.hash else [])]
        if number <= self.whole.number:
            return faults
        if len(self.waiting) < _MOST_WAITING:
            self.waiting[number] = (statement, now)
        return faults + self._advance()

    def _change_log(self, log: str) -> None:
        assert self.whole is not None
        self.ends[self.whole.log] = max([self.whole.number, *self.waiting])
        self.whole, self.hole, self.stated = LogPosition(log, 0, GENESIS_HASH), 0, None
        self.waiting.clear()
        self.hashes.clear()

    def _find_hash(self, number: int) -> str | None:
        """Return the hash under which a number has come; None where it has not, or long ago."""
        assert self.whole is not None
        if number > self.whole.number:
            return self.waiting[number][0].hash if number in self.waiting else None
        return self.whole.hash if number == self.whole.number else self.hashes.get(number)

    def _advance(self) -> list[LogFault]:
        """Move on over statements that follow without a hole; one that names another predecessor is a fork."""
        assert self.whole is not None
        while found := self.waiting.get(self.whole.number + 1):
            statement = found[0]
            if statement.previous != self.whole.hash:
                del self.waiting[statement.number]
                return [LogFault("fork", statement.log, statement.number)]
            del self.waiting[statement.number]
            self.whole = statement.position
            self.hashes[statement.number] = statement.hash
            self.hashes.pop(statement.number - _MOST_REMEMBERED, None)
        return []

    def take_newest(self, newest: LogPosition) -> list[LogFault]:
        """Take in the newest place that a heartbeat or retained message states; it may be behind what has come."""
        if self.whole is None or newest.log != self.whole.log:
            return []
        known = self._find_hash(newest.number)
        if known is not None and known != newest.hash:
            return [LogFault("fork", newest.log, newest.number)]
        return []

    def note_newest(self, newest: LogPosition, now: float) -> None:
        """Note what a live message states as the newest number: what has not come up to it can be a hole as well."""
        if self.whole is None or newest.log != self.whole.log or newest.number <= self.whole.number:
            return
        if self.stated is None or self.stated[0] <= self.whole.number:
            self.stated = (newest.number, now)

    def find_step_back(self, newest: LogPosition) -> list[LogFault]:
        """Judge the newest place that a live message (heartbeat, birth) states: a box never knows less than it has sent."""
        if self.whole is not None and newest.log == self.whole.log:
            highest = max([self.whole.number, *self.waiting])
            if newest.number < highest:
                return [LogFault("step_back", newest.log, newest.number)]
        return self.take_newest(newest)

    def find_missing(self) -> MissingRange | None:
        """Return the first numbers that have not come while a later one has, or was named by a live message."""
        if self.whole is None:
            return None
        later = {number: at for number, (_, at) in self.waiting.items()}
        last = min(later) - 1 if later else 0
        if self.stated and self.stated[0] > self.whole.number:
            later[self.stated[0]] = min(self.stated[1], later.get(self.stated[0], self.stated[1]))
            last = last or self.stated[0]
        if not later:
            return None
        return MissingRange(self.whole.log, self.whole.number + 1, last, min(later.values()))

    def find_hole(self, now: float, up_since: float = 0.0) -> list[LogFault]:
        """Return the hole that is open too long, once. Call it only while the box is connected, which it is `up_since`."""
        missing = self.find_missing()
        if missing is None or now - max(missing.since, up_since) < HOLE_AFTER_S or missing.first == self.hole:
            return []
        self.hole = missing.first
        return [LogFault("hole", missing.log, missing.first)]


def _cause(statement: Statement) -> str:
    data = statement.data
    return str(data.get("cause", "")) if isinstance(data, dict) else ""
