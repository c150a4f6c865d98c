"""What recorders say of a drive that the watch's own small writes do not show: failing sectors, a class sealed on it."""

from __future__ import annotations

import threading
from pathlib import Path

from agent.clock import Clock
from agent.errors import DriveError

QUIET_S = 15.0
"""So long after the last complaint about the drive in use all is taken for well again."""


class Complaints:
    """The newest complaint about each mount point; any thread may come with one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._said: dict[Path, tuple[DriveError, float]] = {}

    def say(self, root: Path, error: DriveError) -> None:
        with self._lock:
            self._said[root] = error, self._clock.monotonic()

    def about(self, root: Path, *, in_use: bool) -> DriveError | None:
        """What is held against a drive: of one that nobody uses any more it stands until the drive is exchanged."""
        with self._lock:
            error, at = self._said.get(root, (None, 0.0))
            if error is not None and in_use and self._clock.monotonic() - at > QUIET_S:
                del self._said[root]
                return None
            return error

    def forget(self, root: Path) -> None:
        """The drive was mounted anew, or another one is there."""
        with self._lock:
            self._said.pop(root, None)
