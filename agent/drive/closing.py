"""Closes one half-day: record, chain link, signature, checksum list, in this order; each step can be repeated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path, PurePosixPath

from agent.catalog import Catalog
from agent.catalog.changes import RowChange
from agent.catalog.drives import ChainLink
from agent.core.errors import DriveError
from agent.core.statement_model import LogPosition
from agent.drive import chain, durable, files, journal, keys, layout, sums
from agent.drive.identity import Drive


def close_half_day(
    drive: Drive,
    folder: str,
    half_day: PurePosixPath,
    *,
    rows: Iterable[RowChange],
    before: tuple[int, str, str] | None,
    known: Mapping[str, str],
    key_dir: Path | None,
    position: LogPosition | None = None,
) -> tuple[chain.HalfDayLink, str]:
    """Close the files of a half-day that no checksum list names yet; return the link and the new head.

    `rows` go to the record. `before` is (sequence, head, drive ID) of the class's last closing. `known` is SHA-256 by path on
    the drive, computed when each segment was finished, so that a bit flipped since is detected; other files are read.
    `position` is the newest place of the box's statement log, which the drive's journal holds.
    Raises OSError, DriveError.
    """
    key = layout.parse_half_day(half_day)
    assert key is not None
    path = drive.root / folder / half_day
    key_dir = find_signing_key(drive, key_dir)
    earlier = chain.list_closings(drive.root / folder, half_day)
    part = len(earlier) + 1
    sequence, head, at = before or (0, chain.NO_PREVIOUS, chain.NO_PREVIOUS)
    link = chain.HalfDayLink(layout.parse_class_id(folder), *key, sequence + 1, drive.drive_id, head, at, position)
    durable.write_file(path / layout.add_part_number(layout.RECORD, part), journal.format_rows(rows))
    durable.write_file(path / layout.add_part_number(layout.CHAIN, part), link.write())
    listed = {name for closed in earlier for name in closed.sums or ()}
    entries = {
        name: known.get(f"{folder}/{half_day}/{name}") or sums.hash_file(path / name, below=path)
        for name in chain.list_files_to_hash(path)
        if name not in listed and is_listable(path, name)
    }
    return link, chain.write_sums(path, layout.add_part_number(layout.SUMS, part), entries, key_dir)


def is_listable(path: Path, name: str) -> bool:
    """Return whether a file below the folder of a half-day can go into its checksum list.

    A file larger than any that the agent writes cannot, nor a foreign file without read permission: such a file must not
    prevent the half-day from being closed. Raises OSError.
    """
    try:
        files.check_regular(path / name, below=path)
    except (FileNotFoundError, files.UnfitFileError):
        return False
    except PermissionError:
        # a segment is evidence: never leave it out because of its permissions
        return layout.parse_start(PurePosixPath(name).name) is not None
    return True


def record_link(catalog: Catalog, drive: Drive, link: chain.HalfDayLink, head: str, now: datetime) -> ChainLink:
    """Add the closing to the catalog, and its head to the bureau's outbox, in one transaction."""
    row = ChainLink(link.class_id, link.date, link.session, link.sequence, drive.drive_id, head, drive.public_key, now)
    with catalog.store.write():
        catalog.chain.add(row)
        if catalog.drives.get(drive.drive_id):
            catalog.drives.set(drive.drive_id, last_head=head)
    return row


def find_signing_key(drive: Drive, key_dir: Path | None) -> Path | None:
    """Return the folder of the key that signs for this drive; None where the drive has no key.

    Raises DriveError where the drive names a key that the box does not have: half-days must not stay unsigned silently.
    """
    if not drive.public_key:
        return None
    if key_dir is None or keys.load_public_key(key_dir) != drive.public_key:
        raise DriveError("drive.other_key", root=drive.root, drive_id=drive.drive_id)
    return key_dir


def list_waiting_files(class_path: Path, half_day: PurePosixPath) -> list[str]:
    """List the files of a half-day that no checksum list names yet and that can be listed. Raises OSError."""
    path = class_path / half_day
    listed = {name for closed in chain.list_closings(class_path, half_day) for name in closed.sums or ()}
    parts = {layout.CHAIN, layout.RECORD}
    return [
        name
        for name in chain.list_files_to_hash(path)
        if name not in listed and layout.strip_part_number(name) not in parts and is_listable(path, name)
    ]
