"""Counts of sign-ins and sign-outs of a half-day, as the institution states them, beside the estimate from video. Pure.

They are counts only: no name is stored. They never enter the estimate, its ratio or its alerts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Literal
from zoneinfo import ZoneInfo

from agent.core.clock import format_local
from agent.core.errors import InputError
from agent.core.model import JsonObject, Session

if TYPE_CHECKING:
    from agent.contract.attendance import SignedCountsBody

MOST_SIGNED = 1000
SignInSource = Literal["typed", "file"]


@dataclass(frozen=True, slots=True)
class SignInCount:
    """How many signed in and out; None: not stated. `by` is the account or user who entered it."""

    class_id: str
    date: date
    session: Session
    signed_in: int | None
    signed_out: int | None
    source: SignInSource
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class SignInDifference:
    """A count that differs from the estimate by more than the set share of the expected headcount.

    `kind`: `in` is compared with the estimate of the half-day, `out` with that at its end. `by` is positive where more signed
    than the video shows.
    """

    kind: Literal["in", "out"]
    signed: int
    estimate: int
    by: int


def find_differences(count: SignInCount | None, figures: JsonObject | None, share: float) -> list[SignInDifference]:
    """Compare a count with the figures of its half-day; empty where either is unknown or they agree.

    `figures` is the contract's attendance object. A count within the range of the estimate agrees with it.
    """
    if count is None or figures is None or not figures["expected"]:
        return []
    bound = share * figures["expected"]
    found = []
    pairs: tuple[tuple[Literal["in", "out"], int | None, int | None], ...] = (
        ("in", count.signed_in, figures["present"]),
        ("out", count.signed_out, figures["at_end"]),
    )
    for kind, signed, estimate in pairs:
        if signed is None or estimate is None or abs(signed - estimate) <= bound:
            continue
        low, high = figures["low"], figures["high"]
        if kind == "in" and low is not None and high is not None and low <= signed <= high:
            continue
        found.append(SignInDifference(kind, signed, estimate, signed - estimate))
    return found


def parse_count(text: str) -> int | None:
    """Parse a typed count; "" is None. Raises InputError."""
    digits = text.strip()
    if not digits:
        return None
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 4 and int(digits) <= MOST_SIGNED):
        raise InputError("signins.bad_count", value=digits[:20], most=MOST_SIGNED)
    return int(digits)


def parse_counts(signed_in: str, signed_out: str) -> tuple[int | None, int | None]:
    """Parse typed counts, of which one may be left out. Raises InputError."""
    found = parse_count(signed_in), parse_count(signed_out)
    if found == (None, None):
        raise InputError("signins.no_count")
    return found


def describe_entry(
    counts: Mapping[tuple[date, Session], tuple[int | None, int | None]], source: SignInSource
) -> dict[str, object]:
    """Return what the audit says of counts that were entered."""
    rows = [
        {"date": day.isoformat(), "session": session.value, "in": signed_in, "out": signed_out}
        for (day, session), (signed_in, signed_out) in counts.items()
    ]
    return {"source": source, "counts": rows}


def build_signed_counts(count: SignInCount, zone: ZoneInfo) -> SignedCountsBody:
    """Build the contract's object of the counts: without who entered them, which the audit has."""
    return {
        "signed_in": count.signed_in,
        "signed_out": count.signed_out,
        "source": count.source,
        "at": format_local(count.at, zone),
    }
