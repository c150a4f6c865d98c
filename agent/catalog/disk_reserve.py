"""Disk space reserved for the catalog on the box's own disk.

A full system disk must not prevent the recording of a class while the evidence drive has space. A file occupies the space;
it is deleted when the disk is full, so that the catalog can write again, and created again when there is space. Whatever
fills the disk may use up this space too; it gains time for a person to free some.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

RESERVE_NAME = "reserve"
COPIES_FOLDER = "copies"
RESERVE_BYTES = 64 * 1024 * 1024
LOW_SPACE_BYTES = 1024 * 1024
"""With less than this many bytes free, the disk is full for a database with a write-ahead log and its index."""


class DiskReserve:
    """The reserve file in `folder`, the state folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / RESERVE_NAME

    def full(self) -> bool:
        """Return whether the disk is full; False if that cannot be determined."""
        with suppress(OSError):
            return shutil.disk_usage(self._folder).free < LOW_SPACE_BYTES
        return False

    def there(self) -> bool:
        """Return whether the reserve file exists."""
        return self._file.exists()

    def spend(self) -> bool:
        """Free the reserved space; return False if nothing could be freed.

        Without a reserve file the older daily copies of the database are deleted instead; the newest stays, and another is
        made the next day.
        """
        try:
            self._file.unlink()
        except OSError:
            older = sorted((self._folder / COPIES_FOLDER).glob("catalog-*.db"))[:-1]
            for copy in older:
                with suppress(OSError):
                    copy.unlink()
            return bool(older)
        return True

    def keep(self) -> bool:
        """Create the reserve file if that leaves twice its size free; return True if it exists.

        Its size is SIZE, or a quarter of a small disk.
        """
        if self.there():
            return True
        part = self._file.with_suffix(".part")
        try:
            usage = shutil.disk_usage(self._folder)
            size = min(RESERVE_BYTES, usage.total // 4)
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
