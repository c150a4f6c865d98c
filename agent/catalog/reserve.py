"""Room on the box's own disk that is kept for the catalog: a full disk must not cost a class whose evidence drive is empty.

A file holds the room. It is given back to the disk when that is full, so that the catalog can write again, and made anew
when there is room. What fills the disk may take this room too: it wins the time in which a person makes some.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

NAME = "reserve"
COPIES = "copies"
SIZE = 64 * 1024 * 1024
LOW = 1024 * 1024
"""So few bytes free, and the disk is full for a database that needs a write-ahead log and an index of it."""


class Reserve:
    """The reserve in `folder`, which is the state folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / NAME

    def full(self) -> bool:
        """Is the disk full? False too where nobody can tell."""
        with suppress(OSError):
            return shutil.disk_usage(self._folder).free < LOW
        return False

    def there(self) -> bool:
        return self._file.exists()

    def spend(self) -> bool:
        """Give the room back to the disk; False where there was none (any more). Where no reserve could be set aside before,
        the older daily copies of the database go: the newest stays, and tomorrow brings another.
        """
        try:
            self._file.unlink()
        except OSError:
            older = sorted((self._folder / COPIES).glob("catalog-*.db"))[:-1]
            for copy in older:
                with suppress(OSError):
                    copy.unlink()
            return bool(older)
        return True

    def keep(self) -> bool:
        """Set the room aside where that leaves twice as much: a quarter of a small disk, SIZE of a usual one. True where it is
        set aside.
        """
        if self.there():
            return True
        part = self._file.with_suffix(".part")
        try:
            usage = shutil.disk_usage(self._folder)
            size = min(SIZE, usage.total // 4)
            if usage.free < 3 * size:
                return False
            part.unlink(missing_ok=True)
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, size)
            finally:
                os.close(descriptor)
            part.rename(self._file)
        except OSError:
            with suppress(OSError):
                part.unlink()
            return False
        return True
