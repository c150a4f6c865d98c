"""Parse the cells of a punch-in export: a day, punch times, or a mark such as √, 缺卡, 迟到."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time

from agent.class_files.cells import Cell, NoValue
from agent.class_files.day_cells import read_day
from agent.class_files.fields import UnreadableCell, normalize_width, parse_day, sanitize_value
from agent.class_files.time_tokens import HALF_DAY_WORDS
from agent.core.model import Session

_CLOCK = re.compile(
    r"(?:(?P<date>(?:20[0-9]{2}[-/.年])?[0-9]{1,2}[-/.月][0-9]{1,2}日?)[T ]*)?"
    r"(?P<half>上午|下午|晚上|早上|中午|凌晨|AM|PM)?\s*(?<![0-9])"
    r"(?P<h>[0-9]{1,2})[:时](?P<m>[0-9]{2})(?:[:分](?P<s>[0-9]{2}))?(?![0-9])(?:\.[0-9]+)?\s*(?P<end>AM|PM)?",
    re.IGNORECASE,
)
_ABSENT = re.compile(
    "缺卡|缺勤|旷课|旷工|请假|事假|病假|休息|未打卡|未签到|未签退|未签|未到|没有?打卡|无|无记录|无打卡|否|不在|缺|假"
    r"|absent|no|false|null|none|nan|n/a|[-—–_/\\×xX✗✘〇○.]+",
    re.IGNORECASE,
)
_PRESENT = re.compile(
    "√|✓|✔|☑|v|y|yes|true|1|是|有|到|已到|已签|已签到|已签退|已打卡|签到|签退|出勤|正常|迟到.*|早退.*|补卡.*|外勤.*|ok|present",
    re.IGNORECASE,
)
_IN_WORDS = re.compile("签到|上班|上课|进|入|到|in", re.IGNORECASE)
_OUT_WORDS = re.compile("签退|下班|下课|出|离|退|out", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class PunchCell:
    """Punches of one cell. `times` with their own day where the cell has one; `marked`: present, without a time."""

    times: tuple[tuple[date | None, time], ...] = ()
    marked: bool = False


def read_punches_of_cell(value: Cell) -> PunchCell:
    """Parse a cell of punch times. Raises UnreadableCell."""
    if value is None or value is False or value == 0:
        return PunchCell()
    if isinstance(value, NoValue):
        raise UnreadableCell("classes.formula", value=sanitize_value(value.text))
    if value is True or value == 1:
        return PunchCell(marked=True)
    if isinstance(value, datetime):
        return PunchCell(((value.date(), value.time().replace(microsecond=0)),))
    if isinstance(value, time):
        return PunchCell(((None, value.replace(microsecond=0)),))
    text = " ".join(normalize_width(str(value)).split())[:400]
    times = tuple(_parse_clock(found) for found in _CLOCK.finditer(text))
    if times:
        return PunchCell(times)
    if _ABSENT.fullmatch(text):
        return PunchCell()
    if _PRESENT.fullmatch(text):
        return PunchCell(marked=True)
    raise UnreadableCell("signins.not_punch", value=sanitize_value(text))


def _parse_clock(found: re.Match[str]) -> tuple[date | None, time]:
    hour, word = int(found["h"]), (found["half"] or found["end"] or "").upper()
    if word in ("下午", "晚上", "PM", "中午") and hour < 12 and not (word == "中午" and hour == 11):
        hour += 12
    elif word == "AM" and hour == 12:
        hour = 0
    try:
        return parse_day(found["date"]) if found["date"] else None, time(hour, int(found["m"]), int(found["s"] or 0))
    except ValueError:
        raise UnreadableCell("signins.not_punch", value=sanitize_value(found[0])) from None


def read_punch_day(value: Cell, first: date, last: date, *, typed: bool) -> date | None:
    """Parse a day; None where the cell is empty. A day without a year is one of the class's. Raises UnreadableCell."""
    if value is None:
        return None
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, str):
        # 2026-11-18 星期三, 26-11-18, 20261118, 2026-11-18 00:00:00
        text = re.sub(r"[( ]*(?:星期|周)[一二三四五六日天][) ]*", " ", normalize_width(value)).strip()
        text = re.sub(r"[T ]+[0-9]{1,2}:[0-9]{2}.*$", "", text).strip()
        if digits := re.fullmatch("(20[0-9]{2})([01][0-9])([0-3][0-9])", text):
            text = "-".join(digits.groups())
        elif short := re.fullmatch(r"([2-9][0-9])([-/.])([0-9]{1,2})\2([0-9]{1,2})", text):
            text = f"20{short[1]}-{short[3]}-{short[4]}"
        value = text
    if isinstance(value, int) and 20000101 <= value < 21000101:
        value = f"{value // 10000}-{value // 100 % 100}-{value % 100}"
    body = {"first_day": first.isoformat(), "last_day": last.isoformat()}
    return read_day(value, body, typed=typed).value


def read_session_word(value: Cell) -> Session | None:
    """Return the half-day that a cell names, None where it names none."""
    if not isinstance(value, str):
        return None
    text = normalize_width(value)
    return next((half for half, word in HALF_DAY_WORDS.items() if re.search(word, text, re.IGNORECASE)), None)


def read_kind(value: Cell) -> str:
    """Return `in` or `out` where a cell says which it is, else ""."""
    text = normalize_width(value) if isinstance(value, str) else ""
    return "out" if _OUT_WORDS.search(text) else "in" if _IN_WORDS.search(text) else ""


def is_missing_result(value: Cell) -> bool:
    """Whether the result column says that there was no punch."""
    return isinstance(value, str) and _ABSENT.fullmatch("".join(normalize_width(value).split())) is not None
