"""Copies of catalog rows on the drive: a journal that is appended to all the time, and a record for each closed half-day.

Both are lines of JSON, `{"table": …, "row": {…}}`: rows of the catalog, column by column. Of several lines about one row
the last one holds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

from agent.catalog import Catalog
from agent.catalog.changes import RowChange
from agent.core.clock import Clock, get_local_day
from agent.core.model import Session
from agent.drive import durable, files, layout
from agent.drive.identity import Drive, to_drive_error

JOURNAL_FOLDER = f"{layout.SYSTEM}/journal"
_BATCH = 2000
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}\.jsonl")
ClassHalfDay = tuple[str, date, Session]
UnreadableFiles = list[tuple[str, str]]
"""Files that could not be read: (path relative to the drive, reason)."""


class Journal:
    """Writes changed rows of the catalog to the drive in use.

    A row leaves the change log of the catalog only after it is synced to the drive, so nothing is lost while there is none.
    """

    def __init__(self, catalog: Catalog, clock: Clock, zone: ZoneInfo) -> None:
        self._catalog = catalog
        self._clock = clock
        self._zone = zone

    def flush(self, drive: Drive) -> set[ClassHalfDay]:
        """Write the rows changed since the last call; return half-days with new video or figures. Raises DriveError."""
        folder = drive.make_folder(JOURNAL_FOLDER)
        touched: set[ClassHalfDay] = set()
        if self._catalog.facts.get(f"journal.{drive.drive_id}") is None:
            self._start_journal(drive, folder)
        while True:
            seq, changes = self._catalog.changes.after(0, _BATCH)
            if seq == 0:
                return touched
            self._append(drive, folder, changes)
            self._catalog.changes.forget(seq)
            touched |= {
                (c.row["class_id"], date.fromisoformat(c.row["date"]), Session(c.row["session"]))
                for c in changes
                if c.table in ("segments", "attendance")
            }

    def _start_journal(self, drive: Drive, folder: Path) -> None:
        """Start the journal of a drive new to this box with all rows except looks and segments on other drives."""
        rows = [
            change
            for change in self._catalog.changes.everything()
            if change.table != "looks" and (change.table != "segments" or change.row["drive_id"] == drive.drive_id)
        ]
        self._append(drive, folder, rows)
        self._catalog.facts.put(f"journal.{drive.drive_id}", "begun")

    def _append(self, drive: Drive, folder: Path, changes: Iterable[RowChange]) -> None:
        day = get_local_day(self._clock.now(), self._zone)
        try:
            durable.append_lines(folder / f"{day.isoformat()}.jsonl", format_rows(changes))
        except OSError as error:
            raise to_drive_error(error, drive.root) from error


def format_rows(changes: Iterable[RowChange]) -> bytes:
    """Format rows as lines of JSON; equal rows give equal bytes."""
    return "".join(
        json.dumps({"table": c.table, "row": dict(c.row)}, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        + "\n"
        for c in changes
    ).encode("utf-8")


def parse_rows(data: bytes) -> Iterator[RowChange]:
    """Yield rows in order; torn or foreign lines are skipped (a power cut may tear the last line of a journal)."""
    return _parse_lines(data.split(b"\n"))


def read_journal_file(path: Path, root: Path, faults: UnreadableFiles) -> Iterator[RowChange]:
    """Yield the rows of a journal or record file below `root`; none where it does not exist.

    A file that is not regular or is too large goes to `faults`. Raises OSError.
    """
    try:
        yield from _parse_lines(files.read_lines(path, below=root))
    except FileNotFoundError:
        return
    except files.UnfitFileError as error:
        faults.append((path.relative_to(root).as_posix(), error.strerror or ""))


def _parse_lines(found: Iterable[bytes]) -> Iterator[RowChange]:
    for line in found:
        try:
            item = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(item, dict) and isinstance(item.get("table"), str) and isinstance(item.get("row"), dict):
            yield RowChange(item["table"], item["row"])


def list_journal_files(root: Path) -> list[Path]:
    """List the files of a drive's journal in order of days; none where the folder is a link or a pipe. Raises OSError."""
    folder = root / JOURNAL_FOLDER
    if files.classify_path(folder.parent) != "folder" or files.classify_path(folder) != "folder":
        return []
    return [folder / entry.name for entry in files.list_entries(folder) if is_journal_name(entry.name)]


def is_journal_name(name: str) -> bool:
    """Return whether this is the name of a journal file."""
    return _DAY.fullmatch(name) is not None


def read_drive_journal(root: Path, faults: UnreadableFiles) -> Iterator[RowChange]:
    """Yield every row of a drive's journal in order of days. Raises OSError."""
    for path in list_journal_files(root):
        yield from read_journal_file(path, root, faults)
