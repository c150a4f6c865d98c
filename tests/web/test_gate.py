"""The page's gate by itself: readers that do not read, places, the line, and what it says of them."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from agent.website import server
from agent.website.http import connection_gate
from agent.website.http.http_connection import HttpConnection
from tests.support.broker import eventually

BODY = 64 << 20


class Host:
    """A page that answers `/` with a little and `/much` with 64 MiB."""

    def __init__(self) -> None:
        self.listener = server._listen("127.0.0.1", 0)
        self.address = self.listener.getsockname()
        config = uvicorn.Config(
            self.app,
            interface="asgi3",
            http=HttpConnection,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=1,
        )
        self.server = server._UvicornServer(config, self.listener, lambda: None)
        self.thread = threading.Thread(target=self.server.run)

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        size = BODY if scope["path"] == "/much" else 5
        headers = [(b"content-length", str(size).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        left = size
        while left:
            part = min(left, 1 << 20)
            left -= part
            await send({"type": "http.response.body", "body": b"x" * part, "more_body": left > 0})

    def wire(self, address: str = "127.0.0.1") -> socket.socket:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 256 << 10)
        sock.bind((address, 0))
        sock.settimeout(10)
        sock.connect(self.address)
        return sock

    def answers(self, address: str = "127.0.0.1") -> bool:
        with self.wire(address) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            data = b""
            while part := sock.recv(4096):
                data += part
        return data.startswith(b"HTTP/1.1 200") and data.endswith(b"xxxxx")


@pytest.fixture
def host() -> Iterator[Host]:
    made = Host()
    made.thread.start()
    while not made.server.started:
        time.sleep(0.02)
    yield made
    made.server.should_exit = True
    made.thread.join(10)
    assert not made.thread.is_alive()


def resident() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096


def much(host: Host, address: str = "127.0.0.1") -> socket.socket:
    sock = host.wire(address)
    sock.sendall(b"GET /much HTTP/1.1\r\nHost: x\r\n\r\n")
    return sock


def cut_off(sock: socket.socket, count: int = 0) -> bool:
    """Reads what there is, after the `count` bytes that were read; whether it ended before all was there."""
    try:
        while part := sock.recv(1 << 20):
            count += len(part)
            if count >= BODY:
                return False
    except ConnectionError:
        pass
    return True


@pytest.mark.long
def test_who_takes_nothing_is_cut_off_and_who_is_slow_is_not(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_gate, "STALL_S", 3.0)
    before = resident()
    stuck = [much(host, "127.0.0.66") for _ in range(connection_gate.FROM_ONE)]
    slow, drip = much(host, "127.0.0.67"), much(host, "127.0.0.67")
    begun, read = time.monotonic(), 0
    while time.monotonic() - begun < 9:
        read += len(slow.recv(256 << 10))
        drip.recv(16)  # a byte now and then is no reading
        assert host.answers("127.0.0.68")
        time.sleep(0.2)
    assert resident() - before < 100 << 20
    assert all(cut_off(sock) for sock in stuck)
    assert cut_off(drip)
    assert not cut_off(slow, read), "it gets all of it"
    assert len(host.server._gate._seats) <= 1


def test_one_address_is_served_so_many_at_a_time_and_the_rest_in_turn(host: Host) -> None:
    held = [host.wire("127.0.0.66") for _ in range(connection_gate.FROM_ONE)]
    got: list[bool] = []
    threads = [threading.Thread(target=lambda: got.append(host.answers("127.0.0.66"))) for _ in range(40)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    assert got == [], "they stand in line"
    assert host.answers("127.0.0.67")
    for sock in held:
        sock.close()
    for thread in threads:
        thread.join(10)
    assert got == [True] * 40


def test_browsers_behind_one_address_do_not_wait_for_each_others_idle_connections(host: Host) -> None:
    kept = [host.wire("127.0.0.66") for _ in range(connection_gate.FROM_ONE)]
    for sock in kept:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert sock.recv(4096).startswith(b"HTTP/1.1 200")
    busy = much(host, "127.0.0.66")
    begun = time.monotonic()
    assert all(host.answers("127.0.0.66") for _ in range(connection_gate.FROM_ONE))
    assert time.monotonic() - begun < connection_gate.HEAD_S / 2
    assert not cut_off(busy), "who is sent something keeps its place"
    for sock in kept:
        sock.close()


def test_the_line_is_bounded_and_does_not_last(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_gate, "LINE_S", 1.0)
    monkeypatch.setattr(connection_gate, "HEAD_S", 120.0)
    held = [host.wire("127.0.0.66") for _ in range(connection_gate.FROM_ONE + connection_gate.IN_LINE + 10)]
    gate = host.server._gate
    eventually(lambda: gate._lines, 60)
    eventually(lambda: (len(gate._seats), gate._lines) == (connection_gate.FROM_ONE, {}), 60)
    for sock in held:
        sock.close()


def test_a_busy_connection_gives_up_its_place_to_nobody(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_gate, "MOST", 3)
    busy = [much(host, f"127.0.0.{60 + number}") for number in range(3)]
    time.sleep(0.3)
    with pytest.raises((ConnectionError, AssertionError)):
        assert host.answers("127.0.0.90")
    busy[0].close()
    time.sleep(0.3)
    idle = host.wire("127.0.0.61")
    time.sleep(0.2)
    assert host.answers("127.0.0.90"), "the one that only waits makes room"
    assert idle.recv(10) == b""
    assert not cut_off(busy[1])
    busy[2].close()


@pytest.mark.long
def test_under_attack_it_says_one_line_a_minute(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            held = [host.wire("127.0.0.66") for _ in range(connection_gate.FROM_ONE + connection_gate.IN_LINE + 20)]
            time.sleep(1.2)
            for sock in held:
                sock.close()
    assert len([r for r in caplog.records if r.levelno >= logging.INFO and r.name.startswith("agent")]) == 1
