"""Connects to a camera: name, TCP, TLS, each in short waits that can be ended."""

from __future__ import annotations

import errno
import os
import select
import socket
import threading
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from agent.core.errors import CameraUnreachable
from agent.core.left_behind import wait_for_call
from agent.rtsp.refusal import build_unreachable_error
from agent.rtsp.wire import SLICE_MS, Wire

_Address = tuple[socket.AddressFamily, tuple[str | int | bytes, ...]]


def dial(url: str, name: str, check: Callable[[], None]) -> Wire:
    """Connect to the host of `url`; `name` is the URL for errors. Raises CameraUnreachable, and what `check` raises."""
    parts = urlsplit(url)
    host = str(parts.hostname)
    addresses = resolve(host, parts.port or 0, name, check)
    try:
        sock = _connect(addresses, check)
        try:
            return _make_wire(sock, host, check, is_tls=parts.scheme == "rtsps")
        except BaseException:
            sock.close()
            raise
    except (OSError, ValueError) as error:  # closed again by the camera; a name that TLS does not allow
        raise build_unreachable_error(name, error) from None


def _make_wire(sock: socket.socket, host: str, check: Callable[[], None], *, is_tls: bool) -> Wire:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if not is_tls:
        return Wire(sock, check)
    from agent.rtsp.tls import TlsWire  # few cameras need it, and it takes long to import

    return TlsWire(sock, host, check)


def probe(url: str, name: str, seconds: float, stop: threading.Event) -> None:
    """Connect and close again, to see whether anything answers. Raises CameraUnreachable, also where `stop` is set."""
    until = time.monotonic() + seconds

    def check() -> None:
        if stop.is_set() or time.monotonic() > until:
            raise CameraUnreachable("recording.unreachable", url=name, detail=os.strerror(errno.ETIMEDOUT))

    dial(url, name, check).close()


def resolve(host: str, port: int, name: str, check: Callable[[], None]) -> list[_Address]:
    """Return the addresses of a host. Raises CameraUnreachable where there are none, and what `check` raises."""
    try:
        return _look_up(host, port, socket.AI_NUMERICHOST)
    except (socket.gaierror, UnicodeError):
        pass
    try:
        addresses = wait_for_call("resolver", lambda: _look_up(host, port), check)
    except (OSError, UnicodeError):
        addresses = []
    if not addresses:
        raise CameraUnreachable("recording.no_name", url=name, name=host)
    return addresses


def _look_up(host: str, port: int, flags: int = 0) -> list[_Address]:
    # bytes spare the import of the codec for international names
    found = socket.getaddrinfo(host.encode() if host.isascii() else host, port, type=socket.SOCK_STREAM, flags=flags)
    return [(family, address) for family, _, _, _, address in found]


def _connect(addresses: list[_Address], check: Callable[[], None]) -> socket.socket:
    """Connect to whichever address answers first; the next one is tried beside one that keeps silent. Raises OSError."""
    waiting, opened = list(addresses), list[socket.socket]()
    failure: OSError | None = None
    try:
        while waiting or opened:
            try:
                if waiting:
                    opened.append(_begin(*waiting.pop(0)))
                found = _take_answer(opened)
            except OSError as error:
                failure = error
                continue
            if found is not None:
                return found
            check()
    finally:
        for sock in opened:
            sock.close()
    raise failure or OSError(errno.EHOSTUNREACH, os.strerror(errno.EHOSTUNREACH))


def _begin(family: socket.AddressFamily, address: tuple[str | int | bytes, ...]) -> socket.socket:
    """Begin to connect. Raises OSError."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setblocking(False)
    number = sock.connect_ex(address)
    if number not in (0, errno.EINPROGRESS):
        sock.close()
        raise OSError(number, os.strerror(number))
    return sock


def _take_answer(opened: list[socket.socket]) -> socket.socket | None:
    """Wait a moment for one of the sockets and take it out; None where all keep silent. Raises OSError of a refused one."""
    poll = select.poll()
    for sock in opened:
        poll.register(sock, select.POLLOUT)
    ready = {number for number, _ in poll.poll(SLICE_MS)}
    found = next((sock for sock in opened if sock.fileno() in ready), None)
    if found is None:
        return None
    opened.remove(found)
    if number := found.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        found.close()
        raise OSError(number, os.strerror(number))
    return found
