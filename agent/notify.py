"""What systemd is told (sd_notify(3)): READY, STATUS, WATCHDOG, STOPPING. Silent where no service manager listens."""

from __future__ import annotations

import os
import socket

_PATIENCE_S = 0.5


def tell(*lines: str) -> None:
    """Send state lines such as `READY=1`. A lost notification must never stop recording, so socket errors end here."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    # a leading @ names Linux's abstract namespace
    target = "\0" + address[1:] if address.startswith("@") else address
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            # a manager that does not read must not hold the agent
            channel.settimeout(_PATIENCE_S)
            channel.sendto("\n".join(lines).encode(), target)
    except OSError:
        return


def watchdog_s() -> float | None:
    """Seconds within which systemd wants a sign of life, or None where no watchdog is set."""
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    return int(microseconds) / 1e6 if microseconds.isdigit() else None
