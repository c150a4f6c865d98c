"""Nightly re-reading of recordings, so that the whole drive is read once a quarter.

Bit rot is found while there is still another copy.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from agent import i18n
from agent.catalog import Catalog
from agent.core import clock as clocks
from agent.core.alert_model import AlertKind
from agent.core.errors import DriveError
from agent.core.model import Segment
from agent.drive import Drive
from agent.drive import files as drive_files

log = logging.getLogger(__name__)
QUARTER_DAYS = 90
MOST_DAYS = 7.0
_CURSOR, _AT = "reread.cursor", "reread.at"


@dataclass(frozen=True, slots=True)
class RereadSlice:
    """Result of one night. `bad` are paths whose bytes changed since they were recorded, or cannot be read."""

    files: int
    bytes: int
    bad: tuple[str, ...]


def open_drives(roots: Sequence[Path]) -> list[Drive]:
    """Return the configured drives that are attached."""
    found = []
    for root in roots:
        try:
            found.append(Drive.open(root))
        except DriveError as error:
            log.warning("%s", error)
    return found


def reread(
    catalog: Catalog, drives: Sequence[Drive], now: datetime, stopped: Callable[[], bool] = lambda: False
) -> RereadSlice:
    """Read on from where the last night ended. Raises CatalogError.

    A night reads a ninetieth of what the drives hold for each day since the last one, a week's at most. Each file's
    cursor is stored at once, so that an interrupted night is not lost.
    """
    roots = {d.drive_id: d for d in drives}
    budget = catalog.segments.finished_bytes(list(roots)) * _count_days(catalog, now) / QUARTER_DAYS
    cursor = int(catalog.facts.get(_CURSOR) or 0)
    files, size, bad, wrapped = 0, 0, [], False
    while size < budget and not stopped():
        rows = catalog.segments.finished_after(cursor, list(roots), 1)
        if not rows:
            if wrapped or not cursor:
                break
            cursor, wrapped = 0, True
            continue
        segment, drive = rows[0], roots[rows[0].drive_id]
        if not _is_unchanged(segment, drive):
            if _is_gone(drive):
                # nothing is known of files on a drive that was taken away meanwhile: continue here
                # another night
                break
            bad.append(segment.path)
            _report_damage(catalog, segment, drive, now)
        files, size, cursor = files + 1, size + (segment.bytes or 0), segment.segment_id
        catalog.facts.put(_CURSOR, str(cursor))
    catalog.facts.put(_AT, clocks.format_utc(now))
    return RereadSlice(files, size, tuple(bad))


def _count_days(catalog: Catalog, now: datetime) -> float:
    last = catalog.facts.get(_AT)
    return min(MOST_DAYS, max(1.0, (now - clocks.parse_time(last)).total_seconds() / 86400)) if last else 1.0


def _is_unchanged(segment: Segment, drive: Drive) -> bool:
    """Return whether the file still has the checksum of its recording.

    Its pages are dropped from the page cache afterwards: they would displace what the recorder needs.
    """
    digest = sha256()
    try:
        with drive_files.open_for_reading(drive.root / segment.path, drive_files.MAX_SEGMENT, below=drive.root) as file:
            for block in file.blocks():
                digest.update(block)
            os.posix_fadvise(file.descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    except OSError as error:
        log.warning("%s: %s", segment.path, error)
        return False
    return digest.hexdigest() == segment.sha256


def _is_gone(drive: Drive) -> bool:
    try:
        drive.check()
    except DriveError as error:
        log.warning("%s", error)
        return error.kind in ("drive.missing", "drive.wrong")
    return False


def _report_damage(catalog: Catalog, segment: Segment, drive: Drive, now: datetime) -> None:
    message = i18n.translate("maintain.changed", path=segment.path, root=drive.root)
    catalog.events.add(
        "segment.damaged", now, camera_id=segment.camera_id, drive_id=drive.drive_id, detail={"path": segment.path}
    )
    catalog.alerts.raise_(AlertKind.DRIVE_ERROR, f"reread {drive.drive_id}", message, now, class_id=segment.class_id)
