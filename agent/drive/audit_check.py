"""Verifies the audit entries stored on a drive: in its journal and in the record of each sealed class.

The hash of every entry is computed again. A drive that was not in use for a while lacks the entries of that time, so a
missing entry is not a fault. The entries that it has must be consistent: consecutive entries must be chained, and one
number must not stand for two entries. On a drive that another box took over, each box has entries of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from agent import i18n
from agent.catalog.changes import RowChange
from agent.core.audit_chain import GENESIS, compute_row_hash
from agent.drive import journal, layout


@dataclass(slots=True)
class AuditCheckResult:
    """Result of the audit check.

    `entries`: number of entries checked. `faults`: (path relative to the drive, detail). `unread`: files that could not be
    read as journal files.
    """

    entries: int = 0
    faults: list[tuple[str, str]] = field(default_factory=list)
    unread: journal.UnreadableFiles = field(default_factory=list)


def check_audit(root: Path, folders: list[str], boxes: int = 1) -> AuditCheckResult:
    """Check all audit entries on the drive of so many boxes; `folders` are the class folders. Raises OSError."""
    known: dict[int, dict[object, object]] = {}
    found = AuditCheckResult()
    for where, change in _audit_rows(root, folders, found.unread):
        row = change.row
        try:
            good = row["hash"] == compute_row_hash(row)
            number, digest, previous = int(row["id"]), row["hash"], row["previous"]
        except (KeyError, TypeError, ValueError, OverflowError, RecursionError):
            found.faults.append((where, i18n.translate("drive.detail.audit_none")))
            continue
        if not good:
            found.faults.append((where, i18n.translate("drive.detail.audit_changed", number=number)))
            continue
        entries = known.setdefault(number, {})
        if digest not in entries and len(entries) >= boxes:
            found.faults.append((where, i18n.translate("drive.detail.audit_twice", number=number)))
        else:
            entries[digest] = previous
    found.entries = sum(map(len, known.values()))
    for number, entries in known.items():
        before = {GENESIS: ""} if number == 1 else known.get(number - 1, {})
        whole = number == 1 or len(before) >= boxes
        if whole and any(previous not in before for previous in entries.values()):
            found.faults.append((journal.JOURNAL_FOLDER, i18n.translate("drive.detail.audit_not_next", number=number)))
    return found


def _audit_rows(root: Path, folders: list[str], unread: journal.UnreadableFiles) -> Iterator[tuple[str, RowChange]]:
    for path in [*journal.list_journal_files(root), *(root / folder / layout.RECORD for folder in folders)]:
        where = path.relative_to(root).as_posix()
        for change in journal.read_journal_file(path, root, unread):
            if change.table == "audit":
                yield where, change
