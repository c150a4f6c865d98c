"""What the catalog knows, kept on the drive beside the video: a journal while things happen, a record when a half-day closes.

Both are lines of JSON, `{"table": …, "row": {…}}`: rows of the catalog, column by column. Reading them in order, the last
line about a thing holds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

from agent.catalog import Catalog
from agent.catalog.changes import Change
from agent.clock import Clock, local_day
from agent.drive import durable, layout, sums
from agent.drive.identity import Drive, os_error
from agent.model import Session

FOLDER = f"{layout.SYSTEM}/journal"
_BATCH = 2000
HalfDay = tuple[str, date, Session]


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
    for line in data.split(b"\n"):
        try:
            item = json.loads(line)
        except ValueError:
            continue
        if isinstance(item, dict) and isinstance(item.get("table"), str) and isinstance(item.get("row"), dict):
            yield Change(item["table"], item["row"])


def of_drive(root: Path) -> Iterator[Change]:
    """Every row of a drive's journal, in order of days. Raises OSError."""
    for path in sorted((root / FOLDER).glob("*.jsonl")):
        yield from read(sums.plain(path))
