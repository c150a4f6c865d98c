"""One end of a connection that waits for nothing longer than it is told: every wait asks again and again whether to go on."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from contextlib import suppress

SLICE_MS = 200
"""How soon a deadline is noticed, at most, while nothing comes."""
_BLOCK = 1 << 14


class Wire:
    """A connected socket, made non-blocking. `check` is asked while there is nothing to do, and ends a wait by what it raises;
    `gone` is raised where the other side has closed, or the connection breaks."""

    later: tuple[type[OSError], ...] = (BlockingIOError,)

    def __init__(self, sock: socket.socket, check: Callable[[], None], gone: type[Exception]) -> None:
        sock.setblocking(False)
        self.sock, self._check, self._gone = sock, check, gone

    def try_receive(self) -> bytes | None:
        """What there is, 16 KiB at most; None where nothing waits."""
        try:
            data = self.sock.recv(_BLOCK)
        except self.later:
            return None
        except OSError as error:
            raise self._gone(error.strerror or type(error).__name__) from None
        if not data:
            raise self._gone("closed by the other side")
        return data

    def receive_into(self, free: memoryview) -> int | None:
        """How many bytes of what there is were put into `free`; None where nothing waits."""
        try:
            count = self.sock.recv_into(free)
        except self.later:
            return None
        except OSError as error:
            raise self._gone(error.strerror or type(error).__name__) from None
        if not count:
            raise self._gone("closed by the other side")
        return count

    def receive(self) -> bytes:
        """What there is, waited for."""
        while (data := self.try_receive()) is None:
            wait(self.sock, select.POLLIN, self._check)
        return data

    def send(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[self.sock.send(view) :]
            except self.later as error:
                wait(self.sock, self.wanted(error), self._check)
            except OSError as error:
                raise self._gone(error.strerror or type(error).__name__) from None

    def wanted(self, later: OSError) -> int:
        """The event that a send which could not be done waits for."""
        return select.POLLOUT

    def shut(self) -> None:
        """End the connection under whoever waits for it, from whatever thread."""
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with suppress(OSError):
            self.sock.close()


def wait(sock: socket.socket, event: int, check: Callable[[], None]) -> None:
    """Until `event` (of `select.poll`) comes; `check` ends it by what it raises."""
    poll = select.poll()
    poll.register(sock, event)
    while not poll.poll(SLICE_MS):
        check()
