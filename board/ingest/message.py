"""A message from the broker, parsed as far as every kind needs it. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from agent.contract.topics import ROOT, TYPE
from agent.core.model import is_id
from agent.core.statement_model import Statement, parse_statement

MAX_PAYLOAD = 1 << 20
_PREFIX, _TYPE = f"{ROOT}/", TYPE.partition("{name}")[0]
FROM_BUREAU = frozenset({"classes", "witness"})
"""First level of topics on which the bureau speaks and the board listens to itself, or to another program of the bureau."""
_IGNORED = frozenset({"request", "response"})


@dataclass(frozen=True, slots=True)
class Arrival:
    """One message. `box` is county/site/box, `address` the topic after it, `at` the time of arrival (UTC text).

    `event` is None for what is no CloudEvent of a box: an empty payload clears a retained topic, anything else is malformed.
    `again`: the broker delivers it not for the first time.
    """

    box: str
    address: str
    payload: bytes
    event: Mapping[str, object] | None
    statement: Statement | None
    retained: bool
    again: bool
    at: str

    @property
    def kind(self) -> str:
        """Return the first level of the address."""
        return self.address.partition("/")[0]

    @property
    def data(self) -> object:
        """Return the event's data."""
        return self.event.get("data") if self.event else None


def parse_arrival(topic: str, payload: bytes, *, retained: bool, again: bool, at: str) -> Arrival | None:
    """Return the message; None for a topic that is no box's, or that does not concern the board."""
    if not topic.startswith(_PREFIX):
        return None
    parts = topic[len(_PREFIX) :].split("/", 3)
    if len(parts) < 4 or not all(map(is_id, parts[:3])):
        return None
    address = parts[3]
    kind = address.partition("/")[0]
    if kind in _IGNORED or len(address) > 200:
        return None
    event = _parse_event(payload)
    if event is not None and kind not in FROM_BUREAU and not str(event.get("type")).startswith(_TYPE):
        event = None
    statement = parse_statement(event) if event is not None and "statementlog" in event else None
    return Arrival("/".join(parts[:3]), address, payload, event, statement, retained, again, at)


def _parse_event(payload: bytes) -> dict[str, object] | None:
    if not payload or len(payload) > MAX_PAYLOAD:
        return None
    try:
        event = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None
