"""The box's own retained `state`: what it publishes there, and what another sender published there.

Two boxes of one name (a copied memory card) keep taking each other's connection away, and the bureau gets both boxes'
messages under one name. Most brokers do not report it. But the box is subscribed to its own topic: a state with another
`boot_id` comes from another box, if it cannot come from an earlier run of this one.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from agent import i18n
from agent.bureau.heartbeat import build_position
from agent.bureau.options import BureauOptions
from agent.catalog import Catalog
from agent.contract.box import StateBody
from agent.contract.envelope import unwrap, wrap
from agent.core import clock as clocks
from agent.core.alert_model import AlertKind
from agent.core.clock import Clock
from agent.core.errors import BureauError
from agent.core.statement_model import LogPosition
from agent.mqtt.connection import ReceivedMessage

log = logging.getLogger(__name__)
_SUBJECT = "box"
_OVER_S = 3600.0  # without a message of the other box the alert is cleared


class StateTopic:
    """For one thread. `since` in the messages is when the connection began, so that an old will can be recognised."""

    def __init__(self, catalog: Catalog, clock: Clock, options: BureauOptions, *, boot_id: str, version: str) -> None:
        self._catalog = catalog
        self._clock = clock
        self._options = options
        self._boot_id = boot_id
        self._version = version
        self._first: datetime | None = None
        self._echoed = False
        self._position: LogPosition | None = None
        open_ = catalog.alerts.open_one(AlertKind.BOX_DUPLICATE, _SUBJECT)
        self._seen = clock.monotonic() if open_ else None

    def message(self, state: Literal["online", "offline", "stopped"], since: datetime) -> bytes:
        """Return the payload of will, birth or goodbye; will and birth differ in `state` only."""
        if state != "online":
            self._position = self._catalog.statements.current()
        data: StateBody = {
            "state": state,
            "boot_id": self._boot_id,
            "version": self._version,
            "since": clocks.format_local(since, self._catalog.zone),
            "statements": build_position(self._position),
        }
        return wrap(
            event_id=str(uuid.uuid4()),
            source=self._options.source,
            name="state",
            subject="state",
            at=since,
            zone=self._catalog.zone,
            data=data,
        )

    def connecting(self) -> None:
        """Forget what was heard on the connection before."""
        self._echoed = False

    def take(self, message: ReceivedMessage) -> bool:
        """Take in a message on the topic.

        True where the box's birth was overwritten and must be published again, as after the will of an old connection.
        """
        try:
            data: Mapping[str, object] = unwrap(message.payload).body if message.payload else {}
        except BureauError:
            data = {}
        online = data.get("state") == "online"
        if data.get("boot_id") == self._boot_id:
            self._echoed |= online and not message.retained
            if self._echoed and self._first is None:
                self._first = self._clock.now()
        elif isinstance(data.get("boot_id"), str) and self._is_another(message, data):
            self.other_box()
        return not online and not message.retained

    def _is_another(self, message: ReceivedMessage, data: Mapping[str, object]) -> bool:
        """Whether it cannot come from an earlier run of this box.

        What an earlier run left behind (retained at the broker, queued for its session, a late will) comes before the echo of
        this run's birth, or its connection began before that.
        """
        if data.get("state") == "online" and not message.retained and self._echoed:
            return True
        try:
            since = clocks.parse_time(str(data.get("since")))
        except ValueError:
            return False
        return self._first is not None and since > self._first

    def other_box(self) -> None:
        """Report that there is another box of this name: to the log and, once, to the bureau."""
        if self.problem() is None:
            log.error("%s", BureauError("bureau.taken_over"))
        self._seen = self._clock.monotonic()
        text = i18n.translate("bureau.duplicate", box=self._options.prefix.removeprefix("training/v1/"))
        self._catalog.alerts.raise_(AlertKind.BOX_DUPLICATE, _SUBJECT, text, self._clock.now())

    def problem(self) -> BureauError | None:
        """Return the error while the other box was seen within the last hour; clear the alert afterwards."""
        if self._seen is None:
            return None
        if self._clock.monotonic() - self._seen > _OVER_S:
            self._seen = None
            self._catalog.alerts.clear(AlertKind.BOX_DUPLICATE, _SUBJECT, self._clock.now())
            return None
        return BureauError("bureau.taken_over")
