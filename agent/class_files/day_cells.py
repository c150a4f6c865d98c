"""Parse a day cell of a course plan: 第一天 11月23日, 3月5日（星期五）, 3月5号, 2026-11-23, or a spreadsheet's date."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from agent.class_files.fields import UnreadableCell, normalize_width, parse_day, sanitize_value
from agent.class_files.time_tokens import DASH, WEEKDAY

_UNKNOWN_YEAR = 2000
"""Placeholder if neither plan nor class gives a year; the class's own days are then reported as wrong."""
_ORDINAL = r"第(?:[一二三四五六七八九十百]+|[0-9]+)天"
_UNFILLED = re.compile(rf"(?:{_ORDINAL})?(?:[年月日号_./\-—:()\[\]]|星期|周)*")
_IN_BRACKETS = re.compile(rf"[(\[【〔](?:星期|周)?([一二三四五六日天])[)\]】〕]|{WEEKDAY}")
_DAY = re.compile(
    rf"(?:{_ORDINAL})?[:,]?\(?(?:(?P<year>[0-9]{{4}})[年/.-])?(?P<month>[0-9]{{1,2}})[月/.-](?P<day>[0-9]{{1,2}})[日号]?\)?"
)
_SEVERAL = re.compile(
    rf"[0-9]{{1,2}}[月/.][0-9]{{1,2}}[日号]?(?:{DASH}|[、,和及])(?:[0-9]{{4}}[年/.-])?(?:[0-9]{{1,2}}[月/.])?[0-9]{{1,2}}[日号]?(?![0-9:时])"
)
_LOST_ZERO = re.compile(r"[0-9]{1,2}\.[123]")


@dataclass(frozen=True, slots=True)
class DayCell:
    """A parsed day cell. `value` is None if the form's printed `text` was not filled in."""

    value: date | None
    text: str = ""


def read_day(value: object, body: Mapping[str, object], *, typed: bool) -> DayCell:
    """Parse a day cell. Raises Unread.

    A day without a year gets the year in which it is within the class's days (`first_day`, `last_day` of `body`). `typed`:
    the source distinguishes numbers from text.
    """
    if isinstance(value, date):
        day = parse_day(value)
        if day is None:
            raise UnreadableCell("classes.not_date", value=_format_date(value))
        return DayCell(day)
    if not isinstance(value, str):
        # 5.10 typed into a cell is stored as the number 5.1, so the intended day is ambiguous
        raise UnreadableCell("classes.day_number", value=sanitize_value(str(value)))
    text = "".join(normalize_width(value).split())
    if not typed and _LOST_ZERO.fullmatch(text):
        raise UnreadableCell("classes.day_number", value=sanitize_value(text))
    if _UNFILLED.fullmatch(text):
        return DayCell(None, text)
    weekdays = [min("一二三四五六日天".index(found[1] or found[2]), 6) for found in _IN_BRACKETS.finditer(text)]
    found = _DAY.fullmatch(_IN_BRACKETS.sub("", text).strip(",、"))
    if not found and _SEVERAL.search(text):
        raise UnreadableCell("classes.several_days", value=sanitize_value(text))
    if not found or len(weekdays) > 1:
        raise UnreadableCell("classes.not_date", value=sanitize_value(text))
    day = _resolve_year(found, body)
    if day is None:
        raise UnreadableCell("classes.not_date", value=sanitize_value(text))
    if weekdays and day.year != _UNKNOWN_YEAR and day.weekday() != weekdays[0]:
        raise UnreadableCell(
            "classes.weekday", value=sanitize_value(text), day=day, weekday="一二三四五六日"[day.weekday()]
        )
    return DayCell(day)


def _resolve_year(found: re.Match[str], body: Mapping[str, object]) -> date | None:
    first, last = parse_day(body.get("first_day")), parse_day(body.get("last_day"))
    known = [day.year for day in (first, last) if day]
    years = (
        [int(found["year"])] if found["year"] else [*range(min(known), max(known) + 1)] if known else [_UNKNOWN_YEAR]
    )
    days = [d for year in years[:4] if (d := _make_date(year, int(found["month"]), int(found["day"])))]
    return next((d for d in days if first and last and first <= d <= last), days[0] if days else None)


def _make_date(year: int, month: int, day: int) -> date | None:
    try:
        found = date(year, month, day)
    except ValueError:
        return None
    return found if 2000 <= found.year < 2100 else None


def _format_date(value: date) -> str:
    return value.isoformat(" ", "minutes") if isinstance(value, datetime) else value.isoformat()
