"""The course-plan form (表5) -> lessons. One row a lesson, or several where its time cell holds several spans.

The form as the bureau prints it has 培训时间 (第一天 11月23日), an unnamed column (上午 8时30分-11时30分), 课程内容,
理论/实操 and 授课教师; a day stands once and rules the rows under it. Kept as a table it may have 日期, 半天, 开始, 结束 or
时间, 教室 and 室内教职工 besides. Rows that nobody filled in, titles and the lines under the table are passed over; a row
with content is a lesson or a fault.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import time
from typing import Any

from agent import words
from agent.attendance.days import Day, read_day
from agent.attendance.fields import Report, Unread, plain, shown
from agent.attendance.sheets import Cells, NoValue, Sheet, letter
from agent.attendance.spans import Span, TimeCell, check_half, read_clock, read_time
from agent.model import Session

_HEADINGS: Mapping[str, str] = {
    "date": "date 培训时间 日期 上课日期 培训日期 授课日期",
    "session": "session 半天 时段 上午/下午",
    "time": "time 时间 上课时间 授课时间 起止时间",
    "start": "start 开始 开始时间",
    "end": "end 结束 结束时间",
    "content": "content 课程内容 授课内容 培训内容 教学内容",
    "kind": "kind 理论/实操 理论/实践",
    "teacher": "teacher 授课教师 授课老师 任课教师 主讲教师 教师",
    "room_id": "room_id 教室 上课地点 授课地点 地点",
    "staff_in_room": "staff_in_room 室内教职工",
}
COLUMNS: Mapping[str, str] = {heading: key for key, headings in _HEADINGS.items() for heading in headings.split()}
PASSED_OVER = re.compile("(?:序号|编号|no|星期|周次|节次|课时|学时|课时数|学时数|备注)(?:（.*）)?")
_LESSON = ("content", "kind", "teacher", "room_id", "staff_in_room")
_LINES_BELOW = re.compile(
    "合计|总计|小计|共计|备注|附注|班主任|填表|制表|编制|审核|审批|负责人|经办|联系|培训机构|培训单位|(?:单位)?盖章|(?:注|说明|日期|时间|单位|电话)[:：]"
)
_HEAD_LINE = re.compile(r"职业(?:（工种）)?[:：](?P<occupation>.*?)第(?P<number>[0-9]+)[期班]")


def squeeze(value: object) -> str:
    """A heading or cell without any blanks, full-width digits and signs made plain (（ ） stay as the forms print them)."""
    if value is None:
        return ""
    text = "".join(plain(str(value)).split())
    return text.replace("(", "（").replace(")", "）")


def cell(sheet: str, row: int, column: int | None) -> str:
    """Where a cell is, in words; row counts from 1, column from 0 (None: the row as a whole)."""
    if column is None:
        return words.text("classes.at_row", sheet=sheet, row=row)
    return words.text("classes.at_cell", sheet=sheet, row=row, column=letter(column))


def heading_row(rows: list[Cells]) -> int | None:
    """Index of the row with the plan's headings."""
    return next((i for i, row in enumerate(rows) if "content" in _keys(row)), None)


def lessons(sheet: Sheet, body: Mapping[str, Any], report: Report) -> list[dict[str, Any]]:
    """Lesson tables of a body from the form's rows; what cannot be read is reported by row and column."""
    head = heading_row(sheet.rows)
    if head is None:
        report.add(("lessons",), "classes.no_header", sheet=sheet.name)
        return []
    report.places[("lessons",)] = sheet.name
    keys = _keys(sheet.rows[head])
    _check_headings(sheet, keys, head, report)
    rows = _Rows(sheet, keys, body, report)
    for number, row in enumerate(sheet.rows[head + 1 :], head + 2):
        if _keys(row) != keys:  # the headings stand again on the form's second page
            rows.read(number, row)
    hidden = sorted(sheet.hidden.intersection(rows.used))
    if hidden:
        report.note(("lessons",), "classes.hidden_rows", rows=", ".join(map(str, hidden)))
    return rows.found


def other_class(sheet: Sheet, body: Mapping[str, Any]) -> tuple[str, str] | None:
    """Place and text of the form's head line (职业（工种）：电工 第3班) where it names another class than `body`."""
    for number, row in enumerate(sheet.rows[: heading_row(sheet.rows)], 1):
        for column, value in enumerate(row):
            found = _HEAD_LINE.search(squeeze(value))
            if not found:
                continue
            same = found["occupation"] in ("", squeeze(body.get("occupation")))
            if not same or found["number"].lstrip("0") != squeeze(body.get("class_number")):
                return cell(sheet.name, number, column), shown(found[0])
    return None


def _keys(row: Cells) -> list[str]:
    """The lesson key of each column; the unnamed one right of 培训时间 holds half-day and time, as on the form."""
    keys = [COLUMNS.get(squeeze(value).lower(), "") for value in row]
    for column in range(1, len(keys)):
        if not keys[column] and keys[column - 1] == "date" and squeeze(row[column]) == "":
            keys[column] = "time"
    return keys


def _check_headings(sheet: Sheet, keys: list[str], head: int, report: Report) -> None:
    """A heading that nobody knows is a fault where something stands under it."""
    for column, (value, key) in enumerate(zip(sheet.rows[head], keys, strict=True)):
        name = squeeze(value)
        under = any(len(row) > column and squeeze(row[column]) for row in sheet.rows[head + 1 :])
        if name and not key and under and not PASSED_OVER.fullmatch(name.lower()):
            report.places[("lessons", "heading", column)] = cell(sheet.name, head + 1, column)
            report.add(("lessons", "heading", column), "classes.unknown_column", value=shown(name))
    for key in dict.fromkeys(x for x in keys if x and keys.count(x) > 1):
        names = [squeeze(value) for value, other in zip(sheet.rows[head], keys, strict=True) if other == key]
        report.add(("lessons",), "classes.twice", value=shown(" / ".join(names)))


def _read_time(values: Mapping[str, Any], key: str) -> TimeCell:
    try:
        return read_time(values[key])
    except Unread as error:
        raise Unread(error.key, **error.params, at=key) from None


class _Rows:
    """Reads the rows under the headings one after another. `used`: numbers of the rows that gave lessons."""

    def __init__(self, sheet: Sheet, keys: list[str], body: Mapping[str, Any], report: Report) -> None:
        self.found: list[dict[str, Any]] = []
        self.used: set[int] = set()
        self._sheet, self._keys, self._body, self._report = sheet, keys, body, report
        self._day = Day(None)
        self._day_is_printed = False
        self._no_day: tuple[str, Unread] | None = None
        """Where the day that rules the rows stands and what is wrong with it; told with the first lesson under it."""

    def read(self, number: int, row: Cells) -> None:
        """One row of the form."""
        places = {key: cell(self._sheet.name, number, column) for column, key in enumerate(self._keys) if key}
        values = {key: value for key, value in zip(self._keys, row, strict=False) if key and value not in (None, "")}
        times = self._times(values)
        if not isinstance(times, list) and self._is_line_below(row):
            return
        self._take_day(values.get("date"), places.get("date", ""))
        filled = any(key in values for key in _LESSON if key != "kind")
        if not filled and not times and not any(isinstance(value, NoValue) for value in values.values()):
            return
        if not filled and isinstance(times, list) and "kind" not in values and self._day_is_printed:
            return  # a form with its hours printed, not filled in
        where = ("lessons", len(self.found))
        self._place(where, number, places)
        try:
            self._add(where, number, places, values, times)
        except Unread as error:
            key = error.params.get("at", "time")
            self._report.add((*where, str(key)), error.key, **{k: v for k, v in error.params.items() if k != "at"})

    def _add(
        self,
        where: tuple[str | int, ...],
        number: int,
        places: Mapping[str, str],
        values: Mapping[str, Any],
        times: list[Span] | Unread | None,
    ) -> None:
        """Raises Unread for what is wrong with the row's times."""
        for key in values.keys() & {*_LESSON, "time", "session", "start", "end"}:
            if isinstance(values[key], NoValue):
                raise Unread("classes.formula", value=shown(values[key].text), at=key)
        if self._no_day:
            place, error = self._no_day
            self._report.places[(*where, "date")] = place
            raise Unread(error.key, **error.params, at="date")
        if self._day.value is None:
            raise Unread("classes.missing", key="date", at="date")
        if isinstance(times, Unread):
            raise times
        if not times:
            printed = squeeze(values.get("time", ""))
            if printed:
                raise Unread("classes.not_span", value=shown(printed))
            raise Unread("classes.row_without_time", value=shown(squeeze(values.get("content", ""))), at="row")
        for span in times:
            check_half(span.start, span.half)
        for span in times:
            self._place(("lessons", len(self.found)), number, places)
            entry = {"date": self._day.value, "start": span.start.isoformat(), "end": span.end.isoformat()}
            half = {"session": span.half.value} if span.half else {}
            self.found.append(entry | half | {key: values[key] for key in _LESSON if key in values})
        self.used.add(number)

    def _place(self, where: tuple[str | int, ...], number: int, places: Mapping[str, str]) -> None:
        report = self._report
        report.places[where] = report.places[(*where, "row")] = cell(self._sheet.name, number, None)
        report.places |= {(*where, key): place for key, place in places.items()}
        for key in {"start", "end", "session", "time"} - places.keys():
            near = next((k for k in ("time", "start", "session") if k in places), None)
            if near:
                report.places[(*where, key)] = places[near]

    def _times(self, values: Mapping[str, Any]) -> list[Span] | Unread | None:
        """The spans of a row, with the half-day that the row gives them. None: there is nothing that names a time."""
        try:
            read = {key: _read_time(values, key) for key in ("session", "time") if key in values}
            half, spans = self._half(values, read), [s for x in read.values() for s in x.spans]
            if "start" in values or "end" in values:
                return [self._columns(values, half, spans)]
            return [replace(s, half=s.half or half) for s in spans] or None
        except Unread as error:
            return error

    def _half(self, values: Mapping[str, Any], read: Mapping[str, TimeCell]) -> Session | None:
        """What the row's own column calls the half-day, else the word of a time cell without spans."""
        told = [x.half for x in read.values() if x.half]
        if len(set(told)) > 1:
            raise Unread("classes.words_for_times", value=shown(squeeze(values["time"])))
        inside = {s.half for x in read.values() for s in x.spans if s.half}
        if told and inside - {told[0]}:
            raise Unread("classes.two_halves", value=shown(squeeze(values["time"])), session=told[0].folder, at="time")
        return told[0] if told else None

    def _columns(self, values: Mapping[str, Any], half: Session | None, spans: list[Span]) -> Span:
        """The span of the columns 开始 and 结束."""
        moments: list[time] = []
        for key in ("start", "end"):
            if key not in values:
                raise Unread("classes.missing", key=key, at=key)
            try:
                moment, word = read_clock(values[key])
            except Unread as error:
                raise Unread(error.key, **error.params, at=key) from None
            half = word or half if key == "start" else half
            moments.append(moment)
        if spans and [(s.start, s.end) for s in spans] != [tuple(moments)]:
            raise Unread("classes.two_times", value=shown(squeeze(values.get("time", values.get("session")))))
        return Span(moments[0], moments[1], half)

    def _take_day(self, value: object, place: str) -> None:
        """A row's own day rules from here on. One that cannot be read rules too: the rows under it must not slip into the
        day above."""
        if value in (None, ""):
            return
        self._day, self._no_day, self._day_is_printed = Day(None), None, False
        if isinstance(value, NoValue):
            self._no_day = place, Unread("classes.formula", value=shown(value.text))
            return
        try:
            self._day = read_day(value, self._body, typed=self._sheet.typed)
        except Unread as error:
            self._no_day = place, error
            return
        if self._day.value is None:
            self._day_is_printed = True
            self._no_day = place, Unread("classes.day_without_date", value=shown(self._day.text))

    def _is_line_below(self, row: Cells) -> bool:
        """合计, 备注, 班主任 and the like: the first cell that is filled says so, in the columns left of the content."""
        first = next((i for i, value in enumerate(row) if squeeze(value)), None)
        if first is None:
            return True
        left = self._keys[first] in ("", "date", "time", "session") if first < len(self._keys) else False
        return left and _LINES_BELOW.match(squeeze(row[first])) is not None
