"""Makes the catalog again from attached drives: their journals, the records of closed half-days, and the files themselves.

What is on the drive decides: a row without its file is left out, a file without a row is read and gets one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any, get_args
from zoneinfo import ZoneInfo

from agent import media
from agent.catalog import Catalog
from agent.catalog.changes import Change
from agent.clock import Clock, parse, stamp
from agent.drive import chain, files, journal, layout, sums, system_files
from agent.drive.identity import Drive, os_error
from agent.errors import CatalogBlocked, CatalogError, MediaError
from agent.model import Segment, Session, Trust

_NIGHT_ENDS = 6


@dataclass(frozen=True, slots=True)
class Report:
    """`rows` put back from what the drives remember; `read` segments made from their files alone; `lost` rows whose file is
    gone; `unreadable` files that are no video, or no plain file where rows should be (they stay where they are)."""

    rows: int = 0
    read: int = 0
    lost: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()


def open_or_rebuild(path: Path, zone: ZoneInfo, drives: Iterable[Drive], clock: Clock) -> tuple[Catalog, Report | None]:
    """Open the catalog; one that is damaged is set aside (`…damaged-YYYYMMDDHHMMSS`), one that is missing or set aside is
    rebuilt from `drives`. The report is None where nothing had to be done. Raises CatalogError, DriveError.

    While one is rebuilt a file beside it says so: who is killed meanwhile goes on at the next start."""
    half_made = _half_made(path)
    fresh = not path.exists()
    catalog = None if fresh else _sound(path, zone)
    if catalog is not None and not half_made.exists():
        return catalog, None
    if catalog is None:
        with suppress(OSError):  # where nothing can be written the catalog says why
            half_made.touch()
        if not fresh:
            set_aside(path, clock)
        catalog = Catalog(path, zone)
    report = Report()
    for drive in drives:
        report = _sum(report, restore(catalog, drive, clock))
    half_made.unlink(missing_ok=True)
    return catalog, report


def is_whole(path: Path) -> bool:
    """Whether there is a catalog, and nobody is making it again just now."""
    half_made = _half_made(path)
    return path.exists() and not half_made.exists()


def _half_made(path: Path) -> Path:
    return path.with_name(f"{path.name}.half-made")


def set_aside(path: Path, clock: Clock) -> Path:
    """Move a damaged database out of the way, its write-ahead log with it; return its new name. Raises OSError."""
    mark = f"damaged-{clock.now():%Y%m%d%H%M%S}"
    for suffix in ("-wal", "-shm", ""):
        old = path.with_name(path.name + suffix)
        if old.exists():
            old.rename(path.with_name(f"{path.name}.{mark}{suffix}"))
    return path.with_name(f"{path.name}.{mark}")


def _sound(path: Path, zone: ZoneInfo) -> Catalog | None:
    try:
        catalog = Catalog(path, zone)
    except CatalogBlocked:
        # a full disk or a wrong owner is no damage: what is in it must not be put aside for that
        raise
    except CatalogError:
        return None
    if catalog.store.damage() is None:
        return catalog
    catalog.close()
    return None


def restore(catalog: Catalog, drive: Drive, clock: Clock, progress: Callable[[int], None] | None = None) -> Report:
    """Put back all that one drive knows. Can be repeated, and done for several drives in any order. Raises DriveError."""
    try:
        with catalog.store.write():
            faults: journal.Faults = []
            rows, lost, begun = _rows_back(catalog, drive, faults)
        read, unreadable = _files_back(catalog, drive, begun, progress)
        unreadable = [*dict.fromkeys(path for path, _ in faults), *unreadable]
        with catalog.store.write():
            _links_back(catalog, drive)
            _drive_back(catalog, drive, clock)
            # all of it came from a drive: nothing of it needs to go back there
            catalog.changes.forget_all()
    except OSError as error:
        raise os_error(error, drive.root) from error
    return Report(rows, read, tuple(lost), tuple(unreadable))


def _sum(one: Report, two: Report) -> Report:
    return Report(one.rows + two.rows, one.read + two.read, one.lost + two.lost, one.unreadable + two.unreadable)


def _remembered(drive: Drive, faults: journal.Faults) -> Iterator[Change]:
    """Records first, the journal after them: it is written in order of time and goes on after the last record."""
    for folder in drive.class_folders():
        path = drive.root / folder
        for half_day in chain.half_day_folders(path):
            for entry in files.entries(path / half_day):
                if layout.unnumbered(entry.name) == layout.RECORD:
                    yield from journal.read_file(path / half_day / entry.name, drive.root, faults)
        for record in [path / layout.RECORD, *chain.corrected(path)]:
            yield from journal.read_file(record, drive.root, faults)
    yield from journal.of_drive(drive.root, faults)


def _rows_back(catalog: Catalog, drive: Drive, faults: journal.Faults) -> tuple[int, list[str], dict[str, Change]]:
    """(rows put back, paths of lost segments, open rows by path whose file was finished meanwhile)."""
    count = 0
    begun: dict[str, Change] = {}
    segments: dict[str, Change] = {}
    for change in _remembered(drive, faults):
        if change.table == "segments" and change.row.get("drive_id") == drive.drive_id:
            segments[str(change.row.get("path"))] = change
        else:
            count += catalog.changes.put(change)
    lost = []
    for path, change in segments.items():
        if _inside(drive, path):
            if change.row.get("state") == "finished":
                count += catalog.changes.put(change)
            else:
                begun[path] = change
        elif change.row.get("state") == "open" and _inside(drive, str(change.row.get("temporary"))):
            count += catalog.changes.put(change)
        elif change.row.get("state") == "finished":
            lost.append(path)
    return count, lost, begun


def _inside(drive: Drive, path: str) -> bool:
    return files.is_plain(drive.root / path, below=drive.root)


def _files_back(
    catalog: Catalog, drive: Drive, begun: Mapping[str, Change], progress: Callable[[int], None] | None
) -> tuple[int, list[str]]:
    read, unreadable = 0, []
    for folder in drive.class_folders():
        for half_day in chain.half_day_folders(drive.root / folder):
            for path in _videos(drive.root / folder / half_day):
                relative = drive.relative(_final(path))
                if catalog.segments.by_path(drive.drive_id, relative):
                    continue
                try:
                    segment = _from_file(catalog.zone, drive, folder, half_day, path, begun.get(relative))
                except (MediaError, files.UnfitFileError):
                    unreadable.append(relative)
                    continue
                if segment is not None:
                    _put(catalog, segment)
                    read += 1
                if progress:
                    progress(1)
    return read, unreadable


def _videos(half_day: Path) -> list[Path]:
    """What is called as a segment or its temporary file, of whatever kind it is: finished ones first."""
    cameras = [x.path for x in files.entries(half_day) if x.kind == "folder" and not system_files.is_name(x)]
    found = [
        half_day / c / x.name for c in cameras for x in files.entries(half_day / c) if x.kind not in ("folder", "name")
    ]
    finished = [x for x in found if x.suffix == ".mp4" and not x.name.startswith(".")]
    return sorted(finished + [x for x in found if x.name.startswith(".") and x.name.endswith(".mp4.part")])


def _final(path: Path) -> Path:
    """The name that a file has, or is to get."""
    return path.with_name(path.name[1:].removesuffix(".part")) if path.suffix == ".part" else path


def _from_file(
    zone: ZoneInfo, drive: Drive, folder: str, half_day: PurePosixPath, path: Path, begun: Change | None
) -> Segment | None:
    """What a file and its name tell: the start to the second, or exactly where an open row told it. None for names that are
    not the agent's. A file that was being written becomes an open row, for recovery to finish. Raises MediaError."""
    final = _final(path)
    written = final == path
    key = layout.parse_half_day(half_day)
    place = path.parent.name.split("_", 1)
    start_of = layout.start_of(final.name)
    if key is None or start_of is None or len(place) != 2:
        return None
    files.check(path, below=drive.root)
    probe = media.probe(path)
    # an evening that goes on past midnight stays in its folder
    day = key[0] + timedelta(days=key[1] is Session.EV and start_of.hour < _NIGHT_ENDS)
    told: Mapping[str, Any] = begun.row if begun else {}
    trust: Any = told.get("trust")
    start = _moment(told.get("start")) or datetime.combine(day, start_of, tzinfo=zone)
    return Segment(
        segment_id=0,
        drive_id=drive.drive_id,
        path=drive.relative(final),
        temporary="" if written else drive.relative(path),
        state="finished" if written else "open",
        class_id=layout.class_id_of(folder),
        date=key[0],
        session=key[1],
        room_id=place[0],
        camera_id=place[1],
        start=start,
        end=start + timedelta(seconds=probe.duration) if written else None,
        bytes=path.stat().st_size if written else None,
        sha256=sums.of_file(path) if written else None,
        video_codec=probe.video,
        width=probe.width,
        height=probe.height,
        audio_codec=probe.audio,
        trust=trust if trust in get_args(Trust) else "unknown",
        serial=str(told.get("serial") or ""),
        unchecked_since=_moment(told.get("unchecked_since")),
    )


def _moment(told: object) -> datetime | None:
    """An instant of a row; None where it is none: on a drive anything may stand there."""
    with suppress(ValueError, OverflowError):
        return parse(str(told)) if told else None
    return None


def _put(catalog: Catalog, segment: Segment) -> None:
    if segment.state == "open":
        catalog.segments.open(segment)
        return
    assert segment.end is not None and segment.bytes is not None and segment.sha256 is not None
    number = catalog.segments.open(replace(segment, state="open", end=None, bytes=None, sha256=None))
    catalog.segments.finish(number, end=segment.end, size=segment.bytes, sha256=segment.sha256)


def _links_back(catalog: Catalog, drive: Drive) -> None:
    """The chain as the drive's own links tell it, where journal and record did not."""
    for folder in drive.class_folders():
        path = drive.root / folder
        for closed in chain.all_closings(path):
            link = closed.link
            if link is None:
                continue
            known = {(x.date, x.session): x for x in catalog.chain.of_class(link.class_id)}.get(
                (link.date, link.session)
            )
            if known and known.sequence >= link.sequence:
                continue
            file = path / closed.folder / layout.numbered(layout.SUMS, closed.part)
            row: dict[str, Any] = {
                "class_id": link.class_id,
                "date": link.date.isoformat(),
                "session": link.session.value,
                "sequence": link.sequence,
                "drive_id": drive.drive_id,
                "head": closed.head,
                "public_key": drive.public_key,
                "closed_at": stamp(_written(file, catalog.zone)),
            }
            catalog.changes.put(Change("chain", row))


def _written(file: Path, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(file.stat().st_mtime, zone)


def _drive_back(catalog: Catalog, drive: Drive, clock: Clock) -> None:
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
