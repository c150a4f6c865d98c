"""Files that the board writes: whole or not at all, with the mode and owner that they need."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(file: Path, data: bytes, mode: int = 0o600) -> None:
    """Write a file so that a reader sees the old content or the new; an existing file keeps its owner and mode.

    Raises OSError.
    """
    part = file.with_name(f".{file.name}.part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as out:
        out.write(data)
        out.flush()
        if file.exists():
            known = file.stat()
            os.fchmod(descriptor, known.st_mode & 0o7777)
            if os.geteuid() == 0:
                os.fchown(descriptor, known.st_uid, known.st_gid)
        os.fsync(descriptor)
    part.replace(file)
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(folder)
    os.close(folder)


def give_to_owner_of(folder: Path) -> None:
    """Give what root has made in a folder to the owner of the folder: the service must be able to write it."""
    if os.geteuid() != 0 or not folder.is_dir():
        return
    owner = folder.stat()
    for path in folder.rglob("*"):
        if path.lstat().st_uid == 0 and owner.st_uid != 0:
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
