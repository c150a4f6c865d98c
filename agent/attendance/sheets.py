"""XLSX and CSV -> rows of cells. Formulas are never evaluated, sizes are bounded before anything is unpacked."""

from __future__ import annotations

import csv
import io
import zipfile
from datetime import date, datetime, time
from pathlib import Path
from xml.etree.ElementTree import ParseError

from agent.errors import ClassFileError

Cells = list[object]
"""A row: text, int, float, date, time or None. Trailing empty cells are cut."""

MOST_ROWS = 5000
MOST_COLUMNS = 40
MOST_SHEETS = 20
MOST_UNPACKED = 48 * 1024 * 1024
MOST_MEMBERS = 500


def workbook(path: Path, data: bytes) -> dict[str, list[Cells]]:
    """The sheets of an XLSX file by name. Raises ClassFileError."""
    from openpyxl import load_workbook  # here because it costs 0.3 s, and most class files are TOML

    _check_archive(path, data)
    try:
        book = load_workbook(io.BytesIO(data), read_only=True, data_only=False, keep_links=False)
        names = book.sheetnames[:MOST_SHEETS]
        rows = {}
        for name in names:
            grid = book[name].iter_rows(max_row=MOST_ROWS + 1, max_col=MOST_COLUMNS, values_only=True)
            rows[name] = _bounded(path, [list(row) for row in grid])
        book.close()
    except (
        zipfile.BadZipFile,
        KeyError,
        ValueError,
        TypeError,
        AttributeError,
        IndexError,
        EOFError,
        ParseError,
    ) as error:
        # what openpyxl lets out where the archive is an archive but no workbook
        raise ClassFileError("classes.not_xlsx", file=path, detail=type(error).__name__) from error
    for name, table in rows.items():
        _refuse_formulas(path, name, table)
    return rows


def comma_separated(path: Path, data: bytes) -> list[Cells]:
    """The rows of a CSV file: UTF-8 (with or without BOM) or GB18030 as Excel saves it; comma, semicolon or tab."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        try:
            text = data.decode("gb18030")
        except UnicodeDecodeError as error:
            raise ClassFileError("classes.not_text_file", file=path) from error
    if "\0" in text:
        raise ClassFileError("classes.not_text_file", file=path)
    delimiter = max(",;\t", key=text.count)
    try:
        rows: list[Cells] = [list(row) for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)]
    except csv.Error as error:
        raise ClassFileError("classes.not_csv", file=path, detail=error) from error
    return _bounded(path, rows)


def _check_archive(path: Path, data: bytes) -> None:
    """Refuse what would unpack to more than a class file ever is (`zipfile` reads no more than the sizes it declares)."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
    except zipfile.BadZipFile as error:
        raise ClassFileError("classes.not_xlsx", file=path, detail=error) from error
    if len(members) > MOST_MEMBERS or sum(m.file_size for m in members) > MOST_UNPACKED:
        raise ClassFileError("classes.unpacked", file=path, limit=MOST_UNPACKED // 1024 // 1024)


def _bounded(path: Path, rows: list[Cells]) -> list[Cells]:
    rows = [_cut(row) for row in rows]
    while rows and not rows[-1]:
        rows.pop()
    if len(rows) > MOST_ROWS:
        raise ClassFileError("classes.many_rows", file=path, limit=MOST_ROWS)
    return rows


def _cut(row: Cells) -> Cells:
    cells = [_simple(cell) for cell in row[:MOST_COLUMNS]]
    while cells and cells[-1] is None:
        cells.pop()
    return cells


def _simple(cell: object) -> object:
    if isinstance(cell, str):
        return cell.strip() or None
    if isinstance(cell, bool) or cell is None or isinstance(cell, int | float | datetime | date | time):
        return cell
    return str(cell)


def _refuse_formulas(path: Path, name: str, rows: list[Cells]) -> None:
    for number, row in enumerate(rows, 1):
        for column, value in enumerate(row):
            if isinstance(value, str) and (value.startswith("=") or "ArrayFormula" in value):
                raise ClassFileError("classes.formula", file=path, sheet=name, row=number, column=letter(column))


def letter(column: int) -> str:
    """0 -> A, 26 -> AA, as spreadsheets name columns."""
    text = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        text = chr(65 + rest) + text
    return text
