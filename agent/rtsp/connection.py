"""A playing stream of a camera over a socket: opens it, reads access units, keeps it alive, ends it. Blocks, with limits."""

from __future__ import annotations

import select
import threading
import time
from contextlib import suppress

from agent.core.errors import CameraError, CameraUnreachable
from agent.rtsp.client import RtspClient
from agent.rtsp.dial import dial
from agent.rtsp.formats import AudioFormat, VideoFormat
from agent.rtsp.media_unit import MediaUnit
from agent.rtsp.opening_limits import OpeningLimits
from agent.rtsp.target import StreamTarget
from agent.rtsp.wire import SLICE_MS, Wire

_TLS_RECORDS = (b"\x15\x03", b"\x16\x03")
"""How an answer begins that is TLS: an alert, a handshake."""
_MOST = 4 << 20
"""Bytes of one read at most: a camera that floods is not read faster than this in each `nap`."""
_LONGEST_S = 0.2
"""How long one read may take: what is no media may take long to understand, and the service may have to stop."""
_STEP_BYTES = 32 << 10
"""Bytes taken at once while the stream is opened, for the same reason."""
_GOLDEN = 0.618
_FAREWELL_S = 0.3
"""How long the reply to TEARDOWN is waited for; a server that has read it sends nothing more of this session."""


class RtspConnection:
    """A stream that plays. Opens it at once; use as a context manager.

    timeout    seconds for each operation of the network; opening takes three of them at most
    nap        rest between two reads: most of the cost of recording is waking up
    stop       when set, opening and reading end within a second

    Raises CameraDenied where the password is refused (`recording.denied`), and where it is not: the account may not watch
    (`recording.forbidden`), or the camera asks in a way that cannot be answered (`recording.digest`, `recording.challenge`)
    or must not be (`recording.basic`). Raises CameraUnreachable where nothing answers, or not as a camera does, or no
    picture is offered that can be recorded.
    """

    def __init__(
        self, target: StreamTarget, timeout: float, nap: float = 0.0, stop: threading.Event | None = None
    ) -> None:
        self._target, self._timeout, self._nap = target, timeout, nap
        self._stop = stop or threading.Event()
        self._client = RtspClient(target)
        self._cut = self._arrived = False
        self._rest = self._turn = 0.0
        self._unsent = b""
        self._limits = OpeningLimits(target.url, timeout, self._stop)
        self._wire = self._dial()
        try:
            self._open()
        except BaseException:
            self._wire.close()
            raise
        self._poll = select.poll()
        self._poll.register(self._wire.sock, select.POLLIN)

    @property
    def video(self) -> VideoFormat:
        return self._client.video

    @property
    def audio(self) -> AudioFormat | None:
        return self._client.audio

    @property
    def signed(self) -> bool:
        """True once the camera has sent a unit of ONVIF media signing."""
        return self._client.signed

    @property
    def lost(self) -> int:
        """RTP packets that never came."""
        return self._client.lost

    @property
    def damaged(self) -> int:
        """Access units and frames of sound that were left out because something of them was missing."""
        return self._client.damaged

    def read(self) -> list[MediaUnit]:
        """Return what has come since the last call; nothing where nothing came within the timeout, or the service stops.

        What comes first waits for the end of the burst that it may be part of: only that shows when it came.
        Raises CameraError where the stream has ended.
        """
        self._stop.wait(self._rest)
        # never in step with the pictures: the latest would always be equally late
        self._turn = (self._turn + _GOLDEN) % 1
        self._rest = self._nap * (0.8 + 0.2 * self._turn)
        waited = 0.0
        while not self._stop.is_set():
            self._arrived |= self._receive()
            now = time.monotonic()
            self._client.keep_alive(now)
            self._flush()
            if self._arrived and not self._client.is_in_burst(now):
                self._arrived = False
                return self._client.take_units(now)
            if waited >= self._timeout:
                return []
            waited += SLICE_MS / 1000
            self._poll.poll(SLICE_MS)
        return []

    def cut(self) -> None:
        """End the connection from another thread: `read` comes back with an error."""
        self._cut = True
        self._wire.shut()

    def end(self) -> list[MediaUnit]:
        """Return the last picture, which was still waiting for its end."""
        return self._client.end(time.monotonic())

    def close(self) -> None:
        """Say farewell and close."""
        with suppress(CameraError, OSError):
            self._say_farewell()
        self._wire.close()

    def __enter__(self) -> RtspConnection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _dial(self) -> Wire:
        wire = dial(self._client.session.url, self._target.url, self._limits.check)
        self._client.session.peer = wire.peer
        self._is_first = True
        return wire

    def _open(self) -> None:
        client, limits = self._client, self._limits
        while not client.opened:
            try:
                sent = client.session.take_output()
                if sent:
                    limits.start_step()
                    self._wire.send(sent)
                free = client.free()[:_STEP_BYTES]
                count = self._wire.wait_into(free)
                if self._is_first:
                    self._check_answer(bytes(free[:2]))
                self._is_first = False
                del free
            except ConnectionError as error:
                raise CameraUnreachable("recording.unreachable", url=self._target.url, detail=str(error)) from None
            client.receive(count, time.monotonic())
            limits.check()
            if client.session.redirected:
                self._follow()

    def _follow(self) -> None:
        """Go where a redirect leads."""
        self._wire.close()
        self._client.restart()
        self._limits.start_step()
        self._wire = self._dial()

    def _check_answer(self, begin: bytes) -> None:
        """Raise CameraUnreachable where a plain connection is answered with TLS."""
        if begin in _TLS_RECORDS and not self._client.session.url.startswith("rtsps:"):
            raise CameraUnreachable("recording.wants_tls", url=self._target.url)

    def _receive(self) -> bool:
        """Read all that has come; return True where that is anything."""
        client, total, until = self._client, 0, time.monotonic() + _LONGEST_S
        try:
            while total < _MOST and not self._stop.is_set():
                free = client.free()
                room = len(free)
                count = self._wire.receive_into(free)
                if count is None:
                    break
                total += count
                client.receive(count, now := time.monotonic())
                if count < room or now > until:
                    break
        except ConnectionError:
            raise self._ended() from None
        return total > 0

    def _flush(self) -> None:
        """Send what is due, as far as the camera takes it."""
        # what the camera does not take stays with the session, which bounds it
        self._unsent = self._unsent or self._client.session.take_output()
        if self._unsent:
            try:
                self._unsent = self._unsent[self._wire.try_send(self._unsent) :]
            except ConnectionError:
                raise self._ended() from None

    def _ended(self) -> CameraError:
        return CameraError("recording.ended", url=self._target.url)

    def _say_farewell(self) -> None:
        """Send TEARDOWN, and take in what still comes until the camera has answered."""
        if self._cut:
            return
        client, until = self._client, time.monotonic() + _FAREWELL_S
        client.tear_down()
        self._flush()
        while not client.session.is_idle and (left := until - time.monotonic()) > 0:
            self._poll.poll(1000 * left)
            if count := self._wire.receive_into(client.free()):
                client.receive(count, time.monotonic())
