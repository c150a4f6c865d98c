"""Sheets of cells, and reading them from CSV files."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from agent import i18n
from agent.class_files.cells import MOST_COLUMNS, MOST_ROWS, Cells, Merged
from agent.core.errors import ClassFileError


@dataclass(frozen=True, slots=True)
class Sheet:
    """One sheet. `rows` starts at row 1; `hidden` holds the numbers of hidden rows.

    `typed` is False for a CSV file, where a number cannot be distinguished from text.
    """

    name: str
    rows: list[Cells]
    hidden: frozenset[int] = frozenset()
    typed: bool = True
    merged: tuple[Merged, ...] = ()

    def under_merged(self) -> dict[tuple[int, int], int]:
        """Map each cell merged with a cell above it, as (row, column), to the row of the topmost cell."""
        found = {}
        for top, column, bottom, _ in self.merged:
            last = min(bottom, len(self.rows))
            if column < MOST_COLUMNS and (last, column) not in found:  # merged cells never overlap
                found.update({(row, column): top for row in range(top + 1, last + 1)})
        return found


def parse_csv(path: Path, data: bytes, limit: int = MOST_ROWS) -> Sheet:
    """Parse a CSV file as Excel saves it. Raises ClassFileError.

    Encodings: UTF-8 (with or without BOM), GB18030, UTF-16. Delimiters: comma, semicolon, tab.
    """
    text = _decode(path, data)
    if "\0" in text:
        raise ClassFileError("classes.not_text_file", file=path)
    delimiter = max(",;\t", key=text.count)
    try:
        # strict: otherwise an unclosed quote would put all following rows into one cell
        rows = [_trim(row) for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)]
    except csv.Error as error:
        raise ClassFileError("classes.not_csv", file=path, detail=error) from error
    while rows and not rows[-1]:
        rows.pop()
    if len(rows) > limit:
        raise ClassFileError("classes.many_rows", file=path, limit=limit)
    return Sheet(path.name, rows, typed=False)


def _decode(path: Path, data: bytes) -> str:
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


def _trim(row: list[str]) -> Cells:
    cells: Cells = [cell.strip() or None for cell in row[:MOST_COLUMNS]]
    while cells and cells[-1] is None:
        cells.pop()
    return cells


def format_column_letter(column: int) -> str:
    """Return a spreadsheet's name of a column: 0 -> A, 26 -> AA."""
    text = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        text = chr(65 + rest) + text
    return text


def describe_cell(sheet: str, row: int, column: int | None) -> str:
    """Describe a cell's place for error messages; row counts from 1, column from 0 (None: the whole row)."""
    if column is None:
        return i18n.translate("classes.at_row", sheet=sheet, row=row)
    return i18n.translate("classes.at_cell", sheet=sheet, row=row, column=format_column_letter(column))
