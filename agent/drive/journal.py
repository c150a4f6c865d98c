"""What the catalog knows, kept on the drive beside the video: a journal while things happen, a record when a half-day closes.

Both are lines of JSON, `{"table": …, "row": {…}}`: rows of the catalog, column by column. Reading them in order, the last
line about a thing holds.
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
"""Files that could not be read for what they are: (path relative to the drive, why)."""


class Journal:
    """Brings changed rows of the catalog to the drive in use. A row leaves the catalog's change log only once it is
    synced there, so a missing drive costs nothing but waiting."""

    def __init__(self, catalog: Catalog, clock: Clock, zone: ZoneInfo) -> None:
        self._catalog = catalog
        self._clock = clock
        self._zone = zone

    def flush(self, drive: Drive) -> set[HalfDay]:
        """Write what changed since last time; return the half-days whose video or figures changed. Raises DriveError."""
        folder = drive.make_folder(FOLDER)
        touched: set[HalfDay] = set()
        if self._catalog.facts.get(f"journal.{drive.drive_id}") is None:
            self._begin(drive, folder)
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

    def _begin(self, drive: Drive, folder: Path) -> None:
        """A drive that is new to this box starts with all that the box knows, but looks and other drives' segments."""
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
    """Rows as lines of JSON; equal rows give equal bytes."""
    return "".join(
        json.dumps({"table": c.table, "row": dict(c.row)}, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        + "\n"
        for c in changes
    ).encode("utf-8")


def read(data: bytes) -> Iterator[Change]:
    """Rows in order; a torn or foreign line is passed over (a power cut may tear the last of a journal)."""
    return _rows(data.split(b"\n"))


def read_file(path: Path, root: Path, faults: Faults) -> Iterator[Change]:
    """The rows of a journal's or record's file below `root`, none where it is not there. One that is no plain file or too
    large goes to `faults`. Raises OSError."""
    try:
        yield from _rows(files.lines(path, below=root))
    except FileNotFoundError:
        return
    except files.UnfitFileError as error:
        faults.append((path.relative_to(root).as_posix(), error.strerror or ""))


def _rows(found: Iterable[bytes]) -> Iterator[Change]:
    for line in found:
        try:
            item = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(item, dict) and isinstance(item.get("table"), str) and isinstance(item.get("row"), dict):
            yield Change(item["table"], item["row"])


def days(root: Path) -> list[Path]:
    """The files of a drive's journal, in order of days; none where a link or a pipe stands in the folder's place. Raises
    OSError."""
    folder = root / FOLDER
    if files.kind(folder.parent) != "folder" or files.kind(folder) != "folder":
        return []
    return [folder / entry.name for entry in files.entries(folder) if is_day(entry.name)]


def is_day(name: str) -> bool:
    """Is it the name of a journal's file?"""
    return _DAY.fullmatch(name) is not None


def of_drive(root: Path, faults: Faults) -> Iterator[Change]:
    """Every row of a drive's journal, in order of days. Raises OSError."""
    for path in days(root):
        yield from read_file(path, root, faults)
