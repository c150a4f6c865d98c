"""A small reader of XLSX workbooks: cell values only.

Formatting, properties, charts and formulas are not read, so a fault in them cannot make a workbook with sound cells
unreadable. The parts are parsed as a stream; a document type (and with it any entity) is refused, and sizes are limited
before unpacking.
"""

from __future__ import annotations

import io
import math
import posixpath
import re
import zipfile
import zlib
from datetime import date, datetime, time, timedelta
from pathlib import Path
from xml.etree.ElementTree import ParseError, XMLParser

from agent.class_files.cells import MOST_ROWS, Cell, Cells, Merged, NoValue
from agent.class_files.xlsx_parts import (
    ElementCollector,
    EnoughRows,
    PartTarget,
    SharedStrings,
    SheetGrid,
    TooManyRows,
    unescape,
)
from agent.core.errors import ClassFileError

MOST_UNPACKED = 48 * 1024 * 1024
MOST_MEMBERS = 500

_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    ParseError,
    KeyError,
    ValueError,
    IndexError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    NotImplementedError,
)
"""Errors of zipfile, expat and the parsing code if the file is damaged, encrypted or not a workbook."""
_DATE_FORMATS = frozenset({*range(14, 23), *range(27, 37), 45, 46, 47, *range(50, 59)})
"""Built-in number formats that show a date or a time, including those of Chinese Excel and WPS (27 to 36, 50 to 58)."""
_NOT_CODE = re.compile(r'"[^"]*"|\\.|_.|\*.|\[(?![hms]+\])[^\]]*\]|general', re.IGNORECASE)
_DATE_CODE = re.compile(r"[ymdhs]|aaa", re.IGNORECASE)
_LARGEST_SERIAL = 2958466


class XlsxReader:
    """An open workbook. `names`: its sheets in order. `unseen`: names of its hidden sheets. `limit`: rows of a sheet.

    The constructor and `cells` raise ClassFileError if the file cannot be read.
    """

    def __init__(self, path: Path, data: bytes, limit: int = MOST_ROWS) -> None:
        self.path = path
        self._limit = limit
        self._strings: list[str] | None = None
        if data.startswith(b"\xd0\xcf\x11\xe0"):
            raise ClassFileError("classes.old_or_locked", file=path)
        try:
            self._archive = zipfile.ZipFile(io.BytesIO(data))
            members = self._archive.infolist()
            if len(members) > MOST_MEMBERS or sum(m.file_size for m in members) > MOST_UNPACKED:
                raise ClassFileError("classes.unpacked", file=path, limit=MOST_UNPACKED // 1024 // 1024)
            self._members = {m.filename.replace("\\", "/").lower(): m for m in members}
            self._open()
        except _BROKEN as error:
            raise self._build_error(error) from error

    def cells(self, name: str, most: int | None = None) -> tuple[list[Cells], frozenset[int], list[Merged]]:
        """Return a sheet's rows from row 1, the numbers of its hidden rows, and its merged ranges.

        `most`: read only that many rows; merged ranges are then missing if the sheet has more.
        """
        try:
            if self._strings is None:
                self._strings = self._read_strings()
            grid = SheetGrid(self.value, most, self._limit)
            self._parse(self._sheets[name], grid)
        except EnoughRows:
            pass
        except TooManyRows:
            raise ClassFileError("classes.many_rows", file=self.path, limit=self._limit) from None
        except _BROKEN as error:
            raise self._build_error(error) from error
        rows: list[Cells] = [[] for _ in range(max(grid.rows, default=0))]
        for number, cells in grid.rows.items():
            rows[number - 1] = [cells.get(column) for column in range(max(cells) + 1)]
        return rows, frozenset(grid.hidden), grid.merged

    def value(self, kind: str, text: str, style: str | None, formula: bool) -> Cell:
        """Convert a cell's type, text and style to the value that the sheet shows."""
        if formula and not text and kind != "str":
            return NoValue()
        if kind == "s" and text:
            return (self._strings or [])[int(text)].strip() or None
        if kind in ("str", "inlineStr"):
            return unescape(text).strip() or None
        if kind == "e":
            return NoValue(text)
        if not text:
            return None
        if kind == "b":
            return text == "1"
        if kind == "d":
            return datetime.fromisoformat(text)
        number = float(text)
        if int(style or 0) in self._date_styles and 0 <= number < _LARGEST_SERIAL:
            return _parse_serial(number, self._epoch)
        return int(number) if math.isfinite(number) and number.is_integer() else number

    def _open(self) -> None:
        main = "xl/workbook.xml"
        for target in self._find_targets("_rels/.rels", "", "/officeDocument").values():
            main = target
        book = ElementCollector("sheet", "workbookPr")
        self._parse(main, book)
        folder, file = posixpath.split(main)
        parts = self._find_targets(f"{folder}/_rels/{file}.rels", folder, "/worksheet")
        self._sheets = {a["name"]: parts[a["id"]] for tag, a, _ in book.found if tag == "sheet" and a["id"] in parts}
        self.names = list(self._sheets)
        self.unseen = {
            a["name"] for tag, a, _ in book.found if tag == "sheet" and a.get("state", "visible") != "visible"
        }
        dates_1904 = any(a.get("date1904") in ("1", "true") for tag, a, _ in book.found if tag == "workbookPr")
        self._epoch = date(1904, 1, 1) if dates_1904 else date(1899, 12, 30)
        others = self._find_targets(f"{folder}/_rels/{file}.rels", folder, "/sharedStrings", "/styles")
        self._strings_part = next((t for t in others.values() if "strings" in t), "")
        self._date_styles = self._read_date_styles(next((t for t in others.values() if "styles" in t), ""))

    def _find_targets(self, part: str, folder: str, *kinds: str) -> dict[str, str]:
        """Return relationship ID -> part name in lower case, for relationships whose type ends with one of `kinds`."""
        if part.lower() not in self._members:
            return {}
        links = ElementCollector("Relationship")
        self._parse(part, links)
        return {
            a["Id"]: posixpath.normpath(posixpath.join("/", folder, a["Target"].replace("\\", "/"))).lstrip("/").lower()
            for _, a, _ in links.found
            if a.get("Type", "").endswith(kinds) and a.get("TargetMode") != "External"
        }

    def _read_strings(self) -> list[str]:
        strings = SharedStrings()
        if self._strings_part in self._members:
            self._parse(self._strings_part, strings)
        return strings.found

    def _read_date_styles(self, part: str) -> frozenset[int]:
        """Return the cell styles that show a date or a time; empty if the styles are damaged, which is not an error."""
        styles = ElementCollector("numFmt", "xf")
        try:
            self._parse(part, styles)
            codes = {int(a["numFmtId"]): a.get("formatCode", "") for tag, a, _ in styles.found if tag == "numFmt"}
            formats = [
                int(a.get("numFmtId") or 0) for tag, a, around in styles.found if (tag, around) == ("xf", "cellXfs")
            ]
        except (KeyError, ValueError, ParseError):
            return frozenset()
        shows = {key for key, code in codes.items() if _DATE_CODE.search(_NOT_CODE.sub("", code))}
        return frozenset(
            i for i, key in enumerate(formats) if key in shows or (key not in codes and key in _DATE_FORMATS)
        )

    def _parse(self, part: str, target: PartTarget) -> None:
        parser = XMLParser(target=target)  # noqa: S314 - document types are refused, and sizes are limited
        with self._archive.open(self._members[part.lower()]) as stream:
            while chunk := stream.read(1 << 16):
                parser.feed(chunk)
        parser.close()

    def _build_error(self, error: Exception) -> ClassFileError:
        detail = " ".join(str(error).split())[:80] or type(error).__name__
        return ClassFileError("classes.not_xlsx", file=self.path, detail=detail)


def _parse_serial(serial: float, epoch: date) -> time | datetime:
    """Convert a spreadsheet's date number, to the second: below one to a time of day, else to date and time."""
    seconds = round(serial * 86400)
    days, rest = divmod(seconds, 86400)
    clock = time(rest // 3600, rest // 60 % 60, rest % 60)
    if serial < 1:
        return clock
    if epoch.year == 1899 and days < 60:  # spreadsheets count 29 February 1900, which did not exist
        days += 1
    return datetime.combine(epoch + timedelta(days=days), clock)
