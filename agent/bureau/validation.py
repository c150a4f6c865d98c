"""Shapes of what comes in, checked by hand before anything looks at it: docs/schemas/request.json and class.json say the
same for the bureau's engineer, and a test compares the two."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Mapping
from datetime import date, time
from typing import Any

from agent.core.errors import BureauError
from agent.core.model import Session, is_id

EARLIEST, LATEST = date(2020, 1, 1), date(2099, 12, 31)
_DAY_KEYS = ("first_day", "last_day", "date", "approved", "first_date")


def _is_id(value: object) -> bool:
    return isinstance(value, str) and is_id(value)


def is_day(value: object) -> bool:
    """An ISO calendar day of this century's reasonable part: a clock that was never set sends 1970."""
    try:
        return isinstance(value, str) and len(value) == 10 and EARLIEST <= date.fromisoformat(value) <= LATEST
    except ValueError:
        return False


def _is_time(value: object) -> bool:
    try:
        return isinstance(value, str) and len(value) in (5, 8) and time.fromisoformat(value).tzinfo is None
    except ValueError:
        return False


def _is_session(value: object) -> bool:
    return isinstance(value, str) and value in set(Session)


FIELDS: Mapping[str, Callable[[object], bool]] = {
    "class_id": _is_id, "room_id": _is_id, "camera_id": _is_id, "date": is_day, "session": _is_session, "from": _is_time,
    "to": _is_time,
}  # fmt: skip
REQUIRED: Mapping[str, tuple[str, ...]] = {"gaps": ("class_id",), "clip": ("class_id", "date", "from", "to")}


def check_request(name: str, body: Mapping[str, Any]) -> None:
    """Raise BureauError naming the first key that is unknown, missing or wrong."""
    for key, value in body.items():
        if key not in FIELDS:
            raise BureauError("bureau.unknown_key", key=shorten_for_log(key), known=", ".join(FIELDS))
        if not FIELDS[key](value):
            raise BureauError("bureau.bad_value", key=key, value=shorten_for_log(value))
    for key in REQUIRED.get(name, ()):
        if key not in body:
            raise BureauError("bureau.missing_key", key=key)


def check_dates(body: Mapping[str, Any]) -> None:
    """Raise BureauError for a day in a class that no real class can have."""
    for key, value in _iterate_days(body):
        if not is_day(value):
            raise BureauError("bureau.bad_value", key=key, value=shorten_for_log(value))


def _iterate_days(value: object) -> Iterator[tuple[str, object]]:
    """Every value that stands under a day's key, at any depth (unwrap bounds the depth)."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key in _DAY_KEYS and not isinstance(inner, Mapping | list):
                yield key, inner
            else:
                yield from _iterate_days(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _iterate_days(inner)


def shorten_for_log(value: object) -> str:
    """A stranger's value, safe and short enough for one line of a log."""
    text = value if isinstance(value, str) else repr(value)
    text = "".join(c if unicodedata.category(c)[0] != "C" else "�" for c in text[:60])
    return text if len(text) < 60 else text[:57] + "…"
