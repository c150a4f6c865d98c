"""Writes that survive a power cut: sync the file, rename it without replacing another, sync the folder.

The order matters (docs/reference/storage.md, invariants 3 and 4): first the bytes, then the name, then the folder,
and only then the row in the catalog.
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
# errors of file systems behind FUSE (ntfs-3g) and of old kernels, which do not support the flag
_FLAG_UNKNOWN = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)


def sync_file(path: Path) -> None:
    """Flush a file's bytes and size to the disk, also where another process holds it open. Raises OSError."""
    descriptor = open_regular(path, os.O_RDONLY)
    try:
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Flush the names in a folder to the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def commit_file(temporary: Path, final: Path) -> None:
    """Sync `temporary`, rename it to `final` in the same folder, sync the folder.

    Raises FileExistsError where the name is taken (the temporary file stays), and other OSErrors.
    """
    sync_file(temporary)
    rename_no_replace(temporary, final)
    sync_folder(final.parent)


def write_file(path: Path, data: bytes) -> None:
    """Write a small file atomically, replacing the old one. The folder must exist. Raises OSError."""
    temporary = path.with_name(f".{path.name}.part")
    # left by a power cut, or a link or pipe made by somebody else: never write into it
    temporary.unlink(missing_ok=True)
    try:
        with os.fdopen(open_regular(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def append_lines(path: Path, data: bytes) -> None:
    """Append whole lines to a file and sync it.

    A power cut may leave a torn last line, which readers skip; the next append starts on a new line. Raises OSError.
    """
    with os.fdopen(open_regular(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666), "a+b") as file:
        size = file.seek(0, os.SEEK_END)
        if size and os.pread(file.fileno(), 1, size - 1) != b"\n":
            data = b"\n" + data
        file.write(data)
        file.flush()
        os.fdatasync(file.fileno())
    if not size:
        sync_folder(path.parent)


def open_regular(path: Path, flags: int, mode: int = 0) -> int:
    """Open a regular file and return its descriptor; `flags` may create it.

    Links are not followed, and a pipe never blocks the call. Raises UnfitFileError for anything but a regular file, OSError.
    """
    with suppress(FileNotFoundError):
        files.check_status(path.lstat(), path)
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, mode)
    try:
        files.check_status(os.fstat(descriptor), path)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def rename_no_replace(old: Path, new: Path) -> None:
    """Rename without replacing. Raises FileExistsError where `new` exists, and other OSErrors."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(_AT_FDCWD, os.fsencode(old), _AT_FDCWD, os.fsencode(new), _RENAME_NOREPLACE) == 0:
        return
    code = ctypes.get_errno()
    if code not in _FLAG_UNKNOWN:
        raise OSError(code, os.strerror(code), str(old), None, str(new))
    # no atomic rename here: the service is the only writer of the drive, so checking first is enough
    if os.path.lexists(new):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(new))
    old.rename(new)
