"""Time: aware UTC inside, the site's local time at the edges, intervals on the monotonic clock.

The clock is a parameter everywhere, so that tests can step it.
"""

from __future__ import annotations

import ctypes
import threading
import time
from datetime import UTC, date, datetime, timedelta
from typing import Literal, Protocol
from zoneinfo import ZoneInfo

Trust = Literal["trusted", "free", "unknown"]


class Clock(Protocol):
    """What the agent needs of a clock."""

    def now(self) -> datetime:
        """Return the time, aware UTC."""

    def monotonic(self) -> float:
        """Return seconds that never step."""

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        """Sleep up to `seconds`; return True as soon as `stop` is set."""

    def trust(self) -> Trust:
        """Return how far `now` can be trusted: synchronised, free-running after it was, or unknown since boot."""


class SystemClock:
    """The machine's clock."""

    def __init__(self) -> None:
        self._was_trusted = False

    def now(self) -> datetime:
        return datetime.now(UTC)

    # hot path (twice per packet): alias the builtin to avoid a wrapper frame
    monotonic = staticmethod(time.monotonic)

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        return stop.wait(max(0.0, seconds))

    def trust(self) -> Trust:
        if _kernel_synchronised():
            self._was_trusted = True
            return "trusted"
        return "free" if self._was_trusted else "unknown"


class _Timex(ctypes.Structure):
    # struct timex of <sys/timex.h>, 64-bit Linux; only `status` is read
    _fields_ = [
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_long * 32),
    ]


def _kernel_synchronised() -> bool:
    """Return whether an NTP daemon disciplines the kernel's clock.

    adjtimex with modes 0 only reads and needs no privilege.
    """
    timex = _Timex()
    sta_unsync = 0x40
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex))
    except (AttributeError, OSError):
        return False
    time_error = 5
    return state not in (-1, time_error) and not timex.status & sta_unsync


EARLIEST_TIME = datetime(2026, 1, 1, tzinfo=UTC)
"""Before this date the program did not exist: an earlier clock was never set."""


def is_set(clock: Clock) -> bool:
    """Return whether the box has a time at all; a machine without a battery starts in 1970."""
    return clock.now() >= EARLIEST_TIME


def format_utc(moment: datetime) -> str:
    """Return fixed-width UTC text to the millisecond, so that text order is time order: 2026-11-23T06:46:00.123Z."""
    if moment.tzinfo is None:
        raise ValueError("naive time")
    utc = moment.astimezone(UTC)
    # round half up to the millisecond: truncation would move a segment's end before its last frame
    utc += timedelta(microseconds=500)
    return utc.strftime("%Y-%m-%dT%H:%M:%S.") + f"{utc.microsecond // 1000:03d}Z"


def parse_time(text: str) -> datetime:
    """Convert RFC 3339 to aware UTC. Raises ValueError, also where the offset is missing."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"no offset: {text}")
    return moment.astimezone(UTC)


def format_local(moment: datetime, zone: ZoneInfo) -> str:
    """Return the site's local time with offset, to the millisecond, for JSON and MQTT."""
    return parse_time(format_utc(moment)).astimezone(zone).isoformat(timespec="milliseconds")


def get_local_day(moment: datetime, zone: ZoneInfo) -> date:
    """Return the site's calendar day of an instant."""
    return moment.astimezone(zone).date()
