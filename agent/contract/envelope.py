"""CloudEvents 1.0, structured JSON: what wraps each message."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from agent.contract.requests import IncomingEvent, Invalid, validate
from agent.contract.topics import TYPE
from agent.core import clock as clocks
from agent.core.errors import BureauError
from agent.core.statement_model import Statement

DEEPEST = 32
TELL_REPLAYED = ("alert", "attendance")
"""Messages whose `data` says, too, whether they are delivered late."""


def wrap(
    *,
    event_id: str,
    source: str,
    name: str,
    subject: str,
    at: datetime,
    zone: ZoneInfo,
    data: Mapping[str, object] | Sequence[object],
    replayed: bool = False,
    statement: Statement | None = None,
) -> bytes:
    """Return the message's bytes.

    CloudEvents extensions: `replayed` stands only on what is delivered late, `statement…` on what is part of the box's log.
    """
    event: dict[str, object] = {
        "specversion": "1.0",
        "id": event_id,
        "source": source,
        "type": TYPE.format(name=name),
        "subject": subject,
        "time": clocks.format_local(at, zone),
        "datacontenttype": "application/json",
        "data": data,
    }
    if replayed:
        event["replayed"] = True
    if statement:
        event |= {
            "time": statement.time,
            "statementlog": statement.log,
            "statementnumber": statement.number,
            "statementprevious": statement.previous,
            "statementhash": statement.hash,
        }
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def build_past_event(statement: Statement, source: str) -> dict[str, object]:
    """Return the CloudEvent of a statement as it is delivered late."""
    data = statement.data
    if statement.name in TELL_REPLAYED and isinstance(data, dict):
        data = {**data, "replayed": True}
    return {
        "specversion": "1.0",
        "id": statement.event_id,
        "source": source,
        "type": statement.type,
        "subject": statement.subject,
        "time": statement.time,
        "datacontenttype": "application/json",
        "data": data,
        "replayed": True,
        "statementlog": statement.log,
        "statementnumber": statement.number,
        "statementprevious": statement.previous,
        "statementhash": statement.hash,
    }


@dataclass(frozen=True, slots=True)
class IncomingEnvelope:
    """What a message from the bureau carries: `body` the data, `signed` the bytes that `signature` is over."""

    body: Mapping[str, object]
    event_id: str | None
    signed: bytes | None
    signature: bytes | None


def unwrap(payload: bytes) -> IncomingEnvelope:
    """Read a CloudEvent (`data` or `data_base64`), or a bare JSON object. Raises BureauError for anything else."""
    event = _parse_object(payload)
    if "specversion" not in event:
        return IncomingEnvelope(event, None, None, None)
    try:
        sent = validate(IncomingEvent, event)
    except Invalid as error:
        raise BureauError("bureau.not_cloudevent") from error
    signed = None if sent.data_base64 is None else _decode_base64(sent.data_base64)
    body = sent.data if signed is None else _parse_object(signed)
    if not isinstance(body, dict):
        raise BureauError("bureau.not_cloudevent")
    return IncomingEnvelope(body, sent.id, signed, sent.signature.encode() if sent.signature else None)


def _decode_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BureauError("bureau.not_cloudevent") from error


def _parse_object(payload: bytes) -> dict[str, object]:
    try:
        # a nesting of thousands would end the parser in a RecursionError deep inside
        value = json.loads(payload.decode("utf-8"), parse_constant=_refuse_constant)
        # half a surrogate pair, written as an escape, cannot be sent or stored as text
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise BureauError("bureau.not_json") from error
    if not isinstance(value, dict) or _measure_depth(value) > DEEPEST:
        raise BureauError("bureau.not_json")
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(name)  # NaN and Infinity are not JSON


def _measure_depth(value: object) -> int:
    """Count the levels of nesting, level by level: recursion would itself fail on the nesting that it looks for."""
    level, depth = [value], 0
    while level and depth <= DEEPEST:
        inner: list[object] = []
        for item in level:
            inner += item.values() if isinstance(item, dict) else item if isinstance(item, list) else []
        level, depth = inner, depth + 1
    return depth
