"""What must be done by one process alone: holes, countersignatures, thinning. The leading worker does it."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta

from sqlalchemy import Connection, Select, and_, exists, or_, select

from agent.contract.statements import build_witness_body
from agent.contract.topics import ROOT
from agent.core.clock import Clock, format_utc, parse_time
from agent.core.errors import SiteAgentError
from agent.core.statement_rule import HOLE_AFTER_S
from agent.core.witness_text import parse_witness_text
from board.clips.asking import ask_boxes
from board.clips.keeping import ClipKeeper
from board.clips.options import FetchOptions
from board.errors import StoreError
from board.ingest.alarm_rows import make_fault_alarm
from board.ingest.judge import SILENT_S
from board.ingest.memory import BoxMemory, Memories
from board.ingest.rows import Rows
from board.ingest.worker import IngestWorker, Publication
from board.store.database import Database
from board.store.tables import alarms, boxes, logs, statements
from board.store.thinning import thin_heartbeats
from board.witness.signer import Signer

log = logging.getLogger(__name__)
EVERY_S, HOLES_EVERY_S, THIN_EVERY_S = 1.0, 15.0, 3600.0
ASK_AFTER_S, ASK_AGAIN_S = 60.0, 600.0
_MOST_ASKED = 1000


class HoleWatch:
    """Finds what is missing: asks the box for it, and raises the alarm where it does not come."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._memories = Memories(clock)

    def look(self, connected_since: float) -> list[tuple[str, dict[str, object]]]:
        """Look at all boxes; return (box, parameters) of each request for what is missing. Raises StoreError.

        `connected_since`: monotonic time since which the board is connected to the broker.
        """
        now = self._clock.now()
        here = format_utc(now - timedelta(seconds=SILENT_S))
        with self._database.read() as connection:
            names = connection.execute(_build_lacking().where(boxes.c.beat_at >= here)).scalars().all()
        asked = []
        if names:
            with self._database.write() as connection:
                memories = self._memories.lock(connection, names, None)
                asked = [
                    found for memory in memories.values() if (found := self._judge(connection, memory, connected_since))
                ]
                self._memories.save(connection, memories.values())
        return asked

    def _judge(
        self, connection: Connection, memory: BoxMemory, connected_since: float
    ) -> tuple[str, dict[str, object]] | None:
        observer, now, at = memory.observer, self._clock.monotonic(), format_utc(self._clock.now())
        online = memory.row["online_since"]
        up = min(now - connected_since, self._age(online) if online else 0.0)
        if up >= HOLE_AFTER_S:
            for fault in observer.find_hole(now):
                rows, known = Rows(), observer.whole and observer.whole.as_data()
                rows.add(
                    alarms,
                    make_fault_alarm(memory.box_id, fault, at, {"known": known, "waiting": len(observer.waiting)}),
                )
                rows.put(connection)
                log.warning("%s: %s", memory.name, fault.kind)
        later = [arrived for _, arrived in observer.waiting.values()] + (
            [observer.stated[1]] if observer.stated else []
        )
        asked_at = memory.row["asked_at"]
        if (
            observer.whole is None
            or min(up, now - min(later, default=now)) < ASK_AFTER_S
            or (asked_at and self._age(asked_at) < ASK_AGAIN_S)
        ):
            return None
        memory.changes["asked_at"] = at
        first = observer.whole.number + 1
        last = min(observer.waiting, default=(observer.stated or (first, 0.0))[0] + 1) - 1
        return memory.name, {"log": observer.whole.log, "from": first, "to": min(last, first + _MOST_ASKED - 1)}

    def _age(self, at: object) -> float:
        return (self._clock.now() - parse_time(str(at))).total_seconds()


def _build_lacking() -> Select[str]:
    waiting = exists().where(
        and_(logs.c.box_id == boxes.c.id, logs.c.log == boxes.c.log, statements.c.log_id == logs.c.id,
             statements.c.number > boxes.c.whole_number)
    )  # fmt: skip
    return select(boxes.c.name).where(or_(waiting, boxes.c.behind_number > boxes.c.whole_number))


class Duties:
    """The loop of the leading worker; the other workers run it too and wait for the lead.

    `chores`: what other packages have it do each second; they raise the project's errors.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        worker: IngestWorker,
        signer: Signer | None,
        keep_days: int,
        fetch: FetchOptions | None = None,
        chores: Sequence[Callable[[], None]] = (),
    ) -> None:
        self._database = database
        self._clock = clock
        self._worker = worker
        self._signer = signer
        self._keep_days = keep_days
        self._chores = chores
        self._holes = HoleWatch(database, clock)
        self._fetch = fetch
        self._keeper = ClipKeeper(database, clock, fetch) if fetch else None
        self._queued: set[int] = set()
        self._due: dict[str, float] = {}
        # for other threads, which must not call `try_lead`: it uses one connection
        self.leading = False

    def run(self, stop: threading.Event) -> None:
        """Do what is due, each second, until `stop`."""
        problem = ""
        while not self._clock.wait(stop, EVERY_S):
            try:
                self.step()
                problem = ""
            except SiteAgentError as error:
                if str(error) != problem:
                    log.warning("%s", error)
                problem = str(error)

    def step(self) -> None:
        """Do what is due. Raises StoreError, DriveError."""
        if not self._lead():
            return
        connected = self._worker.connected_since
        if connected is not None and self._is_due("holes", HOLES_EVERY_S):
            for box, asked in self._holes.look(connected):
                self._worker.publish(Publication(f"{ROOT}/{box}/request/statements", _encode(asked), retain=False))
        self._see_to_clips(connected=connected is not None)
        if self._signer is not None:
            self._signer.sign_due()
            self._publish(self._signer)
        if self._is_due("thin", THIN_EVERY_S):
            thin_heartbeats(self._database, self._clock.now(), self._keep_days)
            if self._keeper:
                self._keeper.let_go()
        for chore in self._chores:
            chore()

        for chore in self._chores:
            chore()

    def _see_to_clips(self, *, connected: bool) -> None:
        """Judge what boxes have sent, and ask them for what was ordered."""
        if self._keeper is None or self._fetch is None:
            return
        self._keeper.judge_arrived()
        self._keeper.end_expired()
        if connected:
            for topic, payload in ask_boxes(self._database, self._clock, self._fetch):
                self._worker.publish(Publication(topic, payload, retain=False))

    def _lead(self) -> bool:
        try:
            self.leading = self._database.try_lead()
        except StoreError:
            self.leading = False
            raise
        return self.leading

    def _is_due(self, name: str, every_s: float) -> bool:
        now = self._clock.monotonic()
        if now < self._due.get(name, now):
            return False
        self._due[name] = now + every_s
        return True

    def _publish(self, signer: Signer) -> None:
        for number, box, raw, signature in signer.list_unpublished():
            if number in self._queued:
                continue
            text = parse_witness_text(raw)
            body = build_witness_body(text, raw, signature)
            self._queued.add(number)

            def done(number: int = number) -> None:
                signer.mark_published(number)
                self._queued.discard(number)

            topic = f"{ROOT}/{box}/witness/{text.class_id}"
            self._worker.publish(Publication(topic, _encode(body), retain=True, done=done))


def _encode(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()
