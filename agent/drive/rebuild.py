"""Rebuilds the catalog from attached drives: their journals, the records of closed half-days, and the files themselves.

The files on the drive decide: a row without its file is left out, a file without a row is read and gets one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from agent.catalog import Catalog
from agent.catalog.changes import RowChange
from agent.core.clock import Clock, format_utc
from agent.core.errors import CatalogBlocked, CatalogError, MediaError
from agent.core.model import Segment
from agent.drive import chain, files, journal, layout, segment_files
from agent.drive.adoption import KeyRing
from agent.drive.identity import Drive, to_drive_error


@dataclass(frozen=True, slots=True)
class RebuildReport:
    """Result of a rebuild.

    `rows`: rows restored from journals and records. `read`: segments made from their files alone. `lost`: paths of rows whose
    file is gone. `unreadable`: files that are not video, or that should hold rows and are not regular; they stay in place.
    """

    rows: int = 0
    read: int = 0
    lost: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()


def open_or_rebuild(
    path: Path, zone: ZoneInfo, drives: Iterable[Drive], clock: Clock
) -> tuple[Catalog, RebuildReport | None]:
    """Open the catalog; rebuild it from `drives` where it is missing or damaged.

    A damaged one is renamed to `…damaged-YYYYMMDDHHMMSS`. The report is None where nothing had to be done. A marker file
    exists during the rebuild, so that a killed rebuild continues at the next start. Raises CatalogError, DriveError.
    """
    half_made = _marker_file(path)
    fresh = not path.exists()
    catalog = None if fresh else _open_undamaged(path, zone)
    if catalog is not None and not half_made.exists():
        return catalog, None
    if catalog is None:
        with suppress(OSError):  # where nothing can be written, opening the catalog reports the reason
            half_made.touch()
        if not fresh:
            rename_damaged(path, clock)
        catalog = Catalog(path, zone)
    report = restore_from_drives(catalog, list(drives), clock)
    half_made.unlink(missing_ok=True)
    return catalog, report


def is_complete(path: Path) -> bool:
    """Return whether there is a catalog and no rebuild of it is in progress."""
    half_made = _marker_file(path)
    return path.exists() and not half_made.exists()


def _marker_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.half-made")


def rename_damaged(path: Path, clock: Clock) -> Path:
    """Rename a damaged database and its write-ahead log; return the new path. Raises OSError."""
    mark = f"damaged-{clock.now():%Y%m%d%H%M%S}"
    for suffix in ("-wal", "-shm", ""):
        old = path.with_name(path.name + suffix)
        if old.exists():
            old.rename(path.with_name(f"{path.name}.{mark}{suffix}"))
    return path.with_name(f"{path.name}.{mark}")


def _open_undamaged(path: Path, zone: ZoneInfo) -> Catalog | None:
    try:
        catalog = Catalog(path, zone)
    except CatalogBlocked:
        # a full disk or a wrong owner is not damage: the database must not be set aside
        raise
    except CatalogError:
        return None
    if catalog.store.damage() is None:
        return catalog
    catalog.close()
    return None


def restore_from_drive(
    catalog: Catalog, drive: Drive, clock: Clock, progress: Callable[[int], None] | None = None
) -> RebuildReport:
    """Restore all rows from one drive. Can be repeated, and done for several drives in any order. Raises DriveError."""
    return restore_from_drives(catalog, [drive], clock, progress)


def restore_from_drives(
    catalog: Catalog,
    drives: list[Drive],
    clock: Clock,
    progress: Callable[[int], None] | None = None,
    skip: frozenset[str] = frozenset(),
) -> RebuildReport:
    """Restore all rows of several drives but those of tables in `skip`, then read the files that have none. Raises DriveError.

    Rows first, of every drive: what is read from files is stated, and the statement must follow the newest of all drives.
    """
    report, begun = RebuildReport(), []
    for drive in drives:
        with _drive_errors(drive), catalog.store.write():
            faults: journal.UnreadableFiles = []
            rows, lost, open_rows = _restore_rows(catalog, drive, faults, skip)
            _restore_links(catalog, drive)
            _restore_drive(catalog, drive, clock)
            # all rows came from the drive, so none of them has to be written to its journal
            catalog.changes.forget_all()
        begun.append(open_rows)
        report = _add_reports(report, RebuildReport(rows, 0, tuple(lost), tuple(dict.fromkeys(p for p, _ in faults))))
    catalog.statements.resume()
    for drive, open_rows in zip(drives, begun, strict=True):
        with _drive_errors(drive):
            read, unreadable = _restore_files(catalog, drive, open_rows, progress)
        report = _add_reports(report, RebuildReport(0, read, (), tuple(unreadable)))
    return report


def continue_log(catalog: Catalog, drives: Iterable[Drive]) -> int:
    """Take over statements that the drives hold and the catalog does not; return how many.

    An older copy of the state folder was put back: the log goes on behind the newest statement, not beside it.
    Raises DriveError.
    """
    taken = 0
    for drive in drives:
        with _drive_errors(drive), catalog.store.write():
            for path in reversed(journal.list_journal_files(drive.root)):
                rows = [x for x in journal.read_journal_file(path, drive.root, []) if x.table == "statements"]
                missing = [x for x in rows if not _is_known(catalog, x.row)]
                taken += sum(catalog.changes.put(x) for x in missing)
                if rows and len(missing) < len(rows):
                    break
    if taken:
        catalog.statements.resume()
    return taken


def _is_known(catalog: Catalog, row: Mapping[str, object]) -> bool:
    """Return whether the catalog's log reaches as far as this statement."""
    log, number = str(row.get("log")), row.get("number")
    end = next((x.number for x in catalog.statements.ends() if x.log == log), 0)
    return not isinstance(number, int) or number <= end


@contextmanager
def _drive_errors(drive: Drive) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise to_drive_error(error, drive.root) from error


def _add_reports(one: RebuildReport, two: RebuildReport) -> RebuildReport:
    return RebuildReport(one.rows + two.rows, one.read + two.read, one.lost + two.lost, one.unreadable + two.unreadable)


def _stored_rows(drive: Drive, faults: journal.UnreadableFiles) -> Iterator[RowChange]:
    """Yield the rows of all records, then those of the journal, which continues after the last record."""
    for folder in drive.class_folders():
        path = drive.root / folder
        for half_day in chain.list_half_day_folders(path):
            for entry in files.list_entries(path / half_day):
                if layout.strip_part_number(entry.name) == layout.RECORD:
                    yield from journal.read_journal_file(path / half_day / entry.name, drive.root, faults)
        for record in [path / layout.RECORD, *chain.list_corrections(path)]:
            yield from journal.read_journal_file(record, drive.root, faults)
    yield from journal.read_drive_journal(drive.root, faults)


def _restore_rows(
    catalog: Catalog, drive: Drive, faults: journal.UnreadableFiles, skip: frozenset[str]
) -> tuple[int, list[str], dict[str, RowChange]]:
    """Restore rows; return (count, paths of lost segments, open rows by path whose file was finished meanwhile)."""
    count = 0
    begun: dict[str, RowChange] = {}
    segments: dict[str, RowChange] = {}
    held: tuple[str, int] | None = None
    for change in _stored_rows(drive, faults):
        if change.table == "segments" and change.row.get("drive_id") == drive.drive_id:
            segments[str(change.row.get("path"))] = change
            continue
        if change.table in skip:
            continue
        restored = catalog.changes.put(change)
        count += restored
        if restored and change.table == "statements":
            held = str(change.row["log"]), int(change.row["number"])
    if held:
        catalog.facts.put(f"journal.{drive.drive_id}.held", f"{held[0]}:{held[1]}")
    lost = []
    for path, change in segments.items():
        if _is_file(drive, path):
            if change.row.get("state") == "finished":
                count += catalog.changes.put(change)
            else:
                begun[path] = change
        elif change.row.get("state") == "open" and _is_file(drive, str(change.row.get("temporary"))):
            count += catalog.changes.put(change)
        elif change.row.get("state") == "finished":
            lost.append(path)
    return count, lost, begun


def _is_file(drive: Drive, path: str) -> bool:
    return files.is_regular_file(drive.root / path, below=drive.root)


def _restore_files(
    catalog: Catalog, drive: Drive, begun: Mapping[str, RowChange], progress: Callable[[int], None] | None
) -> tuple[int, list[str]]:
    read, unreadable = 0, []
    for folder in drive.class_folders():
        for half_day in chain.list_half_day_folders(drive.root / folder):
            for path in segment_files.find_videos(drive.root / folder / half_day):
                relative = drive.relative(segment_files.final_path(path))
                if catalog.segments.by_path(drive.drive_id, relative):
                    continue
                try:
                    segment = segment_files.read_segment(
                        catalog.zone, drive, folder, half_day, path, begun.get(relative)
                    )
                except (MediaError, files.UnfitFileError):
                    unreadable.append(relative)
                    continue
                if segment is not None:
                    _add_segment(catalog, segment)
                    read += 1
                if progress:
                    progress(1)
    return read, unreadable


def _add_segment(catalog: Catalog, segment: Segment) -> None:
    if segment.state == "open":
        catalog.segments.open(segment)
        return
    assert segment.end is not None and segment.bytes is not None and segment.sha256 is not None
    number = catalog.segments.open(replace(segment, state="open", end=None, bytes=None, sha256=None))
    catalog.segments.finish(number, end=segment.end, size=segment.bytes, sha256=segment.sha256, recovered=True)


def _restore_links(catalog: Catalog, drive: Drive) -> None:
    """Restore chain rows from the CHAIN files of the drive where journal and records had none."""
    ring = KeyRing(drive)
    for folder in drive.class_folders():
        path = drive.root / folder
        for closed in chain.list_all_closings(path):
            link = closed.link
            if link is None:
                continue
            known = {(x.date, x.session): x for x in catalog.chain.of_class(link.class_id)}.get(
                (link.date, link.session)
            )
            if known and known.sequence >= link.sequence:
                continue
            file = path / closed.folder / layout.add_part_number(layout.SUMS, closed.part)
            row = {
                "class_id": link.class_id,
                "date": link.date.isoformat(),
                "session": link.session.value,
                "sequence": link.sequence,
                "drive_id": drive.drive_id,
                "head": closed.head,
                "public_key": ring.find(drive.relative(file)),
                "closed_at": format_utc(_modified_at(file, catalog.zone)),
            }
            catalog.changes.put(RowChange("chain", row))


def _modified_at(file: Path, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(file.stat().st_mtime, zone)


def _restore_drive(catalog: Catalog, drive: Drive, clock: Clock) -> None:
    catalog.drives.put(
        drive.drive_id,
        label=drive.label,
        institution=drive.institution,
        path=str(drive.root),
        created=drive.created,
        public_key=drive.public_key,
        seen_at=clock.now(),
    )
    catalog.facts.put(f"journal.{drive.drive_id}", "begun")
