"""A camera's clock: reading what it reports, and describing what is wrong with it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import Message
from email.utils import parsedate_to_datetime

from agent import i18n
from agent.cameras import soap
from agent.cameras.xml_reader import Element
from agent.core.clock import Clock

_QUARTER_S = 900.0
_DRIFT_S = 120.0  # expected drift of a clock that is set by hand from time to time
_FARTHEST_S = 14 * 3600 + _DRIFT_S  # the time zone farthest from UTC


@dataclass(frozen=True, slots=True)
class CameraClock:
    """The camera's time with the monotonic instant at which it was read: a step of the box's clock does not shift it."""

    at: datetime
    monotonic: float

    def now(self, clock: Clock) -> datetime:
        return self.at + timedelta(seconds=clock.monotonic() - self.monotonic)

    def offset(self, clock: Clock) -> float:
        """Return the seconds that the camera is ahead of the box, to half a second: cameras report whole seconds."""
        return (self.now(clock) - clock.now()).total_seconds() + 0.5


def read_system_time(reported: Element | None) -> datetime | None:
    """Return the UTC time in a SystemDateAndTime element; None if it contains no date.

    Where UTCDateTime is missing, LocalDateTime and the time zone are used; without a zone the local time is taken as UTC, as
    the camera itself does when it checks a token.
    """
    utc = _read_date_time(soap.find_child(reported, "UTCDateTime"))
    if utc is not None:
        return utc
    local = _read_date_time(soap.find_child(reported, "LocalDateTime"))
    return (
        _keep_plausible(local - _parse_utc_offset(soap.read_element_text(reported, "TimeZone", "TZ")))
        if local is not None
        else None
    )


def read_http_date(headers: Message) -> datetime | None:
    """Return the UTC time in the HTTP Date header; None if there is none."""
    try:
        found = parsedate_to_datetime(str(headers.get("Date", "")))
        found = found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return _keep_plausible(found)


def describe_clock_error(camera_id: str, offset: float) -> str:
    """Return the sentence about a clock that is off by `offset` seconds.

    The number is rounded, so that a drifting clock gives one alert and not a new one with each search.
    """
    # two significant digits: 28801.3 becomes 29000, 61.7 becomes 62
    seconds = f"{float(f'{offset:.2g}'):+.0f}"
    if zone := guess_zone_error(offset):
        return i18n.translate("cameras.clock_zone", camera_id=camera_id, seconds=seconds, zone=zone)
    return i18n.translate("cameras.clock", camera_id=camera_id, seconds=seconds)


def guess_zone_error(offset: float) -> str:
    """Return `+08:00` or the like if the offset (s) is that of a time zone, else an empty text.

    Such a camera probably reports its local time as UTC.
    """
    quarters = round(offset / _QUARTER_S)
    if abs(quarters) < 4 or abs(offset) > _FARTHEST_S or abs(offset - quarters * _QUARTER_S) > _DRIFT_S:
        return ""
    hours, rest = divmod(abs(quarters), 4)
    return f"{'+' if quarters > 0 else '-'}{hours:02}:{rest * 15:02}"


def _parse_utc_offset(text: str) -> timedelta:
    """Return how far local time is ahead of UTC by a POSIX time zone (`CST-8`, `<+0330>-3:30`); ignores summer time."""
    found = re.match(r"(?:[A-Za-z]{3,}|<[^>]{1,20}>)([+-]?)(\d{1,2})(?::(\d{2}))?", text)
    if not found or int(found[2]) > 24:
        return timedelta()
    behind = timedelta(hours=int(found[2]), minutes=int(found[3] or 0))
    return behind if found[1] == "-" else -behind


def _read_date_time(reported: Element | None) -> datetime | None:
    parts = [soap.read_number(reported, *path) for path in _PARTS]
    if any(part is None for part in parts):
        return None
    try:
        return _keep_plausible(datetime(*(int(part or 0) for part in parts), tzinfo=UTC))  # type: ignore[misc,arg-type]
    except (ValueError, OverflowError):
        return None


def _keep_plausible(found: datetime) -> datetime | None:
    """Return the time if its year is from 1970 to 2199, else None: sums overflow near the ends of the calendar."""
    return found if 1970 <= found.year < 2200 else None


_PARTS = (
    ("Date", "Year"),
    ("Date", "Month"),
    ("Date", "Day"),
    ("Time", "Hour"),
    ("Time", "Minute"),
    ("Time", "Second"),
)
