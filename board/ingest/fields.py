"""Fields of a message's data, read so that nothing which a box sends can break the store. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from agent.contract.values import is_day
from agent.core.clock import format_utc, parse_time
from agent.core.model import Session, is_id

Data = Mapping[str, object]
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_SESSIONS = frozenset(member.value for member in Session)
_MOST = 1 << 53
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


class Malformed(ValueError):
    """A message does not have the form of the contract; its argument is the field."""


def clean(value: str, longest: int) -> str:
    """Return text that every database stores: no NUL, no half of a surrogate pair, bounded."""
    return _UNSTORABLE.sub("�", value[:longest])


def read_text(data: Data, name: str, longest: int = 200) -> str:
    """Return a text; "" where there is none."""
    value = data.get(name)
    return clean(value, longest) if isinstance(value, str) else ""


def need_id(data: Data, name: str) -> str:
    """Return an ID. Raises Malformed."""
    value = data.get(name)
    if not isinstance(value, str) or not is_id(value):
        raise Malformed(name)
    return value


def read_id(data: Data, name: str) -> str | None:
    """Return an ID; None where there is none."""
    value = data.get(name)
    return value if isinstance(value, str) and is_id(value) else None


def need_half_day(data: Data) -> dict[str, str]:
    """Return class, date and session of a half-day. Raises Malformed."""
    day, session = data.get("date"), data.get("session")
    if not is_day(day):
        raise Malformed("date")
    if not _is_session(session):
        raise Malformed("session")
    return {"class_id": need_id(data, "class_id"), "date": str(day), "session": str(session)}


def _is_session(value: object) -> bool:
    return isinstance(value, str) and value in _SESSIONS  # a list cannot even be looked up in a set


def read_place(data: object) -> dict[str, str | None]:
    """Return class, date and session that a message is about; None each where it names none, or several."""
    half_days = data.get("half_days") if isinstance(data, Mapping) else None
    found = half_days[0] if isinstance(half_days, list) and len(half_days) == 1 else data
    if not isinstance(found, Mapping):
        return {"class_id": None, "date": None, "session": None}
    day, session = found.get("date"), found.get("session")
    return {
        "class_id": read_id(found, "class_id"),
        "date": str(day) if is_day(day) else None,
        "session": str(session) if _is_session(session) else None,
    }


def need_time(data: Data, name: str) -> str:
    """Return a time as UTC text of fixed width. Raises Malformed."""
    found = read_time(data, name)
    if found is None:
        raise Malformed(name)
    return found


def read_time(data: Data, name: str) -> str | None:
    """Return a time as UTC text of fixed width; None where there is none."""
    value = data.get(name)
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        return format_utc(parse_time(value))
    except (ValueError, OverflowError):
        return None


def read_whole(data: Data, name: str) -> int | None:
    """Return a whole number from 0; None where there is none."""
    value = data.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST else None


def read_number(data: Data, name: str) -> float | None:
    """Return a finite number; None where there is none."""
    value = data.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _MOST:
        return None
    return float(value)


def dump(value: object) -> str:
    """Return JSON for a text column."""
    return clean(_ENCODER.encode(value).replace("\\u0000", "\\ufffd"), 1 << 21)
