"""Validation of what comes in: request parameters by their model, days in classes wherever they stand."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping

from agent.contract.requests import PARAMETERS, Invalid, RequestParameters, list_parameter_names, validate
from agent.contract.values import is_day
from agent.core.errors import BureauError

_DAY_KEYS = ("first_day", "last_day", "date", "approved", "first_date")


def check_request(name: str, body: Mapping[str, object]) -> None:
    """Raise BureauError naming the first key that is unknown, missing or wrong."""
    try:
        validate(PARAMETERS.get(name, RequestParameters), body)
    except Invalid as invalid:
        given = list(body)
        fault = min(invalid.faults, key=lambda f: len(given) if f.kind == "missing" else given.index(f.key))
    else:
        return
    if fault.kind == "unknown":
        raise BureauError(
            "bureau.unknown_key", key=shorten_for_log(fault.key), known=", ".join(list_parameter_names(name))
        )
    if fault.kind == "missing":
        raise BureauError("bureau.missing_key", key=fault.key)
    # the address of an upload holds its token
    value = "…" if fault.key == "upload" else shorten_for_log(body[fault.key])
    raise BureauError("bureau.bad_value", key=fault.key, value=value)


def check_dates(body: Mapping[str, object]) -> None:
    """Raise BureauError for a day in a class that no real class can have."""
    for key, value in _iterate_days(body):
        if not is_day(value):
            raise BureauError("bureau.bad_value", key=key, value=shorten_for_log(value))


def _iterate_days(value: object) -> Iterator[tuple[str, object]]:
    """Yield every value that stands under a day's key, at any depth (`unwrap` bounds the depth)."""
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
    """Return a received value, safe and short enough for one line of a log."""
    text = value if isinstance(value, str) else repr(value)
    text = "".join(c if unicodedata.category(c)[0] != "C" else "�" for c in text[:60])
    return text if len(text) < 60 else text[:57] + "…"
