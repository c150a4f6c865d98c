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
from agent.catalog.changes import Change
from agent.clock import Clock, local_day
from agent.drive import durable, files, layout
from agent.drive.identity import Drive, os_error
from agent.model import Session

FOLDER = f"{layout.SYSTEM}/journal"
_BATCH = 2000
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}\.jsonl")
HalfDay = tuple[str, date, Session]
Faults = list[tuple[str, str]]
"""Files that could not be read: (path relative to the drive, reason)."""


class Journal:
    """Writes changed rows of the catalog to the drive in use.

    A row leaves the change log of the catalog only after it is synced to the drive, so nothing is lost while there is none.
    """

    def __init__(self, catalog: Catalog, clock: Clock, zone: ZoneInfo) -> None:
        self._catalog = catalog
        self._clock = clock
        self._zone = zone

    def flush(self, drive: Drive) -> set[HalfDay]:
        """Write the rows changed since the last call; return half-days with new video or figures. Raises DriveError."""
        folder = drive.make_folder(FOLDER)
        touched: set[HalfDay] = set()
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

    def _append(self, drive: Drive, folder: Path, changes: Iterable[Change]) -> None:
        day = local_day(self._clock.now(), self._zone)
        try:
            durable.append_lines(folder / f"{day.isoformat()}.jsonl", lines(changes))
        except OSError as error:
            raise os_error(error, drive.root) from error


def lines(changes: Iterable[Change]) -> bytes:
    """Format rows as lines of JSON; equal rows give equal bytes."""
    return "".join(
        json.dumps({"table": c.table, "row": dict(c.row)}, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        + "\n"
        for c in changes
    ).encode("utf-8")


def read(data: bytes) -> Iterator[Change]:
    """Yield rows in order; torn or foreign lines are skipped (a power cut may tear the last line of a journal)."""
    return _parse_lines(data.split(b"\n"))


def read_file(path: Path, root: Path, faults: Faults) -> Iterator[Change]:
    """Yield the rows of a journal or record file below `root`; none where it does not exist.

    A file that is not regular or is too large goes to `faults`. Raises OSError.
    """
    try:
        yield from _parse_lines(files.lines(path, below=root))
    except FileNotFoundError:
        return
    except files.UnfitFileError as error:
        faults.append((path.relative_to(root).as_posix(), error.strerror or ""))


def _parse_lines(found: Iterable[bytes]) -> Iterator[Change]:
    for line in found:
        try:
            item = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(item, dict) and isinstance(item.get("table"), str) and isinstance(item.get("row"), dict):
            yield Change(item["table"], item["row"])


def days(root: Path) -> list[Path]:
    """List the files of a drive's journal in order of days; none where the folder is a link or a pipe. Raises OSError."""
    folder = root / FOLDER
    if files.kind(folder.parent) != "folder" or files.kind(folder) != "folder":
        return []
    return [folder / entry.name for entry in files.entries(folder) if is_day(entry.name)]


def is_day(name: str) -> bool:
    """Return whether this is the name of a journal file."""
    return _DAY.fullmatch(name) is not None


def of_drive(root: Path, faults: Faults) -> Iterator[Change]:
    """Yield every row of a drive's journal in order of days. Raises OSError."""
    for path in days(root):
        yield from read_file(path, root, faults)
