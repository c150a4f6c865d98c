"""What has to be settled before the agent starts: that it runs once, and that it has its catalog."""

from __future__ import annotations

import fcntl
import logging
import os
from contextlib import suppress

from agent import i18n
from agent.catalog import Catalog, copies
from agent.catalog.disk_reserve import DiskReserve
from agent.core import sd_notify
from agent.core.clock import Clock, get_local_day
from agent.core.errors import DriveError, InputError
from agent.drive import Drive, keys, rebuild
from agent.settings.schema import Settings

log = logging.getLogger(__name__)


class SingleInstanceLock:
    """A lock in the state folder: two agents on one catalog would record everything twice."""

    def __init__(self, settings: Settings) -> None:
        self._path = settings.state_dir / "lock"

    def __enter__(self) -> None:
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            raise InputError("run.twice", path=self._path.parent) from None

    def __exit__(self, *_: object) -> None:
        os.close(self._file)


def open_catalog(settings: Settings, clock: Clock) -> Catalog:
    """Open the box's catalog; one that is missing or damaged is rebuilt from the attached drives, with a warning."""
    reserve = DiskReserve(settings.state_dir)
    if reserve.full() and reserve.spend():
        log.warning("%s", i18n.translate("run.reserve_spent", path=settings.state_dir))
    drives = _open_own_drives(settings)
    with sd_notify.extend_start_timeout():
        catalog, report = rebuild.open_or_rebuild(settings.catalog_file, settings.zone, drives, clock)
        if report is None:
            _continue_log(catalog, drives)
            return catalog
        copy = copies.find_newest_copy(settings.copies_dir, get_local_day(clock.now(), settings.zone))
        rows = report.rows + (copies.restore_from_copy(catalog.store, copy) if copy else 0)
    worked = rows or copy or any(settings.state_dir.glob(f"{settings.catalog_file.name}.damaged-*"))
    if worked and catalog.statements.current() is None:
        # this box had a catalog, and neither catalog nor drive holds its log any more
        catalog.outbox.begin_log("lost", clock.now())
    if rows:
        catalog.events.add("catalog.rebuilt", clock.now(), detail={"rows": rows})
        log.warning("%s", i18n.translate("run.rebuilt", file=settings.catalog_file, rows=rows))
    return catalog


def _continue_log(catalog: Catalog, drives: list[Drive]) -> None:
    """Go on behind the newest statement that a drive holds, where an older copy of the catalog was put back."""
    try:
        taken = rebuild.continue_log(catalog, drives)
    except DriveError as error:
        log.warning("%s", error)
        return
    if taken:
        log.warning("%s", i18n.translate("run.log_continued", count=taken))


def _open_own_drives(settings: Settings) -> list[Drive]:
    """Return the attached drives that were made with this box's key, and unsigned ones."""
    mine = keys.ensure_key(settings.key_dir)
    found = []
    for root in settings.recording.drives:
        with suppress(DriveError):
            drive = Drive.open(root)
            if drive.public_key in ("", mine):
                found.append(drive)
    return found
