"""Decides whether the box may record to a drive: not sealed, not handed over, known or made with the key of the box."""

from __future__ import annotations

from datetime import datetime

from agent.catalog import Catalog
from agent.core.errors import DriveError
from agent.drive.identity import Drive


def check_not_sealed(drive: Drive) -> None:
    """Raise DriveError drive.wrong where the whole drive is sealed."""
    if drive.is_sealed():
        raise DriveError("drive.whole_sealed", "drive.wrong", root=drive.root)


def admit(catalog: Catalog, drive: Drive, public_key: str, now: datetime) -> None:
    """Check that the box may write to a drive, and store the drive in the catalog.

    `public_key` is the key of the box ("": none). Raises DriveError drive.wrong, CatalogError.
    """
    known = catalog.drives.get(drive.drive_id)
    if known is not None and known.handed_over_at is not None:
        raise DriveError("drive.handed_over", "drive.wrong", root=drive.root, drive_id=drive.drive_id)
    if drive.public_key and drive.public_key != public_key:
        raise DriveError("drive.other_box", "drive.wrong", root=drive.root, drive_id=drive.drive_id)
    if known is None and not drive.public_key:
        others = [d for d in catalog.drives.all() if d.path == str(drive.root)]
        if others:
            # an unsigned drive does not prove who made it: accept only the first one at each mount point
            raise DriveError(
                "drive.wrong", "drive.wrong", root=drive.root, found=drive.drive_id, expected=others[-1].drive_id
            )
    catalog.drives.put(
        drive.drive_id,
        label=drive.label,
        institution=drive.institution,
        path=str(drive.root),
        created=drive.created,
        public_key=drive.public_key,
        seen_at=now,
    )
