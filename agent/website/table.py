"""Rows as an XLSX file that Excel and WPS open without a warning: text stays text, whatever it looks like."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openpyxl.cell.cell import Cell

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
"""Its media type."""
XlsxCell = str | int | float | date | timedelta | None
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_MAX_TEXT = 32_767
_MAX_WIDTH = 48


def build_xlsx(
    title: str,
    heads: Iterable[Sequence[XlsxCell]],
    headings: Sequence[str],
    rows: Iterable[Sequence[XlsxCell]],
    totals: Sequence[XlsxCell] = (),
    notes: Iterable[str] = (),
) -> bytes:
    """Return a workbook with one sheet: `heads` (what the table is about), `headings`, `rows`, `totals`, then `notes`.

    Dates, durations and shares are numbers with a format. A text that begins like a formula stays text: openpyxl would make
    `=…` a formula and `#N/A` an error.
    """
    from openpyxl import Workbook  # here because it costs 0.3 s
    from openpyxl.utils import get_column_letter

    book = Workbook()
    sheet = book.active
    sheet.title = re.sub(r"[\[\]:*?/\\\x00-\x1f]", "_", title)[:31] or "1"
    widths: dict[int, int] = {}
    blocks: list[tuple[Sequence[XlsxCell], str]] = [(row, "head") for row in heads]
    blocks += [(tuple(headings), "heading"), *((row, "row") for row in rows)]
    blocks += [(totals, "total")] if totals else []
    blocks += [((note,), "note") for note in notes]
    for number, (values, kind) in enumerate(blocks, 1):
        for column, value in enumerate(values, 1):
            cell = sheet.cell(number, column)
            _fill_cell(cell, value)
            _style_cell(cell, kind)
            if kind not in ("head", "note"):  # these run over the cells to their right
                shown = (
                    value.isoformat() if isinstance(value, date) else "00:00" if isinstance(value, timedelta) else value
                )
                wide = _measure_width(str("" if shown is None else shown))
                wide = (wide + 1) // 2 if kind == "heading" and wide > 10 else wide
                widths[column] = max(widths.get(column, 6), min(_MAX_WIDTH, 2 + wide))
        if kind == "heading":
            # a program that does not fit the row to its text would draw the second line over the row below
            lines = max(-(-_measure_width(str(x)) // (widths[n] - 1)) for n, x in enumerate(values, 1))
            sheet.row_dimensions[number].height = 6 + 14 * lines
            sheet.freeze_panes = sheet.cell(number + 1, 1)
            sheet.print_title_rows = f"{number}:{number}"
    for column, width in widths.items():
        sheet.column_dimensions[get_column_letter(column)].width = width
    sheet.page_setup.orientation, sheet.page_setup.fitToWidth, sheet.page_setup.fitToHeight = "landscape", 1, 0
    sheet.page_setup.paperSize = sheet.PAPERSIZE_A4
    sheet.sheet_properties.pageSetUpPr.fitToPage = True
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def build_class_heads(
    t: Callable[..., str],
    *,
    class_id: str,
    project: object,
    occupation: object,
    class_number: object,
    institution: object,
    place: object,
) -> list[tuple[str]]:
    """Return the lines that say which class a table is about; `t` gives the words."""
    number = "" if class_number is None else t("web.number_n", n=class_number)
    return [
        (f"{t('web.class_id')}：{class_id}",),
        (f"{t('web.project')}：{project}　{t('web.occupation')}：{occupation} {number}".rstrip(),),
        (f"{t('web.institution')}：{institution}　{t('web.place')}：{place}",),
    ]


def _fill_cell(cell: Cell, value: XlsxCell) -> None:
    if isinstance(value, str):
        cell.value = _CONTROL.sub("", value)[:_MAX_TEXT]
        cell.data_type = "s"
        cell.quotePrefix = value[:1] in ("=", "+", "-", "@")
    elif isinstance(value, float):
        cell.value, cell.number_format = value, "0.0%"
    elif isinstance(value, timedelta):
        cell.value, cell.number_format = value, "[h]:mm"
    elif isinstance(value, date):
        cell.value, cell.number_format = value, "yyyy-mm-dd"
    else:
        cell.value = value


def _style_cell(cell: Cell, kind: str) -> None:
    from openpyxl.styles import Alignment, Border, Font, PatternFill, Side

    thin = Side(style="thin", color="B9C6D1")
    if kind == "heading":
        cell.font, cell.fill = Font(bold=True), PatternFill("solid", fgColor="E9EEF2")
        cell.alignment = Alignment(wrap_text=True, vertical="top", horizontal="center")
    elif kind == "total":
        cell.font = Font(bold=True)
    if isinstance(cell.value, date) or kind == "head":
        cell.alignment = Alignment(horizontal="left")
    elif isinstance(cell.value, str) and kind in ("row", "total"):
        cell.alignment = Alignment(horizontal="left", indent=1)
    if kind in ("heading", "row", "total"):
        cell.border = Border(top=thin, bottom=thin, left=thin, right=thin)


def _measure_width(text: str) -> int:
    return sum(2 if ord(c) > 0x2E7F else 1 for c in text)
