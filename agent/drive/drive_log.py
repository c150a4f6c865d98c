"""The statements that a drive holds, in its journal and in the records of closed half-days, read and checked once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from agent.catalog.changes import RowChange
from agent.catalog.statements import to_statement
from agent.core.clock import parse_time
from agent.core.statement_model import GENESIS_HASH, LogPosition, Statement
from agent.drive import chain, files, journal, layout

_COMPARED = frozenset({"log", "segment", "looks", "attendance", "gaps", "papers", "journal", "drive", "chain"})
Finding = tuple[str, str, str]
"""(kind of problem, path relative to the drive, key of the detail)."""


@dataclass(slots=True)
class DriveLog:
    """`statements` by log and number; `findings` are what is wrong with them as a chain.

    `starts` are the numbers from which on a statement says that a drive holds the log: holes before them are explained.
    """

    statements: dict[tuple[str, int], Statement] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    starts: set[tuple[str, int]] = field(default_factory=set)

    def named(self, name: str) -> Iterator[Statement]:
        """Yield the statements of a kind, log after log in the order in which the logs begin."""
        begun: dict[str, datetime] = {}
        for (log, _), statement in sorted(self.statements.items()):
            begun.setdefault(log, parse_time(statement.time))
        for _, statement in sorted(self.statements.items(), key=lambda item: (begun[item[0][0]], item[0])):
            if statement.name == name:
                yield statement

    def at(self, place: LogPosition) -> Statement | None:
        return self.statements.get((place.log, place.number))

    def newest(self) -> LogPosition | None:
        """Return the newest place of the log that was stated last."""
        ends: dict[str, Statement] = {}
        for (log, number), statement in self.statements.items():
            if log not in ends or ends[log].number < number:
                ends[log] = statement
        last = max(ends.values(), key=lambda s: parse_time(s.time), default=None)
        return last.position if last else None


def read_drive_log(root: Path, folders: list[str]) -> DriveLog:
    """Read and check every statement on a drive. Raises OSError.

    The journal has a finished segment's row from some seconds after its end, and again once it is stated: between the two its
    hash may not change, nor later.
    """
    found = DriveLog()
    finished: dict[tuple[object, object], object] = {}
    for where, change in _rows(root, folders):
        row = change.row
        if change.table == "segments" and row.get("state") == "finished":
            digest = row.get("sha256")
            if finished.setdefault((row.get("drive_id"), row.get("path")), digest) != digest:
                found.findings.append(("statement_differs", str(row.get("path")), "segment_rewritten"))
        if change.table != "statements":
            continue
        try:
            statement = to_statement(change.row)
            parse_time(statement.time)
        except (KeyError, ValueError, TypeError, RecursionError):
            found.findings.append(("statement_differs", where, "statement_none"))
            continue
        known = found.statements.setdefault((statement.log, statement.number), statement)
        if not statement.is_sound() or known.hash != statement.hash:
            found.findings.append(("statement_differs", where, "statement_changed"))
        if known is statement and statement.name not in _COMPARED:
            # a year has hundreds of thousands; only what is compared with the drive's files keeps its content
            found.statements[statement.log, statement.number] = replace(statement, data=None)
    _check_order(found)
    return found


def _rows(root: Path, folders: list[str]) -> Iterator[tuple[str, RowChange]]:
    unread: journal.UnreadableFiles = []
    paths = list(journal.list_journal_files(root))
    for folder in folders:
        for half_day in chain.list_half_day_folders(root / folder):
            for entry in files.list_entries(root / folder / half_day):
                if layout.strip_part_number(entry.name) == layout.RECORD:
                    paths.append(root / folder / half_day / entry.name)
    for path in paths:
        where = path.relative_to(root).as_posix()
        for change in journal.read_journal_file(path, root, unread):
            yield where, change


def _check_order(found: DriveLog) -> None:
    """Check that numbers follow each other and name the hash before; a hole must be one that a statement explains."""
    found.starts = explained = _explained_starts(found)
    newest = found.newest()
    before: Statement | None = None
    for (log, number), statement in sorted(found.statements.items()):
        if before is None or before.log != log:
            if number == 1 and statement.previous != GENESIS_HASH:
                found.findings.append(("statement_differs", journal.JOURNAL_FOLDER, "statement_not_next"))
            if number != 1 and newest and log == newest.log and (log, number) not in explained:
                found.findings.append(("statement_missing", journal.JOURNAL_FOLDER, "statement_start"))
        elif number == before.number + 1:
            if statement.previous != before.hash:
                found.findings.append(("statement_differs", journal.JOURNAL_FOLDER, "statement_not_next"))
        elif (log, number) not in explained:
            found.findings.append(("statement_missing", journal.JOURNAL_FOLDER, "statement_hole"))
        before = statement


def _explained_starts(found: DriveLog) -> set[tuple[str, int]]:
    """Return the numbers from which on a statement says that a drive holds the log without a hole."""
    return {
        (statement.log, int(statement.data["first"]))
        for statement in found.named("drive")
        if isinstance(statement.data, dict) and isinstance(statement.data.get("first"), int)
    }
