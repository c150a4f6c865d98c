"""The worker that receives: connects, gathers messages into batches, stores, acknowledges.

A message is acknowledged after the transaction that stored it, so what the broker considers delivered is on the disk. A kill
between the two brings it again, and it is stored once.
"""

from __future__ import annotations

import logging
import random
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from agent.contract.topics import ROOT
from agent.core.clock import Clock, format_utc
from agent.core.errors import BureauError, SiteAgentError
from agent.mqtt.connection import BrokerConnection, ReceivedMessage
from agent.mqtt.options import BrokerOptions
from board.ingest.batch import BatchWriter
from board.ingest.message import Arrival, parse_arrivals
from board.ingest.options import IngestOptions
from board.store import facts
from board.store.database import Database

log = logging.getLogger(__name__)
_POLL_S = 0.05
_LULL_S = 0.02
_STEADY_S = 10.0


@dataclass(frozen=True, slots=True)
class Publication:
    """A message that the board sends. `done` is called when the broker has it."""

    topic: str
    payload: bytes
    retain: bool
    done: Callable[[], None] = lambda: None


class IngestWorker:
    """Receives what boxes say and sends what the board says. For one thread; `publish` may be called by others."""

    def __init__(
        self, database: Database, writer: BatchWriter, clock: Clock, broker: BrokerOptions, options: IngestOptions
    ) -> None:
        self._database = database
        self._writer = writer
        self._clock = clock
        self._options = options
        self._broker = replace(broker, window=options.window)
        self._outgoing: deque[Publication] = deque()
        self._flight: dict[int, Publication] = {}
        self.connected_since: float | None = None
        """Monotonic time since which the connection is up; None while there is none."""
        self.handled = 0
        """Messages stored and acknowledged."""
        self.turns = 0
        """Grows while the worker is alive: with each pass of its loop that ended well."""
        self.problem = ""

    def publish(self, publication: Publication) -> None:
        """Send a message as soon as there is a connection; forgotten where the process ends before."""
        self._outgoing.append(publication)

    def run(self, stop: threading.Event) -> None:
        """Receive until `stop`."""
        waits = self._generate_delays()
        while not stop.is_set():
            begun = self._clock.monotonic()
            try:
                self._run_once(stop)
            except SiteAgentError as error:
                if str(error) != self.problem:
                    log.warning("%s", error)
                self.problem = str(error)
                if self._clock.monotonic() - begun > _STEADY_S:
                    waits = self._generate_delays()
                self._clock.wait(stop, next(waits))
            finally:
                self.connected_since = None

    def _generate_delays(self) -> Iterator[float]:
        """Yield delays that double, each drawn from its upper half."""
        delay = self._options.pause_min_s
        while True:
            yield delay * random.uniform(0.5, 1)  # noqa: S311 - not a secret
            delay = min(delay * 2, self._options.pause_max_s)

    def leave(self, stop: threading.Event) -> int:
        """Take in what the broker still holds for this worker and end its session; return how many messages that were.

        For a worker of a shared subscription that will not come back: brokers hand messages to one that is away as well,
        and they would wait in its session. Raises BureauError, StoreError.
        """
        connection = self._connect()
        try:
            connection.unsubscribe([self._topic])
            self._await_answer(connection)
            quiet = self._clock.monotonic() + self._options.quiet_s
            while not stop.is_set() and self._clock.monotonic() < quiet:
                before = self.handled
                self._turn(connection)
                if self.handled > before:
                    quiet = self._clock.monotonic() + self._options.quiet_s
        finally:
            connection.close(clean=True)
        if not stop.is_set():
            # a session without expiry begins clean and ends with its connection
            last = BrokerConnection(
                replace(self._broker, session_expiry_s=0), client_id=self._options.client_id, will=None, manual_ack=True
            )
            last.open()
            last.close(clean=True)
        return self.handled

    def _run_once(self, stop: threading.Event) -> None:
        if facts.read_fact(self._database, facts.RESYNC) != facts.DONE:
            # the session first: what boxes say while retained messages are read waits in it
            self._open().close(clean=True)
            self._read_retained(stop)
        connection = self._open()
        try:
            self.connected_since, self.problem = self._clock.monotonic(), ""
            log.info("connected to %s:%s", self._broker.host, self._broker.port)
            while not stop.is_set():
                self._turn(connection)
        finally:
            # what waits to be acknowledged is sent again for another connection
            self._outgoing.extendleft(reversed(self._flight.values()))
            self._flight.clear()
            connection.close(clean=True)

    @property
    def _topic(self) -> str:
        return f"$share/{self._options.name}/{ROOT}/#" if self._options.shared else f"{ROOT}/#"

    def _connect(self) -> BrokerConnection:
        """Connect with the session that the broker keeps."""
        connection = BrokerConnection(self._broker, client_id=self._options.client_id, will=None, manual_ack=True)
        try:
            connection.open()
        except SiteAgentError:
            connection.close(clean=False)
            raise
        return connection

    def _open(self) -> BrokerConnection:
        """Connect and subscribe."""
        connection = self._connect()
        try:
            connection.subscribe([self._topic], retained=False)
            self._await_answer(connection)
        except SiteAgentError:
            connection.close(clean=False)
            raise
        return connection

    def _await_answer(self, connection: BrokerConnection) -> None:
        """Wait for the answer to a subscription. Raises BureauError where it is a refusal: nothing would ever come."""
        deadline = self._clock.monotonic() + self._broker.connect_timeout_s
        while connection.is_subscribing():
            if self._clock.monotonic() > deadline:
                raise BureauError("bureau.no_welcome", host=self._broker.host, port=self._broker.port)
            connection.step(_POLL_S)
        if connection.refused_topics:
            raise BureauError("board.not_subscribed", topic=connection.refused_topics[0])

    def _turn(self, connection: BrokerConnection) -> None:
        """Gather a batch, store and acknowledge it; send what is to be sent."""
        batch = self._gather(connection)
        if batch:
            self._store(batch)
            for message in batch:
                connection.acknowledge(message.mid)
            self.handled += len(batch)
        while self._outgoing:
            publication = self._outgoing.popleft()
            mid = connection.publish(publication.topic, publication.payload, retain=publication.retain)
            self._flight[mid] = publication
        while connection.acks:
            mid, refused = connection.acks.popleft()
            sent = self._flight.pop(mid, None)
            if sent and refused:
                log.warning("%s: %s", sent.topic, refused)
            elif sent:
                sent.done()
        self.turns += 1

    def _gather(self, connection: BrokerConnection) -> list[ReceivedMessage]:
        """Wait for messages until there are enough for a batch, the first has waited long enough, or no more come.

        No more come where the broker waits for acknowledgements: it bounds how many may be under way.
        """
        options = self._options
        connection.step(_POLL_S)
        if connection.inbox:
            until = self._clock.monotonic() + options.batch_s
            while len(connection.inbox) < options.batch and (left := until - self._clock.monotonic()) > 0:
                before = len(connection.inbox)
                connection.step(min(left, _LULL_S))
                if len(connection.inbox) == before:
                    break
        return [connection.inbox.popleft() for _ in range(min(options.batch, len(connection.inbox)))]

    def _store(self, batch: list[ReceivedMessage]) -> None:
        at = format_utc(self._clock.now())
        found: list[Arrival] = []
        for m in batch:
            found += parse_arrivals(m.topic, m.payload, retained=m.retained, again=m.duplicate, at=at)
        self._write(found)

    def _write(self, arrivals: list[Arrival]) -> None:
        if arrivals:
            for box, kind in self._writer.write(arrivals).alarms:
                log.warning("%s: %s", box, kind)

    def _read_retained(self, stop: threading.Event) -> None:
        """Read what the broker keeps of all boxes, for a database that is new or was restored.

        A connection of its own without a session: a shared subscription brings nothing retained.
        """
        plain = replace(self._broker, session_expiry_s=0)
        connection = BrokerConnection(
            plain, client_id=f"{self._options.client_id}.retained", will=None, manual_ack=True
        )
        try:
            connection.open()
            connection.subscribe([f"{ROOT}/#"])
            self._await_answer(connection)
            quiet = self._clock.monotonic() + self._options.quiet_s
            while not stop.is_set() and self._clock.monotonic() < quiet:
                batch = self._gather(connection)
                kept = [message for message in batch if message.retained]
                self._store(kept)
                for message in batch:
                    connection.acknowledge(message.mid)
                if kept:
                    quiet = self._clock.monotonic() + self._options.quiet_s
                self.turns += 1
            if not stop.is_set():
                facts.write_fact(self._database, facts.RESYNC, facts.DONE)
        finally:
            connection.close(clean=True)
