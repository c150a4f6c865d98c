"""Parsers for the XML parts of an XLSX workbook: targets for `xml.etree.ElementTree.XMLParser`.

Element and attribute names are local names, without namespace. Malformed content raises ValueError or another error of
`xlsx._BROKEN`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Protocol

from agent.class_files.cells import MOST_COLUMNS, MOST_ROWS, Cell, Merged

_MOST_ELEMENTS = 100_000
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")


class TooManyRows(Exception):
    """The sheet has a value below row MOST_ROWS."""


class EnoughRows(Exception):
    """As many rows were read as were asked for."""


class ConvertCell(Protocol):
    """Convert a cell's type (`t`), text and style (`s`) to its value."""

    def __call__(self, kind: str, text: str, style: str | None, formula: bool) -> Cell: ...


class PartTarget:
    """Base of the parser targets: passes elements on by local name, and refuses a document type."""

    def __init__(self) -> None:
        self.text: list[str] = []

    def doctype(self, name: str, *_: object) -> None:
        """Raise ValueError: without a document type there are no entities to expand."""
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
        """Do nothing; XMLParser requires the method."""

    def opened(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Handle the start of an element."""

    def closed(self, tag: str, text: str) -> None:
        """Handle the end of an element; `text` follows its last child."""


def _local(name: str) -> str:
    return name.rpartition("}")[2]


class ElementCollector(PartTarget):
    """Collects the elements of some names in order: name, attributes, and the name of the enclosing element."""

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


class SharedStrings(PartTarget):
    """Reads xl/sharedStrings.xml: the text of each entry, without the phonetic readings (rPh) of East Asian text."""

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
            self.found.append(unescape("".join(self._parts)))


class SheetGrid(PartTarget):
    """Reads one sheet: `rows[row][column]`, hidden row numbers, merged ranges; rows count from 1, columns from 0.

    `most`: raise EnoughRows behind this row. Raises TooManyRows for a value below row `limit`.
    """

    def __init__(self, convert: ConvertCell, most: int | None, limit: int = MOST_ROWS) -> None:
        super().__init__()
        self.rows: dict[int, dict[int, Cell]] = {}
        self.hidden: set[int] = set()
        self.merged: list[Merged] = []
        self._convert, self._most, self._limit = convert, most, limit
        self._row, self._column = 0, -1
        self._cell: Mapping[str, str] = {}
        self._value, self._parts, self._formula, self._reading = "", [""], False, False

    def opened(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag == "row":
            self._row, self._column = int(attributes.get("r") or self._row + 1), -1
            if self._most is not None and self._row > self._most:
                raise EnoughRows
            if attributes.get("hidden") in ("1", "true") and self._row <= self._limit:
                self.hidden.add(self._row)
        elif tag == "c":
            self._column = _parse_column(attributes["r"]) if attributes.get("r") else self._column + 1
            if self._row < 1 or self._column < 0:
                raise ValueError(f"<c r={attributes.get('r')!r}>")
            self._cell, self._value, self._parts, self._formula = attributes, "", [], False
        elif tag == "rPh":
            self._reading = True
        elif tag == "f":
            self._formula = True
        elif tag == "mergeCell" and len(self.merged) < self._limit:
            self.merged += [found] if (found := _parse_range(attributes.get("ref", ""))) else []

    def closed(self, tag: str, text: str) -> None:
        if tag == "v":
            self._value = text
        elif tag == "t" and not self._reading:
            self._parts.append(text)
        elif tag == "rPh":
            self._reading = False
        elif tag == "c":
            kind = self._cell.get("t", "n")
            value = self._convert(kind, self._value or "".join(self._parts), self._cell.get("s"), self._formula)
            if value is not None and self._column < MOST_COLUMNS:
                self.rows.setdefault(self._row, {})[self._column] = value
                if self._row > self._limit:
                    raise TooManyRows


def _parse_column(reference: str) -> int:
    """`AB12` -> 27."""
    column = 0
    for char in reference.upper():
        if not "A" <= char <= "Z":
            break
        column = column * 26 + ord(char) - 64
    return column - 1


def _parse_range(reference: str) -> Merged | None:
    """`A2:B4` -> (2, 0, 4, 1); None for anything else, because merging only affects the display."""
    found = re.fullmatch("([A-Z]{1,3})([0-9]{1,7}):([A-Z]{1,3})([0-9]{1,7})", reference.upper())
    if not found:
        return None
    return int(found[2]), _parse_column(found[1]), int(found[4]), _parse_column(found[3])


def unescape(text: str) -> str:
    """Replace the `_xHHHH_` escapes of XLSX texts."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)
