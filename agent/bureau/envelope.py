"""CloudEvents 1.0, structured JSON: what wraps each message."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from agent.core import clock as clocks
from agent.core.errors import BureauError

TYPE = "cn.training.site-agent.{name}.v1"
DEEPEST = 32


def wrap(
    *,
    event_id: str,
    source: str,
    name: str,
    subject: str,
    at: datetime,
    zone: ZoneInfo,
    data: Mapping[str, Any] | Sequence[Any],
    replayed: bool = False,
) -> bytes:
    """The message's bytes. `replayed` (a CloudEvents extension) stands only on what is delivered late."""
    event: dict[str, Any] = {
        "specversion": "1.0", "id": event_id, "source": source, "type": TYPE.format(name=name), "subject": subject,
        "time": clocks.format_local(at, zone), "datacontenttype": "application/json", "data": data,
    }  # fmt: skip
    if replayed:
        event["replayed"] = True
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


@dataclass(frozen=True, slots=True)
class IncomingEnvelope:
    """What a message from the bureau carries: `body` the data, `signed` the bytes that `signature` is over."""

    body: Mapping[str, Any]
    event_id: str | None
    signed: bytes | None
    signature: bytes | None


def unwrap(payload: bytes) -> IncomingEnvelope:
    """Read a CloudEvent (`data` or `data_base64`), or a bare JSON object. Raises BureauError for anything else."""
    event = _parse_object(payload)
    if "specversion" not in event:
        return IncomingEnvelope(event, None, None, None)
    event_id, signature, coded = event.get("id"), event.get("signature"), event.get("data_base64")
    if event["specversion"] != "1.0" or not isinstance(event_id, str) or not 0 < len(event_id) <= 128:
        raise BureauError("bureau.not_cloudevent")
    if coded is None:
        body, signed = event.get("data", {}), None
    else:
        signed = _decode_base64(coded)
        body = _parse_object(signed)
    if not isinstance(body, dict) or not isinstance(signature, str | None):
        raise BureauError("bureau.not_cloudevent")
    return IncomingEnvelope(body, event_id, signed, signature.encode() if signature else None)


def _decode_base64(text: object) -> bytes:
    try:
        return base64.b64decode(text if isinstance(text, str) else b"", validate=True)
    except (binascii.Error, ValueError) as error:
        raise BureauError("bureau.not_cloudevent") from error


def _parse_object(payload: bytes) -> dict[str, Any]:
    try:
        # a nesting of thousands would end the parser in a RecursionError deep inside
        value = json.loads(payload.decode("utf-8"), parse_constant=_refuse_constant)
        # half a surrogate pair, written as an escape: no text that could be sent or stored
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise BureauError("bureau.not_json") from error
    if not isinstance(value, dict) or _measure_depth(value) > DEEPEST:
        raise BureauError("bureau.not_json")
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(name)  # NaN and Infinity are no JSON


def _measure_depth(value: object) -> int:
    """Levels of nesting, counted level by level: recursion would fall into the very hole that it looks for."""
    level, depth = [value], 0
    while level and depth <= DEEPEST:
        inner: list[object] = []
        for item in level:
            inner += item.values() if isinstance(item, dict) else item if isinstance(item, list) else []
        level, depth = inner, depth + 1
    return depth
