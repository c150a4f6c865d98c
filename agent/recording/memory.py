"""One pool of memory for all threads."""

from __future__ import annotations

import ctypes

_M_ARENA_MAX = -8


def share_arena() -> None:
    """Keep glibc from giving each thread an arena of its own: recorders free in one thread what another allocated, and a
    quarter of the process's memory would lie unused in them. Call before threads start; other C libraries ignore it."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)
