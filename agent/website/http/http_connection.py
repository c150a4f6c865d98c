"""One HTTP connection: uvicorn's protocol, extended to report what it waits for."""

from __future__ import annotations

import asyncio
import fcntl
import socket
import struct
import termios
import time
from collections.abc import Callable
from typing import cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

_BUFFER = 64 << 10
# offset of tcpi_bytes_acked in Linux's struct tcp_info
_ACKED = struct.Struct("=120xQ")


class HttpConnection(H11Protocol):
    """An HTTP connection; `left` is called when it is gone, `welcome` asked whether it still has its place when it is made."""

    left: Callable[[], None]
    welcome: Callable[[], bool]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.since = time.monotonic()
        super().connection_made(cast(asyncio.Transport, transport))
        # small buffers between page and reader: what lies in the server's buffers was not received
        self.transport.set_write_buffer_limits(high=_BUFFER)
        if not self.welcome():
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.left()
        # break the reference cycle: with thousands of connections a minute none may wait for the garbage collector
        del self.left, self.welcome

    def on_response_complete(self) -> None:
        self.since = time.monotonic()
        super().on_response_complete()

    def timeout_keep_alive_handler(self) -> None:
        """Do nothing: the gate closes idle connections; uvicorn's own timer would cut off a reader of a long answer."""

    def waits_for(self) -> tuple[str, float]:
        """Return (what the peer has to do next: head, body, closing, idle; since when, monotonic); "" while it is answered."""
        if self.transport.is_closing():
            return "closing", self.since
        answered = self.cycle is None or self.cycle.response_complete
        if self.conn.their_state is h11.SEND_BODY:
            return "body", self.since
        if answered:
            return ("head" if self.conn.trailing_data[0] else "idle"), self.since
        return "", self.since

    def answered(self) -> bool:
        """Whether a request was answered on this connection before."""
        return self.cycle is not None

    def unsent(self) -> bool:
        """Whether data for the peer is still buffered in this process."""
        return self.transport.get_write_buffer_size() > 0


def count_unsent(sock: socket.socket) -> tuple[int, int]:
    """Return (bytes in the kernel that the peer has not acknowledged, bytes acknowledged in all); zeros once closed."""
    try:
        queued = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0\0\0\0")
        (taken,) = _ACKED.unpack(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _ACKED.size))
    except (OSError, ValueError):
        return 0, 0
    return int(struct.unpack("=i", queued)[0]), int(taken)
