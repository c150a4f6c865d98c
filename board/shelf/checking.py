"""Verifies drives on this machine in the background, one at a time, against all that the board was told."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select, update

from agent import i18n
from agent.core.clock import Clock, format_utc
from agent.core.errors import InputError, SiteAgentError
from board.accounts.audit import BoardAudit
from board.ingest.fields import clean
from board.queries.statements import list_statement_lines
from board.shelf.mounted import MountedDrive, list_half_days
from board.shelf.process import run_verification
from board.shelf.report import ComparedDrive, build_report, dump_report, judge
from board.shelf.told import find_boxes
from board.store.database import Database
from board.store.tables import drive_checks, shelf_drives

log = logging.getLogger(__name__)
_STEP = 0.01
"""Progress is written each time that it has grown by so much."""
_STOP_S = 2.0


class DriveChecker:
    """Checks drives in a thread; `folder` takes the lists while a check runs. One process has one of these."""

    def __init__(self, database: Database, clock: Clock, folder: Path) -> None:
        self._database, self._clock, self._folder = database, clock, folder
        self._audit = BoardAudit(database)
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def mark_interrupted(self) -> int:
        """Mark checks of a process that was killed; return how many. Raises StoreError."""
        values = {"state": "interrupted", "ended_at": format_utc(self._clock.now())}
        with self._database.write() as connection:
            done = connection.execute(update(drive_checks).where(drive_checks.c.state == "running").values(values))
        return int(done.rowcount)

    def begin(self, drive: MountedDrive, by: str, who: str) -> int:
        """Begin a check and return its number. Raises InputError while another runs, StoreError."""
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                raise InputError("shelf.busy")
            number = self._note_begin(drive, by, who, self._clock.now())
            self._thread = threading.Thread(target=self._run, args=(number, drive), name="drive-check", daemon=True)
            self._thread.start()
        return number

    def wait(self, seconds: float) -> bool:
        """Wait for the check that runs; return whether none does any more."""
        thread = self._thread
        if thread is not None:
            thread.join(seconds)
        return thread is None or not thread.is_alive()

    def close(self) -> None:
        """Kill the check that runs; it is then marked as interrupted."""
        self._stop.set()
        self.wait(_STOP_S)

    def _note_begin(self, drive: MountedDrive, by: str, who: str, now: datetime) -> int:
        """Write check, shelf and audit in one transaction. A drive that is plugged in here has come in."""
        named = {"label": drive.label, "institution": drive.institution}
        row = {"drive_id": drive.drive_id, "mount": clean(str(drive.root), 1000), "begun_at": format_utc(now),
               "begun_by": by[:64], "state": "running"}  # fmt: skip
        with self._database.write() as connection:
            number = connection.execute(insert(drive_checks).values(named | row)).inserted_primary_key
            mine = shelf_drives.c.drive_id == drive.drive_id
            if connection.execute(update(shelf_drives).where(mine).values(named)).rowcount == 0:
                first = {"drive_id": drive.drive_id, "set_at": format_utc(now), "set_by": by[:64]}
                connection.execute(insert(shelf_drives).values(named | first))
            detail = {"drive_id": drive.drive_id, "label": drive.label}
            self._audit.add_in(connection, now, who, "drive.check", "", detail)
        return int(number[0]) if number else 0

    def _run(self, number: int, drive: MountedDrive) -> None:
        try:
            values = self._check(number, drive)
        except OSError as error:
            values = {"state": "failed", "reason": clean(f"{error.filename or drive.root}: {error.strerror}", 500)}
        except SiteAgentError as error:
            values = {"state": "failed", "reason": clean(str(error), 500)}
        values["ended_at"] = format_utc(self._clock.now())
        try:
            self._put(number, values)
        except SiteAgentError as error:
            # it then stands as running, and as interrupted after the next start
            log.warning("drive check %s: %s", number, error)

    def _check(self, number: int, drive: MountedDrive) -> dict[str, Any]:
        """Return what the row of a check becomes. Raises OSError, SiteAgentError."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        listed, out = self._folder / f"{number}.jsonl", self._folder / f"{number}.json"
        try:
            compared = self._write_list(drive, listed)
            against = listed if any(compared.boxes.values()) else None
            outcome = run_verification(drive.root, against, out, self._make_progress(number), self._stop)
        finally:
            for file in (listed, out):
                with suppress(OSError):
                    file.unlink(missing_ok=True)
        if outcome.stopped:
            return {"state": "interrupted"}
        if outcome.result is None:
            return {"state": "failed", "reason": clean(outcome.message or i18n.translate("shelf.no_result"), 500)}
        with self._database.read() as connection:
            report = build_report(connection, compared, outcome.result)
        return {"state": "done", "progress": 1.0, "verdict": judge(report), "report": dump_report(report)}

    def _write_list(self, drive: MountedDrive, listed: Path) -> ComparedDrive:
        """Write all statements of the drive's boxes into a file, one a line. Raises OSError, StoreError."""
        with self._database.read() as connection:
            found = find_boxes(connection, drive.drive_id, drive.public_key)
        counts: dict[str, int] = {}
        descriptor = os.open(listed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            for _, name in found:
                counts[name] = 0
                for line in list_statement_lines(self._database, name):
                    if self._stop.is_set():  # the command then ends as soon as it has begun
                        break
                    file.write(line)
                    counts[name] += 1
        return ComparedDrive(drive, list_half_days(drive.root), counts, [box_id for box_id, _ in found])

    def _put(self, number: int, values: dict[str, Any]) -> None:
        with self._database.write() as connection:
            connection.execute(update(drive_checks).where(drive_checks.c.id == number).values(values))

    def _make_progress(self, number: int) -> Callable[[float], None]:
        """Return what writes how far a check is; a database that is busy misses one of many steps."""
        shown = 0.0

        def advance(share: float) -> None:
            nonlocal shown
            if share - shown >= _STEP:
                shown = share
                with suppress(SiteAgentError):
                    self._put(number, {"progress": share})

        return advance


def load_running(database: Database) -> dict[str, Any] | None:
    """Return the check that runs; None where none does. Raises StoreError."""
    with database.read() as connection:
        row = (
            connection.execute(select(drive_checks).where(drive_checks.c.state == "running").limit(1))
            .mappings()
            .first()
        )
    return dict(row) if row else None
