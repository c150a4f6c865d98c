"""Sets a new box up from a backup of a dead one. Everything is made and checked in a folder aside before anything changes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from agent.backup import contents
from agent.backup.backup_file import ABOUT, BackupAbout, decrypt_content, open_backup_file
from agent.backup.merge import MergeReport, merge_drives
from agent.backup.workplace import RESTORE_PREFIX, open_workplace
from agent.catalog import Catalog, transfer
from agent.core.clock import Clock
from agent.core.errors import DriveError, InputError, SiteAgentError
from agent.drive import Drive, durable, keys
from agent.settings.schema import Settings, load_settings_file


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored. `drives` are attached drives of the box, `aside` where the new box's own state was put."""

    about: BackupAbout
    settings: Settings
    drives: tuple[Drive, ...]
    merged: MergeReport
    aside: Path


@dataclass(frozen=True, slots=True)
class _Stage:
    """The unpacked backup, in the state folder: so that what is put in place is only renamed."""

    folder: Path
    about: BackupAbout
    settings: Settings

    @property
    def state(self) -> Path:
        return self.folder / contents.STATE


def check_new_box(settings: Settings) -> None:
    """Raise InputError where this box has recorded itself: its own evidence would lose its catalog and key."""
    if not settings.catalog_file.exists():
        return
    with Catalog(settings.catalog_file, settings.zone) as catalog:
        if catalog.segments.any() or catalog.chain.all():
            raise InputError("backup.box_in_use", folder=settings.state_dir)


def restore_box(
    file: Path, code: str, settings_file: Path, given: Settings, clock: Clock, *, who: str, more: Sequence[Path] = ()
) -> Restored:
    """Set this box up from a backup; `given` are its settings as they are, `more` further mount points of its drives.

    Raises InputError, CatalogError, DriveError; then nothing has changed.
    """
    check_new_box(given)
    with _staged(file, code, settings_file, given) as stage:
        check_new_box(stage.settings)
        drives = _open_drives(stage, more)
        try:
            merged = _make_catalog(stage, drives, clock, who)
            return _put_in_place(stage, settings_file, given, drives, merged, clock.now())
        except OSError as error:
            raise InputError("backup.cannot_write", file=error.filename, detail=error.strerror) from None


@contextmanager
def _staged(file: Path, code: str, settings_file: Path, given: Settings) -> Iterator[_Stage]:
    with open_workplace(given.state_dir, RESTORE_PREFIX) as folder:
        try:
            about = _unpack(file, code, folder)
            yield _Stage(folder, about, _load_settings(folder, file, settings_file))
        except OSError as error:
            raise InputError("backup.cannot_write", file=given.state_dir, detail=error.strerror) from None


def _unpack(file: Path, code: str, folder: Path) -> BackupAbout:
    opened = open_backup_file(file, folder)
    plain = folder / "plain"
    decrypt_content(opened, code, plain)
    opened.content.unlink()
    contents.extract_content(plain, folder, file)
    plain.unlink()
    if (folder / ABOUT).read_bytes() != opened.about.write():
        raise InputError("backup.altered", file=file)
    state = folder / contents.STATE
    if keys.load_public_key(state / "keys") != opened.about.public_key or not transfer.is_sound(
        folder / contents.CATALOG
    ):
        raise InputError("backup.altered", file=file)
    return opened.about


def _load_settings(folder: Path, file: Path, settings_file: Path) -> Settings:
    """Check that this version accepts the settings in the backup. Raises InputError."""
    try:
        return load_settings_file(folder / contents.SETTINGS)
    except SiteAgentError as error:
        if "file" in error.params:
            error.params["file"] = f"{file}:{settings_file.name}"
        raise


def _open_drives(stage: _Stage, more: Sequence[Path]) -> list[Drive]:
    """Return the attached drives of the box that is restored."""
    found: dict[str, Drive] = {}
    for root in dict.fromkeys([*more, *stage.settings.recording.drives]):
        with suppress(DriveError):
            drive = Drive.open(root)
            if drive.public_key in ("", stage.about.public_key):
                found.setdefault(drive.drive_id, drive)
    return list(found.values())


def _make_catalog(stage: _Stage, drives: list[Drive], clock: Clock, who: str) -> MergeReport:
    copy = stage.folder / contents.CATALOG
    exported = copy.with_name("exported.db")
    copy.rename(exported)
    with Catalog(copy, stage.settings.zone) as catalog:
        transfer.import_tables(catalog.store, exported)
        merged = merge_drives(catalog, drives, clock)
        detail = {"made_at": stage.about.made_at, "statements": merged.taken, "log": merged.continued}
        catalog.audit.add(clock.now(), who, "box.restored", stage.about.box, detail)
    exported.unlink()
    return merged


def _put_in_place(
    stage: _Stage, settings_file: Path, given: Settings, drives: list[Drive], merged: MergeReport, now: datetime
) -> Restored:
    """Put the new box's own files aside and the restored ones in their place, the catalog last."""
    target = stage.settings.state_dir
    aside = given.state_dir / f"before-restore-{now:%Y%m%d%H%M%S}"
    aside.mkdir(mode=0o700)
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in ("catalog.db-wal", "catalog.db-shm", "catalog.db", "keys", "reference", "page/tls"):
        if (target / name).exists():
            (aside / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).rename(aside / name)
    _put_settings(stage, settings_file, aside)
    for name in ("keys", "reference", "page/tls"):
        if (stage.state / name).is_dir():
            (target / name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _move(stage.state / name, target / name)
    _move(stage.folder / contents.CATALOG, target / "catalog.db")
    durable.sync_folder(target)
    settings = load_settings_file(settings_file)
    return Restored(stage.about, settings, tuple(drives), merged, aside)


def _put_settings(stage: _Stage, settings_file: Path, aside: Path) -> None:
    """Write settings, passwords and the files that the settings name; owner and mode of the settings file stay."""
    folder = settings_file.absolute().parent
    if settings_file.exists():
        shutil.copy2(settings_file, aside / settings_file.name)
        state = settings_file.stat()
    else:
        settings_file.touch(mode=0o640)
        state = settings_file.stat()
    durable.write_file(settings_file, (stage.folder / contents.SETTINGS).read_bytes())
    settings_file.chmod(state.st_mode & 0o7777)
    if os.geteuid() == 0:
        os.chown(settings_file, state.st_uid, state.st_gid)
    for path in sorted((stage.folder / contents.FILES).rglob("*")):
        if path.is_file():
            place = folder / path.relative_to(stage.folder / contents.FILES)
            place.parent.mkdir(parents=True, exist_ok=True)
            durable.write_file(place, path.read_bytes())
            if os.geteuid() == 0:
                os.chown(place, state.st_uid, state.st_gid)
            place.chmod(0o640)
    kept = folder / contents.CREDENTIALS
    kept.mkdir(mode=0o700, exist_ok=True)
    for path in sorted((stage.folder / contents.CREDENTIALS).glob("*")):
        (kept / path.name).touch(mode=0o600)
        durable.write_file(kept / path.name, path.read_bytes())
        (kept / path.name).chmod(0o600)


def _move(source: Path, target: Path) -> None:
    """Rename, or copy where the settings of the backup name a state folder on another disk."""
    shutil.move(source, target)
