"""Read the rows of a course plan one after another: lessons, days that apply to following rows, and rows to skip."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, time

from agent.class_files.cells import Cell, Cells, NoValue
from agent.class_files.day_cells import DayCell, read_day
from agent.class_files.fields import FieldPath, ImportReport, UnreadableCell, sanitize_value
from agent.class_files.headings import strip_whitespace
from agent.class_files.sheets import Sheet, describe_cell
from agent.class_files.time_cells import CellSpan, TimeCell, check_half_day, read_clock, read_time
from agent.core.model import Session

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


def _read_time(values: Mapping[str, Cell], key: str) -> TimeCell:
    try:
        return read_time(values[key])
    except UnreadableCell as error:
        raise UnreadableCell(error.key, **error.params, at=key) from None


def _normalize_remark(value: object) -> str:
    return strip_whitespace(value).strip("（）()。.!")


def _is_off(values: Mapping[str, Cell]) -> bool:
    """Return whether a row has 休息, 停课 or the like instead of time or content, and nothing else that makes a lesson."""
    stated = [_normalize_remark(value) for key, value in values.items() if key in ("time", "session", "content")]
    return any(map(_OFF.fullmatch, stated)) and all(
        _OFF.fullmatch(x) or x in ("上午", "下午", "晚上", "全天") for x in stated
    )


class PlanRows:
    """Reads the rows below the headings in order. `found`: the lessons; `used`: numbers of the rows with lessons."""

    def __init__(self, sheet: Sheet, body: Mapping[str, object], report: ImportReport) -> None:
        self.found: list[dict[str, object]] = []
        self.used: set[int] = set()
        self._sheet, self._body, self._report = sheet, body, report
        self._keys: list[str] = []
        self._head = 0
        self._merged = sheet.under_merged()
        self._above: dict[str, Cell] = {}
        self._day = DayCell(None)
        self._day_is_printed = False
        self._no_day: tuple[str, UnreadableCell] | None = None
        """Place and error of the day cell that applies now; reported with the first lesson below it."""

    def set_headings(self, keys: list[str], head: int) -> None:
        """Use the headings of the row with index `head` for the rows that follow."""
        self._keys, self._head, self._above = keys, head + 1, {}

    def read(self, number: int, row: Cells) -> None:
        """Read one row of the form."""
        places = {key: describe_cell(self._sheet.name, number, column) for column, key in enumerate(self._keys) if key}
        values = self._add_merged(number, self._read_cells(row))
        times = self._read_times(values)
        # before the row is skipped: lessons below a line 日期：3月6日 must not get the day above it
        self._take_day(values.get("date"), places.get("date", ""))
        if not isinstance(times, list) and (self._is_line_below(row) or _is_off(values)):
            return
        filled = any(key in values for key in _LESSON if key != "kind")
        if not filled and not times and not any(isinstance(value, NoValue) for value in values.values()):
            return
        if not filled and isinstance(times, list) and "kind" not in values and self._day_is_printed:
            return  # the form's printed hours, not filled in
        where = ("lessons", len(self.found))
        self._record_places(where, number, places)
        try:
            self._add(where, number, places, values, times)
        except UnreadableCell as error:
            key = error.params.get("at", "time")
            self._report.add((*where, str(key)), error.key, **{k: v for k, v in error.params.items() if k != "at"})

    def _add(
        self,
        where: FieldPath,
        number: int,
        places: Mapping[str, str],
        values: Mapping[str, Cell],
        times: list[CellSpan] | UnreadableCell | None,
    ) -> None:
        """Add the row's lessons. Raises Unread if a cell, the day or a time of the row is wrong."""
        for key in values.keys() & {*_LESSON, *_TIMES}:
            value = values[key]
            if isinstance(value, NoValue):
                raise UnreadableCell("classes.formula", value=sanitize_value(value.text), at=key)
        if self._no_day:
            place, error = self._no_day
            self._report.places[(*where, "date")] = place
            raise UnreadableCell(error.key, **error.params, at="date")
        if self._day.value is None:
            raise UnreadableCell("classes.missing", key="date", at="date")
        if isinstance(times, UnreadableCell):
            raise times
        if not times:
            printed = strip_whitespace(values.get("time", ""))
            if printed:
                raise UnreadableCell("classes.not_span", value=sanitize_value(printed))
            stated = next((values[key] for key in _LESSON if key in values), "")
            raise UnreadableCell("classes.row_without_time", value=sanitize_value(strip_whitespace(stated)), at="row")
        if _OFF.fullmatch(_normalize_remark(values.get("content"))):
            raise UnreadableCell(
                "classes.off_with_time", value=sanitize_value(strip_whitespace(values["content"])), at="content"
            )
        for key in (key for key in _TIMES if key in values):
            self._check_same_day(key, values[key])
        for span in times:
            check_half_day(span.start, span.half)
        for span in times:
            self._record_places(("lessons", len(self.found)), number, places)
            entry = {"date": self._day.value, "start": span.start.isoformat(), "end": span.end.isoformat()}
            half = {"session": span.half.value} if span.half else {}
            self.found.append(entry | half | {key: values[key] for key in _LESSON if key in values})
        self.used.add(number)

    def _read_cells(self, row: Cells) -> dict[str, Cell]:
        """Return the filled cells of a row by key; a dash means empty, 同上 repeats the value above."""
        values: dict[str, Cell] = {}
        for key, value in zip(self._keys, row, strict=False):
            text = value.strip() if isinstance(value, str) else value
            if not key or text in (None, "") or (key != "date" and _STROKE.fullmatch(strip_whitespace(value))):
                continue
            if text in _DITTO and (key == "date" or key in self._above):
                values |= {} if key == "date" else {key: self._above[key]}
                continue
            values[key] = _KINDS.get(strip_whitespace(value), value) if key == "kind" else value
        self._above |= {key: value for key, value in values.items() if key in _LESSON}
        return values

    def _value_above(self, number: int, column: int) -> Cell:
        """Return the value of the cell above with which a cell is merged, None if there is none below the headings."""
        top = self._merged.get((number, column), 0)
        return (
            self._sheet.rows[top - 1][column] if top > self._head and column < len(self._sheet.rows[top - 1]) else None
        )

    def _add_merged(self, number: int, own: dict[str, Cell]) -> dict[str, Cell]:
        """Add the values of cells that are merged from above into a row with content or times of its own.

        A row that has neither gets none and adds no lesson: one lesson is often written over three lines with merged cells.
        """
        has_times = isinstance(self._read_times(own), list)
        if not has_times and "content" not in own:
            return own
        shared = {
            key: value
            for column, key in enumerate(self._keys)
            if key and key != "date" and (value := self._value_above(number, column)) not in (None, "")
        }
        keep = {*_LESSON, "session"} if has_times else {*_LESSON, *_TIMES}
        return {key: value for key, value in shared.items() if key in keep} | own

    def _record_places(self, where: FieldPath, number: int, places: Mapping[str, str]) -> None:
        report = self._report
        report.places[where] = report.places[(*where, "row")] = describe_cell(self._sheet.name, number, None)
        report.places |= {(*where, key): place for key, place in places.items()}
        for key in {"start", "end", "session", "time"} - places.keys():
            near = next((k for k in ("time", "start", "session") if k in places), None)
            if near:
                report.places[(*where, key)] = places[near]

    def _read_times(self, values: Mapping[str, Cell]) -> list[CellSpan] | UnreadableCell | None:
        """Return the time spans of a row with its half-day; the error if they are wrong; None without any time."""
        try:
            read = {key: _read_time(values, key) for key in ("session", "time") if key in values}
            half, spans = self._read_half_day(values, read), [s for x in read.values() for s in x.spans]
            if "start" in values or "end" in values:
                return [self._read_columns(values, half, spans)]
            return [replace(s, half=s.half or half) for s in spans] or None
        except UnreadableCell as error:
            return error

    def _read_half_day(self, values: Mapping[str, Cell], read: Mapping[str, TimeCell]) -> Session | None:
        """Return the half-day named by the row's own column, else by a time cell without spans."""
        stated = [x.half for x in read.values() if x.half]
        if len(set(stated)) > 1:
            raise UnreadableCell("classes.words_for_times", value=sanitize_value(strip_whitespace(values["time"])))
        inside = {s.half for x in read.values() for s in x.spans if s.half}
        if stated and inside - {stated[0]}:
            raise UnreadableCell(
                "classes.two_halves",
                value=sanitize_value(strip_whitespace(values["time"])),
                session=stated[0].folder,
                at="time",
            )
        return stated[0] if stated else None

    def _read_columns(self, values: Mapping[str, Cell], half: Session | None, spans: list[CellSpan]) -> CellSpan:
        """Return the span given by the columns 开始 and 结束."""
        moments: list[time] = []
        for key in ("start", "end"):
            if key not in values:
                raise UnreadableCell("classes.missing", key=key, at=key)
            try:
                moment, word = read_clock(values[key])
            except UnreadableCell as error:
                raise UnreadableCell(error.key, **error.params, at=key) from None
            half = word or half if key == "start" else half
            moments.append(moment)
        if spans and [(s.start, s.end) for s in spans] != [tuple(moments)]:
            raise UnreadableCell(
                "classes.two_times", value=sanitize_value(strip_whitespace(values.get("time", values.get("session"))))
            )
        return CellSpan(moments[0], moments[1], half)

    def _check_same_day(self, key: str, value: object) -> None:
        """Raise Unread if a time cell contains another date than the row's day: one of the two must be a mistake.

        (A spreadsheet stores times without a date on its day zero, which is ignored.)
        """
        day = self._day.value
        if isinstance(value, datetime) and value.year > _DAY_ZERO and day is not None and value.date() != day:
            raise UnreadableCell("classes.other_day", value=value.isoformat(" ", "minutes"), day=day, at=key)

    def _take_day(self, value: object, place: str) -> None:
        """Use a row's own day from this row on.

        A day that cannot be parsed applies too: the rows below it must not get the day above it.
        """
        if value in (None, ""):
            return
        self._day, self._no_day, self._day_is_printed = DayCell(None), None, False
        if isinstance(value, NoValue):
            self._no_day = place, UnreadableCell("classes.formula", value=sanitize_value(value.text))
            return
        try:
            self._day = read_day(value, self._body, typed=self._sheet.typed)
        except UnreadableCell as error:
            self._no_day = place, error
            return
        if self._day.value is None:
            self._day_is_printed = True
            self._no_day = place, UnreadableCell("classes.day_without_date", value=sanitize_value(self._day.text))

    def _is_line_below(self, row: Cells) -> bool:
        """Return whether a row is empty or, by its first filled cell, below the table (合计, 备注, 班主任 and the like)."""
        first = next((i for i, value in enumerate(row) if strip_whitespace(value)), None)
        if first is None:
            return True
        said, key = strip_whitespace(row[first]), self._keys[first] if first < len(self._keys) else None
        if key in _LESSON:  # 审核 may be the content of a lesson, 审核：王 is not
            return _SUM.match(said) is not None or (":" in said and _LINES_BELOW.match(said) is not None)
        return key in ("", "date", "time", "session") and _LINES_BELOW.match(said) is not None
