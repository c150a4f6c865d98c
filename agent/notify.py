"""What systemd is told (sd_notify(3)): EXTEND_TIMEOUT_USEC, READY, STATUS, WATCHDOG, STOPPING. Silent where no
service manager listens."""

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


def tell(*lines: str) -> None:
    """Send state lines such as `READY=1`. A lost notification must never stop recording, so socket errors end here."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    # a leading @ names Linux's abstract namespace
    target = "\0" + address[1:] if address.startswith("@") else address
    try:
        _channel().sendto("\n".join(lines).encode(), target)
    except OSError:
        return


@lru_cache(maxsize=1)
def _channel() -> socket.socket:
    """Kept open: a process that is out of descriptors has to say all the same that it is alive."""
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    # a manager that does not read must not hold the agent
    channel.settimeout(_PATIENCE_S)
    return channel


@contextmanager
def more_time(every_s: float = 15.0) -> Iterator[None]:
    """Ask the manager again and again for another minute while the body runs, an hour at most: looking through a database of
    years, or making it again from the drives, takes longer than a start may."""
    over = threading.Event()

    def ask() -> None:
        for _ in range(int(_LONGEST_S / every_s)):
            tell(_EXTENSION)
            if over.wait(every_s):
                return

    asking = threading.Thread(target=ask, name="more-time")
    asking.start()
    try:
        yield
    finally:
        over.set()
        asking.join()
