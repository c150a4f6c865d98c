"""The course-plan form (表5) -> lessons. One row a lesson.

The form as the bureau prints it has 培训时间 (第一天 11月23日), an unnamed column (上午 8时30分-11时30分), 课程内容,
理论/实操 and 授课教师; a day stands once and rules the rows under it. Kept as a table it may have 日期, 半天, 开始, 结束 or
时间, 教室 and 室内教职工 besides.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any

from agent import words
from agent.attendance.fields import Report, as_day, as_time, shown
from agent.attendance.sheets import Cells, letter

COLUMNS: Mapping[str, str] = {
    "培训时间": "date", "日期": "date", "date": "date", "半天": "session", "session": "session", "时段": "session",
    "时间": "time", "time": "time", "开始": "start", "start": "start", "结束": "end", "end": "end",
    "课程内容": "content", "content": "content", "理论/实操": "kind", "kind": "kind", "授课教师": "teacher",
    "teacher": "teacher", "教室": "room_id", "room_id": "room_id", "室内教职工": "staff_in_room",
    "staff_in_room": "staff_in_room",
}  # fmt: skip
_SESSION = re.compile(r"(上午|下午|晚上|am|pm|ev)")
_EARLIEST = {"下午": 10, "pm": 10, "晚上": 12, "ev": 12}
"""An afternoon that begins before this hour is 下午 2时 for 14:00: it would be recorded in the night."""
_SPAN = re.compile(
    r"(\d{1,2}(?:[:时点]\d{0,2}(?:[:分]\d{0,2})?)?分?)(?:[-–—−~～至到]+)(\d{1,2}(?:[:时点]\d{0,2}(?:[:分]\d{0,2})?)?分?)"
)
_DAY = re.compile(r"(?:第[一二三四五六七八九十百\d]+天)?(?:(\d{4})[年/.-])?(\d{1,2})[月/.-](\d{1,2})日?")
_BARE = re.compile(r"第[一二三四五六七八九十百\d]+天")


def squeeze(value: object) -> str:
    """A heading or cell without any blanks, full-width digits and signs made plain (（ ） stay as the forms print them)."""
    if value is None:
        return ""
    text = "".join(unicodedata.normalize("NFKC", str(value)).split())
    return text.replace("(", "（").replace(")", "）")


def cell(sheet: str, row: int, column: int | None) -> str:
    """Where a cell is, in words; row counts from 1, column from 0 (None: the row as a whole)."""
    if column is None:
        return words.text("classes.at_row", sheet=sheet, row=row)
    return words.text("classes.at_cell", sheet=sheet, row=row, column=letter(column))


def lessons(rows: list[Cells], sheet: str, body: Mapping[str, Any], report: Report) -> list[dict[str, Any]]:
    """Lesson tables of a body from the form's rows; what cannot be read is reported by row and column."""
    head = next((i for i, row in enumerate(rows) if "content" in _keys(row)), None)
    if head is None:
        report.add(("lessons",), "classes.no_header", sheet=sheet)
        return []
    keys = _keys(rows[head])
    _check_headings(rows[head], keys, sheet, head + 1, report)
    found: list[dict[str, Any]] = []
    day: date | None = None
    for number, row in enumerate(rows[head + 1 :], head + 2):
        cells = {key: (column, value) for column, (key, value) in enumerate(zip(keys, row, strict=False)) if key}
        where = ("lessons", len(found))
        report.places[where] = cell(sheet, number, None)
        for key, (column, _) in cells.items():
            report.places[(*where, key)] = cell(sheet, number, column)
        if "time" in cells:
            for key in {"start", "end", "session"} - cells.keys():
                report.places[(*where, key)] = report.places[(*where, "time")]
        values = {key: value for key, (_, value) in cells.items() if value not in (None, "")}
        if "date" in values:
            day = _day(values["date"], body, report, where) or day
        entry = _lesson(values, report, where)
        if entry is None:
            continue
        if day is None:
            report.add((*where, "date"), "classes.missing", key="date")
            continue
        found.append({"date": day.isoformat(), **entry})
    return found


def _keys(row: Cells) -> list[str]:
    """The lesson key of each column; the unnamed one right of 培训时间 holds half-day and time, as on the form."""
    keys = [COLUMNS.get(squeeze(value).lower(), "") for value in row]
    for column in range(1, len(keys)):
        if not keys[column] and keys[column - 1] == "date" and squeeze(row[column]) == "":
            keys[column] = "time"
    return keys


def _check_headings(row: Cells, keys: list[str], sheet: str, number: int, report: Report) -> None:
    for column, (value, key) in enumerate(zip(row, keys, strict=True)):
        if squeeze(value) and not key:
            report.places[("lessons", "heading", column)] = cell(sheet, number, column)
            report.add(("lessons", "heading", column), "classes.unknown_column", value=shown(squeeze(value)))
    for key in {x for x in keys if x and keys.count(x) > 1}:
        report.add(("lessons",), "classes.twice", value=key)


def _lesson(values: Mapping[str, Any], report: Report, where: tuple[str | int, ...]) -> dict[str, Any] | None:
    """One row; None for a row of the form that nobody filled in."""
    entry = {k: values[k] for k in ("content", "kind", "teacher", "room_id", "staff_in_room") if k in values}
    span = squeeze(values.get("time", ""))
    half = squeeze(values.get("session", "")) or (m.group(0) if (m := _SESSION.search(span)) else "")
    times = _SPAN.search(span)
    if times:
        entry["start"], entry["end"] = time_text(times.group(1)), time_text(times.group(2))
    entry |= {key: time_text(values[key]) for key in ("start", "end") if key in values}
    if not entry:
        return None
    start = as_time(entry.get("start"))
    if start and start.hour < _EARLIEST.get(half.lower(), 0):
        report.add((*where, "start"), "classes.twelve_hours", session=half, start=start, hour=start.hour + 12)
    if span and not times and "start" not in entry:
        report.add((*where, "time"), "classes.not_span", value=shown(span))
        entry |= {"start": "0:00", "end": "0:01"}  # reported once; stands in so that the row's other cells are checked
    return entry | ({"session": half} if half else {})


def time_text(value: object) -> object:
    """A cell that holds a time, as text; hours alone (8时, 8) mean the full hour. The unreadable goes on as it is and is
    reported where it is used."""
    if isinstance(value, datetime):
        value = value.time()
    if isinstance(value, time):
        return value.isoformat()
    text = squeeze(value)
    found = as_time(f"{text}:00" if text.isdecimal() else text)
    return found.isoformat() if found else text


def _day(value: object, body: Mapping[str, Any], report: Report, where: tuple[str | int, ...]) -> date | None:
    """A day of the form. Without a year it is the class's year in which it falls inside the class."""
    whole = as_day(value)
    if whole:
        return whole
    text = squeeze(value)
    match = _DAY.fullmatch(text)
    if not match:
        if _SESSION.search(text) or not _BARE.fullmatch(text):
            report.add((*where, "date"), "classes.not_date", value=shown(text))
        else:
            report.add((*where, "date"), "classes.day_without_date", value=shown(text))
        return None
    first, last = as_day(body.get("first_day")), as_day(body.get("last_day"))
    years = [int(match[1])] if match[1] else [d.year for d in (first, last) if d]
    days = [d for year in years if (d := _date(year, int(match[2]), int(match[3])))]
    if not days:
        report.add((*where, "date"), "classes.not_date", value=shown(text))
        return None
    return next((d for d in days if first and last and first <= d <= last), days[0])


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None
