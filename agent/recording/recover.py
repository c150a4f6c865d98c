"""Recovery after a kill, a power cut or a pulled drive: what was left open is closed, named, hashed and catalogued.

A segment that was cut off stays the fragmented MP4 that it was, up to its last whole fragment: no byte before that is
changed. Half a fragment at the end is removed, because browsers stop there with an error. docs/reference/storage.md
numbers the steps.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path

from agent import i18n
from agent.catalog import Catalog
from agent.core.clock import Clock
from agent.core.errors import DriveError, MediaError, Shortage
from agent.core.model import Segment
from agent.drive import Drive, durable, files, layout
from agent.drive.identity import to_drive_error
from agent.media import containers
from agent.mp4.repair import drop_half_fragment, has_no_fragment, restore_header
from agent.recording.writer import hash_descriptor

log = logging.getLogger(__name__)
GIVE_UP = timedelta(days=1)
"""Age from which the row of a file that cannot be read is given up: its half-day has to be closed at some time."""


def recover(catalog: Catalog, drives: Iterable[Drive], clock: Clock) -> list[Segment]:
    """Finish every open row of `drives`, before recorders start; return the segments that this made.

    Rows of drives that are not here stay open. Raises DriveError, CatalogError.
    """
    return [s for drive in drives for s in recover_rows(catalog, drive, list_open_rows(catalog, drive), clock)]


def list_open_rows(catalog: Catalog, drive: Drive, camera_id: str | None = None) -> list[Segment]:
    """Return the open rows of a drive, or of one camera on it."""
    return [row for row in catalog.segments.opened(camera_id) if row.drive_id == drive.drive_id]


def recover_rows(catalog: Catalog, drive: Drive, rows: Iterable[Segment], clock: Clock) -> list[Segment]:
    """Finish these rows, except those whose file is being written (it is locked then, in whatever process).

    Raises DriveError, CatalogError; one file that cannot be read does not keep the others from being finished first.
    """
    found: list[Segment] = []
    failed: DriveError | Shortage | None = None
    for row in rows:
        drive.check()
        try:
            segment = _recover_one(catalog, drive, row, clock)
        except OSError as error:
            drive.check()
            if clock.now() - row.start < GIVE_UP:
                failed = to_drive_error(error, drive.root)
            else:
                _report_lost(catalog, row, clock, "unreadable")
            continue
        if segment:
            found.append(segment)
    if failed:
        raise failed
    return found


def _recover_one(catalog: Catalog, drive: Drive, row: Segment, clock: Clock) -> Segment | None:
    temporary, final = drive.root / row.temporary, drive.root / row.path
    for path in (temporary, final):
        # somebody may have changed the drive: opening a pipe in place of a file would block without end
        with suppress(FileNotFoundError):
            files.check_regular(path, below=drive.root)
    there = temporary if temporary.exists() else final
    if not there.exists():
        _report_lost(catalog, row, clock, "missing")
        return None
    with _lock(there) as free:
        # two recorders may recover the same half-day at once
        known = catalog.segments.get(row.segment_id)
        if not free or known is None or known.state != "open":
            return None
        if there == temporary:
            return _close(catalog, drive, row, clock)
        # the name was given, the row was not finished
        return _finish(catalog, row, final, _measure_length(final))


def _close(catalog: Catalog, drive: Drive, row: Segment, clock: Clock) -> Segment | None:
    """Repair the file that has its temporary name, name it and finish its row; None where it holds no video."""
    temporary, final = drive.root / row.temporary, drive.root / row.path
    restore_header(temporary)
    drop_half_fragment(temporary)
    length = _measure_length(temporary)
    if length is None:
        if has_no_fragment(temporary):
            temporary.unlink()
            durable.sync_folder(temporary.parent)
            _report_lost(catalog, row, clock, "empty")
        else:
            _report_lost(catalog, row, clock, "unreadable")
        return None
    try:
        durable.commit_file(temporary, final)
    except FileExistsError:
        final = _rename_free(catalog, drive, row)
        durable.commit_file(temporary, final)
    return _finish(catalog, row, final, length)


def _rename_free(catalog: Catalog, drive: Drive, row: Segment) -> Path:
    """Give a segment the next free name, in its row too: its own was taken while it had only the temporary one."""
    folder = (drive.root / row.path).parent
    final = folder / layout.find_free_name(folder, row.start.astimezone(catalog.zone))
    catalog.segments.rename(row.segment_id, drive.relative(final))
    return final


def _finish(catalog: Catalog, row: Segment, path: Path, length: float | None) -> Segment | None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size, digest = hash_descriptor(descriptor)
    finally:
        os.close(descriptor)
    end: datetime = row.start + timedelta(seconds=length or 0.0)
    catalog.segments.finish(row.segment_id, end=end, size=size, sha256=digest, recovered=True)
    log.info("%s", i18n.translate("recording.recovered", path=row.path))
    return catalog.segments.get(row.segment_id)


@contextmanager
def _lock(path: Path) -> Iterator[bool]:
    """Lock a file while it is recovered; yield False where it is being written or recovered, in whatever process.

    The same where another one has just given it its name.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield False
        return
    try:
        free = False
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            free = True
        yield free
    finally:
        os.close(descriptor)


def _report_lost(catalog: Catalog, row: Segment, clock: Clock, why: str) -> None:
    """Delete the row and add an event about it. A file that may hold video stays where it is."""
    catalog.segments.drop(row.segment_id)
    detail = {"path": row.temporary, "start": row.start.isoformat(), "why": why}
    catalog.events.add("segment.lost", clock.now(), camera_id=row.camera_id, drive_id=row.drive_id, detail=detail)


def _measure_length(path: Path) -> float | None:
    """Return the seconds of picture that can be read; None where there is none."""
    with suppress(MediaError):
        return containers.measure_video_seconds(path)
    return None
