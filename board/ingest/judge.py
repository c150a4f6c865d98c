"""Judges the messages of one batch, box by box, and fills the rows to store. The rules are agent.core's."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, select, update

from agent.core.clock import Clock, parse_time
from agent.core.statement_model import LogPosition, Statement, parse_position
from agent.core.statement_rule import LogFault
from agent.core.witness_rule import read_stated_head
from board.ingest import approvals, heads
from board.ingest.alarm_rows import AlarmKind, describe_arrival, make_alarm, make_fault_alarm
from board.ingest.fetch_answers import take_fetch_answer
from board.ingest.fields import Malformed, clean, dump, read_text, read_time
from board.ingest.memory import BoxMemory, Memories
from board.ingest.message import FROM_BUREAU, Arrival
from board.ingest.projections import STATED, UNSTATED, Origin, put_heartbeat, read_event_time
from board.ingest.rows import Rows
from board.store import tables

log = logging.getLogger(__name__)
SETTLED_S = 30.0
"""A heartbeat that names a lower number than one that came this long before it is a step back; within it, workers on a
shared subscription may have overtaken each other."""
SILENT_S = 180.0
"""No heartbeat for so long: the box is not there (docs/reference/mqtt.md)."""


@dataclass(slots=True)
class BatchJudge:
    """One batch in one transaction."""

    connection: Connection
    memories: Memories
    clock: Clock
    witness_key: str
    find_signing_key: Callable[[], str]
    rows: Rows = field(default_factory=Rows)
    raised: list[tuple[str, str]] = field(default_factory=list)
    """(box, kind) of each alarm; one that was known may be among them."""

    def judge(self, memory: BoxMemory, arrival: Arrival) -> None:
        """Take in one message of a box."""
        if arrival.kind in FROM_BUREAU:
            self._take_own(memory, arrival)
            return
        memory.changes["last_seen"] = arrival.at
        if arrival.event is None:
            self._take_other(memory, arrival)
        elif arrival.statement is not None:
            self._take_statement(memory, arrival, arrival.statement)
        elif arrival.kind in _UNSTATED:
            self._try(memory, arrival, lambda data: _UNSTATED[arrival.kind](self, memory, arrival, data))

    def _take_other(self, memory: BoxMemory, arrival: Arrival) -> None:
        """Take in what is no event: an empty payload clears a retained topic."""
        if arrival.payload:
            self._alarm(memory, arrival, "malformed", detail=arrival.kind)
        elif arrival.kind == "camera":
            camera_id = arrival.address.partition("/")[2]
            table = tables.cameras
            self.connection.execute(
                update(table)
                .where(table.c.box_id == memory.box_id, table.c.camera_id == camera_id)
                .values(gone=True, up=False, at=arrival.at)
            )

    def _take_own(self, memory: BoxMemory, arrival: Arrival) -> None:
        """Take in what the bureau itself publishes for the box."""
        if arrival.kind == "classes" and arrival.payload:
            try:
                approvals.put_class(self.connection, memory.box_id, arrival, self.find_signing_key)
            except approvals.UnsignedClass as error:
                self._alarm(memory, arrival, "unsigned_class", detail=str(error))
            except Malformed as error:
                log.warning("%s: classes.%s", memory.name, error)
        elif arrival.kind == "witness" and arrival.retained and arrival.event is not None:
            heads.restore_countersignature(self.connection, memory, arrival.event, self.witness_key, arrival.at)

    def _try(self, memory: BoxMemory, arrival: Arrival, take: Callable[[Mapping[str, object]], None]) -> None:
        data = arrival.data
        if not isinstance(data, Mapping):
            self._alarm(memory, arrival, "malformed", detail=f"{arrival.kind}.data")
            return
        try:
            take(data)
        except Malformed as error:
            self._alarm(memory, arrival, "malformed", detail=f"{arrival.kind}.{error}")

    def _take_statement(self, memory: BoxMemory, arrival: Arrival, statement: Statement) -> None:
        observer, before = memory.observer, memory.observer.whole
        first = before is None
        if first and arrival.retained:
            # the log begins with what is heard live, not with what the broker kept of long ago
            faults = [] if statement.is_sound() else [LogFault("unsound", statement.log, statement.number)]
        else:
            faults = observer.take(statement, self.clock.monotonic())
        known = before.as_data() if before else None
        for fault in faults:
            self._raise(memory, arrival, fault, known)
        if any(fault.kind == "unsound" for fault in faults):
            return
        log_id = self._find_log(memory, arrival, statement, before)
        self._clear_hole(memory, arrival.at)
        self.rows.add(
            tables.statements,
            {
                "log_id": log_id,
                "number": statement.number,
                "hash": statement.hash,
                "name": clean(statement.name, 32),
                "time": read_time({"time": statement.time}, "time") or arrival.at,
                "received_at": arrival.at,
                "body": arrival.payload,
            },
        )
        if any(fault.kind in ("fork", "step_back") for fault in faults):
            if statement.name == "chain":
                self._take_head(memory, arrival, statement, "fork")
            return  # kept as evidence; figures of a second history are not shown
        origin = self._make_origin(memory, arrival, log_id, statement.number)
        if statement.name in STATED:
            self._try(memory, arrival, lambda data: STATED[statement.name](self.rows, origin, data))
        elif statement.name == "chain":
            self._take_head(memory, arrival, statement)

    def _find_log(self, memory: BoxMemory, arrival: Arrival, statement: Statement, before: LogPosition | None) -> int:
        cause = statement.data.get("cause") if isinstance(statement.data, dict) else ""
        log_id = self.memories.find_log(
            self.connection, memory, statement.log, arrival.at, read_text({"c": cause}, "c")
        )
        whole = memory.observer.whole
        if before and whole and before.log != whole.log:
            self.memories.end_log(self.connection, memory, before)
        if whole:
            memory.hashes.use(self.connection, memory.log_ids.get(whole.log))
        return log_id

    def _raise(self, memory: BoxMemory, arrival: Arrival, fault: LogFault, known: object) -> None:
        if fault.kind == "new_log" and memory.recall("replaced_at"):
            memory.changes |= {"replaced_at": None, "key": None, "key_since": None}
            return  # the bureau put another box here
        evidence = describe_arrival(arrival, arrival.statement, known)
        self.rows.add(tables.alarms, make_fault_alarm(memory.box_id, fault, arrival.at, evidence, arrival.data))
        self.raised.append((memory.name, fault.kind))

    def _alarm(
        self, memory: BoxMemory, arrival: Arrival, kind: AlarmKind, *, number: int = 0, log: str = "", detail: str = ""
    ) -> None:
        evidence = describe_arrival(arrival, arrival.statement, None)
        # an approval may come as its body alone
        about = arrival.event if arrival.kind in FROM_BUREAU and arrival.data is None else arrival.data
        row = make_alarm(
            memory.box_id, kind, arrival.at, log=log, number=number, detail=detail, evidence=evidence, about=about
        )
        self.rows.add(tables.alarms, row)
        self.raised.append((memory.name, kind))

    def _clear_hole(self, memory: BoxMemory, at: str) -> None:
        """Clear the alarm of a hole once what was missing has come."""
        observer = memory.observer
        if observer.hole and observer.whole and observer.whole.number >= observer.hole:
            table = tables.alarms
            self.connection.execute(
                update(table)
                .where(table.c.box_id == memory.box_id, table.c.kind == "hole", table.c.log == observer.whole.log,
                       table.c.number <= observer.whole.number, table.c.cleared_at.is_(None))
                .values(cleared_at=at)
            )  # fmt: skip
            observer.hole = 0

    def _take_head(self, memory: BoxMemory, arrival: Arrival, statement: Statement, reason: str = "") -> None:
        stated = read_stated_head(statement)
        if stated is None:
            self._alarm(memory, arrival, "malformed", detail="chain")
            return
        verdict = heads.judge_head(self.connection, memory, stated, reason)
        if verdict.known:
            return
        if verdict.alarm:
            place = statement.position
            self._alarm(memory, arrival, verdict.alarm, log=place.log, number=place.number, detail=verdict.detail)
        self._try(memory, arrival, lambda _: heads.put_head(self.connection, memory, stated, verdict, arrival.at))

    def _make_origin(self, memory: BoxMemory, arrival: Arrival, log_id: int | None, number: int) -> Origin:
        assert arrival.event is not None
        time = read_event_time(arrival.event, arrival.at)
        return Origin(memory.box_id, log_id, number, time, arrival.at, memory.classes)

    def take_heartbeat(self, memory: BoxMemory, arrival: Arrival, data: Mapping[str, object]) -> None:
        """Take in a heartbeat; one that was made in an outage says nothing of now."""
        assert arrival.event is not None
        event_id = read_text(arrival.event, "id", 128)
        if not event_id:
            raise Malformed("id")
        origin = self._make_origin(memory, arrival, None, 0)
        put_heartbeat(self.rows, origin, event_id, data)
        if arrival.event.get("replayed"):
            return
        last = memory.recall("beat_at")
        gone = last is None or (parse_time(arrival.at) - parse_time(str(last))).total_seconds() > SILENT_S
        memory.changes |= {"beat_at": arrival.at, "beat": dump(data)}
        if isinstance(check := data.get("self_check"), Mapping):
            memory.changes |= {"self_check": dump(check), "self_checked_at": arrival.at}
        memory.changes |= {"online_since": arrival.at} if gone else {}
        newest = parse_position(data.get("statements"))
        if newest is None:
            return
        memory.observer.note_newest(newest, self.clock.monotonic())
        for fault in memory.observer.find_step_back(newest):
            if not (fault.kind == "step_back" and self._was_overtaken(memory, arrival, origin, event_id, newest)):
                self._raise(memory, arrival, fault, memory.observer.whole and memory.observer.whole.as_data())

    def _was_overtaken(
        self, memory: BoxMemory, arrival: Arrival, origin: Origin, event_id: str, newest: LogPosition
    ) -> bool:
        """Return whether a lower number shows only that the heartbeat comes again, or later than what was said after it."""
        beats, table = tables.heartbeats, tables.statements
        known = select(beats.c.event_id).where(beats.c.box_id == memory.box_id, beats.c.event_id == event_id)
        if self.connection.execute(known).first():
            return True
        query = select(table.c.received_at, table.c.time).where(
            table.c.log_id == memory.log_ids.get(newest.log), table.c.number > newest.number
        )
        after = self.connection.execute(query.order_by(table.c.number, table.c.id).limit(1)).first()
        if after is None:
            return True  # it came in this very batch
        since = (parse_time(arrival.at) - parse_time(after.received_at)).total_seconds()
        return since < SETTLED_S or (arrival.again and origin.time <= after.time)

    def take_state(self, memory: BoxMemory, arrival: Arrival, data: Mapping[str, object]) -> None:
        """Take in a birth, a will or a goodbye.

        An `offline` of an older connection is an old will; an older `stopped` waited in the queue of another worker.
        """
        state, since = data.get("state"), read_time(data, "since")
        if state not in ("online", "offline", "stopped") or since is None:
            raise Malformed("state")
        last = memory.recall("state_since")
        if state != "online" and last is not None and since < str(last):
            return
        memory.changes |= {
            "state": state,
            "state_since": since,
            "boot_id": read_text(data, "boot_id", 64),
            "version": read_text(data, "version", 64),
        }

    def take_newest(self, memory: BoxMemory, _: Arrival, data: Mapping[str, object]) -> None:
        """Take in the retained newest place, which a board that was away learns first."""
        newest = parse_position(data.get("newest"))
        if newest is not None:
            memory.observer.note_newest(newest, self.clock.monotonic())

    def take_readiness(self, memory: BoxMemory, arrival: Arrival, data: Mapping[str, object]) -> None:
        """Take in a readiness sheet."""
        UNSTATED["readiness"](self.rows, self._make_origin(memory, arrival, None, 0), data)

    def take_answer(self, memory: BoxMemory, arrival: Arrival, data: Mapping[str, object]) -> None:
        """Take in an answer to an order of a clip or a picture."""
        take_fetch_answer(self.connection, memory.box_id, data, arrival.at)


_UNSTATED = {
    "heartbeat": BatchJudge.take_heartbeat,
    "state": BatchJudge.take_state,
    "statements": BatchJudge.take_newest,
    "readiness": BatchJudge.take_readiness,
    "response": BatchJudge.take_answer,
}
