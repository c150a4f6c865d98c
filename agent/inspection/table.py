"""Rows as an XLSX file that Excel and WPS open without a warning: text stays text, whatever it looks like."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Sequence
from datetime import date

XlsxCell = str | int | float | date | None
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_MAX_TEXT = 32_767
_MAX_WIDTH = 48


def build_xlsx(
    title: str, heads: Iterable[Sequence[XlsxCell]], headings: Sequence[str], rows: Iterable[Sequence[XlsxCell]]
) -> bytes:
    """Return a workbook with one sheet: `heads` (what the table is about), then `headings` and `rows`.

    A text that begins like a formula stays text: openpyxl would make `=…` a formula and `#N/A` an error.
    """
    from openpyxl import Workbook  # here because it costs 0.3 s
    from openpyxl.styles import Alignment, Font, PatternFill
    from openpyxl.utils import get_column_letter

    book = Workbook()
    sheet = book.active
    sheet.title = re.sub(r"[\[\]:*?/\\\x00-\x1f]", "_", title)[:31] or "1"
    widths: dict[int, int] = {}
    blocks: list[tuple[Sequence[XlsxCell], bool]] = [(row, False) for row in heads]
    blocks += [(tuple(headings), True), *((row, False) for row in rows)]
    for number, (values, bold) in enumerate(blocks, 1):
        for column, value in enumerate(values, 1):
            cell = sheet.cell(number, column)
            if isinstance(value, str):
                cell.value = _CONTROL.sub("", value)[:_MAX_TEXT]
                cell.data_type = "s"
                cell.quotePrefix = value[:1] in ("=", "+", "-", "@")
            elif isinstance(value, float):
                cell.value, cell.number_format = value, "0.0%"
            else:
                cell.value = value
            if bold:
                cell.font, cell.fill = Font(bold=True), PatternFill("solid", fgColor="E9EEF2")
                cell.alignment = Alignment(wrap_text=True, vertical="top")
            widths[column] = max(widths.get(column, 8), min(_MAX_WIDTH, 2 + _measure_width(str(value or ""))))
        if bold:
            sheet.freeze_panes = sheet.cell(number + 1, 1)
    for column, width in widths.items():
        sheet.column_dimensions[get_column_letter(column)].width = width
    sheet.page_setup.orientation, sheet.page_setup.fitToWidth, sheet.page_setup.fitToHeight = "landscape", 1, 0
    sheet.sheet_properties.pageSetUpPr.fitToPage = True
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def _measure_width(text: str) -> int:
    return sum(2 if ord(c) > 0x2E7F else 1 for c in text)
