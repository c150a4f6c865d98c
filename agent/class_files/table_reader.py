"""Reading the fields of untrusted tables: every problem is reported to a `Report`, none stops the reading."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from datetime import date, time
from typing import TypeVar

from agent.class_files.cells import NoValue
from agent.class_files.fields import (
    FieldPath,
    ImportReport,
    is_printable,
    normalize_width,
    parse_clock_time,
    parse_day,
    sanitize_value,
)
from agent.core.model import is_id

T = TypeVar("T")
_LONGEST = 200


class TableReader:
    """One table of a body.

    Each getter reports a wrong value and returns None, or the getter's empty value; `done` reports unknown keys.
    """

    def __init__(self, report: ImportReport, path: FieldPath, raw: Mapping[str, object]) -> None:
        self.report = report
        self.path = path
        self.raw = raw
        self._asked: set[str] = set()

    def problem(self, key: str, word: str, /, **params: object) -> None:
        """Report a problem of the field `key`; `word` is the word key of the message."""
        self.report.add((*self.path, key), word, **params)

    def value(self, key: str, *, required: bool) -> object:
        """Return a field's raw value; None if it is missing, blank or a formula without value."""
        self._asked.add(key)
        found = self.raw.get(key)
        if isinstance(found, NoValue):
            self.problem(key, "classes.formula", value=sanitize_value(found.text))
            return None
        if found is None or (isinstance(found, str) and not found.strip()):
            if required:
                self.problem(key, "classes.missing", key=key)
            return None
        return found

    def text(self, key: str, *, required: bool = False, limit: int = _LONGEST) -> str:
        """Return a text with single spaces; "" if missing. Control characters and excess length are reported."""
        found = self.value(key, required=required)
        if found is None:
            return ""
        if isinstance(found, bool) or not isinstance(found, str | int):
            self.problem(key, "classes.not_text", value=sanitize_value(found))
            return ""
        text = " ".join(str(found).split())
        if len(text) > limit:
            self.problem(key, "classes.too_long", limit=limit)
        elif not is_printable(text):
            self.problem(key, "classes.control", value=sanitize_value(text))
        return text

    def identity(self, key: str) -> str:
        """Return an ID as the contract defines it; required."""
        text = self.text(key, required=True)
        if text and not is_id(text):
            self.problem(key, "classes.not_id", value=sanitize_value(text))
        return text

    def number(self, key: str, low: int, high: int, *, default: int | None = None) -> int:
        """Return a whole number in [low, high], `low` if wrong; required unless there is a default.

        A text of digits is accepted too (a spreadsheet's cell).
        """
        found = self.value(key, required=default is None)
        if found is None:
            return low if default is None else default
        if isinstance(found, str) and normalize_width(found.strip()).isdecimal():
            found = int(normalize_width(found.strip())[:9])
        if isinstance(found, float) and found.is_integer():
            found = int(found)
        if isinstance(found, bool) or not isinstance(found, int):
            self.problem(key, "classes.not_number", value=sanitize_value(found))
            return low
        if not low <= found <= high:
            self.problem(key, "classes.out_of_range", value=found, low=low, high=high)
            return low
        return found

    def flag(self, key: str) -> bool:
        found = self.value(key, required=False)
        if found is not None and not isinstance(found, bool):
            self.problem(key, "classes.not_flag", value=sanitize_value(found))
        return found is True

    def day(self, key: str, *, required: bool = True) -> date | None:
        found = self.value(key, required=required)
        if found is None:
            return None
        day = parse_day(found)
        if day is None:
            self.problem(key, "classes.not_date", value=sanitize_value(found))
        return day

    def clock(self, key: str, *, required: bool = True) -> time | None:
        found = self.value(key, required=required)
        if found is None:
            return None
        moment = parse_clock_time(found)
        if moment is None:
            self.problem(key, "classes.not_time", value=sanitize_value(found))
        return moment

    def choice(self, key: str, options: Mapping[str, T], *, required: bool = True) -> T | None:
        found = self.value(key, required=required)
        if found is None:
            return None
        if not isinstance(found, str) or found.strip() not in options:
            self.problem(key, "classes.not_choice", value=sanitize_value(found), options=" / ".join(options))
            return None
        return options[found.strip()]

    def texts(self, key: str, *, limit: int = 100) -> tuple[str, ...]:
        """Return a list of texts; a single text is split at commas (a spreadsheet's cell)."""
        found = self.value(key, required=False)
        if found is None:
            return ()
        if isinstance(found, str):
            found = [part for part in found.replace("，", ",").replace("、", ",").split(",") if part.strip()]
        if not isinstance(found, list) or len(found) > limit or not all(isinstance(x, str) for x in found):
            self.problem(key, "classes.not_list", value=sanitize_value(found))
            return ()
        texts = tuple(" ".join(part.split()) for part in found)
        for text in texts:
            if not text or len(text) > _LONGEST or not is_printable(text):
                self.problem(key, "classes.not_list", value=sanitize_value(text))
        return texts

    def tables(self, key: str) -> Iterator[TableReader]:
        """Yield the tables of a list of tables."""
        found = self.value(key, required=False)
        if found is None:
            return
        if not isinstance(found, list):
            self.problem(key, "classes.not_tables", key=key)
            return
        for number, raw in enumerate(found):
            if isinstance(raw, Mapping):
                yield TableReader(self.report, (*self.path, key, number), raw)
            else:
                self.report.add((*self.path, key, number), "classes.not_table", value=sanitize_value(raw))

    def done(self) -> None:
        """Report keys that no getter asked for, with the most similar known key."""
        for key in self.raw:
            if key not in self._asked:
                near = difflib.get_close_matches(str(key), self._asked, 1)
                word = "classes.unknown_key_near" if near else "classes.unknown_key"
                self.problem(
                    sanitize_value(key), word, near=near[0] if near else "", known=", ".join(sorted(self._asked))
                )
