"""Reading untrusted tables (class files, the bureau's approved classes): every problem is collected, none is fatal.

A place in a body is a path such as ("lessons", 2, "start"); `Report` turns it into words that a person finds in his file.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Any, TypeVar

from agent import words
from agent.attendance.xlsx import NoValue
from agent.errors import ClassFileError
from agent.model import is_id

Path = tuple[str | int, ...]
T = TypeVar("T")
MOST_PROBLEMS = 1000
_LONGEST = 200
_DAY = re.compile(r"(?P<y>[0-9]{4})[-/.年](?P<m>[0-9]{1,2})[-/.月](?P<d>[0-9]{1,2})日?")
_TIME = re.compile(r"([0-9]{1,2})(?:[时点](?:([0-9]{1,2})分?)?|:([0-9]{2})(?::([0-9]{2}))?)")


class ClassFileProblems(ClassFileError):
    """All that is wrong with one class file. `problems` holds one line each; the text itself names the first."""

    def __init__(self, source: str, problems: list[str]) -> None:
        key = "classes.one_problem" if len(problems) == 1 else "classes.problems"
        super().__init__(key, source=source, first=problems[0], count=len(problems))
        self.problems = problems


class Unread(Exception):
    """A cell that cannot be understood. `key` and `params` are the words for it."""

    def __init__(self, key: str, /, **params: object) -> None:
        super().__init__(key)
        self.key = key
        self.params = params


_CAUSES = frozenset(
    {"classes.unknown_key", "classes.unknown_key_near", "classes.unknown_name", "classes.unknown_name_near"}
)
_PARTS = ("rooms", "lessons", "amendments")


@dataclass
class Report:
    """Collects problems. `places` names where a path came from, where that is not the path itself (row and column).
    `notes`: what is not wrong, but a person should know before the class is taken.
    """

    source: str
    places: dict[Path, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    _found: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def problems(self) -> list[str]:
        """A line each, causes before what follows from them: names that nobody knows, then the class, rooms, lessons."""
        return sorted(self._found, key=lambda line: self._found[line])

    def add(self, path: Path, key: str, /, **params: object) -> None:
        line = _visible(" ".join(f"{self.source}: {self.where(path)}: {words.text(key, **params)}".split()))
        part = _PARTS.index(path[0]) + 1 if path and path[0] in _PARTS else 0
        number = path[1] if len(path) > 1 and isinstance(path[1], int) else -1
        if len(self._found) < MOST_PROBLEMS:
            self._found.setdefault(line, (-1 if key in _CAUSES else part, number))

    def wrong(self, part: str) -> bool:
        """Whether anything was wrong with the rooms, the lessons, the amendments."""
        return _PARTS.index(part) + 1 in {rank for rank, _ in self._found.values()}

    def note(self, path: Path, key: str, /, **params: object) -> None:
        self.notes.append(_visible(" ".join(f"{self.source}: {self.where(path)}: {words.text(key, **params)}".split())))

    def where(self, path: Path) -> str:
        """Words for a path: the row and column it came from, else the table's number and the key."""
        for cut in range(len(path), 0, -1):
            if path[:cut] in self.places:
                rest = path[cut:]
                return self.places[path[:cut]] + (f" {_dotted(rest)}" if rest else "")
        return _dotted(path)

    def finish(self) -> None:
        """Raise ClassFileProblems if anything was wrong."""
        if self.problems:
            raise ClassFileProblems(self.source, self.problems)


def _dotted(path: Path) -> str:
    """("lessons", 0, "start") -> `lessons[1].start`; entries count from 1, as people do."""
    text = ""
    for part in path:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if text else part
    return text


class Table:
    """One table of a body. Each getter reports what is wrong and returns None then; `done` reports unknown keys."""

    def __init__(self, report: Report, path: Path, raw: Mapping[str, Any]) -> None:
        self.report = report
        self.path = path
        self.raw = raw
        self._asked: set[str] = set()

    def problem(self, key: str, word: str, /, **params: object) -> None:
        self.report.add((*self.path, key), word, **params)

    def value(self, key: str, *, required: bool) -> Any:
        self._asked.add(key)
        found = self.raw.get(key)
        if isinstance(found, NoValue):
            self.problem(key, "classes.formula", value=shown(found.text))
            return None
        if found is None or (isinstance(found, str) and not found.strip()):
            if required:
                self.problem(key, "classes.missing", key=key)
            return None
        return found

    def text(self, key: str, *, required: bool = False, limit: int = _LONGEST) -> str:
        """Text in one line without control characters; empty where it is missing."""
        found = self.value(key, required=required)
        if found is None:
            return ""
        if isinstance(found, bool) or not isinstance(found, str | int):
            self.problem(key, "classes.not_text", value=shown(found))
            return ""
        text = " ".join(str(found).split())
        if len(text) > limit:
            self.problem(key, "classes.too_long", limit=limit)
        elif _visible(text) != text:
            self.problem(key, "classes.control", value=shown(text))
        return text

    def identity(self, key: str) -> str:
        text = self.text(key, required=True)
        if text and not is_id(text):
            self.problem(key, "classes.not_id", value=shown(text))
        return text

    def number(self, key: str, low: int, high: int, *, default: int | None = None) -> int:
        """A whole number in [low, high]; text of digits will do (a spreadsheet's cell). Without default it is required."""
        found = self.value(key, required=default is None)
        if found is None:
            return low if default is None else default
        if isinstance(found, str) and plain(found.strip()).isdecimal():
            found = int(plain(found.strip())[:9])
        if isinstance(found, float) and found.is_integer():
            found = int(found)
        if isinstance(found, bool) or not isinstance(found, int):
            self.problem(key, "classes.not_number", value=shown(found))
            return low
        if not low <= found <= high:
            self.problem(key, "classes.out_of_range", value=found, low=low, high=high)
            return low
        return found

    def flag(self, key: str) -> bool:
        found = self.value(key, required=False)
        if found is not None and not isinstance(found, bool):
            self.problem(key, "classes.not_flag", value=shown(found))
        return found is True

    def day(self, key: str, *, required: bool = True) -> date | None:
        found = self.value(key, required=required)
        if found is None:
            return None
        day = as_day(found)
        if day is None:
            self.problem(key, "classes.not_date", value=shown(found))
        return day

    def clock(self, key: str, *, required: bool = True) -> time | None:
        found = self.value(key, required=required)
        if found is None:
            return None
        moment = as_time(found)
        if moment is None:
            self.problem(key, "classes.not_time", value=shown(found))
        return moment

    def choice(self, key: str, options: Mapping[str, T], *, required: bool = True) -> T | None:
        found = self.value(key, required=required)
        if found is None:
            return None
        if not isinstance(found, str) or found.strip() not in options:
            self.problem(key, "classes.not_choice", value=shown(found), options=" / ".join(options))
            return None
        return options[found.strip()]

    def texts(self, key: str, *, limit: int = 100) -> tuple[str, ...]:
        """A list of texts; a single text is split at commas (a spreadsheet's cell)."""
        found = self.value(key, required=False)
        if found is None:
            return ()
        if isinstance(found, str):
            found = [part for part in found.replace("，", ",").replace("、", ",").split(",") if part.strip()]
        if not isinstance(found, list) or len(found) > limit or not all(isinstance(x, str) for x in found):
            self.problem(key, "classes.not_list", value=shown(found))
            return ()
        texts = tuple(" ".join(part.split()) for part in found)
        for text in texts:
            if not text or len(text) > _LONGEST or _visible(text) != text:
                self.problem(key, "classes.not_list", value=shown(text))
        return texts

    def tables(self, key: str) -> Iterator[Table]:
        found = self.value(key, required=False)
        if found is None:
            return
        if not isinstance(found, list):
            self.problem(key, "classes.not_tables", key=key)
            return
        for number, raw in enumerate(found):
            if isinstance(raw, Mapping):
                yield Table(self.report, (*self.path, key, number), raw)
            else:
                self.report.add((*self.path, key, number), "classes.not_table", value=shown(raw))

    def done(self) -> None:
        """Report keys that nobody asked for, with the nearest known one."""
        for key in self.raw:
            if key not in self._asked:
                near = difflib.get_close_matches(str(key), self._asked, 1)
                word = "classes.unknown_key_near" if near else "classes.unknown_key"
                self.problem(shown(key), word, near=near[0] if near else "", known=", ".join(sorted(self._asked)))


def plain(text: str) -> str:
    """Full-width letters, digits and signs made plain, invisible ones left out. ① and ½ stay as they are: ①8:30 is not
    18:30.
    """
    kinds = [(char, unicodedata.category(char)) for char in text if unicodedata.category(char) != "Cf"]
    made = "".join(c if kind in ("No", "Nl", "So") else unicodedata.normalize("NFKC", c) for c, kind in kinds)
    return made.replace("∶", ":")


def shown(value: object) -> str:
    """A stranger's value, safe and short enough for one line."""
    text = value if isinstance(value, str) else repr(value)
    text = _visible(text[:60])
    return text if len(text) < 60 else text[:57] + "…"


def _visible(text: str) -> str:
    """Control, format and surrogate characters replaced; private-use ones stay, since rare names are written with them."""
    return "".join("�" if unicodedata.category(c) in ("Cc", "Cf", "Cs") else c for c in text)


def as_day(value: object) -> date | None:
    """A calendar day of this century: 2026-11-23, 2026/11/23, 2026.11.23, 2026年11月23日, a spreadsheet's date."""
    day: date | None = None
    if isinstance(value, datetime):
        day = value.date() if value.time() == time() and value.tzinfo is None else None
    elif isinstance(value, date):
        day = value
    elif isinstance(value, str):
        text = "".join(plain(value).split())
        match = _DAY.fullmatch(text)
        try:
            day = date(int(match["y"]), int(match["m"]), int(match["d"])) if match else None
        except ValueError:
            return None
    return day if day and 2000 <= day.year < 2100 else None


def as_time(value: object) -> time | None:
    """Local wall clock time to the second: 8:30, 08:30:15, 8时30分, 8时, a spreadsheet's time."""
    if isinstance(value, time):
        return value if value.tzinfo is None and value.microsecond == 0 else None
    match = _TIME.fullmatch("".join(plain(value).split())) if isinstance(value, str) else None
    if match is None:
        return None
    hour, spoken, minute, second = (int(part or 0) for part in match.groups())
    try:
        return time(hour, spoken or minute, second)
    except ValueError:
        return None
