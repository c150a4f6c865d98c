"""How glibc keeps memory: one pool for all threads, and what is freed goes back."""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD = -1
_M_ARENA_MAX = -8
_KEPT = 128 * 1024
"""glibc's own first value, in bytes. Setting it keeps it there: else each large packet that is freed raises it."""


def bound_heap() -> None:
    """Keep glibc from giving each thread an arena of its own (recorders free in one thread what another allocated, and a
    quarter of the process's memory would lie unused in them) and from holding on to what pictures took. Call before threads
    start; other C libraries ignore it."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_TRIM_THRESHOLD, _KEPT)
