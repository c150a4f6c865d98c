"""Sends the outbox over one connection: a bounded number of messages in flight, in order, deleted on acknowledgement.

Order on a new connection: first retained messages (the newest of each topic for a broker that came back empty, then what
waits for those topics), then the birth, then the rest. So a subscriber that finds the box `online` finds its retained state
correct. A statement is held back until the drive in use has it (at most `hold_s`): a box that loses its catalog then never
has to say another thing under a number that it has sent. Of a retained topic's waiting messages only the newest is sent
with the retain flag: a late subscriber never gets an old one.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass
from datetime import timedelta

from agent.bureau.options import BureauOptions
from agent.bureau.suspects import SentMessage, SuspectMessages
from agent.catalog import Catalog
from agent.catalog.outbox import OutboxMessage
from agent.contract.envelope import TELL_REPLAYED, wrap
from agent.core.clock import Clock
from agent.core.errors import BureauError
from agent.mqtt.connection import BrokerConnection

log = logging.getLogger(__name__)
_PACKET_OVERHEAD = 256
_UNHELD_S = 60.0


@dataclass(frozen=True, slots=True)
class _InFlight:
    """A message in flight. `at` is monotonic; `message` is None for what is not from the outbox."""

    at: float
    sent: SentMessage
    message: OutboxMessage | None = None


class OutboxSender:
    """Sends the outbox over `connection`.

    `birth` publishes the box's `online` and returns the message ID and what was sent. `suspects` knows which topics break the
    link.
    """

    def __init__(
        self,
        connection: BrokerConnection,
        catalog: Catalog,
        clock: Clock,
        options: BureauOptions,
        birth: Callable[[], tuple[int, SentMessage]],
        suspects: SuspectMessages,
    ) -> None:
        self._connection = connection
        self._catalog = catalog
        self._clock = clock
        self._options = options
        self._birth = birth
        self._suspects = suspects
        self._before = catalog.outbox.last()
        self._flight: dict[int, _InFlight] = {}
        self._blocked: dict[str, BureauError] = {}
        self._retry_at: float | None = None
        self._messages = self._in_order()
        self._held: tuple[int, float] | None = None
        self._unheld_until = 0.0
        self.born = False
        self.acknowledged = 0

    def step(self) -> None:
        """Take acknowledgements, send what the window allows. Raises BureauError where the broker does not acknowledge."""
        self.take_acks()
        self._check_flight()
        if self._retry_at is not None and time.monotonic() >= self._retry_at:
            self._retry_at = None
            self._blocked.clear()
            if self.born:
                self._messages = self._rest()
        while self.has_room():
            message = next(self._messages)
            if message is None:
                return
            if message.topic not in self._blocked:
                self._send(message)

    def has_room(self) -> bool:
        """Return whether one more message may be in flight; beyond its limit a broker closes the connection."""
        return len(self._flight) < (1 if self._suspects.alone else self._connection.window)

    def track(self, mid: int, sent: SentMessage) -> None:
        """Count a message that is not from the outbox (birth, answer) as in flight."""
        self._flight[mid] = _InFlight(time.monotonic(), sent)

    def under_way(self) -> Set[int]:
        """Return the IDs of the messages that wait for their acknowledgement."""
        return self._flight.keys()

    def sent(self) -> list[SentMessage]:
        """Return what waits for its acknowledgement."""
        return [waiting.sent for waiting in self._flight.values()]

    def problems(self) -> list[BureauError]:
        """Return an error for each topic that the broker refused."""
        return list(self._blocked.values())

    def _is_set_aside(self, topic: str, size: int | None = None) -> bool:
        until = self._suspects.set_aside_until(topic, size)
        if until is not None:
            self._retry_at = min(until, self._retry_at or until)
        return until is not None

    def _in_order(self) -> Iterator[OutboxMessage | None]:
        yield from self._catalog.outbox.remembered(settled=True)
        cursor = 0
        while rows := self._catalog.outbox.waiting(cursor, retained=True):
            # what is held back comes with the rest
            yield from (row for row in rows if not row.held or not self._options.hold_s)
            cursor = rows[-1].seq
        if not self._is_set_aside("state"):
            self.track(*self._birth())
        self.born = True
        yield None  # the birth counts as in flight
        yield from self._rest()

    def _rest(self) -> Iterator[OutboxMessage | None]:
        cursor = 0
        while True:
            rows = self._catalog.outbox.waiting(cursor)
            if not rows:
                yield None
                continue
            for row in rows:
                if self._is_held(row):
                    yield None
                    break
                if row.seq not in {waiting.message.seq for waiting in self._flight.values() if waiting.message}:
                    yield row
                cursor = row.seq

    def _is_held(self, message: OutboxMessage) -> bool:
        """Return whether a statement waits for the drive; without a drive that takes it, nothing waits for a while."""
        now = time.monotonic()
        if not message.held or now < self._unheld_until:
            return False
        if self._held is None or self._held[0] != message.seq:
            self._held = (message.seq, now)
        if now - self._held[1] < self._options.hold_s:
            return True
        self._unheld_until = now + _UNHELD_S
        return False

    def _send(self, message: OutboxMessage) -> None:
        payload = self._payload(message)
        newest = message.retained and message.latest
        if self._is_set_aside(message.topic, len(payload) if newest else None):
            return
        largest = self._connection.largest
        if largest is not None and len(payload) + _PACKET_OVERHEAD > largest:
            self._block(message.topic, BureauError("bureau.too_large", topic=message.topic, size=len(payload)))
            return
        topic = f"{self._options.prefix}/{message.topic}"
        mid = self._connection.publish(topic, payload, retain=newest)
        self._flight[mid] = _InFlight(time.monotonic(), SentMessage(message.topic, len(payload)), message)

    def _payload(self, message: OutboxMessage) -> bytes:
        if message.type == "":
            return b""
        replayed = message.seq > 0 and self._is_late(message)
        data = message.data
        if message.type in TELL_REPLAYED and isinstance(data, dict):
            data = {**data, "replayed": replayed}
        return wrap(
            event_id=message.event_id,
            source=self._options.source,
            name=message.type,
            subject=message.topic,
            at=message.created_at,
            zone=self._catalog.zone,
            data=data,
            replayed=replayed,
            statement=message.statement,
        )

    def _is_late(self, message: OutboxMessage) -> bool:
        """Whether it was written before this connection (by number: the clock may have been set back), or `late_s` ago."""
        age = self._clock.now() - message.created_at
        return message.seq <= self._before or age > timedelta(seconds=self._options.late_s)

    def take_acks(self) -> None:
        """Delete what the broker has acknowledged, in one transaction: on a slow disk each commit costs milliseconds."""
        done = []
        while self._connection.acks:
            mid, refusal = self._connection.acks.popleft()
            waiting = self._flight.pop(mid, None)
            if waiting is None:
                continue
            self._suspects.acknowledged(waiting.sent.topic)
            if refusal is not None:
                topic = waiting.sent.topic
                self._block(topic, BureauError("bureau.publish_refused", topic=topic, detail=refusal))
                continue
            self.acknowledged += 1
            if waiting.message and waiting.message.seq:
                done.append(waiting.message.seq)
        if done:
            with self._catalog.store.write():
                for seq in done:
                    self._catalog.outbox.done(seq)

    def _block(self, topic: str, error: BureauError) -> None:
        """Leave a topic alone for a while: its messages stay in the outbox, the other topics go on."""
        if topic not in self._blocked:
            log.warning("%s", error)
        self._blocked[topic] = error
        self._retry_at = time.monotonic() + self._options.refused_pause_s

    def _check_flight(self) -> None:
        if self._flight:
            oldest = next(iter(self._flight.values())).at
            if time.monotonic() - oldest > self._options.ack_timeout_s:
                raise BureauError("bureau.no_ack", seconds=round(self._options.ack_timeout_s))
