"""What a backup holds of a box, as an archive: settings, passwords, keys, certificates, reference pictures, and the catalog."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from agent.backup.backup_file import ABOUT, BackupAbout, copy_member
from agent.catalog import Catalog, transfer
from agent.core.errors import InputError
from agent.program.settings_source import find_credentials
from agent.settings.schema import Settings

SETTINGS, CREDENTIALS, FILES, STATE = "agent.toml", "credentials", "files", "state"
CATALOG = f"{STATE}/catalog.db"
# folders of the state folder; copies, reserve and clips are not needed elsewhere
_STATE_FOLDERS = ("keys", "page/tls", "reference")
_PROGRAM = "site-agent"
_MOST_MEMBERS = 10_000


@dataclass(frozen=True, slots=True)
class BackupSource:
    """The box that is backed up; `file` is its settings file."""

    settings: Settings
    file: Path
    catalog: Catalog


def write_content(source: BackupSource, about: BackupAbout, work: Path) -> tuple[Path, list[Path]]:
    """Write the archive into `work`; return it, and files named by the settings that are not in it. Raises OSError."""
    target, copy = work / "content.tar.gz", work / "catalog.db"
    transfer.export_tables(source.catalog.store, copy)
    inside, outside = _list_named_files(source)
    with tarfile.open(target, "w:gz", compresslevel=5, format=tarfile.PAX_FORMAT) as tar:
        member = tarfile.TarInfo(ABOUT)
        member.size = len(about.write())
        tar.addfile(member, io.BytesIO(about.write()))
        _add(tar, SETTINGS, source.file)
        for name, path in _list_credentials(source.file):
            _add(tar, f"{CREDENTIALS}/{name}", path)
        for name, path in inside:
            _add(tar, f"{FILES}/{name}", path)
        for folder in _STATE_FOLDERS:
            for path in sorted((source.settings.state_dir / folder).glob("*")):
                if path.is_file() and not path.is_symlink() and path.suffix != ".part":
                    _add(tar, f"{STATE}/{folder}/{path.name}", path)
        _add(tar, CATALOG, copy)
    copy.unlink()
    return target, outside


def _add(tar: tarfile.TarFile, name: str, path: Path) -> None:
    """Add a file as it is now: its size may change while it is read, its member's size may not."""
    with path.open("rb") as opened:
        member = tarfile.TarInfo(name)
        member.size, member.mode = os.fstat(opened.fileno()).st_size, 0o600
        tar.addfile(member, opened)


def _list_credentials(file: Path) -> Iterator[tuple[str, Path]]:
    folder, before = find_credentials(file, _PROGRAM)
    for path in sorted(folder.iterdir()) if folder and folder.is_dir() else ():
        if path.is_file() and path.name.startswith(before):
            yield path.name.removeprefix(before), path


def _list_named_files(source: BackupSource) -> tuple[list[tuple[str, Path]], list[Path]]:
    """Return (path below the settings folder, file) of files that the settings name, and those elsewhere."""
    given, folder = source.settings, source.file.absolute().parent
    named = [given.cameras.model_list, given.counting.regions, given.bureau.ca_file]
    named += [given.bureau.certificate_file, given.bureau.key_file, given.serve.certificate_file, given.serve.key_file]
    named += [Path(f"{path}.sig") for path in named if path]
    inside, outside = [], []
    for path in dict.fromkeys(path for path in named if path and path.is_file()):
        if path.absolute().is_relative_to(folder):
            inside.append((path.absolute().relative_to(folder).as_posix(), path))
        else:
            outside.append(path)
    return inside, outside


def extract_content(archive: Path, target: Path, file: Path) -> None:
    """Unpack an archive into `target`; nothing leaves that folder. Raises InputError where it is none of ours, OSError."""
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for number, member in enumerate(tar):
                parts = PurePosixPath(member.name).parts
                if not member.isfile() or number >= _MOST_MEMBERS or not _is_expected(parts):
                    raise InputError("backup.altered", file=file)
                place = target.joinpath(*parts)
                place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                copy_member(tar, member, place)
                place.chmod(0o600)
    except (tarfile.TarError, EOFError, FileExistsError):
        raise InputError("backup.altered", file=file) from None
    needed = (ABOUT, SETTINGS, CATALOG, f"{STATE}/keys")
    if not all((target / name).exists() for name in needed):
        raise InputError("backup.altered", file=file)


def _is_expected(parts: tuple[str, ...]) -> bool:
    if not parts or any(part in ("", ".", "..", "/") or "\\" in part or "\0" in part for part in parts):
        return False
    if parts[0] in (CREDENTIALS, FILES):
        return len(parts) > 1 and (parts[0] == FILES or len(parts) == 2)
    folders = [(STATE, *PurePosixPath(name).parts) for name in _STATE_FOLDERS]
    return parts in ((ABOUT,), (SETTINGS,), tuple(CATALOG.split("/"))) or parts[:-1] in folders
