"""Settings of glibc's allocator: one arena for all threads, and freed memory goes back to the system."""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD = -1
_M_ARENA_MAX = -8
_KEPT = 128 * 1024
"""glibc's initial value, in bytes. Setting it fixes it: otherwise each large packet that is freed raises it."""


def limit_heap() -> None:
    """Bound the memory that glibc keeps for itself. Call before threads start; does nothing with other C libraries.

    With an arena for each thread a quarter of the process's memory would lie unused in them, because recorders free in one
    thread what another allocated; and memory that pictures took would not be given back.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_TRIM_THRESHOLD, _KEPT)
