"""Count sign-ins by half-day in a punch-in export (XLSX or CSV). Persons are told apart while reading, and no name is kept.

A punch belongs to the half-day whose lessons it is nearest to, at most two hours before or after. Where no column says which it
is, a punch in the first half of a half-day is a sign-in, in the second a sign-out. Somebody who punches twice counts once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from agent.attendance.punch_columns import find_columns
from agent.attendance.punch_rows import HalfDay, PunchSheetReader, PunchTally
from agent.class_files.headings import strip_whitespace
from agent.class_files.sheets import Sheet, parse_csv
from agent.class_files.source import XLSX_SUFFIXES, build_unsupported_error
from agent.class_files.xlsx import XlsxReader
from agent.core.class_model import TrainingClass
from agent.core.errors import InputError

MOST_BYTES = 2 << 20
MOST_PUNCH_ROWS = 30_000
_MOST_SHEETS = 10


@dataclass(frozen=True, slots=True)
class PunchCounts:
    """Counts by half-day; None where nobody signed so. `skipped`: why cells were not counted, how many, the first places."""

    counts: dict[HalfDay, tuple[int | None, int | None]]
    persons: int
    punches: int
    skipped: dict[str, tuple[int, tuple[str, ...]]]


class UnknownColumns(InputError):
    """No sheet has columns that are understood; `headings` are those of the row that comes nearest."""

    def __init__(self, name: str, headings: Sequence[str]) -> None:
        super().__init__("signins.unknown_columns", file=name, headings="、".join(h for h in headings if h) or "—")
        self.headings = tuple(dict.fromkeys(h for h in headings if h))


def read_sheets(name: str, data: bytes) -> list[Sheet]:
    """Open an export. Raises ClassFileError, InputError."""
    path = Path(name)
    if len(data) > MOST_BYTES:
        raise InputError("signins.too_big", file=name, limit=MOST_BYTES >> 20)
    suffix = path.suffix.lower()
    if suffix == ".csv":
        return [parse_csv(path, data, MOST_PUNCH_ROWS)]
    if suffix not in XLSX_SUFFIXES:
        raise build_unsupported_error(path)
    book = XlsxReader(path, data, MOST_PUNCH_ROWS)
    sheets = []
    for sheet in [x for x in book.names if x not in book.unseen][:_MOST_SHEETS]:
        rows, hidden, merged = book.cells(sheet)
        sheets.append(Sheet(sheet, rows, hidden, merged=tuple(merged)))
    return sheets


def count_punches(
    name: str, sheets: Sequence[Sheet], cls: TrainingClass, zone: ZoneInfo, named: Mapping[str, str]
) -> PunchCounts:
    """Count an export's sign-ins for a class. Raises UnknownColumns, InputError where nothing in it is of the class."""
    found = [(sheet, find_columns(sheet, named)) for sheet in sheets]
    known = [(sheet, columns) for sheet, columns in found if columns and columns.complete]
    if not known:
        best = max((c.headings for _, c in found if c), key=len, default=())
        raise UnknownColumns(name, best or _guess_headings(sheets))
    tally = PunchTally()
    for sheet, columns in known:
        PunchSheetReader(sheet, columns, cls, zone, tally).read()
    halves = {half for half, _ in tally.signed}
    counts = {half: (_size(tally, half, "in"), _size(tally, half, "out")) for half in sorted(halves)}
    if not counts:
        why = max(tally.skipped, key=lambda k: tally.skipped[k][0], default="")
        key = "signins.nothing_day" if why == "signins.skip_day" else "signins.nothing"
        raise InputError(key, file=name, class_id=cls.class_id, first=cls.first_day, last=cls.last_day)
    return PunchCounts(counts, len(tally.persons), tally.punches, tally.skipped)


def _size(tally: PunchTally, half: HalfDay, way: str) -> int | None:
    return len(tally.signed.get((half, way), ())) or None


def _guess_headings(sheets: Sequence[Sheet]) -> list[str]:
    rows = [row for sheet in sheets for row in sheet.rows[:20]]
    widest = max(rows, key=lambda row: sum(isinstance(x, str) for x in row), default=[])
    return [strip_whitespace(x)[:60] for x in widest if isinstance(x, str)]
