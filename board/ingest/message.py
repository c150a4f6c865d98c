"""A message from the broker, parsed as far as every kind needs it. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from agent.contract.topics import ROOT, TYPE
from agent.core.model import is_id
from agent.core.statement_answer import list_answered_events
from agent.core.statement_model import Statement, parse_statement

MAX_PAYLOAD = 1 << 20
_PREFIX, _TYPE = f"{ROOT}/", TYPE.partition("{name}")[0]
FROM_BUREAU = frozenset({"classes", "witness"})
"""First level of topics on which the bureau speaks and the board listens to itself, or to another program of the bureau."""
_IGNORED = frozenset({"models", "request", "response"})
_ANSWER = "response/statements"
FETCH_ANSWERS = frozenset({"response/clip", "response/picture"})
"""Answers to orders of clips and pictures."""


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


def parse_arrivals(topic: str, payload: bytes, *, retained: bool, again: bool, at: str) -> list[Arrival]:
    """Return the message; none for a topic that is no box's, or that does not concern the board.

    An answer to a request for statements holds several: each is taken as if it came by itself.
    """
    if not topic.startswith(_PREFIX):
        return []
    parts = topic[len(_PREFIX) :].split("/", 3)
    if len(parts) < 4 or not all(map(is_id, parts[:3])):
        return []
    box, address = "/".join(parts[:3]), parts[3]
    if address == _ANSWER:
        found = list_answered_events(_parse_event(payload))
        return [Arrival(box, str(e["subject"])[:200], _encode(e), e, s, False, again, at) for e, s in found]
    kind = address.partition("/")[0]
    if (kind in _IGNORED and address not in FETCH_ANSWERS) or len(address) > 200:
        return []
    event = _parse_event(payload)
    if event is not None and kind not in FROM_BUREAU and not str(event.get("type")).startswith(_TYPE):
        event = None
    statement = parse_statement(event) if event is not None and "statementlog" in event else None
    return [Arrival(box, address, payload, event, statement, retained, again, at)]


def _encode(event: Mapping[str, object]) -> bytes:
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _parse_event(payload: bytes) -> dict[str, object] | None:
    if not payload or len(payload) > MAX_PAYLOAD:
        return None
    try:
        event = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None
