"""The servers of tests/support/hostile_rtsp.py do what their names say."""

from __future__ import annotations

import socket
import time

import pytest

from tests.support import hostile_rtsp as rogue
from tests.support.hostile_rtsp import Behaviour, HostileServer, hostile

DESCRIBE = b"DESCRIBE rtsp://x/main RTSP/1.0\r\nCSeq: 7\r\n\r\n"


def take(server: HostileServer, limit: int, seconds: float = 0.6) -> tuple[bytes, bool]:
    """Return what a request brings, up to `limit` bytes or for some seconds, and whether the server closed."""
    _, _, place = server.url.partition("://")
    host, _, port = place.partition("/")[0].partition(":")
    with socket.create_connection((host, int(port)), 2) as sock:
        sock.sendall(DESCRIBE)
        data, end = b"", time.monotonic() + seconds
        while len(data) < limit and (left := end - time.monotonic()) > 0:
            sock.settimeout(left)
            try:
                more = sock.recv(65536)
            except TimeoutError:
                break
            if not more:
                return data, True
            data += more
    return data, False


@pytest.mark.parametrize(
    ("behaviour", "begins", "repeats"),
    [
        (rogue.floods_line, b"RTSP/1.0 200 OK\r\nX-a: b", b"bbbb"),
        (rogue.floods_interim, b"RTSP/1.0 100 Continue\r\nCSeq: 7\r\n\r\n", b"\r\n\r\nRTSP/1.0 100"),
        (rogue.floods_frames, b"$\x07\xff\xffc", b"c$\x07\xff\xffc"),
        (rogue.floods_body, b"RTSP/1.0 200 OK\r\n", b"a=x:A"),
        (rogue.floods_head, b"RTSP/1.0 200 OK\r\nX-a: b", b"\r\nX-a: b"),
    ],
)
def test_floods_do_not_end(behaviour: Behaviour, begins: bytes, repeats: bytes) -> None:
    with hostile(behaviour) as server:
        data, closed = take(server, 2_000_000, 5)
        assert len(data) >= 2_000_000 and not closed and server.given > 1_000_000
        assert data.startswith(begins) and data.count(repeats) > 20


def test_sixty_megabytes_of_sections() -> None:
    with hostile(rogue.floods_sections) as server:
        data, closed = take(server, 1_000_000, 5)
        assert not closed and data.count(b"m=video") > 40 and b"Content-Length: 602" in data


def test_bodies_and_lengths_that_are_not_true() -> None:
    with hostile(rogue.closes_in_body) as server:
        data, closed = take(server, 100_000)
        assert closed and data.endswith(b"Content-Length: 10000\r\n\r\nv=0\r\n")
    for length in ("-1", "99999999999999999999", "x", "5", "1e3"):
        with hostile(rogue.lies_about_length(length)) as server:
            data, closed = take(server, 100_000, 0.2)
            assert not closed and f"Content-Length: {length}\r\n\r\nv=0".encode() in data


def test_tls_alert() -> None:
    with hostile(rogue.says_tls_alert) as server:
        assert take(server, 100) == (bytes.fromhex("15030100020246"), True)
