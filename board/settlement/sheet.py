"""The settlement as an XLSX workbook: institutions, classes, half-days; hours as numbers."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from board.settlement.model import DOUBTS, SettledClass, SettledHalfDay, SettlementTotals, sum_up

Say = Callable[..., str]
Cell = str | int | float | None
CHECKED = ("conforms", "deviates", "unclear", "")
CALLED = ("answered", "late", "unanswered")
_HALF_DAY = ("web.institution", "web.class_id", "web.date", "settlement.session", "web.expected", "web.box", "web.present",
             "web.range", "web.status")  # fmt: skip
_STATES = ("provisional", "final", "revised", "unjudged")
_RATIO_AT = 7
"""Which of `list_headings` is the ratio, from 1."""


def build_workbook(found: Sequence[SettledClass], title: str, say: Say) -> bytes:
    """Return the workbook; `say` gives the words."""
    from openpyxl import Workbook  # imported here because it takes 0.3 s
    from openpyxl.styles import Font

    book = Workbook()
    sheets = (
        ("settlement.institutions", ["web.institution"], _list_institutions(found)),
        (
            "settlement.classes",
            ["web.institution", "web.class_id", "web.occupation", "web.number"],
            _list_classes(found),
        ),
    )
    for number, (name, first, rows) in enumerate(sheets):
        sheet = book.active if number == 0 else book.create_sheet()
        sheet.title = say(name)
        headings = [say(x) for x in first] + list_headings(say)
        _fill(sheet, title, [headings, *rows], Font(bold=True), len(first) + _RATIO_AT)
    sheet = book.create_sheet(say("settlement.half_days"))
    headings = _half_day_headings(say)
    rows = _list_half_days(found, say)
    _fill(sheet, title, [headings, *rows], Font(bold=True), len(_HALF_DAY) + _RATIO_AT - 1)
    notes = book.create_sheet(say("settlement.notes"))
    for line in say("settlement.explained").split("\n"):
        notes.append([line])
    notes.column_dimensions["A"].width = 120
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _fill(sheet: Any, title: str, rows: Iterable[Sequence[Cell]], bold: object, ratio: int) -> None:
    """Fill a sheet; text that begins as a formula does is written as text. `ratio`: the column of the ratio, from 1."""
    sheet.append([title])
    for row in rows:
        sheet.append(list(row))
    for cells in sheet.iter_rows():
        for cell in cells:
            if isinstance(cell.value, str):
                cell.data_type = "s"
            if isinstance(cell.value, float):
                cell.number_format = "0.0%" if cell.column == ratio else "0.00"
    for cells in sheet.iter_rows(min_row=1, max_row=2):
        for cell in cells:
            cell.font = bold
    sheet.freeze_panes = "A3"


def list_headings(say: Say) -> list[str]:
    """Return the headings of the columns that totals fill."""
    names = (
        "half_days_over",
        "planned_h",
        "taught_h",
        "empty_h",
        "unknown_h",
        "counted",
        "ratio",
        "gaps",
        "gap_h",
        "alerts",
    )
    made = [say(f"settlement.{name}") for name in names]
    made += [say(f"spot.result.{name}" if name else "spot.waiting") for name in CHECKED]
    made += [say(f"call.stage.{name}") for name in CALLED]
    return made + [say(f"settlement.doubt.{name}") for name in DOUBTS]


def list_cells(totals: SettlementTotals) -> list[Cell]:
    """Return totals in the order of the headings; hours with two decimals."""
    hours = [_to_hours(x) for x in (totals.planned_s, totals.taught_s, totals.empty_s, totals.unknown_s)]
    ratio = None if totals.ratio is None else round(totals.ratio, 4)
    made: list[Cell] = [
        totals.half_days,
        *hours,
        totals.counted,
        ratio,
        totals.gaps,
        _to_hours(totals.gap_s),
        totals.alerts,
    ]
    made += [totals.checks[name] for name in CHECKED]
    made += [totals.calls[name] for name in CALLED]
    return made + [totals.doubts[name] for name in DOUBTS]


def _to_hours(seconds: float) -> float:
    return round(seconds / 3600, 2)


def _list_institutions(found: Sequence[SettledClass]) -> list[list[Cell]]:
    return [[name, *list_cells(totals)] for name, totals in sum_institutions(found)]


def sum_institutions(found: Sequence[SettledClass]) -> list[tuple[str, SettlementTotals]]:
    """Return the sums by institution, in the order of the classes."""
    names = dict.fromkeys(c.institution for c in found)
    return [(name, sum_up(h for c in found if c.institution == name for h in c.half_days)) for name in names]


def _list_classes(found: Sequence[SettledClass]) -> list[list[Cell]]:
    return [[c.institution, c.class_id, c.occupation, c.class_number, *list_cells(c.totals)] for c in found]


def _half_day_headings(say: Say) -> list[str]:
    return [say(name) for name in _HALF_DAY] + list_headings(say)[1:]


def _list_half_days(found: Sequence[SettledClass], say: Say) -> list[list[Cell]]:
    return [_describe(c, h, say) for c in found for h in c.half_days]


def _describe(c: SettledClass, half_day: SettledHalfDay, say: Say) -> list[Cell]:
    """Return a half-day's row; figures of several boxes stand side by side in one cell."""
    one, several = half_day.single, half_day.boxes
    present: Cell = one.present if one else " / ".join("—" if x.present is None else str(x.present) for x in several)
    ranges = " / ".join("—" if x.low is None else f"{x.low}–{x.high}" for x in several)
    states = " / ".join(say(f"attendance.{x.status}") for x in several if x.status in _STATES)
    named = [c.institution, c.class_id, half_day.date, say(f"web.session_{half_day.session}"), half_day.expected]
    names = " / ".join(x.box.partition("/")[2] for x in several)
    return [*named, names, present, ranges, states, *list_cells(sum_up([half_day]))[1:]]
