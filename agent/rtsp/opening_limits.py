"""What ends a wait for a camera: the service stops, another thread cuts the connection, or it has lasted too long."""

from __future__ import annotations

import threading
import time

from agent.core.errors import CameraError, CameraUnreachable

_OPENING, _STEP = 3.0, 2.0
"""How often the timeout goes into the whole opening, and into one step of it."""


class OpeningLimits:
    """The time limits of opening a stream. `timeout`: seconds for one operation of the network."""

    def __init__(self, url: str, timeout: float, stop: threading.Event) -> None:
        self._url, self._timeout, self.stop = url, timeout, stop
        self._began = self._step = time.monotonic()

    def start_step(self) -> None:
        """Give the next step its full time."""
        self._step = time.monotonic()

    def check(self) -> None:
        """Raise CameraError where the service stops, CameraUnreachable where the camera takes too long."""
        if self.stop.is_set():
            raise CameraError("recording.ended", url=self._url)
        now = time.monotonic()
        step = now - self._step
        if now - self._began > _OPENING * self._timeout or step > _STEP * self._timeout:
            raise CameraUnreachable("recording.slow", url=self._url, seconds=round(step))
