"""A `Wire` over TLS (rtsps)."""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress

from agent.rtsp.wire import Wire


class TlsWire(Wire):
    """TLS on a connected socket. The certificate is not checked: cameras sign theirs themselves."""

    later = (ssl.SSLWantReadError, ssl.SSLWantWriteError)

    def __init__(self, sock: socket.socket, name: str, check: Callable[[], None]) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        sock.setblocking(False)
        # the first send makes the handshake
        super().__init__(context.wrap_socket(sock, do_handshake_on_connect=False, server_hostname=name), check)

    def receive_into(self, free: memoryview) -> int | None:
        """Read all that waits: a read gives one record at most, and `poll` does not see what TLS has already taken in."""
        held = 0
        try:
            while held < len(free) and (count := super().receive_into(free[held:])) is not None:
                held += count
        except ConnectionError:
            if not held:  # otherwise the next call says it
                raise
        return held or None

    def shut(self) -> None:
        """End the connection below TLS: what another thread is reading with stays as it is."""
        with suppress(OSError):
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)

    def wanted(self, later: OSError) -> int:
        return select.POLLIN if isinstance(later, ssl.SSLWantReadError) else select.POLLOUT
