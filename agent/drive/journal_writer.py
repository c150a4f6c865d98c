"""Writes the journal of the drive in use: changed rows of the catalog, and statements without a hole.

The journal is append-only, so the hash over the first bytes of a day's file holds for ever. It is stated hourly, when a
half-day is closed and when a day ends: lines cut out or emptied later differ from what was stated.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from agent.catalog import Catalog
from agent.catalog.changes import RowChange
from agent.core.clock import Clock, get_local_day
from agent.core.model import Session
from agent.drive import durable, files, journal
from agent.drive.identity import Drive, to_drive_error

if TYPE_CHECKING:
    from agent.contract.statements import DriveStatement, JournalStatement

_BATCH = 2000
STATE_JOURNAL_S = 3600.0
ClassHalfDay = tuple[str, date, Session]


@dataclass(slots=True)
class _PrefixHash:
    """The SHA-256 of the first `size` bytes of a growing file."""

    drive_id: str
    name: str
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)
    size: int = 0

    def follow(self, path: Path) -> None:
        """Take in what was appended since. Raises OSError."""
        with files.open_for_reading(path, files.MAX_ROWS) as file:
            for block in file.blocks(self.size):
                self.digest.update(block)
                self.size += len(block)


class Journal:
    """Writes changed rows of the catalog to the drive in use.

    A row leaves the change log of the catalog only after it is synced to the drive, so nothing is lost while there is none.
    """

    def __init__(self, catalog: Catalog, clock: Clock, zone: ZoneInfo) -> None:
        self._catalog = catalog
        self._clock = clock
        self._zone = zone
        self._prefix: _PrefixHash | None = None
        self._stated_at = clock.monotonic()
        self._stated_size = 0

    def flush(self, drive: Drive) -> set[ClassHalfDay]:
        """Write the rows changed since the last call; return half-days with new video or figures. Raises DriveError."""
        folder = drive.make_folder(journal.JOURNAL_FOLDER)
        touched: set[ClassHalfDay] = set()
        self._bring(drive, folder)
        while True:
            seq, changes = self._catalog.changes.after(0, _BATCH)
            if seq == 0:
                break
            self._append(drive, folder, changes)
            numbers = [c.row for c in changes if c.table == "statements"]
            with self._catalog.store.write():
                self._catalog.changes.forget(seq)
                if numbers:
                    self._hold(drive, numbers[-1]["log"], numbers[-1]["number"])
            touched |= {
                (c.row["class_id"], date.fromisoformat(c.row["date"]), Session(c.row["session"]))
                for c in changes
                if c.table in ("segments", "attendance")
            }
        if self._clock.monotonic() - self._stated_at >= STATE_JOURNAL_S:
            self.state(drive)
        return touched

    def state(self, drive: Drive) -> None:
        """State the hash of what today's file of the journal holds, if it grew. Raises DriveError."""
        self._stated_at = self._clock.monotonic()
        prefix = self._prefix
        if prefix is None or prefix.drive_id != drive.drive_id or prefix.size == self._stated_size:
            return
        entry = next(iter(self._catalog.audit.recent(1)), None)
        data: JournalStatement = {
            "drive_id": drive.drive_id,
            "name": prefix.name,
            "bytes": prefix.size,
            "sha256": prefix.digest.hexdigest(),
            "audit": {"number": entry.entry_id, "hash": entry.hash} if entry else None,
        }
        self._catalog.outbox.put("journal", "journal", data, self._clock.now())
        self._stated_size = prefix.size

    def sync(self, drive: Drive) -> set[ClassHalfDay]:
        """Write all that a drive lacks of the log, also to one that is not in use; return as `flush`. Raises DriveError."""
        if self._catalog.facts.get("journal.current") in (None, drive.drive_id):
            return self.flush(drive)
        self._bring(drive, drive.make_folder(journal.JOURNAL_FOLDER), all_missing=True)
        return set()

    def complete(self, drive: Drive) -> set[ClassHalfDay]:
        """Do as `sync`, and state the journal, before a half-day on the drive is closed. Raises DriveError."""
        touched = self.sync(drive)
        self.state(drive)
        return touched | self.sync(drive)

    def _end_day(self, drive: Drive, name: str) -> None:
        """State the newest file before `name` as a whole, if that was not done. Raises OSError."""
        earlier = [path for path in journal.list_journal_files(drive.root) if path.name < name]
        if not earlier:
            return
        whole = _PrefixHash(drive.drive_id, earlier[-1].name)
        whole.follow(earlier[-1])
        last = self._catalog.statements.last_of("journal", "journal")
        told = last.data if last and isinstance(last.data, dict) else {}
        if (told.get("name"), told.get("sha256")) != (whole.name, whole.digest.hexdigest()):
            self._prefix, self._stated_size = whole, 0
            self.state(drive)

    def _bring(self, drive: Drive, folder: Path, *, all_missing: bool = False) -> None:
        """Write what a drive lacks that was not written to it lately: all rows to a new one, statements to one that returns.

        Where statements are missing in between, because the catalog has pruned them, a statement says from which number on
        the drive holds the log.
        """
        facts, current = self._catalog.facts, self._catalog.statements.current()
        in_use = facts.get("journal.current") == drive.drive_id
        begun = facts.get(f"journal.{drive.drive_id}") is not None
        if in_use and begun and not all_missing:
            return
        first = self._find_first(drive)
        if first != self._held(drive) + 1 or current is None:
            data: DriveStatement = {"drive_id": drive.drive_id, "first": first}
            self._catalog.outbox.put("drive", "drive", data, self._clock.now())
        current = self._catalog.statements.current()
        assert current is not None
        rows = self._rows_lacking(drive, current.log, first, begun=begun)
        source = iter(rows)
        while batch := list(islice(source, _BATCH)):
            self._append(drive, folder, batch)
        with self._catalog.store.write():
            facts.put(f"journal.{drive.drive_id}", "begun")
            self._hold(drive, current.log, current.number)
            if not all_missing:
                facts.put("journal.current", drive.drive_id)

    def _find_first(self, drive: Drive) -> int:
        """Return the number from which on the drive will hold the log without a hole."""
        current = self._catalog.statements.current()
        if current is None:
            return 1
        return max(self._held(drive) + 1, self._catalog.statements.lowest_kept(current.log))

    def _held(self, drive: Drive) -> int:
        """Return the number up to which the drive holds the current log."""
        current = self._catalog.statements.current()
        log, _, number = (self._catalog.facts.get(f"journal.{drive.drive_id}.held") or ":").partition(":")
        return int(number) if current and log == current.log else 0

    def _hold(self, drive: Drive, log: str, number: int) -> None:
        self._catalog.facts.put(f"journal.{drive.drive_id}.held", f"{log}:{number}")

    def _rows_lacking(self, drive: Drive, log: str, first: int, *, begun: bool) -> Iterator[RowChange]:
        """Yield the statements from a number on; for a drive new to this box all other rows before them.

        Looks and segments on other drives are left out.
        """
        for change in () if begun else self._catalog.changes.everything():
            elsewhere = change.table == "segments" and change.row["drive_id"] != drive.drive_id
            if change.table not in ("looks", "statements") and not elsewhere:
                yield change
        yield from self._catalog.changes.statements_from(log, first)

    def _append(self, drive: Drive, folder: Path, changes: Iterable[RowChange]) -> None:
        name = f"{get_local_day(self._clock.now(), self._zone).isoformat()}.jsonl"
        try:
            if self._prefix is None or (self._prefix.drive_id, self._prefix.name) != (drive.drive_id, name):
                self._end_day(drive, name)
                self._prefix, self._stated_size = _PrefixHash(drive.drive_id, name), 0
            durable.append_lines(folder / name, journal.format_rows(changes))
            self._prefix.follow(folder / name)
        except OSError as error:
            raise to_drive_error(error, drive.root) from error
