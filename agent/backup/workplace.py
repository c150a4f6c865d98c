"""The folder on the box's own disk in which a backup is made or unpacked; it holds passwords and keys in clear text."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from agent.core.errors import InputError

BACKUP_PREFIX, RESTORE_PREFIX = ".backup-", ".restore-"


@contextmanager
def open_workplace(state_dir: Path, prefix: str) -> Iterator[Path]:
    """Yield a new folder, readable by its maker only, and delete it afterwards. Raises InputError where it cannot be made.

    What earlier runs left that were killed is cleared first, unless another run is at work beside this one.
    """
    with ExitStack() as held:
        try:
            held.enter_context(_occupied(state_dir))
            work = held.enter_context(tempfile.TemporaryDirectory(prefix=prefix, dir=state_dir))
        except OSError as error:
            raise InputError("backup.cannot_write", file=state_dir, detail=error.strerror or error) from None
        yield Path(work)


def clear_leftovers(state_dir: Path) -> list[Path]:
    """Delete what killed runs left; return what this user may not delete (root's own). Raises OSError."""
    with _occupied(state_dir) as alone:
        return _list_leftovers(state_dir) if alone else []


@contextmanager
def _occupied(state_dir: Path) -> Iterator[bool]:
    """Mark the state folder as worked in, and clear it where nobody else is at work; yield whether that is so.

    A lock on the folder itself: a file of root's would shut the service out.
    """
    descriptor = os.open(state_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            alone = False
        else:
            alone = True
            for left in _list_leftovers(state_dir):
                shutil.rmtree(left, ignore_errors=True)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield alone
    finally:
        os.close(descriptor)


def _list_leftovers(state_dir: Path) -> list[Path]:
    return sorted(path for prefix in (BACKUP_PREFIX, RESTORE_PREFIX) for path in state_dir.glob(f"{prefix}*"))
