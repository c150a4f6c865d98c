"""Read the rows of one sheet of a punch-in export into sets of who signed, which are forgotten when the file is read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from agent.attendance import punch_cells
from agent.attendance.punch_columns import PunchColumns
from agent.class_files.cells import Cell, Cells
from agent.class_files.fields import UnreadableCell, normalize_width
from agent.class_files.headings import strip_whitespace
from agent.class_files.sheets import Sheet, describe_cell
from agent.core.class_model import TrainingClass
from agent.core.class_search import parse_query, search_classes
from agent.core.model import Session

_REACH = timedelta(hours=2)
_TOTALS = re.compile(
    "[合总小共]计.*|总?人数.*|应到.*|实到.*|平均.*|制表.*|审核.*|备注.*|说明.*|填表.*|统计.*|注[:：].*|班主任.*|授课.*|total.*",
    re.IGNORECASE,
)
_TITLE_DAY = re.compile(r"(20[0-9]{2})\s*[-/.年]\s*([0-9]{1,2})\s*[-/.月]\s*([0-9]{1,2})")
_PLACES_KEPT = 3
HalfDay = tuple[date, Session]
RowCells = dict[str, list[tuple[int, Cell]]]
"""The filled cells of a row by role, each with its column."""
CellPlace = tuple[int, int]
"""Row from 1, column from 0."""


@dataclass(slots=True)
class PunchTally:
    """Who signed, by half-day; forgotten when the file is read."""

    signed: dict[tuple[HalfDay, str], set[str]] = field(default_factory=dict)
    persons: set[str] = field(default_factory=set)
    punches: int = 0
    skipped: dict[str, tuple[int, tuple[str, ...]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Window:
    """The lessons of a half-day in local time, and up to where punches belong to it."""

    session: Session
    start: datetime
    end: datetime

    @property
    def middle(self) -> datetime:
        return self.start + (self.end - self.start) / 2

    def distance(self, at: datetime) -> timedelta:
        return max(self.start - at, at - self.end, timedelta())


class PunchSheetReader:
    """Reads one sheet into a tally."""

    def __init__(
        self, sheet: Sheet, columns: PunchColumns, cls: TrainingClass, zone: ZoneInfo, tally: PunchTally
    ) -> None:
        self._sheet, self._columns, self._cls, self._tally = sheet, columns, cls, tally
        self._merged = sheet.under_merged()
        self._windows = _list_windows(cls, zone)
        self._day, self._session = self._read_title()
        self._several_classes = len(self._list_classes()) > 1

    def read(self) -> None:
        """Read all rows below the headings."""
        for number, row in enumerate(self._sheet.rows[self._columns.first :], self._columns.first + 1):
            self._read_row(number, row)

    def _read_row(self, number: int, row: Cells) -> None:
        cells: RowCells = {role: [] for role in self._columns.roles if role}
        for column, role in enumerate(self._columns.roles):
            value = self._value(
                number, column, row, carried=role in ("person", "person_id", "date", "session", "class")
            )
            if role and value is not None:
                cells[role].append((column, value))
        if not any(cells.values()):
            return
        names = [strip_whitespace(v) for _, v in cells.get("person", [])]
        ids = [strip_whitespace(v) for _, v in cells.get("person_id", [])]
        who = "\n".join(ids or names).casefold()
        if not who or _TOTALS.fullmatch((names or ids)[0]) or self._is_heading_again(row):
            return
        if self._several_classes and not self._is_own(cells.get("class", [])):
            self._skip("signins.skip_class", number)
            return
        try:
            day = self._read_day(cells)
        except UnreadableCell:
            self._skip("signins.skip_unreadable", number)
            return
        self._tally.persons.add(who)
        self._read_punches(who, day, cells, number)

    def _value(self, number: int, column: int, row: Cells, *, carried: bool) -> Cell:
        """Return a cell's value; under a merged cell that of its topmost."""
        value = row[column] if column < len(row) else None
        if value is None and carried and (top := self._merged.get((number, column))):
            above = self._sheet.rows[top - 1]
            value = above[column] if column < len(above) else None
        return None if isinstance(value, str) and not strip_whitespace(value) else value

    def _is_heading_again(self, row: Cells) -> bool:
        """Whether the row repeats the headings, as printed pages do."""
        said = (strip_whitespace(x).lower() for x in row if isinstance(x, str))
        return all(x in self._columns.headings for x in said)

    def _read_day(self, cells: RowCells) -> date | None:
        first, last = self._cls.first_day, self._cls.last_day
        for _, value in cells.get("date", []):
            day = punch_cells.read_punch_day(value, first, last, typed=self._sheet.typed)
            if day:
                self._day = day  # blank cells below repeat it, as printed lists have it
                return day
        return self._day

    def _read_punches(self, who: str, day: date | None, cells: RowCells, number: int) -> None:
        named = next((s for _, v in cells.get("session", []) if (s := punch_cells.read_session_word(v))), self._session)
        kind = next((k for _, v in cells.get("kind", []) if (k := punch_cells.read_kind(v))), "")
        if "time" in cells and any(punch_cells.is_missing_result(v) for _, v in cells.get("result", [])):
            return
        for role, found in cells.items():
            half, way = _split_role(role, kind)
            if way is None:
                continue
            for column, value in found:
                place = (number, column)
                try:
                    punches = punch_cells.read_punches_of_cell(value)
                except UnreadableCell:
                    self._skip("signins.skip_unreadable", *place)
                    continue
                for own_day, at in punches.times:
                    self._add(who, own_day or day, at, half or named, way, place)
                if punches.marked:
                    self._add(who, day, None, half or named, way or "in", place)

    def _add(
        self, who: str, day: date | None, at: time | None, session: Session | None, way: str, place: CellPlace
    ) -> None:
        windows = self._windows.get(day, []) if day else []
        if not windows:
            self._skip("signins.skip_day" if day else "signins.skip_no_day", *place)
            return
        window = next((w for w in windows if w.session == session), None) if session else None
        if session and window is None:
            self._skip("signins.skip_day", *place)
            return
        moment = datetime.combine(day, at) if day and at else None
        if window is None:
            window = _choose_window(windows, moment, way)
        if window is None:
            self._skip("signins.skip_time", *place)
            return
        if not way:
            way = "in" if moment is None or moment <= window.middle else "out"
        self._tally.punches += 1
        self._tally.signed.setdefault(((day or window.start.date(), window.session), way), set()).add(who)

    def _skip(self, why: str, number: int, column: int | None = None) -> None:
        """Note a cell or row that does not count; of each kind the first places are kept."""
        n, places = self._tally.skipped.get(why, (0, ()))
        if len(places) < _PLACES_KEPT:
            places = (*places, describe_cell(self._sheet.name, number, column))
        self._tally.skipped[why] = (n + 1, places)

    def _read_title(self) -> tuple[date | None, Session | None]:
        """Read day and half-day from the lines above the table, where exactly one of each stands there."""
        lines = [v for row in self._sheet.rows[: self._columns.first - 1] for v in row if isinstance(v, str)]
        lines.append(self._sheet.name)
        text = " ".join(map(normalize_width, lines))
        days = set()
        for found in _TITLE_DAY.findall(text):
            try:
                days.add(date(*map(int, found)))
            except ValueError:
                continue
        halves = {s for line in lines if (s := punch_cells.read_session_word(line))}
        return days.pop() if len(days) == 1 else None, halves.pop() if len(halves) == 1 else None

    def _list_classes(self) -> set[str]:
        column = self._columns.roles.index("class") if "class" in self._columns.roles else -1
        rows = self._sheet.rows[self._columns.first :] if column >= 0 else []
        return {strip_whitespace(row[column]) for row in rows if column < len(row) and row[column] is not None}

    def _is_own(self, cells: Sequence[tuple[int, Cell]]) -> bool:
        said = strip_whitespace(cells[0][1]) if cells else ""
        return bool(said) and bool(search_classes([self._cls], parse_query(said), self._cls.first_day))


def _split_role(role: str, kind: str) -> tuple[Session | None, str | None]:
    """Return half-day and direction of a column with punches; direction None: no such column, "": not known."""
    if role == "time":
        return None, kind
    if role in ("in", "out"):
        return None, role
    half, _, way = role.partition("_")
    return (Session(half), way) if way in ("in", "out") else (None, None)


def _list_windows(cls: TrainingClass, zone: ZoneInfo) -> dict[date, list[_Window]]:
    found: dict[date, list[_Window]] = {}
    for day, session in cls.half_days():
        lessons = cls.lessons_of(day, session)
        start, end = (x.astimezone(zone).replace(tzinfo=None) for x in (lessons[0].start, max(y.end for y in lessons)))
        found.setdefault(day, []).append(_Window(session, start, end))
    return found


def _choose_window(windows: Sequence[_Window], at: datetime | None, way: str) -> _Window | None:
    """Choose the half-day that a punch belongs to: the nearest within reach; a mark without time needs a single one.

    Between two half-days a sign-out belongs to the one before and a sign-in to the one after.
    """
    if at is None:
        return windows[0] if len(windows) == 1 else None
    near = [w for w in windows if w.distance(at) <= _REACH]
    if not near:
        return None
    best = min(near, key=lambda w: w.distance(at))
    between = [w for w in near if (w.end <= at if way == "out" else w.start >= at)]
    if way and best.distance(at) and between:
        return min(between, key=lambda w: w.distance(at))
    return best
