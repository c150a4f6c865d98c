"""Finds statements by number in a drive's journal, for those that the catalog has pruned."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from agent.catalog.changes import RowChange
from agent.catalog.statements import to_statement
from agent.core.statement_model import Statement
from agent.drive import journal
from agent.drive.identity import Drive, to_drive_error

_PROBED_LINES = 2_000
_MOST_LINES = 400_000


def find_statements(drive: Drive, log: str, first: int, last: int) -> Iterator[Statement]:
    """Yield the sound statements of a log with numbers from `first` to `last` that the journal holds. Raises DriveError.

    Numbers grow with the days, so the reading begins with the newest file that begins at or before `first`; at most
    `_MOST_LINES` lines are read.
    """
    try:
        paths = journal.list_journal_files(drive.root)
        begin = next((n for n in reversed(range(len(paths))) if _begins_before(drive, paths[n], log, first)), 0)
        rows = (x for path in paths[begin:] for x in journal.read_journal_file(path, drive.root, []))
        for change in islice(rows, _MOST_LINES):
            if not _is_of(change, log):
                continue
            number = change.row["number"]
            if number > last:
                return
            if number >= first and (found := _parse(change)):
                yield found
    except OSError as error:
        raise to_drive_error(error, drive.root) from error


def _begins_before(drive: Drive, path: Path, log: str, first: int) -> bool:
    """Return whether the first statement of the log in a file is at or before `first`; False where none is near its begin."""
    head = islice(journal.read_journal_file(path, drive.root, []), _PROBED_LINES)
    number = next((x.row["number"] for x in head if _is_of(x, log)), None)
    return number is not None and number <= first


def _is_of(change: RowChange, log: str) -> bool:
    return change.table == "statements" and change.row.get("log") == log and isinstance(change.row.get("number"), int)


def _parse(change: RowChange) -> Statement | None:
    try:
        found = to_statement(change.row)
    except (KeyError, ValueError, TypeError, RecursionError):
        return None
    return found if found.is_sound() else None
