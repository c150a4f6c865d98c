"""Makes a backup of this box, into a folder or onto its evidence drive."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from agent import __version__
from agent.backup.backup_file import BACKUP_FORMAT, BackupAbout, encrypt_content, write_backup_file
from agent.backup.contents import BackupSource as BackupSource
from agent.backup.contents import write_content
from agent.backup.recovery_key import RECOVERY_FILE, RecoveryKey, read_recovery_key
from agent.backup.workplace import BACKUP_PREFIX, open_workplace
from agent.core.clock import format_utc
from agent.core.errors import DriveError, InputError, SiteAgentError
from agent.drive import Drive, durable, files, keys, layout
from agent.drive.os_errors import to_drive_error

BACKUPS_KEPT = 7
DAY_FACT = "backup.day"
"""The fact that holds the local day of the newest nightly backup."""
_RESERVE = 256 * 1024 * 1024
"""Of the drive, as for recordings (or a hundredth of a small drive); a backup leaves twice as much."""


@dataclass(frozen=True, slots=True)
class MadeBackup:
    """A backup that was made. `outside`: files named by the settings that it does not hold."""

    file: Path
    size: int
    key_id: str
    outside: tuple[Path, ...]


def find_recovery_key(file: Path) -> RecoveryKey:
    """Return the recovery key beside the settings file. Raises InputError where there is none yet."""
    place = file.absolute().parent / RECOVERY_FILE
    if not place.exists():
        raise InputError("backup.no_recovery_key")
    return read_recovery_key(place)


def back_up_to_folder(source: BackupSource, folder: Path, now: datetime) -> MadeBackup:
    """Write a backup into a folder, such as a stick. Raises InputError, SiteAgentError; then nothing is left there."""
    key = find_recovery_key(source.file)
    if not folder.is_dir():
        raise InputError("backup.no_folder", folder=folder)
    with open_workplace(source.settings.state_dir, BACKUP_PREFIX) as work:
        made, outside = _make(source, key, work, now)
        target = folder / layout.build_backup_name(_name_box(source), now.astimezone(source.settings.zone))
        try:
            size = _copy(made, target)
        except OSError as error:
            raise InputError("backup.cannot_write", file=target, detail=error.strerror or error) from None
    return MadeBackup(target, size, key.key_id, tuple(outside))


def back_up_to_drive(source: BackupSource, drive: Drive, now: datetime) -> MadeBackup:
    """Write a backup onto an evidence drive, and delete the oldest beyond BACKUPS_KEPT. Raises DriveError, SiteAgentError."""
    key = find_recovery_key(source.file)
    if drive.is_sealed():
        raise DriveError("drive.whole_sealed", "drive.wrong", root=drive.root)
    with open_workplace(source.settings.state_dir, BACKUP_PREFIX) as work:
        made, outside = _make(source, key, work, now)
        drive.check()
        free, total = drive.space()
        if free - made.stat().st_size < 2 * min(_RESERVE, total // 100):
            raise DriveError("backup.drive_full", "drive.full", root=drive.root)
        target = drive.make_folder(layout.BACKUPS) / layout.build_backup_name(
            _name_box(source), now.astimezone(source.settings.zone)
        )
        try:
            size = _copy(made, target)
            _drop_oldest(drive, target.name)
        except OSError as error:
            raise to_drive_error(error, drive.root) from error
    return MadeBackup(target, size, key.key_id, tuple(outside))


def list_backups(drive: Drive) -> list[Path]:
    """List the backups on a drive, the oldest first. Raises OSError."""
    folder = drive.root / layout.BACKUPS
    if files.classify_path(folder) != "folder":
        return []
    names = [x.name for x in files.list_entries(folder) if x.kind == "file" and layout.is_backup_name(x.name)]
    # by time, whatever box: its text ends each name
    return [folder / name for name in sorted(names, key=lambda name: (name[-22:], name))]


def _drop_oldest(drive: Drive, newest: str) -> None:
    of_box = newest[:-22]
    mine = [path for path in list_backups(drive) if path.name[:-22] == of_box]
    for old in mine[:-BACKUPS_KEPT]:
        old.unlink()
    for left in (drive.root / layout.BACKUPS).glob(".*.part"):
        left.unlink()


def _make(source: BackupSource, key: RecoveryKey, work: Path, now: datetime) -> tuple[Path, list[Path]]:
    given = source.settings
    public = keys.load_public_key(given.key_dir)
    about = BackupAbout(
        BACKUP_FORMAT, __version__, _name_box(source), given.institution, format_utc(now), public, key.key_id
    )
    content, made = work / "content.cms", work / "made.backup"
    try:
        plain, outside = write_content(source, about, work)
        encrypt_content(plain, key, content)
        plain.unlink()
        write_backup_file(made, about, key, content)
        content.unlink()
    except OSError as error:
        raise SiteAgentError("backup.not_made", folder=given.state_dir, detail=error.strerror or error) from None
    return made, outside


def _copy(made: Path, target: Path) -> int:
    """Copy a file under a temporary name, sync it, then name it. Raises OSError; then nothing is left."""
    part = target.with_name(f".{target.name}.part")
    part.unlink(missing_ok=True)
    try:
        descriptor = durable.open_regular(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with made.open("rb") as source, os.fdopen(descriptor, "wb") as out:
            shutil.copyfileobj(source, out, 1 << 20)
            out.flush()
            os.fsync(out.fileno())
        part.replace(target)
        durable.sync_folder(target.parent)
    except OSError:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    return made.stat().st_size


def _name_box(source: BackupSource) -> str:
    given = source.settings
    return f"{given.county}/{given.site}/{given.box}"
