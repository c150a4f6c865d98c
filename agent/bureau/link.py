"""The worker that keeps the box connected to the bureau's broker."""

from __future__ import annotations

import logging
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from agent import clock as clocks
from agent import shortage, words
from agent.bureau.connection import Connection, Received
from agent.bureau.envelope import unwrap, wrap
from agent.bureau.incoming import Desk, Handler
from agent.bureau.mirror import Mirror
from agent.bureau.options import Options
from agent.bureau.pump import Pump
from agent.catalog import Catalog
from agent.clock import Clock
from agent.errors import BureauError, SiteAgentError
from agent.model import TrainingClass

log = logging.getLogger(__name__)
_GOODBYE_S = 3.0
_REBIRTH_S = 5.0


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """`since` is when `connected` last changed; `problem` the line that says why there is no connection."""

    connected: bool
    since: datetime
    problem: str | None


class BureauLink:
    """See docs/mqtt.md. `classes` and `accept_class` are the attendance stage's (the second checks a body and returns what
    to store), `requests` maps names to handlers. Raises SettingsError for names or certificate files that cannot be used."""

    def __init__(
        self,
        catalog: Catalog,
        clock: Clock,
        options: Options,
        *,
        boot_id: str,
        version: str,
        classes: Callable[[], list[TrainingClass]],
        accept_class: Callable[[Mapping[str, Any]], Mapping[str, Any]],
        requests: Mapping[str, Handler],
    ) -> None:
        options.check()
        self._catalog = catalog
        self._clock = clock
        self._options = options
        self._boot_id = boot_id
        self._version = version
        self._mirror = Mirror(catalog, clock, options, classes)
        self._desk = Desk(catalog, clock, options, requests=requests, accept_class=accept_class)
        self._status = LinkStatus(False, clock.now(), None)
        self._since = clock.now()
        self._reborn = 0.0
        self._rebirth_due = False
        self._acknowledged = False

    def status(self) -> LinkStatus:
        return self._status

    def run(self, stop: threading.Event) -> None:
        """Stay connected until `stop`, then say `stopped` and leave."""
        waits = pauses(self._options)
        try:
            while not stop.is_set():
                self._acknowledged, begun = False, time.monotonic()
                try:
                    with shortage.told():
                        self._run_once(stop)
                except SiteAgentError as error:
                    self._lost(error)
                    # a broker that only says welcome is not yet well, nor is one that soon sends the box away again,
                    # as two boxes of one name make it do
                    if self._acknowledged and time.monotonic() - begun > self._options.steady_s:
                        waits = pauses(self._options)
                    self._clock.wait(stop, next(waits))
        finally:
            self._desk.close()

    def _run_once(self, stop: threading.Event) -> None:
        """One connection, from CONNECT until `stop`. Raises BureauError where it ends before."""
        self._since = self._clock.now()
        will = (self._topic("state"), self._state("offline", self._since))
        connection = Connection(self._options, client_id=self._options.client_id, will=will)
        clean = False
        try:
            connection.open()
            self._welcome()
            self._rebirth_due, self._desk.largest = False, connection.largest
            connection.subscribe([self._topic(t) for t in ("classes/+", "request/+", "state")])
            pump = Pump(connection, self._catalog, self._clock, self._options, lambda: self._birth(connection))
            self._mirror.start()
            while not stop.is_set():
                self._turn(connection, pump, self._options.poll_s)
            clean = self._goodbye(connection, pump)
        finally:
            connection.close(clean=clean)

    def _turn(self, connection: Connection, pump: Pump, timeout: float) -> None:
        connection.step(timeout)
        while connection.inbox:
            self._take(connection.inbox.popleft(), pump)
        while connection.refused_topics:
            log.warning("%s", words.text("bureau.subscribe_refused", topic=connection.refused_topics.pop()))
        self._be_born_again(connection, pump)
        while self._desk.answers and pump.has_room():
            answer = self._desk.answers.popleft()
            pump.track(connection.publish(answer.topic, answer.payload, retain=False, correlation=answer.correlation))
        self._mirror.step()
        pump.step()
        self._acknowledged = pump.acknowledged > 0

    def _take(self, message: Received, pump: Pump) -> None:
        if message.topic == self._topic("state"):
            if pump.born and not message.retained:
                self._check_state(message)
        else:
            self._desk.take(message)

    def _check_state(self, message: Received) -> None:
        """An old connection's will that arrives after the birth must not stand."""
        try:
            state = unwrap(message.payload).body.get("state") if message.payload else None
        except BureauError:
            state = None
        self._rebirth_due = state != "online"

    def _be_born_again(self, connection: Connection, pump: Pump) -> None:
        if self._rebirth_due and pump.has_room() and time.monotonic() - self._reborn > _REBIRTH_S:
            self._rebirth_due, self._reborn = False, time.monotonic()
            pump.track(self._birth(connection))

    def _goodbye(self, connection: Connection, pump: Pump) -> bool:
        """Publish `stopped` and wait a little for what is under way; True where the broker has `stopped`."""
        deadline = time.monotonic() + _GOODBYE_S
        while not pump.has_room() and time.monotonic() < deadline:
            connection.step(0.1)
            pump.take_acks()
        if not pump.has_room():
            return False
        mid = connection.publish(self._topic("state"), self._state("stopped", self._clock.now()), retain=True)
        pump.track(mid)
        while pump.under_way() and time.monotonic() < deadline:
            connection.step(0.1)
            pump.take_acks()
        return mid not in pump.under_way()

    def _birth(self, connection: Connection) -> int:
        return connection.publish(self._topic("state"), self._state("online", self._since), retain=True)

    def _state(self, state: str, since: datetime) -> bytes:
        """Will and birth are alike but for one word: `since` is the connection's, so an old will tells itself apart."""
        data = {
            "state": state, "boot_id": self._boot_id, "version": self._version,
            "since": clocks.rfc3339(since, self._catalog.zone),
        }  # fmt: skip
        return wrap(
            event_id=str(uuid.uuid4()), source=self._options.source, name="state", subject="state", at=since,
            zone=self._catalog.zone, data=data,
        )  # fmt: skip

    def _topic(self, suffix: str) -> str:
        return f"{self._options.prefix}/{suffix}"

    def _welcome(self) -> None:
        self._status = LinkStatus(True, self._clock.now(), None)
        where = {"host": self._options.host, "port": self._options.port}
        log.info("%s", words.text("bureau.connected", **where, waiting=self._catalog.outbox.size()))

    def _lost(self, error: SiteAgentError) -> None:
        problem = str(error)
        if self._status.connected or self._status.problem != problem:
            log.warning("%s", problem)
            since = self._clock.now() if self._status.connected else self._status.since
            self._status = LinkStatus(False, since, problem)


def probe(options: Options) -> None:
    """Connect once and leave, under a client ID of its own. Raises BureauError saying why it cannot be done."""
    options.check()
    once = replace(options, session_expiry_s=0)
    connection = Connection(once, client_id=f"{options.client_id}-probe", will=None)
    try:
        connection.open()
    finally:
        connection.close(clean=True)


def pauses(options: Options) -> Iterator[float]:
    """Seconds between attempts, growing and spread wide, so that a county's boxes do not come back in step."""
    dice, pause = random.SystemRandom(), options.pause_min_s
    yield dice.uniform(0, options.pause_min_s)
    while True:
        pause = min(options.pause_max_s, dice.uniform(options.pause_min_s, pause * 3))
        yield pause
