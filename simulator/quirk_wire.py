"""The connection of a quirky server below its answers: dripping, half frames, time limits, requests of its own."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from simulator.quirks import Quirks
from simulator.rtsp import _RtspConnection

if TYPE_CHECKING:
    from simulator.quirk_server import QuirkServer

GHOST_S = 0.02
GHOST = b"$\x00\x00\x20\x80\x60" + bytes(6) + b"\x00\x00\xde\xad" + b"\x41" + b"\x9a" * 19
"""An interleaved RTP packet of a session that is over: a slice of H.264, of another source."""
TLS_ALERT = bytes((21, 3, 1, 0, 2, 2, 70))
"""Fatal alert protocol_version: how a TLS server answers a request in clear text."""
MOST_QUEUED = 1_000_000


class QuirkWire(_RtspConnection):
    """`quirks` are those of the stream that was asked for last."""

    server: QuirkServer

    def __init__(self, server: QuirkServer) -> None:
        super().__init__(server)
        self.quirks = Quirks()
        self._heard_at = 0.0
        self._playing = False
        self._drips = False
        self._queue = bytearray()
        self._timers: set[asyncio.TimerHandle] = set()
        self._random = random.Random(2)  # noqa: S311 - where frames are cut, the same in each run

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in self._timers:
            timer.cancel()
        if self._playing:
            self.server.ghosts += 1
        super().connection_lost(exc)

    def _haunt(self) -> None:
        """Send what a session that was not torn down leaves behind."""
        rtsp = self.quirks.rtsp
        if rtsp.ghost and self.server.ghosts:
            self.server.ghosts = 0
            for count in range(round(rtsp.ghost_s / GHOST_S)):
                self._later(count * GHOST_S, lambda: self.send(GHOST))

    def data_received(self, data: bytes) -> None:
        if self.server.wants_tls:
            super().send(TLS_ALERT)
            self.close()
            return
        super().data_received(data)

    def send(self, data: bytes) -> None:
        if self._drips:
            if len(self._queue) < MOST_QUEUED:
                self._queue += data
        elif self._playing and self.quirks.rtsp.half_frames:
            self._queue += data
            cut = self._random.randrange(1, len(self._queue) + 1) if self._queue else 0
            super().send(bytes(self._queue[:cut]))
            del self._queue[:cut]
        else:
            super().send(data)

    def backlog(self) -> int:
        return super().backlog() + len(self._queue)

    def _start_dripping(self) -> None:
        """Send everything from now on in single bytes; what comes meanwhile waits."""
        if not self._drips:
            self._drips = True
            self._repeat(self.quirks.rtsp.drip_s, self._drip)

    def _drip(self) -> None:
        if self._queue:
            super().send(bytes(self._queue[:1]))
            del self._queue[:1]

    def _start_clocks(self) -> None:
        """Begin the time limits of a session, and the requests of this server."""
        rtsp = self.quirks.rtsp
        self._playing = True
        if rtsp.drip == "media":
            self._start_dripping()
        if rtsp.life_s is not None:
            self._later(rtsp.life_s, self.close)
        if rtsp.idle_s is not None:
            self._repeat(min(0.2, rtsp.idle_s / 4), self._close_idle)
        if rtsp.asks_s:
            self._repeat(rtsp.asks_s, self._ask)

    def _close_idle(self) -> None:
        limit = self.quirks.rtsp.idle_s
        if limit is not None and self._now() - self._heard_at > limit:
            self.server.kicked += 1
            self.close()

    def _ask(self) -> None:
        self.send(f"OPTIONS {self.server.url('')} RTSP/1.0\r\nCSeq: 1\r\n\r\n".encode())

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _later(self, seconds: float, call: Callable[[], None]) -> None:
        def run() -> None:
            self._timers.discard(timer)
            call()

        timer = asyncio.get_running_loop().call_later(seconds, run)
        self._timers.add(timer)

    def _repeat(self, seconds: float, call: Callable[[], None]) -> None:
        def run() -> None:
            call()
            if self in self.server.connections:
                self._later(seconds, run)

        self._later(seconds, run)
