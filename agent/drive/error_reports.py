"""Errors of a drive that only recorders see, not the small test writes of the monitor: bad sectors, a sealed class."""

from __future__ import annotations

import threading
from pathlib import Path

from agent.core.clock import Clock
from agent.core.errors import DriveError

QUIET_S = 15.0
"""A drive in use counts as good again this long after its last reported error."""


class ErrorReports:
    """The newest reported error of each mount point; thread-safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._errors: dict[Path, tuple[DriveError, float]] = {}

    def report(self, root: Path, error: DriveError) -> None:
        """Keep an error that a recorder got from a drive."""
        with self._lock:
            self._errors[root] = error, self._clock.monotonic()

    def current(self, root: Path, *, in_use: bool) -> DriveError | None:
        """Return the error that still counts against a drive; for a drive not in use it stays until `forget`."""
        with self._lock:
            error, at = self._errors.get(root, (None, 0.0))
            if error is not None and in_use and self._clock.monotonic() - at > QUIET_S:
                del self._errors[root]
                return None
            return error

    def forget(self, root: Path) -> None:
        """Drop the error of a mount point: the drive was mounted again or exchanged."""
        with self._lock:
            self._errors.pop(root, None)
