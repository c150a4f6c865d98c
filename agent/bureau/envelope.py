"""CloudEvents 1.0, structured JSON: what wraps each message."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from agent import clock as clocks
from agent.contract.requests import IncomingEvent, Invalid, validate
from agent.contract.topics import TYPE
from agent.errors import BureauError

DEEPEST = 32


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
) -> bytes:
    """Return the message's bytes. `replayed` (a CloudEvents extension) stands only on what is delivered late."""
    event: dict[str, object] = {
        "specversion": "1.0",
        "id": event_id,
        "source": source,
        "type": TYPE.format(name=name),
        "subject": subject,
        "time": clocks.rfc3339(at, zone),
        "datacontenttype": "application/json",
        "data": data,
    }
    if replayed:
        event["replayed"] = True
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


@dataclass(frozen=True, slots=True)
class Incoming:
    """What a message from the bureau carries: `body` the data, `signed` the bytes that `signature` is over."""

    body: Mapping[str, object]
    event_id: str | None
    signed: bytes | None
    signature: bytes | None


def unwrap(payload: bytes) -> Incoming:
    """Read a CloudEvent (`data` or `data_base64`), or a bare JSON object. Raises BureauError for anything else."""
    event = _object(payload)
    if "specversion" not in event:
        return Incoming(event, None, None, None)
    try:
        sent = validate(IncomingEvent, event)
    except Invalid as error:
        raise BureauError("bureau.not_cloudevent") from error
    signed = None if sent.data_base64 is None else _decoded(sent.data_base64)
    body = sent.data if signed is None else _object(signed)
    if not isinstance(body, dict):
        raise BureauError("bureau.not_cloudevent")
    return Incoming(body, sent.id, signed, sent.signature.encode() if sent.signature else None)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BureauError("bureau.not_cloudevent") from error


def _object(payload: bytes) -> dict[str, object]:
    try:
        # a nesting of thousands would end the parser in a RecursionError deep inside
        value = json.loads(payload.decode("utf-8"), parse_constant=_refuse_constant)
        # half a surrogate pair, written as an escape, cannot be sent or stored as text
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise BureauError("bureau.not_json") from error
    if not isinstance(value, dict) or _depth(value) > DEEPEST:
        raise BureauError("bureau.not_json")
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(name)  # NaN and Infinity are not JSON


def _depth(value: object) -> int:
    """Count the levels of nesting, level by level: recursion would itself fail on the nesting that it looks for."""
    level, depth = [value], 0
    while level and depth <= DEEPEST:
        inner: list[object] = []
        for item in level:
            inner += item.values() if isinstance(item, dict) else item if isinstance(item, list) else []
        level, depth = inner, depth + 1
    return depth
