"""Out of descriptors, memory or threads: not a bug and not a fault of the drive; it is waited out and reported.

The shortage is the process's or the machine's, and affects whoever comes first: a recorder, the camera search, a
check of the drive. So every worker waits and starts again (`crew.py`), and nothing is concluded from what failed.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from agent.core.errors import Shortage

_ERRNOS = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}
_DEPTH = 8


def find_shortage(error: BaseException) -> Shortage | None:
    """Return the shortage that an error, or its cause, amounts to; None for any other error."""
    if isinstance(error, Shortage):
        return error
    cause: BaseException | None = error
    for _ in range(_DEPTH):
        if cause is None:
            return None
        if _is_one(cause):
            return Shortage("machine.short", detail=str(cause) or type(cause).__name__)
        cause = cause.__cause__ or cause.__context__
    return None


def is_shortage_errno(number: int | None) -> bool:
    return number in _ERRNOS


def _is_one(error: BaseException) -> bool:
    if isinstance(error, OSError):
        # fork reports EAGAIN where no process may be added; sockets and locks handle theirs themselves
        return is_shortage_errno(error.errno) or error.errno == errno.EAGAIN
    # Python's error where no thread can be added
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "start new thread" in str(error))


@contextmanager
def convert_shortage() -> Iterator[None]:
    """Raise a shortage in the body as Shortage, which all code that handles the project's own errors knows."""
    try:
        yield
    except (OSError, MemoryError, RuntimeError) as error:
        found = find_shortage(error)
        if found is None:
            raise
        raise found from error
