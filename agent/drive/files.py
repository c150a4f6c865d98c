"""The only access to the files of a drive, whose content is untrusted input.

Only regular files are opened, without following symbolic links and without blocking (a pipe would never answer). At most
the limit of the kind of file is read, and at most the size that the file had when it was opened.
docs/reference/storage.md lists the limits.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from agent import i18n

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
# maximum size in bytes of each kind of file: many times what the agent ever writes
MAX_IDENTITY = 256 * KIB
MAX_SEAL = 4 * MIB
MAX_SIGNATURE = 64 * KIB
MAX_LINK = 64 * KIB
MAX_LIST = 16 * MIB
MAX_LABEL = MIB
MAX_DOCUMENT = 256 * MIB
MAX_ROWS = 512 * MIB
MAX_LINE = 16 * MIB
MAX_SEGMENT = 64 * GIB
MAX_DEPTH = 16
"""Maximum depth of folders that are searched; the layout has four levels."""

_BLOCK = MIB
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_KINDS = (
    (stat.S_ISREG, "file"),
    (stat.S_ISDIR, "folder"),
    (stat.S_ISLNK, "link"),
    (stat.S_ISFIFO, "pipe"),
    (stat.S_ISSOCK, "socket"),
    (stat.S_ISBLK, "device"),
    (stat.S_ISCHR, "device"),
)


class UnfitFileError(OSError):
    """Not a regular file (EINVAL), or larger than its limit (EFBIG); `strerror` is in the language of the user."""


@dataclass(frozen=True, slots=True)
class RegularFile:
    """A regular file open for reading. `size` is its size when it was opened; nothing beyond it is read."""

    descriptor: int
    size: int

    def blocks(self, at: int = 0) -> Iterator[bytes]:
        """Yield the file from its byte `at` on in blocks of 1 MiB. Raises OSError."""
        while at < self.size and (block := os.pread(self.descriptor, min(_BLOCK, self.size - at), at)):
            at += len(block)
            yield block


@dataclass(frozen=True, slots=True)
class FolderEntry:
    """An entry of a folder.

    `kind` is file, folder, link, pipe, socket or device, or `name` for a file or folder whose name does not fit on a line of
    text; `bytes` is its size.
    """

    path: PurePosixPath
    kind: str
    bytes: int

    @property
    def name(self) -> str:
        return self.path.name


@contextmanager
def open_for_reading(path: Path, most: int, *, below: Path | None = None) -> Iterator[RegularFile]:
    """Open a regular file of at most `most` bytes for reading.

    With `below` no folder between that one and the file may be a link either. Raises FileNotFoundError, UnfitFileError,
    OSError.
    """
    with ExitStack() as stack:
        folder, name = _open_parent(path, below, stack)
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        check_status(status, path, most)
        descriptor = os.open(name, _FILE, dir_fd=folder)
        stack.callback(os.close, descriptor)
        # check again: the file may have been exchanged between stat and open
        status = os.fstat(descriptor)
        check_status(status, path, most)
        yield RegularFile(descriptor, status.st_size)


def read_small_file(path: Path, most: int, *, below: Path | None = None) -> bytes:
    """Read a small file. Raises FileNotFoundError, UnfitFileError, OSError."""
    with open_for_reading(path, most, below=below) as file:
        return b"".join(file.blocks())


def read_lines(path: Path, *, below: Path | None = None) -> Iterator[bytes]:
    """Yield the lines of a file of rows.

    Raises FileNotFoundError, UnfitFileError (also where a line is longer than LINE), OSError.
    """
    with open_for_reading(path, MAX_ROWS, below=below) as file:
        rest = b""
        for block in file.blocks():
            *whole, rest = (rest + block).split(b"\n")
            yield from whole
            if len(rest) > MAX_LINE:
                raise _too_large_error(path, len(rest), MAX_LINE)
        yield rest


def check_regular(path: Path, *, most: int = MAX_SEGMENT, below: Path | None = None) -> None:
    """Check that a path is a regular file, before a library opens it by name. Raises the same errors as `opened`."""
    with open_for_reading(path, most, below=below):
        pass


def is_regular_file(path: Path, *, below: Path) -> bool:
    """Return whether there is a regular file at this path, inside `below` and not through a link.

    The path may be any text, since it may come from a file on a drive. Raises OSError where the disk fails.
    """
    try:
        check_regular(path, below=below)
    except (FileNotFoundError, NotADirectoryError, UnfitFileError, ValueError):
        return False
    except OSError as error:
        if error.errno not in (errno.ENAMETOOLONG, errno.ELOOP, errno.ENXIO):
            raise
        return False
    return True


def classify_path(path: Path) -> str | None:
    """Return the kind of entry at a path, without following a link; None where there is none. Raises OSError."""
    try:
        return classify_mode(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return None


def classify_mode(mode: int) -> str:
    """Return the kind of an entry from its `st_mode`."""
    return next((name for is_one, name in _KINDS if is_one(mode)), "device")


def fits_on_line(name: str) -> bool:
    """Return whether a line of a checksum list, the catalog or a report can hold this name.

    A name with a line break cannot (the `Icon\\r` of macOS, a system file, is never listed), nor one that is not UTF-8 (for
    example GBK from an old USB stick).
    """
    if name == "Icon\r":
        return True
    return "\n" not in name and "\r" not in name and not any("\ud800" <= c <= "\udfff" for c in name)


def escape_for_log(path: str) -> str:
    """Escape control characters and bytes that are not UTF-8, so that a path stays on one line of a log."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in path)


def describe_kind(kind: str) -> str:
    """Describe a kind of entry that is not a regular file, for the user."""
    return i18n.translate(f"drive.kind.{kind}")


def describe_too_large(size: int, most: int) -> str:
    """Describe a file of `size` bytes whose limit is `most` bytes, for the user."""
    return i18n.translate("drive.detail.too_large", bytes=size, most=most)


def list_entries(folder: Path) -> list[FolderEntry]:
    """List the entries of a folder by name. Raises OSError."""
    return sorted(_scan_entries(folder, PurePosixPath()), key=lambda entry: entry.path)


def walk(folder: Path) -> Iterator[FolderEntry]:
    """Yield everything below a folder, each folder before its content; links are not followed.

    A folder at the maximum depth is yielded but not searched. Raises OSError.
    """
    waiting = [PurePosixPath()]
    while waiting:
        inner = waiting.pop()
        found = sorted(_scan_entries(folder, inner), key=lambda entry: entry.path)
        yield from found
        deeper = [entry.path for entry in found if entry.kind == "folder" and len(entry.path.parts) < MAX_DEPTH]
        waiting += reversed(deeper)


def compute_size(folder: Path) -> int:
    """Return the size in bytes of all files below a folder. Raises OSError."""
    return sum(entry.bytes for entry in walk(folder) if entry.kind == "file")


def _scan_entries(folder: Path, inner: PurePosixPath) -> Iterator[FolderEntry]:
    with os.scandir(folder / inner) as found:
        for item in found:
            # a recorder may have renamed it meanwhile
            with suppress(FileNotFoundError):
                status = item.stat(follow_symlinks=False)
                found_kind = classify_mode(status.st_mode)
                if found_kind in ("file", "folder") and not fits_on_line(item.name):
                    found_kind = "name"
                yield FolderEntry(inner / item.name, found_kind, status.st_size)


def _open_parent(path: Path, below: Path | None, stack: ExitStack) -> tuple[int | None, str]:
    """Return the descriptor of the folder that holds a file, and the file's name in it."""
    if below is None:
        return None, str(path)
    *folders, name = path.relative_to(below).parts or ("..",)
    if ".." in (*folders, name):
        raise _unfit_error(path, "folder")
    folder = os.open(below, _FOLDER & ~os.O_NOFOLLOW)
    stack.callback(os.close, folder)
    for part in folders:
        try:
            inner = os.open(part, _FOLDER, dir_fd=folder)
        except NotADirectoryError:
            # O_DIRECTORY gives this error for a link as well
            found = classify_mode(os.stat(part, dir_fd=folder, follow_symlinks=False).st_mode)
            if found == "link":
                raise _unfit_error(path, found) from None
            raise
        stack.callback(os.close, inner)
        folder = inner
    return folder, name


def check_status(status: os.stat_result, path: Path, most: int = MAX_SEGMENT) -> None:
    """Raise UnfitFileError where an entry is not a regular file or is larger than `most` bytes."""
    found = classify_mode(status.st_mode)
    if found != "file":
        raise _unfit_error(path, found)
    if status.st_size > most:
        raise _too_large_error(path, status.st_size, most)


def _unfit_error(path: Path, found: str) -> UnfitFileError:
    return UnfitFileError(errno.EINVAL, describe_kind(found), str(path))


def _too_large_error(path: Path, size: int, most: int) -> UnfitFileError:
    return UnfitFileError(errno.EFBIG, describe_too_large(size, most), str(path))
