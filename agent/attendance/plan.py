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
from datetime import datetime, time
from itertools import pairwise
from typing import Any

from agent import words
from agent.attendance import headings
from agent.attendance.days import Day, read_day
from agent.attendance.fields import Report, Unread, shown
from agent.attendance.headings import squeeze
from agent.attendance.sheets import Cells, NoValue, Sheet, letter
from agent.attendance.spans import Span, TimeCell, check_half, read_clock, read_time
from agent.model import Session

_DAY_ZERO = 1904
_LESSON = ("content", "kind", "teacher", "room_id", "staff_in_room")
_TIMES = ("time", "session", "start", "end")
_LINES_BELOW = re.compile(
    "合计|总计|小计|共计|备注|附注|班主任|填表|制表|编制|审核|审批|负责人|经办|联系|培训机构|培训单位|(?:单位)?盖章|"
    "总(?:课时|学时)|(?:理论|实操|实践)(?:课时|学时)|(?:说明|注意(?:事项)?|温馨提示)$|(?:注|说明|注意事项|日期|时间|单位|电话)[:：]"
)
_OFF = re.compile(
    "[周末双星期一二三四五六日天全上下午晚当本法定国家节假清明端劳动庆元旦春中秋已课程]{0,8}"
    "(?:休息|停课|停训|放假|无课|没课|不上课|不排课|无安排|休课|调休|轮休|公休|取消|暂停)(?:日|[一1半]天)?"
)
_KINDS = {"理论课": "理论", "实操课": "实操", "实践课": "实践", "实训": "实操", "实训课": "实操"}
_KINDS |= {kind: kind for kind in ("理论", "实操", "实践")}
_STROKE = re.compile(r"[-‐‑‒–—―−/\\]+")
_DITTO = frozenset({"〃", "″", "〞", '"', "”", "''", "同上", "同前"})
_SUM = re.compile("[合总小共]计")
_HEAD_LINE = re.compile(r"职业(?:（工种）)?[:：](?P<occupation>.*?)第(?P<number>[0-9]+)[期班]")


def cell(sheet: str, row: int, column: int | None) -> str:
    """Where a cell is, in words; row counts from 1, column from 0 (None: the row as a whole)."""
    if column is None:
        return words.text("classes.at_row", sheet=sheet, row=row)
    return words.text("classes.at_cell", sheet=sheet, row=row, column=letter(column))


def lessons(sheet: Sheet, body: Mapping[str, Any], report: Report) -> list[dict[str, Any]]:
    """Lesson tables of a body from the form's rows; what cannot be read is reported by row and column."""
    head = headings.row_of(sheet.rows)
    if head is None:
        report.add(("lessons",), "classes.no_header", sheet=sheet.name)
        return []
    report.places[("lessons",)] = sheet.name
    rows = _Rows(sheet, body, report)
    heads = [i for i, row in enumerate(sheet.rows) if i == head or (i > head and headings.are(row))]
    for begin, end in pairwise([*heads, len(sheet.rows)]):  # the headings stand again on the form's second page
        keys = headings.keys(sheet.rows[begin])
        _check_headings(sheet, keys, begin, end, report)
        rows.under(keys, begin)
        for number, row in enumerate(sheet.rows[begin + 1 : end], begin + 2):
            if headings.keys(row) != keys:
                rows.read(number, row)
    hidden = sorted(sheet.hidden.intersection(rows.used))
    if hidden:
        report.note(("lessons",), "classes.hidden_rows", rows=", ".join(map(str, hidden)))
    return rows.found


def other_class(sheet: Sheet, body: Mapping[str, Any]) -> tuple[str, str] | None:
    """Place and text of the form's head line (职业（工种）：电工 第3班) where it names another class than `body`."""
    for number, row in enumerate(sheet.rows[: headings.row_of(sheet.rows)], 1):
        for column, value in enumerate(row):
            found = _HEAD_LINE.search(squeeze(value))
            if not found:
                continue
            same = found["occupation"] in ("", squeeze(body.get("occupation")))
            if not same or found["number"].lstrip("0") != squeeze(body.get("class_number")):
                return cell(sheet.name, number, column), shown(found[0])
    return None


def _check_headings(sheet: Sheet, keys: list[str], head: int, end: int, report: Report) -> None:
    """A heading that nobody knows is a fault where something stands under it, down to row `end`."""
    for column, (value, key) in enumerate(zip(sheet.rows[head], keys, strict=True)):
        name = squeeze(value)
        under = any(len(row) > column and squeeze(row[column]) for row in sheet.rows[head + 1 : end])
        if name and not key and under and not headings.PASSED_OVER.fullmatch(headings.name(value)):
            report.places[("lessons", "heading", column)] = cell(sheet.name, head + 1, column)
            report.add(("lessons", "heading", column), "classes.unknown_column", value=shown(name))
    if keys.count("content") > 1 and max(map(keys.count, ("date", "time", "start"))) > 1:
        report.add(("lessons",), "classes.tables_beside", row=head + 1)
        return
    for key in dict.fromkeys(x for x in keys if x and keys.count(x) > 1):
        names = [squeeze(value) for value, other in zip(sheet.rows[head], keys, strict=True) if other == key]
        report.add(("lessons",), "classes.twice", value=shown(" / ".join(names)))


def _read_time(values: Mapping[str, Any], key: str) -> TimeCell:
    try:
        return read_time(values[key])
    except Unread as error:
        raise Unread(error.key, **error.params, at=key) from None


def _said(value: object) -> str:
    return squeeze(value).strip("（）()。.!")


def _is_off(values: Mapping[str, Any]) -> bool:
    """休息, 停课 and the like instead of a time or a content, and nothing else that would make a lesson."""
    told = [_said(value) for key, value in values.items() if key in ("time", "session", "content")]
    return any(map(_OFF.fullmatch, told)) and all(
        _OFF.fullmatch(x) or x in ("上午", "下午", "晚上", "全天") for x in told
    )


class _Rows:
    """Reads the rows under the headings one after another. `used`: numbers of the rows that gave lessons."""

    def __init__(self, sheet: Sheet, body: Mapping[str, Any], report: Report) -> None:
        self.found: list[dict[str, Any]] = []
        self.used: set[int] = set()
        self._sheet, self._body, self._report = sheet, body, report
        self._keys: list[str] = []
        self._head = 0
        self._merged = sheet.under_merged()
        self._above: dict[str, Any] = {}
        self._day = Day(None)
        self._day_is_printed = False
        self._no_day: tuple[str, Unread] | None = None
        """Where the day that rules the rows stands and what is wrong with it; told with the first lesson under it."""

    def under(self, keys: list[str], head: int) -> None:
        """The next rows stand under the headings of the row with this index."""
        self._keys, self._head, self._above = keys, head + 1, {}

    def read(self, number: int, row: Cells) -> None:
        """One row of the form."""
        places = {key: cell(self._sheet.name, number, column) for column, key in enumerate(self._keys) if key}
        values = self._with_merged(number, self._own(row))
        times = self._times(values)
        # before all else: rows under 日期：3月6日 must not slip into the day above it
        self._take_day(values.get("date"), places.get("date", ""))
        if not isinstance(times, list) and (self._is_line_below(row) or _is_off(values)):
            return
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
        for key in values.keys() & {*_LESSON, *_TIMES}:
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
            told = next((values[key] for key in _LESSON if key in values), "")
            raise Unread("classes.row_without_time", value=shown(squeeze(told)), at="row")
        if _OFF.fullmatch(_said(values.get("content"))):
            raise Unread("classes.off_with_time", value=shown(squeeze(values["content"])), at="content")
        for key in (key for key in _TIMES if key in values):
            self._check_same_day(key, values[key])
        for span in times:
            check_half(span.start, span.half)
        for span in times:
            self._place(("lessons", len(self.found)), number, places)
            entry = {"date": self._day.value, "start": span.start.isoformat(), "end": span.end.isoformat()}
            half = {"session": span.half.value} if span.half else {}
            self.found.append(entry | half | {key: values[key] for key in _LESSON if key in values})
        self.used.add(number)

    def _own(self, row: Cells) -> dict[str, Any]:
        """The filled cells of a row by key. A stroke is an empty cell, 同上 what stands above."""
        values: dict[str, Any] = {}
        for key, value in zip(self._keys, row, strict=False):
            text = value.strip() if isinstance(value, str) else value
            if not key or text in (None, "") or (key != "date" and _STROKE.fullmatch(squeeze(value))):
                continue
            if text in _DITTO and (key == "date" or key in self._above):
                values |= {} if key == "date" else {key: self._above[key]}
                continue
            values[key] = _KINDS.get(squeeze(value), value) if key == "kind" else value
        self._above |= {key: value for key, value in values.items() if key in _LESSON}
        return values

    def _shown_above(self, number: int, column: int) -> object:
        top = self._merged.get((number, column), 0)
        return (
            self._sheet.rows[top - 1][column] if top > self._head and column < len(self._sheet.rows[top - 1]) else None
        )

    def _with_merged(self, number: int, own: dict[str, Any]) -> dict[str, Any]:
        """A row with content, or with times of its own, shows what cells merged over it say. What is merged over neither adds
        no lesson: three lines of one lesson are often one cell each.
        """
        has_times = isinstance(self._times(own), list)
        if not has_times and "content" not in own:
            return own
        shared = {
            key: value
            for column, key in enumerate(self._keys)
            if key and key != "date" and (value := self._shown_above(number, column)) not in (None, "")
        }
        keep = {*_LESSON, "session"} if has_times else {*_LESSON, *_TIMES}
        return {key: value for key, value in shared.items() if key in keep} | own

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

    def _check_same_day(self, key: str, value: object) -> None:
        """A time may be kept with a date: another one than the row's is a slip, and nobody knows in which of the cells. (A
        spreadsheet keeps bare times on its day zero.)
        """
        day = self._day.value
        if isinstance(value, datetime) and value.year > _DAY_ZERO and day is not None and value.date() != day:
            raise Unread("classes.other_day", value=value.isoformat(" ", "minutes"), day=day, at=key)

    def _take_day(self, value: object, place: str) -> None:
        """A row's own day rules from here on. One that cannot be read rules too: the rows under it must not slip into the
        day above.
        """
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
        """合计, 备注, 班主任 and the like: the first cell that is filled says so."""
        first = next((i for i, value in enumerate(row) if squeeze(value)), None)
        if first is None:
            return True
        said, key = squeeze(row[first]), self._keys[first] if first < len(self._keys) else None
        if key in _LESSON:  # 审核 may be taught, 审核：王 is not
            return _SUM.match(said) is not None or (":" in said and _LINES_BELOW.match(said) is not None)
        return key in ("", "date", "time", "session") and _LINES_BELOW.match(said) is not None
