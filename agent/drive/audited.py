"""The audit as a drive carries it: in its journal, and in the record of each sealed class. Every entry's hash is made again.

A drive that was not in use for a while lacks the entries of that time: a hole is none of its faults. What it has must
agree with itself: two entries that follow each other must be chained, and one number may not stand for two entries.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent import words
from agent.catalog.audit import GENESIS, hash_of_row
from agent.drive import journal, layout


@dataclass(slots=True)
class Audited:
    """`faults` are (path relative to the drive, detail); `entries` how many were checked; `unread` files that are none."""

    entries: int = 0
    faults: list[tuple[str, str]] = field(default_factory=list)
    unread: journal.Faults = field(default_factory=list)


def check(root: Path, folders: list[str]) -> Audited:
    """`folders` are the class folders. Raises OSError."""
    known: dict[int, tuple[Any, Any]] = {}
    found = Audited()
    for where, row in _rows(root, folders, found.unread):
        try:
            good = row["hash"] == hash_of_row(row)
            number, link = int(row["id"]), (row["hash"], row["previous"])
        except (KeyError, TypeError, ValueError, OverflowError, RecursionError):
            found.faults.append((where, words.text("drive.detail.audit_none")))
            continue
        if not good:
            found.faults.append((where, words.text("drive.detail.audit_changed", number=number)))
        elif known.setdefault(number, link)[0] != link[0]:
            found.faults.append((where, words.text("drive.detail.audit_twice", number=number)))
    found.entries = len(known)
    for number, (_, previous) in known.items():
        before = GENESIS if number == 1 else known[number - 1][0] if number - 1 in known else previous
        if previous != before:
            found.faults.append((journal.FOLDER, words.text("drive.detail.audit_not_next", number=number)))
    return found


def _rows(root: Path, folders: list[str], unread: journal.Faults) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for path in [*journal.days(root), *(root / folder / layout.RECORD for folder in folders)]:
        where = path.relative_to(root).as_posix()
        for change in journal.read_file(path, root, unread):
            if change.table == "audit":
                yield where, change.row
