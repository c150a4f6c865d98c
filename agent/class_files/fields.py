"""Problems of class files and approved classes, and parsing of their untrusted texts.

A place in a body is a path such as ("lessons", 2, "start"); `Report` converts it to a place that a person finds in the file.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from datetime import date, datetime, time

from agent import i18n
from agent.core.errors import ClassFileError

FieldPath = tuple[str | int, ...]
MOST_PROBLEMS = 1000
_DAY = re.compile(r"(?P<y>[0-9]{4})[-/.年](?P<m>[0-9]{1,2})[-/.月](?P<d>[0-9]{1,2})日?")
_TIME = re.compile(r"([0-9]{1,2})(?:[时点](?:([0-9]{1,2})分?)?|:([0-9]{2})(?::([0-9]{2}))?)")


class ClassFileProblems(ClassFileError):
    """All problems of one class file, one line each in `problems`; the error text itself contains the first."""

    def __init__(self, source: str, problems: list[str]) -> None:
        key = "classes.one_problem" if len(problems) == 1 else "classes.problems"
        super().__init__(key, source=source, first=problems[0], count=len(problems))
        self.problems = problems


class UnreadableCell(Exception):
    """A cell that cannot be parsed. `key` and `params`: word key of the message and its parameters."""

    def __init__(self, key: str, /, **params: object) -> None:
        super().__init__(key)
        self.key = key
        self.params = params


_CAUSES = frozenset(
    {"classes.unknown_key", "classes.unknown_key_near", "classes.unknown_name", "classes.unknown_name_near"}
)
_PARTS = ("rooms", "lessons", "amendments")


@dataclass
class ImportReport:
    """Collects the problems of one source (a file, the bureau).

    `places`: the origin of a path in the file (row and column), where that is not the path itself. `notes`: not wrong, but a
    person should know it before the class is imported.
    """

    source: str
    places: dict[FieldPath, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    _found: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def problems(self) -> list[str]:
        """One line each, causes before their consequences: unknown names first, then class, rooms, lessons."""
        return sorted(self._found, key=lambda line: self._found[line])

    def add(self, path: FieldPath, key: str, /, **params: object) -> None:
        """Add a problem; the same line is kept once, and problems beyond MOST_PROBLEMS are dropped."""
        line = _replace_invisible(
            " ".join(f"{self.source}: {self.where(path)}: {i18n.translate(key, **params)}".split())
        )
        part = _PARTS.index(path[0]) + 1 if path and path[0] in _PARTS else 0
        number = path[1] if len(path) > 1 and isinstance(path[1], int) else -1
        if len(self._found) < MOST_PROBLEMS:
            self._found.setdefault(line, (-1 if key in _CAUSES else part, number))

    def wrong(self, part: str) -> bool:
        """Return whether there are problems in a part of the body (`rooms`, `lessons`, `amendments`)."""
        return _PARTS.index(part) + 1 in {rank for rank, _ in self._found.values()}

    def note(self, path: FieldPath, key: str, /, **params: object) -> None:
        """Add a note."""
        self.notes.append(
            _replace_invisible(" ".join(f"{self.source}: {self.where(path)}: {i18n.translate(key, **params)}".split()))
        )

    def where(self, path: FieldPath) -> str:
        """Describe a path: the row and column it came from, else the table's number and the key."""
        for cut in range(len(path), 0, -1):
            if path[:cut] in self.places:
                rest = path[cut:]
                return self.places[path[:cut]] + (f" {_format_path(rest)}" if rest else "")
        return _format_path(path)

    def finish(self) -> None:
        """Raise ClassFileProblems if there are problems."""
        if self.problems:
            raise ClassFileProblems(self.source, self.problems)


def _format_path(path: FieldPath) -> str:
    """("lessons", 0, "start") -> `lessons[1].start`; entries count from 1, for human readers."""
    text = ""
    for part in path:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def normalize_width(text: str) -> str:
    """Normalise full-width letters, digits and signs to half width, and remove invisible characters.

    ① and ½ are kept: ①8:30 must not become 18:30.
    """
    if text.isascii():
        return text
    kinds = [(char, unicodedata.category(char)) for char in text if unicodedata.category(char) != "Cf"]
    made = "".join(c if kind in ("No", "Nl", "So") else unicodedata.normalize("NFKC", c) for c, kind in kinds)
    return made.replace("∶", ":")


def sanitize_value(value: object) -> str:
    """Return an untrusted value as text that is safe and short enough for one line."""
    text = value if isinstance(value, str) else repr(value)
    text = _replace_invisible(text[:60])
    return text if len(text) < 60 else text[:57] + "…"


def _replace_invisible(text: str) -> str:
    """Replace control, format and surrogate characters; private-use ones stay, because rare names are written with them."""
    return "".join("�" if unicodedata.category(c) in ("Cc", "Cf", "Cs") else c for c in text)


def is_printable(text: str) -> bool:
    """Return whether a text has no control, format or surrogate characters."""
    return _replace_invisible(text) == text


def parse_day(value: object) -> date | None:
    """Parse a day of the years 2000 to 2099; None for anything else.

    Accepts 2026-11-23, 2026/11/23, 2026.11.23, 2026年11月23日, and a spreadsheet's date.
    """
    day: date | None = None
    if isinstance(value, datetime):
        day = value.date() if value.time() == time() and value.tzinfo is None else None
    elif isinstance(value, date):
        day = value
    elif isinstance(value, str):
        text = "".join(normalize_width(value).split())
        match = _DAY.fullmatch(text)
        try:
            day = date(int(match["y"]), int(match["m"]), int(match["d"])) if match else None
        except ValueError:
            return None
    return day if day and 2000 <= day.year < 2100 else None


def parse_clock_time(value: object) -> time | None:
    """Parse a local time to the second: 8:30, 08:30:15, 8时30分, 8时, or a spreadsheet's time; None for anything else."""
    if isinstance(value, time):
        return value if value.tzinfo is None and value.microsecond == 0 else None
    match = _TIME.fullmatch("".join(normalize_width(value).split())) if isinstance(value, str) else None
    if match is None:
        return None
    hour, spoken, minute, second = (int(part or 0) for part in match.groups())
    try:
        return time(hour, spoken or minute, second)
    except ValueError:
        return None
