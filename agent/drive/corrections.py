"""Writes figures of a sealed class that were revised after the seal to new signed files in 更正/."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path, PurePosixPath

from agent.catalog import Catalog
from agent.drive import chain, closing, durable, journal, keys, layout
from agent.drive.identity import Drive


def write_correction(catalog: Catalog, drive: Drive, folder: str, now: datetime, key_dir: Path | None) -> Path | None:
    """Write the figures of a sealed class that were revised since to a new signed file in 更正/.

    Nothing else in a sealed class may change. Return the file, or None where no figures changed. Raises DriveError, OSError.
    """
    written = {}
    corrections = drive.root / folder / layout.CORRECTIONS
    sources = [drive.root / folder / layout.RECORD, *chain.list_corrections(drive.root / folder)]
    for path in sources:
        for change in journal.read_journal_file(path, drive.root, []):
            if change.table == "attendance":
                written[(str(change.row.get("date")), str(change.row.get("session")))] = change.row.get("revision")
    class_id = layout.parse_class_id(folder)
    rows = [
        change
        for change in catalog.changes.of_class(class_id)
        if change.table == "attendance"
        and written.get((change.row["date"], change.row["session"])) != change.row["revision"]
    ]
    if not rows:
        return None
    data = journal.format_rows(rows)
    drive.make_folder(PurePosixPath(folder, layout.CORRECTIONS))
    path = corrections / f"{now.astimezone(catalog.zone):%Y%m%d-%H%M%S}-{max(r.row['revision'] for r in rows)}.jsonl"
    key = closing.find_signing_key(drive, key_dir)
    if key:
        durable.write_file(path.with_name(f"{path.name}.sig"), keys.sign_bytes(data, key))
    durable.write_file(path, data)
    return path
