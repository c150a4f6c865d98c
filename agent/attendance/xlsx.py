"""A small reader of XLSX workbooks: cell values only.

Looks, properties, charts and formulas are never read, so nothing in them can refuse a workbook whose cells are sound. The
parts are parsed as a stream; a document type (and with it any entity) is refused, and sizes are bounded before unpacking.
"""

from __future__ import annotations

import io
import math
import posixpath
import re
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from xml.etree.ElementTree import ParseError, XMLParser

from agent.errors import ClassFileError

MOST_ROWS = 5000
MOST_COLUMNS = 40
MOST_UNPACKED = 48 * 1024 * 1024
MOST_MEMBERS = 500
_MOST_ELEMENTS = 100_000

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
"""What zipfile and expat let out where the archive is damaged, encrypted or no workbook."""
_DATE_FORMATS = frozenset({*range(14, 23), *range(27, 37), 45, 46, 47, *range(50, 59)})
"""Built-in number formats that show a date or a time, those of Chinese Excel and WPS (27 to 36, 50 to 58) among them."""
_NOT_CODE = re.compile(r'"[^"]*"|\\.|_.|\*.|\[(?![hms]+\])[^\]]*\]|general', re.IGNORECASE)
_DATE_CODE = re.compile(r"[ymdhs]|aaa", re.IGNORECASE)
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
_LARGEST_SERIAL = 2958466


@dataclass(frozen=True, slots=True)
class NoValue:
    """A cell that shows no value: a formula that was never computed (`text` empty), or an error such as `#REF!`."""

    text: str = ""


Merged = tuple[int, int, int, int]
"""Cells that show one value: first row, first column, last row, last column; rows count from 1, columns from 0."""
Cells = list[object]
"""A row: text, bool, int, float, date, datetime, time, NoValue or None. Trailing empty cells are cut."""


class _Part:
    """Target of one XML part: local names, the text of the innermost element; a document type is refused."""

    def __init__(self) -> None:
        self.text: list[str] = []

    def doctype(self, name: str, *_: object) -> None:
        raise ValueError(f"<!DOCTYPE {name}>")

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self.text = []
        self.opened(_local(tag), {_local(key): value for key, value in attributes.items()})

    def data(self, text: str) -> None:
        self.text.append(text)

    def end(self, tag: str) -> None:
        self.closed(_local(tag), "".join(self.text))
        self.text = []

    def close(self) -> None:
        """Part of what XMLParser asks of a target."""

    def opened(self, tag: str, attributes: Mapping[str, str]) -> None:
        """An element begins."""

    def closed(self, tag: str, text: str) -> None:
        """An element ends."""


def _local(name: str) -> str:
    return name.rpartition("}")[2]


class _Elements(_Part):
    """The attributes of every element of some names, in order, with the name of the element around it."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self.found: list[tuple[str, Mapping[str, str], str]] = []
        self._names, self._around = names, [""]

    def opened(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag in self._names:
            if len(self.found) >= _MOST_ELEMENTS:
                raise ValueError(f"more than {_MOST_ELEMENTS} <{tag}>")
            self.found.append((tag, attributes, self._around[-1]))
        self._around.append(tag)

    def closed(self, tag: str, text: str) -> None:
        self._around.pop()


class _Strings(_Part):
    """xl/sharedStrings.xml: the text of each entry, without the readings (rPh) that Eastern writers keep beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._parts: list[str] = []
        self._reading = False

    def opened(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag == "si":
            self._parts = []
        elif tag == "rPh":
            self._reading = True

    def closed(self, tag: str, text: str) -> None:
        if tag == "t" and not self._reading:
            self._parts.append(text)
        elif tag == "rPh":
            self._reading = False
        elif tag == "si":
            self.found.append(_unescaped("".join(self._parts)))


class _Enough(Exception):
    """As many rows as were asked for."""


class _Grid(_Part):
    """One sheet's cells."""

    def __init__(self, book: Workbook, most: int | None) -> None:
        super().__init__()
        self.rows: dict[int, dict[int, object]] = {}
        self.hidden: set[int] = set()
        self.merged: list[Merged] = []
        self._book, self._most = book, most
        self._row, self._column = 0, -1
        self._cell: Mapping[str, str] = {}
        self._value, self._parts, self._formula, self._reading = "", [""], False, False

    def opened(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag == "row":
            self._row, self._column = int(attributes.get("r") or self._row + 1), -1
            if self._most is not None and self._row > self._most:
                raise _Enough
            if attributes.get("hidden") in ("1", "true") and self._row <= MOST_ROWS:
                self.hidden.add(self._row)
        elif tag == "c":
            self._column = _column(attributes["r"]) if attributes.get("r") else self._column + 1
            if self._row < 1 or self._column < 0:
                raise ValueError(f"<c r={attributes.get('r')!r}>")
            self._cell, self._value, self._parts, self._formula = attributes, "", [], False
        elif tag == "rPh":
            self._reading = True
        elif tag == "f":
            self._formula = True
        elif tag == "mergeCell" and len(self.merged) < MOST_ROWS:
            self.merged += [found] if (found := _merged(attributes.get("ref", ""))) else []

    def closed(self, tag: str, text: str) -> None:
        if tag == "v":
            self._value = text
        elif tag == "t" and not self._reading:
            self._parts.append(text)
        elif tag == "rPh":
            self._reading = False
        elif tag == "c":
            kind = self._cell.get("t", "n")
            value = self._book.value(kind, self._value or "".join(self._parts), self._cell.get("s"), self._formula)
            if value is not None and self._column < MOST_COLUMNS:
                self.rows.setdefault(self._row, {})[self._column] = value
                if self._row > MOST_ROWS:
                    raise ClassFileError("classes.many_rows", file=self._book.path, limit=MOST_ROWS)


class Workbook:
    """An open workbook. `names`: its sheets in order, `unseen` those that it does not show.

    All of it raises ClassFileError where it cannot be read.
    """

    def __init__(self, path: Path, data: bytes) -> None:
        self.path = path
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
            raise self._broken(error) from error

    def cells(self, name: str, most: int | None = None) -> tuple[list[Cells], frozenset[int], list[Merged]]:
        """The rows of a sheet from row 1 (the first `most`, where given), the numbers of its hidden rows, and its merged
        cells (none of them where `most` cut the sheet).
        """
        try:
            if self._strings is None:
                self._strings = self._texts()
            grid = _Grid(self, most)
            self._parse(self._sheets[name], grid)
        except _Enough:
            pass
        except _BROKEN as error:
            raise self._broken(error) from error
        rows: list[Cells] = [[] for _ in range(max(grid.rows, default=0))]
        for number, cells in grid.rows.items():
            rows[number - 1] = [cells.get(column) for column in range(max(cells) + 1)]
        return rows, frozenset(grid.hidden), grid.merged

    def value(self, kind: str, text: str, style: str | None, formula: bool) -> object:
        """A cell's value from its type, text and style, as the sheet shows it."""
        if formula and not text and kind != "str":
            return NoValue()
        if kind == "s" and text:
            return (self._strings or [])[int(text)].strip() or None
        if kind in ("str", "inlineStr"):
            return _unescaped(text).strip() or None
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
            return _moment(number, self._epoch)
        return int(number) if math.isfinite(number) and number.is_integer() else number

    def _open(self) -> None:
        main = "xl/workbook.xml"
        for target in self._targets("_rels/.rels", "", "/officeDocument").values():
            main = target
        book = _Elements("sheet", "workbookPr")
        self._parse(main, book)
        folder, file = posixpath.split(main)
        parts = self._targets(f"{folder}/_rels/{file}.rels", folder, "/worksheet")
        self._sheets = {a["name"]: parts[a["id"]] for tag, a, _ in book.found if tag == "sheet" and a["id"] in parts}
        self.names = list(self._sheets)
        self.unseen = {
            a["name"] for tag, a, _ in book.found if tag == "sheet" and a.get("state", "visible") != "visible"
        }
        dates_1904 = any(a.get("date1904") in ("1", "true") for tag, a, _ in book.found if tag == "workbookPr")
        self._epoch = date(1904, 1, 1) if dates_1904 else date(1899, 12, 30)
        others = self._targets(f"{folder}/_rels/{file}.rels", folder, "/sharedStrings", "/styles")
        self._texts_part = next((t for t in others.values() if "strings" in t), "")
        self._date_styles = self._date_cells(next((t for t in others.values() if "styles" in t), ""))

    def _targets(self, part: str, folder: str, *kinds: str) -> dict[str, str]:
        """Relationship -> part, in lower case, of the kinds whose type ends so."""
        if part.lower() not in self._members:
            return {}
        links = _Elements("Relationship")
        self._parse(part, links)
        return {
            a["Id"]: posixpath.normpath(posixpath.join("/", folder, a["Target"].replace("\\", "/"))).lstrip("/").lower()
            for _, a, _ in links.found
            if a.get("Type", "").endswith(kinds) and a.get("TargetMode") != "External"
        }

    def _texts(self) -> list[str]:
        strings = _Strings()
        if self._texts_part in self._members:
            self._parse(self._texts_part, strings)
        return strings.found

    def _date_cells(self, part: str) -> frozenset[int]:
        """Which cell styles show a date or a time. Of the styles nothing else matters, not even whether they are whole."""
        styles = _Elements("numFmt", "xf")
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

    def _parse(self, part: str, target: _Part) -> None:
        parser = XMLParser(target=target)  # noqa: S314 - no document type passes, and the sizes are bounded
        with self._archive.open(self._members[part.lower()]) as stream:
            while chunk := stream.read(1 << 16):
                parser.feed(chunk)
        parser.close()

    def _broken(self, error: Exception) -> ClassFileError:
        detail = " ".join(str(error).split())[:80] or type(error).__name__
        return ClassFileError("classes.not_xlsx", file=self.path, detail=detail)


def _column(reference: str) -> int:
    """`AB12` -> 27."""
    column = 0
    for char in reference.upper():
        if not "A" <= char <= "Z":
            break
        column = column * 26 + ord(char) - 64
    return column - 1


def _merged(reference: str) -> Merged | None:
    """`A2:B4` -> (2, 0, 4, 1); None for what is no such thing, which is a matter of looks."""
    found = re.fullmatch("([A-Z]{1,3})([0-9]{1,7}):([A-Z]{1,3})([0-9]{1,7})", reference.upper())
    return (int(found[2]), _column(found[1]), int(found[4]), _column(found[3])) if found else None


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)


def _moment(serial: float, epoch: date) -> object:
    """A spreadsheet's date number: below one a time of day, else date and time, to the second."""
    seconds = round(serial * 86400)
    days, rest = divmod(seconds, 86400)
    clock = time(rest // 3600, rest // 60 % 60, rest % 60)
    if serial < 1:
        return clock
    if epoch.year == 1899 and days < 60:  # 1900 was no leap year, but spreadsheets count its 29 February
        days += 1
    return datetime.combine(epoch + timedelta(days=days), clock)
