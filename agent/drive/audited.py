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
    """`faults` are (path relative to the drive, detail); `entries` how many were checked."""

    entries: int = 0
    faults: list[tuple[str, str]] = field(default_factory=list)


def check(root: Path, folders: list[str]) -> Audited:
    """`folders` are the class folders. Raises OSError."""
    known: dict[int, Mapping[str, Any]] = {}
    found = Audited()
    for where, row in _rows(root, folders):
        try:
            good = row["hash"] == hash_of_row(row)
            number = int(row["id"])
        except (KeyError, TypeError, ValueError):
            found.faults.append((where, words.text("drive.detail.audit_none")))
            continue
        if not good:
            found.faults.append((where, words.text("drive.detail.audit_changed", number=number)))
        elif known.setdefault(number, row)["hash"] != row["hash"]:
            found.faults.append((where, words.text("drive.detail.audit_twice", number=number)))
    found.entries = len(known)
    for number, row in known.items():
        before = GENESIS if number == 1 else known[number - 1]["hash"] if number - 1 in known else row["previous"]
        if row["previous"] != before:
            found.faults.append((journal.FOLDER, words.text("drive.detail.audit_not_next", number=number)))
    return found


def _rows(root: Path, folders: list[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    files = sorted((root / journal.FOLDER).glob("*.jsonl"))
    files += [path for folder in folders if (path := root / folder / layout.RECORD).is_file()]
    for path in (p for p in files if p.is_file()):
        where = path.relative_to(root).as_posix()
        for change in journal.read(path.read_bytes()):
            if change.table == "audit":
                yield where, change.row
