"""The one door to the files of a drive: a drive comes from somebody else, and what lies on it is data, never trusted.

Only plain files are opened, through no symbolic link, without ever waiting for one (a pipe would never answer), and no
more is read of one than its kind may hold and than it held when it was opened. docs/storage.md says the limits.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from agent import words

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
# the most bytes that a file of each kind may hold: many times what the agent ever writes
IDENTITY = 256 * KIB
SEAL = 4 * MIB
SIGNATURE = 64 * KIB
LINK = 64 * KIB
LIST = 16 * MIB
LABEL = MIB
PAPER = 256 * MIB
ROWS = 512 * MIB
LINE = 16 * MIB
SEGMENT = 64 * GIB
DEPTH = 16
"""Folders below one another that are looked into; the layout has four."""

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
    """No plain file (EINVAL), or larger than its kind may be (EFBIG); `strerror` says which, in the user's language."""


@dataclass(frozen=True, slots=True)
class Plain:
    """A plain file, open for reading. `size` is what it held when it was opened: nothing behind that is read."""

    descriptor: int
    size: int

    def blocks(self) -> Iterator[bytes]:
        """The file from its start, a MiB at a time. Raises OSError."""
        at = 0
        while at < self.size and (block := os.pread(self.descriptor, min(_BLOCK, self.size - at), at)):
            at += len(block)
            yield block


@dataclass(frozen=True, slots=True)
class Entry:
    """Something in a folder: `kind` is file, folder, link, pipe, socket or device, or `name` for a file or folder whose name
    no line of text can carry; `bytes` its size."""

    path: PurePosixPath
    kind: str
    bytes: int

    @property
    def name(self) -> str:
        return self.path.name


@contextmanager
def opened(path: Path, most: int, *, below: Path | None = None) -> Iterator[Plain]:
    """Open a plain file of at most `most` bytes for reading. With `below` no folder between that one and the file may be a
    link either. Raises FileNotFoundError, UnfitFileError, OSError."""
    with ExitStack() as stack:
        folder, name = _folder_of(path, below, stack)
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        fit(status, path, most)
        descriptor = os.open(name, _FILE, dir_fd=folder)
        stack.callback(os.close, descriptor)
        # once more: what was looked at need not be what was opened
        status = os.fstat(descriptor)
        fit(status, path, most)
        yield Plain(descriptor, status.st_size)


def read(path: Path, most: int, *, below: Path | None = None) -> bytes:
    """A small file's bytes. Raises FileNotFoundError, UnfitFileError, OSError."""
    with opened(path, most, below=below) as file:
        return b"".join(file.blocks())


def lines(path: Path, *, below: Path | None = None) -> Iterator[bytes]:
    """The lines of a file of rows, one at a time. Raises FileNotFoundError, UnfitFileError (also where a line is too long
    for any row), OSError."""
    with opened(path, ROWS, below=below) as file:
        rest = b""
        for block in file.blocks():
            *whole, rest = (rest + block).split(b"\n")
            yield from whole
            if len(rest) > LINE:
                raise _too_large(path, len(rest), LINE)
        yield rest


def check(path: Path, *, most: int = SEGMENT, below: Path | None = None) -> None:
    """Before a library opens a file by its name: is it a plain one? Raises as `opened` does."""
    with opened(path, most, below=below):
        pass


def is_plain(path: Path, *, below: Path) -> bool:
    """Is there a plain file of this name, inside `below` and through no link? The name may be anything that somebody wrote.
    Raises OSError where the disk does not say."""
    try:
        check(path, below=below)
    except (FileNotFoundError, NotADirectoryError, UnfitFileError, ValueError):
        return False
    except OSError as error:
        if error.errno not in (errno.ENAMETOOLONG, errno.ELOOP, errno.ENXIO):
            raise
        return False
    return True


def kind(path: Path) -> str | None:
    """What stands at a path, without following a link; None where nothing does. Raises OSError."""
    try:
        return kind_of(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return None


def kind_of(mode: int) -> str:
    return next((name for is_one, name in _KINDS if is_one(mode)), "device")


def is_line(name: str) -> bool:
    """Can a line of a list of sums, of the catalog or of a report carry this name? Not with a line break in it (macOS' own
    `Icon\\r` stands in no list), nor where it is no UTF-8 (GBK from an old stick)."""
    if name == "Icon\r":
        return True
    return "\n" not in name and "\r" not in name and not any("\ud800" <= c <= "\udfff" for c in name)


def on_a_line(path: str) -> str:
    """A path as one line of a log: control characters, and bytes that are no UTF-8, stand as escapes."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in path)


def told(kind: str) -> str:
    """A kind of thing that is no plain file, as a person reads it."""
    return words.text(f"drive.kind.{kind}")


def too_large(size: int, most: int) -> str:
    """A file of so many bytes where its kind has at most so many, as a person reads it."""
    return words.text("drive.detail.too_large", bytes=size, most=most)


def entries(folder: Path) -> list[Entry]:
    """What stands in a folder, by name. Raises OSError."""
    return sorted(_entries(folder, PurePosixPath()), key=lambda entry: entry.path)


def walk(folder: Path) -> Iterator[Entry]:
    """Everything below a folder, each folder before what it holds, links not followed. A folder too deep for any drive of
    ours is named and not looked into. Raises OSError."""
    waiting = [PurePosixPath()]
    while waiting:
        inner = waiting.pop()
        found = sorted(_entries(folder, inner), key=lambda entry: entry.path)
        yield from found
        deeper = [entry.path for entry in found if entry.kind == "folder" and len(entry.path.parts) < DEPTH]
        waiting += reversed(deeper)


def size_below(folder: Path) -> int:
    """Bytes of all files below a folder. Raises OSError."""
    return sum(entry.bytes for entry in walk(folder) if entry.kind == "file")


def _entries(folder: Path, inner: PurePosixPath) -> Iterator[Entry]:
    with os.scandir(folder / inner) as found:
        for item in found:
            # a recorder gave it its final name meanwhile
            with suppress(FileNotFoundError):
                status = item.stat(follow_symlinks=False)
                found_kind = kind_of(status.st_mode)
                if found_kind in ("file", "folder") and not is_line(item.name):
                    found_kind = "name"
                yield Entry(inner / item.name, found_kind, status.st_size)


def _folder_of(path: Path, below: Path | None, stack: ExitStack) -> tuple[int | None, str]:
    """The descriptor of the folder that holds a file, and the file's name in it."""
    if below is None:
        return None, str(path)
    *folders, name = path.relative_to(below).parts or ("..",)
    if ".." in (*folders, name):
        raise _unfit(path, "folder")
    folder = os.open(below, _FOLDER & ~os.O_NOFOLLOW)
    stack.callback(os.close, folder)
    for part in folders:
        try:
            inner = os.open(part, _FOLDER, dir_fd=folder)
        except NotADirectoryError:
            # O_DIRECTORY says this of a link as well
            found = kind_of(os.stat(part, dir_fd=folder, follow_symlinks=False).st_mode)
            if found == "link":
                raise _unfit(path, found) from None
            raise
        stack.callback(os.close, inner)
        folder = inner
    return folder, name


def fit(status: os.stat_result, path: Path, most: int = SEGMENT) -> None:
    """Raises UnfitFileError where what stands at a path is no plain file, or too large."""
    found = kind_of(status.st_mode)
    if found != "file":
        raise _unfit(path, found)
    if status.st_size > most:
        raise _too_large(path, status.st_size, most)


def _unfit(path: Path, found: str) -> UnfitFileError:
    return UnfitFileError(errno.EINVAL, told(found), str(path))


def _too_large(path: Path, size: int, most: int) -> UnfitFileError:
    return UnfitFileError(errno.EFBIG, too_large(size, most), str(path))
