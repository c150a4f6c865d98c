"""The worker that keeps the box connected to the bureau's broker."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from agent import i18n
from agent.bureau.diagnose import diagnose_refusal
from agent.bureau.dispatcher import Dispatcher
from agent.bureau.handlers import BureauHandlers
from agent.bureau.options import BureauOptions
from agent.bureau.outbox_sender import OutboxSender
from agent.bureau.own_state import StateTopic
from agent.bureau.read_back import READ_BACK_TOPICS, BrokerKnowledge
from agent.bureau.retained import RetainedReconciler
from agent.bureau.suspects import SentMessage, SuspectMessages
from agent.bureau.warnings import LinkWarnings
from agent.catalog import Catalog
from agent.core import shortage
from agent.core.class_model import TrainingClass
from agent.core.clock import Clock
from agent.core.errors import BureauError, SiteAgentError
from agent.core.left_behind import wait_for_call
from agent.mqtt.connection import BrokerConnection, ReceivedMessage

log = logging.getLogger(__name__)
_GOODBYE_S = 3.0
_REBIRTH_S = 5.0


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """State of the link. `since`: when `connected` last changed; `problem`: one line on why there is no connection."""

    connected: bool
    since: datetime
    problem: str | None


class _Stopped(Exception):
    """The service stops while the link is being opened."""


class BureauLink:
    """The worker of the link; see docs/reference/mqtt.md.

    `classes` come from the attendance stage. Raises SettingsError for unusable names or certificate files.
    """

    def __init__(
        self,
        catalog: Catalog,
        clock: Clock,
        options: BureauOptions,
        *,
        boot_id: str,
        version: str,
        classes: Callable[[], list[TrainingClass]],
        handlers: BureauHandlers,
    ) -> None:
        options.check()
        self._catalog = catalog
        self._clock = clock
        self._options = options
        self._own = StateTopic(catalog, clock, options, boot_id=boot_id, version=version)
        self._suspects = SuspectMessages(options.aside_pause_s)
        self._hunting = False
        self._warnings = LinkWarnings(catalog)
        self._known = BrokerKnowledge(catalog, clock, options)
        self._mirror = RetainedReconciler(catalog, clock, options, classes)
        self._dispatcher = Dispatcher(catalog, clock, options, handlers)
        self._status = LinkStatus(False, clock.now(), None)
        self._since = clock.now()
        self._reborn = 0.0
        self._rebirth_due = False
        self._acknowledged = False
        self._explained: tuple[str, BureauError] | None = None

    def status(self) -> LinkStatus:
        """Return the present state."""
        return self._status

    def run(self, stop: threading.Event) -> None:
        """Stay connected until `stop`, then publish `stopped` and disconnect."""
        waits = generate_reconnect_delays(self._options)
        try:
            while not stop.is_set():
                self._acknowledged, self._hunting, begun = False, False, time.monotonic()
                try:
                    with shortage.convert_shortage():
                        self._run_once(stop)
                except SiteAgentError as error:
                    self._lost(error)
                    # a CONNACK alone does not prove a working broker, nor does a connection that soon ends again,
                    # as with two boxes of one name
                    if self._hunting or (self._acknowledged and time.monotonic() - begun > self._options.steady_s):
                        waits = generate_reconnect_delays(self._options)
                    self._clock.wait(stop, next(waits))
        finally:
            self._dispatcher.close()

    def _run_once(self, stop: threading.Event) -> None:
        """Hold one connection, from CONNECT until `stop`. Raises BureauError where it ends before."""
        self._since = self._clock.now()
        will = self._own.message("offline", self._since)
        connection = BrokerConnection(
            self._options, client_id=self._options.client_id, will=(self._topic("state"), will)
        )
        try:
            wait_for_call("bureau connects", lambda: self._open(connection, will), lambda: _raise_stopped(stop))
        except _Stopped:
            return  # the connection is left to its thread
        clean = False
        try:
            self._welcome()
            self._own.connecting()
            self._rebirth_due, self._dispatcher.largest = False, connection.largest
            try:
                self._read_back(connection, stop)
            except BureauError as error:
                self._note_taken_over(error)
                raise
            sender = OutboxSender(
                connection, self._catalog, self._clock, self._options, lambda: self._birth(connection), self._suspects
            )
            self._mirror.start()
            clean = self._serve(connection, sender, stop)
        finally:
            connection.close(clean=clean)

    def _read_back(self, connection: BrokerConnection, stop: threading.Event) -> None:
        """Subscribe, and hear what the broker knows of this box before anything is sent that could replace it.

        Raises BureauError.
        """
        self._known.start()
        topics = ("classes/+", "models", "request/+", "witness/+", *READ_BACK_TOPICS)
        connection.subscribe([self._topic(topic) for topic in topics])
        begun, heard = time.monotonic(), False
        # brokers send what they retain in the order of the subscriptions: `state`, the last one, ends the wait
        while not stop.is_set() and (connection.is_subscribing() or not heard):
            connection.step(min(0.05, self._options.readback_s))
            heard = any(message.retained and message.topic == self._topic("state") for message in connection.inbox)
            waited = time.monotonic() - begun
            if connection.is_subscribing() and waited > self._options.ack_timeout_s:
                raise BureauError("bureau.no_ack", seconds=round(self._options.ack_timeout_s))
            heard |= not connection.is_subscribing() and waited > self._options.readback_s
        for message in connection.inbox:
            if message.retained:
                self._known.take(message)
        self._known.conclude()

    def _open(self, connection: BrokerConnection, will: bytes) -> None:
        """Connect. Raises BureauError, with what is wrong as far as that can be found out."""
        try:
            connection.open()
        except BureauError as error:
            connection.close(clean=False)
            if self._explained is None or self._explained[0] != str(error):
                self._explained = str(error), diagnose_refusal(error, self._options, will)
            raise self._explained[1].with_traceback(None) from None
        self._explained = None

    def _serve(self, connection: BrokerConnection, sender: OutboxSender, stop: threading.Event) -> bool:
        """Work until `stop`; return whether the broker then has `stopped`."""
        try:
            while not stop.is_set():
                self._turn(connection, sender, self._options.poll_s)
            return self._goodbye(connection, sender)
        except BureauError as error:
            self._note_taken_over(error)
            # where another box takes the connection away, no message is to blame
            self._hunting = self._own.problem() is None and self._suspects.broke(sender.sent())
            raise

    def _note_taken_over(self, error: BureauError) -> None:
        if error.key == "bureau.taken_over":
            self._own.other_box()

    def _turn(self, connection: BrokerConnection, sender: OutboxSender, timeout: float) -> None:
        connection.step(timeout)
        while connection.inbox:
            self._take(connection.inbox.popleft(), sender)
        while connection.refused_topics:
            log.warning("%s", i18n.translate("bureau.subscribe_refused", topic=connection.refused_topics.pop()))
        self._be_born_again(connection, sender)
        while self._dispatcher.answers and sender.has_room():
            answer = self._dispatcher.answers.popleft()
            mid = connection.publish(answer.topic, answer.payload, retain=False, correlation=answer.correlation)
            sender.track(mid, SentMessage(answer.topic, len(answer.payload), again=False))
        self._mirror.step()
        sender.step()
        self._acknowledged = sender.acknowledged > 0
        self._warn(sender.problems())

    def _take(self, message: ReceivedMessage, sender: OutboxSender) -> None:
        if message.topic == self._topic("state"):
            overwritten = self._own.take(message)
            if sender.born and not message.retained:
                self._rebirth_due = overwritten
        else:  # what the box itself published under its other own topics was read before; the dispatcher passes it over
            self._dispatcher.take(message)

    def _be_born_again(self, connection: BrokerConnection, sender: OutboxSender) -> None:
        if self._rebirth_due and sender.has_room() and time.monotonic() - self._reborn > _REBIRTH_S:
            self._rebirth_due, self._reborn = False, time.monotonic()
            if self._suspects.set_aside_until("state") is None:
                sender.track(*self._birth(connection))

    def _goodbye(self, connection: BrokerConnection, sender: OutboxSender) -> bool:
        """Publish `stopped` and wait a little for messages in flight; True where the broker has `stopped`."""
        deadline = time.monotonic() + _GOODBYE_S
        while not sender.has_room() and time.monotonic() < deadline:
            connection.step(0.1)
            sender.take_acks()
        if not sender.has_room():
            return False
        mid, sent = self._say(connection, "stopped", self._clock.now())
        sender.track(mid, sent)
        while sender.under_way() and time.monotonic() < deadline:
            connection.step(0.1)
            sender.take_acks()
        return mid not in sender.under_way()

    def _birth(self, connection: BrokerConnection) -> tuple[int, SentMessage]:
        return self._say(connection, "online", self._since)

    def _say(
        self, connection: BrokerConnection, state: Literal["online", "stopped"], since: datetime
    ) -> tuple[int, SentMessage]:
        payload = self._own.message(state, since)
        return connection.publish(self._topic("state"), payload, retain=True), SentMessage("state", len(payload))

    def _topic(self, suffix: str) -> str:
        return f"{self._options.prefix}/{suffix}"

    def _welcome(self) -> None:
        self._status = LinkStatus(True, self._clock.now(), None)
        where = {"host": self._options.host, "port": self._options.port}
        log.info("%s", i18n.translate("bureau.connected", **where, waiting=self._catalog.outbox.size()))

    def _warn(self, refused: list[BureauError]) -> None:
        other = self._own.problem()
        self._warnings.set([*([other] if other else []), *self._suspects.problems(), *refused])

    def _lost(self, error: SiteAgentError) -> None:
        problem = str(error)
        self._warn([])
        if self._status.connected or self._status.problem != problem:
            log.warning("%s", problem)
            since = self._clock.now() if self._status.connected else self._status.since
            self._status = LinkStatus(False, since, problem)


def _raise_stopped(stop: threading.Event) -> None:
    if stop.is_set():
        raise _Stopped


def probe_broker(options: BureauOptions, name: str = "probe") -> None:
    """Connect once as the service does and disconnect.

    The client ID is its own (it ends in `name`), so that the service's session is left alone. Raises BureauError,
    SettingsError saying why it cannot be done.
    """
    options.check()
    once = replace(options, session_expiry_s=0)
    connection = BrokerConnection(once, client_id=f"{options.client_id}-{name}", will=None)
    try:
        connection.open()
    except BureauError as error:
        raise diagnose_refusal(error, options) from error
    finally:
        with suppress(BureauError):
            connection.close(clean=True)


def generate_reconnect_delays(options: BureauOptions) -> Iterator[float]:
    """Yield seconds between attempts, growing and with wide jitter, so that a county's boxes do not reconnect in step."""
    dice, pause = random.SystemRandom(), options.pause_min_s
    yield dice.uniform(0, options.pause_min_s)
    while True:
        pause = min(options.pause_max_s, dice.uniform(options.pause_min_s, pause * 3))
        yield pause
