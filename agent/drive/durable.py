"""Writes that survive a power cut: file synced, name taken without replacing another, folder synced.

Order is the whole point (docs/storage.md, invariants 3 and 4): bytes first, then the name, then the folder, and only
then may the catalog say so.
"""

from __future__ import annotations

import ctypes
import errno
import os
from contextlib import suppress
from pathlib import Path

from agent.drive import files

_AT_FDCWD = -100
_RENAME_NOREPLACE = 1
# file systems behind FUSE (ntfs-3g) and old kernels do not know the flag
_FLAG_UNKNOWN = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)


def sync_file(path: Path) -> None:
    """Bring a file's bytes (and its size) to the disk; works on a file that somebody else holds open. Raises OSError."""
    descriptor = open_plain(path, os.O_RDONLY)
    try:
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Bring a folder's names to the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def commit(temporary: Path, final: Path) -> None:
    """Sync `temporary`, give it the name `final` in the same folder, sync the folder.

    Raises FileExistsError where the name is taken (the temporary file stays), other OSErrors as they come.
    """
    sync_file(temporary)
    rename_new(temporary, final)
    sync_folder(final.parent)


def write_file(path: Path, data: bytes) -> None:
    """Write a small file whole or not at all, replacing the old one. The folder must exist. Raises OSError."""
    temporary = path.with_name(f".{path.name}.part")
    # what a power cut left there, or a link or pipe that somebody put there: never written into
    temporary.unlink(missing_ok=True)
    try:
        with os.fdopen(open_plain(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def append_lines(path: Path, data: bytes) -> None:
    """Append whole lines to a file and sync it. A power cut may leave a torn last line, which readers pass over; the next
    lines begin on a new one. Raises OSError."""
    with os.fdopen(open_plain(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666), "a+b") as file:
        size = file.seek(0, os.SEEK_END)
        if size and os.pread(file.fileno(), 1, size - 1) != b"\n":
            data = b"\n" + data
        file.write(data)
        file.flush()
        os.fdatasync(file.fileno())
    if not size:
        sync_folder(path.parent)


def open_plain(path: Path, flags: int, mode: int = 0) -> int:
    """A descriptor of a plain file, made where `flags` say so; through no link, and never waiting for a pipe. Raises
    UnfitFileError where something else stands there, OSError."""
    with suppress(FileNotFoundError):
        files.fit(path.lstat(), path)
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, mode)
    try:
        files.fit(os.fstat(descriptor), path)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def rename_new(old: Path, new: Path) -> None:
    """Rename without replacing. Raises FileExistsError where `new` exists, other OSErrors as they come."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(_AT_FDCWD, os.fsencode(old), _AT_FDCWD, os.fsencode(new), _RENAME_NOREPLACE) == 0:
        return
    code = ctypes.get_errno()
    if code not in _FLAG_UNKNOWN:
        raise OSError(code, os.strerror(code), str(old), None, str(new))
    # the service is the only writer of the drive, so looking first is enough where the kernel cannot do it at once
    if os.path.lexists(new):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(new))
    old.rename(new)
