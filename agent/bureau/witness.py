"""The bureau's witness: hears every box, keeps the list of their statements, countersigns closed half-days.

A witness is a key and a memory (C2SP tlog-witness): it remembers the newest statement and every head that it has seen, and
never signs a second head or a log with a hole or a fork. Its memory is the list itself, one CloudEvent a line for each box,
from which it begins again after a restart and which `drive verify --against` reads.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from agent.bureau.hole_inquiry import MOST_INQUIRIES, HoleInquiry, Inquiry
from agent.contract.statements import WitnessBody, build_witness_body
from agent.contract.topics import ROOT, TYPE
from agent.core.model import is_id
from agent.core.statement_answer import list_answered_events
from agent.core.statement_model import Statement, is_number, parse_position, parse_statement
from agent.core.statement_rule import LogFault, LogObserver
from agent.core.witness_rule import StatedHead, compose_witness_text, is_covered, read_stated_head
from agent.drive import keys

log = logging.getLogger(__name__)
_MAX_EVENT = 1 << 20


@dataclass(frozen=True, slots=True)
class WitnessAlarm:
    """What is wrong with a box. `kind`: of LogFault, or `second_head`, `lost_log`."""

    box: str
    kind: str
    log: str
    number: int
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Countersignature:
    """A message to publish, retained."""

    topic: str
    body: WitnessBody


@dataclass(slots=True)
class _BoxMemory:
    """What is remembered of one box. `heads` by class and sequence; `due` are closed half-days not yet signed.

    `online` is what its `state` said last, `up_since` when it came back, on the monotonic clock.
    """

    observer: LogObserver = field(default_factory=LogObserver)
    heads: dict[tuple[str, int], str] = field(default_factory=dict)
    due: list[StatedHead] = field(default_factory=list)
    signed: set[tuple[str, int]] = field(default_factory=set)
    seen: set[tuple[str, int]] = field(default_factory=set)
    inquiry: HoleInquiry = field(default_factory=HoleInquiry)
    online: bool = True
    up_since: float = 0.0


class Witness:
    """Takes in messages, returns alarms and countersignatures. For one thread; `folder` holds the lists.

    `key_dir` holds the witness's key, `name` is what it calls itself. `utcnow` and `monotonic` are its clocks.
    """

    def __init__(
        self,
        folder: Path,
        key_dir: Path,
        name: str,
        *,
        utcnow: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        self._folder = folder
        self._key_dir = key_dir
        self._name = name
        self._utcnow = utcnow
        self._monotonic = monotonic
        self._boxes: dict[str, _BoxMemory] = {}
        for file in sorted(folder.glob("*/*/*.jsonl")):
            self._replay(file)

    def take(self, topic: str, payload: bytes, *, retained: bool = False) -> list[WitnessAlarm]:
        """Take in a message of a box; anything else is passed over. Raises OSError where the list cannot be written."""
        parts = topic.removeprefix(f"{ROOT}/").split("/")
        if len(parts) < 4 or not all(map(is_id, parts[:3])) or len(payload) > _MAX_EVENT:
            return []
        box, event = "/".join(parts[:3]), _parse_event(payload)
        if event is None or not str(event.get("type")).startswith(TYPE.partition("{name}")[0]):
            return []
        memory = self._boxes.setdefault(box, _BoxMemory())
        statement = parse_statement(event)
        if statement is not None:
            return self._take_statement(box, memory, statement, event, retained=retained)
        if parts[3] == "heartbeat":
            return self._take_heartbeat(box, memory, event)
        if parts[3] == "state":
            data = event.get("data")
            self._take_state(memory, online=isinstance(data, dict) and data.get("state") == "online")
        if parts[3:] == ["response", "statements"]:
            return self._take_answer(box, memory, event)
        return []

    def _take_state(self, memory: _BoxMemory, *, online: bool) -> None:
        """Note whether the box is connected: what a box that is away has not sent is not a hole."""
        if online and not memory.online:
            memory.up_since = self._monotonic()
        memory.online = online

    def _take_answer(self, box: str, memory: _BoxMemory, event: Mapping[str, object]) -> list[WitnessAlarm]:
        """Take in statements that the box sent again because they were asked for."""
        alarms = []
        for found, statement in list_answered_events(event):
            alarms += self._take_statement(box, memory, statement, found, retained=False)
        return alarms

    def _take_heartbeat(self, box: str, memory: _BoxMemory, event: Mapping[str, object]) -> list[WitnessAlarm]:
        data = event.get("data")
        newest = parse_position(data.get("statements")) if isinstance(data, dict) else None
        if event.get("replayed"):
            return []
        self._take_state(memory, online=True)
        if newest is None:
            return []
        memory.observer.note_newest(newest, self._monotonic())
        return [_alarm(box, fault) for fault in memory.observer.find_step_back(newest)]

    def _take_statement(
        self, box: str, memory: _BoxMemory, statement: Statement, event: Mapping[str, object], *, retained: bool
    ) -> list[WitnessAlarm]:
        if retained and memory.observer.whole is None:
            return []  # a list begins with what is heard live, not with what the broker kept of long ago
        faults = memory.observer.take(statement, self._monotonic())
        key, kinds = (statement.log, statement.number), {fault.kind for fault in faults}
        if key not in memory.seen or kinds & {"fork", "unsound"}:
            if "unsound" not in kinds:
                memory.seen.add(key)
            self._append(f"{box}.jsonl", event)
        alarms = [_alarm(box, fault) for fault in faults]
        if statement.name == "chain" and not kinds & {"fork", "unsound"}:
            alarms += self._take_head(box, memory, statement)
        return alarms

    def _take_head(self, box: str, memory: _BoxMemory, statement: Statement) -> list[WitnessAlarm]:
        stated = read_stated_head(statement)
        if stated is None:
            return []
        key = (stated.class_id, stated.sequence)
        if memory.heads.setdefault(key, stated.head) != stated.head:
            detail = f"{key[0]} {key[1]}"
            return [WitnessAlarm(box, "second_head", statement.log, statement.number, detail)]
        if key not in memory.signed and stated not in memory.due:
            memory.due.append(stated)
        return []

    def find_holes(self) -> list[WitnessAlarm]:
        """Return holes that are open too long; call it while the link to the broker is up."""
        now = self._monotonic()
        return [
            _alarm(box, fault)
            for box, memory in self._boxes.items()
            if memory.online
            for fault in memory.observer.find_hole(now, memory.up_since)
        ]

    def list_inquiries(self) -> list[Inquiry]:
        """Return the requests for missing statements that are due; each hole is asked for before it becomes an alarm."""
        now = self._monotonic()
        found = []
        for box, memory in self._boxes.items():
            missing = memory.observer.find_missing() if memory.online else None
            body = memory.inquiry.ask(missing, now) if missing else None
            if body is not None:
                found.append(Inquiry(f"{ROOT}/{box}/request/statements", body))
            if len(found) >= MOST_INQUIRIES:
                break
        return found

    def sign_due(self) -> Iterator[Countersignature]:
        """Yield a countersignature for each closed half-day up to which the whole log has come. Raises DriveError."""
        for box, memory in self._boxes.items():
            whole = memory.observer.whole
            for stated in [head for head in memory.due if is_covered(head, whole)]:
                memory.due.remove(stated)
                found = self._sign(box, memory, stated)
                if found:
                    yield found

    def _sign(self, box: str, memory: _BoxMemory, stated: StatedHead) -> Countersignature | None:
        whole = memory.observer.whole
        assert whole is not None
        text = compose_witness_text(box, stated, whole, self._utcnow(), self._name)
        if text is None:
            return None
        raw = text.write()
        signature = keys.sign_bytes(raw.encode(), self._key_dir, namespace=keys.WITNESS_NAMESPACE).decode()
        body = build_witness_body(text, raw, signature)
        # signed once: a later time would prove less
        self._append(f"{box}.signed", body)
        memory.signed.add((text.class_id, text.sequence))
        return Countersignature(f"{ROOT}/{box}/witness/{text.class_id}", body)

    def _append(self, name: str, event: Mapping[str, object]) -> None:
        """Append a line to a file of a box and sync it: what is signed afterwards is never forgotten."""
        file = self._folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps(event, ensure_ascii=False, separators=(",", ":")) + "\n"
        with file.open("a", encoding="utf-8") as out:
            out.write(line)
            out.flush()
            os.fdatasync(out.fileno())

    def _replay(self, file: Path) -> None:
        """Remember what a list holds, and what was signed."""
        box = file.relative_to(self._folder).with_suffix("").as_posix()
        memory = self._boxes.setdefault(box, _BoxMemory())
        signed = file.with_suffix(".signed")
        for line in signed.read_bytes().splitlines() if signed.exists() else ():
            body = _parse_event(line) or {}
            if is_number(sequence := body.get("sequence")):
                memory.signed.add((str(body.get("class_id")), int(str(sequence))))
        with file.open("rb") as lines:
            for line in lines:
                event = _parse_event(line)
                statement = parse_statement(event) if event else None
                if statement is None:
                    continue
                memory.observer.take(statement, self._monotonic())
                memory.seen.add((statement.log, statement.number))
                if statement.name == "chain":
                    self._take_head(box, memory, statement)


def _parse_event(payload: bytes) -> dict[str, object] | None:
    try:
        event = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None


def _alarm(box: str, fault: LogFault) -> WitnessAlarm:
    return WitnessAlarm(box, fault.kind, fault.log, fault.number, fault.detail)
