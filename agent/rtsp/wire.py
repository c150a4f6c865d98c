"""A socket whose waits can be ended: each of them calls a check several times a second."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from contextlib import suppress

SLICE_MS = 200
"""How soon a deadline is noticed, at most, while nothing comes."""


class Wire:
    """A connected socket, made non-blocking. Raises OSError where it is closed already.

    Methods raise ConnectionError where the other side has closed, or the line breaks.

    check    called while a method waits; ends the wait by what it raises
    peer     address of the other side
    """

    later: tuple[type[OSError], ...] = (BlockingIOError,)

    def __init__(self, sock: socket.socket, check: Callable[[], None]) -> None:
        sock.setblocking(False)
        self.sock, self._check = sock, check
        self.peer = str(sock.getpeername()[0])

    def receive_into(self, free: memoryview) -> int | None:
        """Put what has come into `free`; return how many bytes, None where nothing has come."""
        try:
            count = self.sock.recv_into(free)
        except self.later:
            return None
        except OSError as error:
            raise ConnectionError(error.strerror or type(error).__name__) from None
        if not count:
            raise ConnectionError("closed by the other side")
        return count

    def wait_into(self, free: memoryview) -> int:
        """Wait until something comes and put it into `free`; return how many bytes."""
        while (count := self.receive_into(free)) is None:
            wait_for_socket(self.sock, select.POLLIN, self._check)
        return count

    def try_send(self, data: bytes) -> int:
        """Send what the socket takes now; return how many bytes."""
        try:
            return self.sock.send(data)
        except self.later:
            return 0
        except OSError as error:
            raise ConnectionError(error.strerror or type(error).__name__) from None

    def send(self, data: bytes) -> None:
        """Send all of it, and wait for that."""
        view = memoryview(data)
        while view:
            try:
                view = view[self.sock.send(view) :]
            except self.later as error:
                wait_for_socket(self.sock, self.wanted(error), self._check)
            except OSError as error:
                raise ConnectionError(error.strerror or type(error).__name__) from None

    def wanted(self, later: OSError) -> int:
        """Return the event that a send which could not be done has to wait for."""
        return select.POLLOUT

    def shut(self) -> None:
        """End the connection, also under a thread that waits for it; any thread may call it."""
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with suppress(OSError):
            self.sock.close()


def wait_for_socket(sock: socket.socket, event: int, check: Callable[[], None]) -> None:
    """Wait for `event` (of `select.poll`); `check` ends the wait by what it raises."""
    poll = select.poll()
    poll.register(sock, event)
    while not poll.poll(SLICE_MS):
        check()
