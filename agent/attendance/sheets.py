"""XLSX and CSV -> sheets of cells."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from agent.attendance.xlsx import MOST_COLUMNS, MOST_ROWS, Cells, Merged, NoValue, Workbook
from agent.errors import ClassFileError

__all__ = ["Cells", "NoValue", "Sheet", "Workbook", "comma_separated", "letter"]


@dataclass(frozen=True, slots=True)
class Sheet:
    """`rows` from row 1. `hidden`: numbers of rows that the sheet does not show. `typed` is False for a CSV, where a number
    cannot be told from text.
    """

    name: str
    rows: list[Cells]
    hidden: frozenset[int] = frozenset()
    typed: bool = True
    merged: tuple[Merged, ...] = ()

    def under_merged(self) -> dict[tuple[int, int], int]:
        """(row, column) of a cell that shows what a cell above it holds -> the row of that cell."""
        found = {}
        for top, column, bottom, _ in self.merged:
            last = min(bottom, len(self.rows))
            if column < MOST_COLUMNS and (last, column) not in found:  # merged cells never overlap
                found.update({(row, column): top for row in range(top + 1, last + 1)})
        return found


def comma_separated(path: Path, data: bytes) -> Sheet:
    """A CSV file: UTF-8 (with or without BOM), GB18030 or UTF-16 as Excel saves them; comma, semicolon or tab.
    Raises ClassFileError.
    """
    text = _decoded(path, data)
    if "\0" in text:
        raise ClassFileError("classes.not_text_file", file=path)
    delimiter = max(",;\t", key=text.count)
    try:
        # strict: a quote that is never closed would take the rows behind it into its own cell
        rows = [_cut(row) for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)]
    except csv.Error as error:
        raise ClassFileError("classes.not_csv", file=path, detail=error) from error
    while rows and not rows[-1]:
        rows.pop()
    if len(rows) > MOST_ROWS:
        raise ClassFileError("classes.many_rows", file=path, limit=MOST_ROWS)
    return Sheet(path.name, rows, typed=False)


def _decoded(path: Path, data: bytes) -> str:
    codes = ["utf-8-sig", "gb18030"]
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        codes = ["utf-16"]
    for code in codes:
        try:
            text = data.decode(code)
        except UnicodeDecodeError:
            continue
        if code != "utf-16" or any(sign in text for sign in ",;\t"):
            return text
    raise ClassFileError("classes.not_text_file", file=path)


def _cut(row: list[str]) -> Cells:
    cells: Cells = [cell.strip() or None for cell in row[:MOST_COLUMNS]]
    while cells and cells[-1] is None:
        cells.pop()
    return cells


def letter(column: int) -> str:
    """0 -> A, 26 -> AA, as spreadsheets name columns."""
    text = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        text = chr(65 + rest) + text
    return text
