"""The values of spreadsheet cells, and the limits of a sheet that is read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time

MOST_ROWS = 5000
MOST_COLUMNS = 40


@dataclass(frozen=True, slots=True)
class NoValue:
    """A cell without a usable value: a formula that was never computed (`text` empty), or an error such as `#REF!`."""

    text: str = ""


Cell = str | bool | int | float | date | datetime | time | NoValue | None
Cells = list[Cell]
"""A row of cells; trailing empty cells are cut."""
Merged = tuple[int, int, int, int]
"""A merged range: first row, first column, last row, last column; rows count from 1, columns from 0."""
