"""Notifications to systemd (sd_notify(3)): EXTEND_TIMEOUT_USEC, READY, STATUS, WATCHDOG, STOPPING.

Without a service manager that listens, nothing is sent.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

_PATIENCE_S = 0.5
_EXTENSION = "EXTEND_TIMEOUT_USEC=60000000"
_LONGEST_S = 3600.0


def notify_systemd(*lines: str) -> None:
    """Send state lines such as `READY=1`.

    A lost notification must never stop the recording, so socket errors are ignored.
    """
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    # a leading @ marks Linux's abstract namespace
    target = "\0" + address[1:] if address.startswith("@") else address
    try:
        _open_socket().sendto("\n".join(lines).encode(), target)
    except OSError:
        return


@lru_cache(maxsize=1)
def _open_socket() -> socket.socket:
    """Return the socket.

    It stays open: a process that is out of descriptors must still be able to report that it is alive.
    """
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    # a manager that does not read must not block the agent
    channel.settimeout(_PATIENCE_S)
    return channel


@contextmanager
def extend_start_timeout(every_s: float = 15.0) -> Iterator[None]:
    """Ask the manager for another minute again and again while the body runs, for an hour at most.

    Checking a database of several years, or rebuilding it from the drives, takes longer than a start is allowed to.
    """
    over = threading.Event()

    def ask() -> None:
        for _ in range(int(_LONGEST_S / every_s)):
            notify_systemd(_EXTENSION)
            if over.wait(every_s):
                return

    asking = threading.Thread(target=ask, name="more-time")
    asking.start()
    try:
        yield
    finally:
        over.set()
        asking.join()
