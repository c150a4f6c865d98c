"""How long a camera may take for opening a stream and for each read."""

from __future__ import annotations

import threading
import time

from agent.core.errors import CameraError, CameraUnreachable

_STOPPING_S = 1.0
"""How long FFmpeg may stay in a read when the service is to stop."""
_OPENING, _READING = 3, 2
"""How many timeouts it may take to open a stream, and FFmpeg to come back from a read."""
_STEP = 0.9
"""Share of a timeout that an answer may take: the cause is reported here before FFmpeg gives up without one."""


class Stalled(CameraError):
    """No picture for too long although the connection stands."""


class Deadline:
    """The time limits of one connection to a camera.

    url        the camera's, for errors
    timeout    seconds for each step of the network
    stop       when set, an opening or a read that lasts is cut off
    closing    set when nobody waits for the connection any more
    opened     FFmpeg has opened the stream
    playing    the camera has agreed to play
    """

    def __init__(self, url: str, timeout: float, stop: threading.Event | None = None) -> None:
        self._url, self._timeout = url, timeout
        self._stop = stop or threading.Event()
        self.closing = threading.Event()
        self.opened = self.playing = False
        self._began = self._step = time.monotonic()
        self._read_since: float | None = None

    def start_step(self) -> None:
        """Give the next step of the network its full time."""
        self._step = time.monotonic()

    def reading(self, since: float | None) -> None:
        """Note that FFmpeg was asked for a packet at `since` (monotonic seconds); None: it has answered."""
        self._read_since = since

    def check(self) -> None:
        """Raise CameraError where something has lasted too long, EOFError where nobody waits for it any more."""
        now = time.monotonic()
        since = self._read_since if self.opened else self._began
        if self.closing.is_set():
            raise EOFError
        if since is None:
            return
        lasting = now - since
        if self._stop.is_set() and lasting > _STOPPING_S:
            raise CameraError("recording.ended", url=self._url)
        if not self.opened:
            if late := self.late():
                raise late
        elif lasting > _READING * self._timeout:
            raise Stalled("recording.stalled", url=self._url, seconds=round(lasting))

    def late(self) -> CameraError | None:
        """Return the error of a camera that has not finished its answer in time while the stream is opened; None: not late."""
        now = time.monotonic()
        step = now - self._step
        if now - self._began <= _OPENING * self._timeout and step <= _STEP * self._timeout:
            return None
        if self.playing:
            return Stalled("recording.stalled", url=self._url, seconds=round(step))
        return CameraUnreachable("recording.slow", url=self._url, seconds=round(step))
