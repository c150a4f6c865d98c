"""The blocking connection: whatever a server does, opening and reading end in time, and nothing is left open."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from urllib.parse import urlsplit

import psutil
import pytest

from agent.core.errors import CameraError, CameraUnreachable, Shortage
from agent.rtsp import dial as dialling
from agent.rtsp.connection import RtspConnection
from agent.rtsp.target import StreamTarget
from tests.rtsp.rtp_feed import build_rtp

SDP = b"v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:v\r\n"
KEY = b"\x65\x88" + bytes(60)


class OneServer:
    """Runs `serve` for each connection. `heard`: all that the clients have sent."""

    def __init__(self, serve: Callable[[OneServer, socket.socket], None]) -> None:
        self.heard = b""
        self.over = threading.Event()
        self._serve = serve
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"rtsp://127.0.0.1:{self._listener.getsockname()[1]}/main"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self.over.set()
        self._listener.close()

    def read(self, sock: socket.socket) -> int:
        """Read a request; return its number."""
        text = b""
        while b"\r\n\r\n" not in text:
            part = sock.recv(4096)
            if not part:
                raise ConnectionError
            text += part
        self.heard += text
        return int(text.rpartition(b"CSeq: ")[2].partition(b"\r\n")[0])

    def reply(self, sock: socket.socket, head: str = "", body: bytes = b"") -> None:
        number = self.read(sock)
        text = f"RTSP/1.0 200 OK\r\nCSeq: {number}\r\n{head}Content-Length: {len(body)}\r\n\r\n"
        sock.sendall(text.encode() + body)

    def open(self, sock: socket.socket) -> None:
        self.reply(sock)
        self.reply(sock, body=SDP)
        self.reply(sock, "Session: 5\r\nTransport: RTP/AVP/TCP;interleaved=0-1\r\n")
        self.reply(sock, "Session: 5\r\n")

    def _accept(self) -> None:
        while True:
            try:
                sock = self._listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._run, args=(sock,), daemon=True).start()

    def _run(self, sock: socket.socket) -> None:
        with sock, suppress(OSError):
            self._serve(self, sock)


def be_silent(server: OneServer, sock: socket.socket) -> None:
    server.over.wait(30)


def drip(server: OneServer, sock: socket.socket) -> None:
    sock.sendall(b"RTSP/1.0 200 OK\r\n")
    while not server.over.wait(0.05):
        sock.sendall(b"X")


def flood_blanks(server: OneServer, sock: socket.socket) -> None:
    while not server.over.is_set():
        sock.sendall(b" " * 65536)


def flood_interim(server: OneServer, sock: socket.socket) -> None:
    while not server.over.is_set():
        sock.sendall(b"RTSP/1.0 100 Continue\r\n\r\n" * 100)


def flood_requests(server: OneServer, sock: socket.socket) -> None:
    """Ask and ask, and take no answer."""
    while not server.over.is_set():
        sock.sendall(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n" * 100)


def redirect_for_ever(server: OneServer, sock: socket.socket) -> None:
    while True:
        number = server.read(sock)
        sock.sendall(f"RTSP/1.0 302 Found\r\nCSeq: {number}\r\nLocation: {server.url}\r\n\r\n".encode())


def play_then(then: Callable[[OneServer, socket.socket], None]) -> Callable[[OneServer, socket.socket], None]:
    def serve(server: OneServer, sock: socket.socket) -> None:
        server.open(sock)
        then(server, sock)

    return serve


def flood_pictures(server: OneServer, sock: socket.socket) -> None:
    number = 0
    while not server.over.is_set():
        packets = [build_rtp(KEY, number + n, 3600 * (number + n), True) for n in range(200)]
        number += 200
        sock.sendall(b"".join(b"$\0" + struct.pack(">H", len(p)) + p for p in packets))


@pytest.fixture
def start() -> Iterator[Callable[..., OneServer]]:
    servers: list[OneServer] = []

    def make(serve: Callable[[OneServer, socket.socket], None]) -> OneServer:
        servers.append(OneServer(serve))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


def stop_after(seconds: float) -> threading.Event:
    stop = threading.Event()
    threading.Timer(seconds, stop.set).start()
    return stop


SOON = 4.0
"""Seconds within which what ends at once has ended, on a machine that is busy too; a call that is not ended takes longer."""
HOSTILE = [be_silent, drip, flood_blanks]


@pytest.mark.parametrize("serve", HOSTILE, ids=lambda serve: serve.__name__)
def test_stop_ends_opening(start: Callable[..., OneServer], serve: Callable[..., None]) -> None:
    target = StreamTarget(start(serve).url)
    stop = stop_after(0.5)
    began = time.monotonic()
    with pytest.raises(CameraError) as caught:
        RtspConnection(target, 5.0, stop=stop)
    assert 0.4 < time.monotonic() - began < SOON
    assert caught.value.key == "recording.ended"


@pytest.mark.parametrize("serve", HOSTILE, ids=lambda serve: serve.__name__)
def test_opening_has_a_deadline(start: Callable[..., OneServer], serve: Callable[..., None]) -> None:
    began = time.monotonic()
    with pytest.raises(CameraUnreachable) as caught:
        RtspConnection(StreamTarget(start(serve).url), 0.4)
    assert 0.7 < time.monotonic() - began < SOON
    assert caught.value.key == "recording.slow"


@pytest.mark.parametrize("then", [be_silent, flood_blanks, flood_pictures], ids=lambda then: then.__name__)
@pytest.mark.parametrize("nap", [0.0, 5.0])
def test_stop_ends_reading_and_closing(start: Callable[..., OneServer], then: Callable[..., None], nap: float) -> None:
    stop = threading.Event()
    connection = RtspConnection(StreamTarget(start(play_then(then)).url), 5.0, nap, stop)
    threading.Timer(0.5, stop.set).start()
    began = time.monotonic()
    while not stop.is_set():
        connection.read()
    assert connection.read() == []
    connection.close()
    assert time.monotonic() - began < SOON


def test_silence_is_told_after_the_timeout(start: Callable[..., OneServer]) -> None:
    with RtspConnection(StreamTarget(start(play_then(be_silent)).url), 0.5) as connection:
        began = time.monotonic()
        assert connection.read() == []
        assert 0.4 < time.monotonic() - began < SOON


def test_pictures_come_and_the_end_is_told(start: Callable[..., OneServer]) -> None:
    def send_two(server: OneServer, sock: socket.socket) -> None:
        for number in range(2):
            packet = build_rtp(KEY, number, 3600 * number, True)
            sock.sendall(b"$\0" + struct.pack(">H", len(packet)) + packet)

    with RtspConnection(StreamTarget(start(play_then(send_two)).url), 2.0) as connection:
        units = []
        with pytest.raises(CameraError) as caught:
            while True:
                units += connection.read()
        units += connection.end()
    assert caught.value.key == "recording.ended"
    assert [unit.data[4:] for unit in units] == [KEY, KEY]


def test_cut_ends_a_read_of_another_thread(start: Callable[..., OneServer]) -> None:
    connection = RtspConnection(StreamTarget(start(play_then(be_silent)).url), 20.0)
    threading.Timer(0.3, connection.cut).start()
    began = time.monotonic()
    with pytest.raises(CameraError):
        connection.read()
    connection.close()
    assert time.monotonic() - began < SOON


def test_farewell_is_said(start: Callable[..., OneServer]) -> None:
    server = start(play_then(lambda server, sock: server.reply(sock)))
    RtspConnection(StreamTarget(server.url), 2.0).close()
    assert b"TEARDOWN " in server.heard
    assert server.heard.endswith(b"Session: 5\r\n\r\n")


@pytest.mark.parametrize("serve", [flood_interim, play_then(flood_interim)], ids=["opening", "playing"])
def test_a_flood_of_messages_is_no_rtsp(serve: Callable[..., None], start: Callable[..., OneServer]) -> None:
    begun = time.monotonic()
    with (
        pytest.raises(CameraError) as caught,
        RtspConnection(StreamTarget(start(serve).url), 5.0) as connection,
    ):
        for _ in range(1000):
            connection.read()
    assert caught.value.key == "recording.no_rtsp" and time.monotonic() - begun < 3


def test_a_camera_that_asks_and_takes_no_answer_is_left(start: Callable[..., OneServer]) -> None:
    with (
        pytest.raises(CameraError),
        RtspConnection(StreamTarget(start(play_then(flood_requests)).url), 2.0) as connection,
    ):
        for _ in range(1000):
            connection.read()
            assert len(connection._unsent) + len(connection._client.session._out) < 300_000
    with pytest.raises(CameraUnreachable):
        RtspConnection(StreamTarget(start(flood_requests).url), 2.0)


def reset(server: OneServer, sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.parametrize("scheme", ["rtsp", "rtsps"])
@pytest.mark.parametrize("serve", [reset, lambda server, sock: None, flood_blanks], ids=["reset", "closed", "plain"])
def test_a_connection_that_is_closed_at_once_is_one_error(
    start: Callable[..., OneServer], serve: Callable[..., None], scheme: str
) -> None:
    url = start(serve).url.replace("rtsp", scheme)
    for _ in range(20):
        with pytest.raises(CameraUnreachable):
            RtspConnection(StreamTarget(url), 0.3)
        if serve is flood_blanks:
            break


def test_a_connection_that_is_gone_before_it_is_used(
    start: Callable[..., OneServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: socket.socket) -> None:
        raise OSError(107, "Transport endpoint is not connected")

    monkeypatch.setattr(socket.socket, "getpeername", fail)
    with pytest.raises(CameraUnreachable) as caught:
        RtspConnection(StreamTarget(start(be_silent).url), 1.0)
    assert caught.value.key == "recording.unreachable"


def test_nothing_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(CameraUnreachable) as caught:
        RtspConnection(StreamTarget(f"rtsp://127.0.0.1:{port}/x"), 1.0)
    assert caught.value.key == "recording.unreachable"


def test_redirects_end(start: Callable[..., OneServer]) -> None:
    with pytest.raises(CameraUnreachable) as caught:
        RtspConnection(StreamTarget(start(redirect_for_ever).url), 2.0)
    assert caught.value.key == "recording.redirects"


def test_a_camera_that_wants_tls(start: Callable[..., OneServer]) -> None:
    def alert(server: OneServer, sock: socket.socket) -> None:
        server.read(sock)
        sock.sendall(b"\x15\x03\x01\x00\x02\x02\x46")
        server.over.wait(5)

    with pytest.raises(CameraUnreachable) as caught:
        RtspConnection(StreamTarget(start(alert).url), 2.0)
    assert caught.value.key == "recording.wants_tls"


def test_bytes_in_the_middle_are_not_taken_for_tls(start: Callable[..., OneServer]) -> None:
    def serve(server: OneServer, sock: socket.socket) -> None:
        number = server.read(sock)
        sock.sendall(b"$\x09\0\4ab")
        time.sleep(0.3)
        sock.sendall(b"\x15\x03" + f"RTSP/1.0 200 OK\r\nCSeq: {number}\r\n\r\n".encode())
        server.reply(sock, body=SDP)
        server.reply(sock, "Session: 5\r\nTransport: RTP/AVP/TCP;interleaved=0-1\r\n")
        server.reply(sock)
        server.over.wait(5)

    with RtspConnection(StreamTarget(start(serve).url), 2.0) as connection:
        assert connection.video.codec == "h264"


def test_a_name_that_does_not_resolve(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CameraUnreachable) as caught:
        RtspConnection(StreamTarget("rtsp://camera.invalid/x"), 5.0)
    assert caught.value.key in ("recording.no_name", "recording.slow")


@pytest.fixture
def slow_resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    real, over = socket.getaddrinfo, threading.Event()

    def look_up(host: str, port: int, **options: int) -> list[object]:
        if options.get("flags"):
            return real(host, port, **options)  # type: ignore[return-value]
        over.wait(20)
        raise socket.gaierror("late")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    yield
    over.set()


@pytest.mark.usefixtures("slow_resolver")
def test_a_slow_resolver_ends_with_the_deadline_or_the_stop() -> None:
    began = time.monotonic()
    with pytest.raises(CameraUnreachable) as caught:
        RtspConnection(StreamTarget("rtsp://camera.invalid/x"), 0.3)
    assert caught.value.key == "recording.slow"
    with pytest.raises(CameraError) as ended:
        RtspConnection(StreamTarget("rtsp://camera.invalid/x"), 9.0, stop=stop_after(0.3))
    assert ended.value.key == "recording.ended"
    assert time.monotonic() - began < 3.0


def test_no_thread_for_the_resolver_is_a_shortage(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    with pytest.raises(Shortage):
        RtspConnection(StreamTarget("rtsp://camera.invalid/x"), 1.0)


@pytest.mark.parametrize("scheme", ["rtsp", "rtsps"])
def test_failed_openings_leave_nothing_open(start: Callable[..., OneServer], scheme: str) -> None:
    urls = [start(serve).url.replace("rtsp", scheme) for serve in (reset, be_silent, redirect_for_ever)]
    for url in urls * 3:
        with pytest.raises(CameraError):
            RtspConnection(StreamTarget(url), 0.2)
    ports = {urlsplit(url).port for url in urls}
    # the servers' own ends, in this process as well, have these ports at the near side
    left = [
        one for one in psutil.Process().net_connections("tcp") if one.raddr and one.raddr.port in ports and one.fd >= 0
    ]
    assert not left


# more than one address


@contextmanager
def keep_silent() -> Iterator[tuple[str, int]]:
    """An address that answers no attempt to connect: its queue is full."""
    with socket.socket() as listener, ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
        yield listener.getsockname()


def test_a_silent_address_does_not_take_the_time_of_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    with keep_silent() as silent, socket.create_server(("127.0.0.1", 0)) as good:
        for listed in ([silent, good.getsockname()], [good.getsockname(), silent]):
            found = [(socket.AF_INET, address) for address in listed]
            monkeypatch.setattr(dialling, "_look_up", lambda *_, found=found: found)
            begun = time.monotonic()
            dialling.dial("rtsp://camera.lan/main", "camera", lambda: None).close()
            assert time.monotonic() - begun < 3


def test_where_all_addresses_fail_the_last_failure_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        closed = gone.getsockname()
    before = len(psutil.Process().net_connections())
    monkeypatch.setattr(dialling, "_look_up", lambda *_: [(socket.AF_INET, closed)] * 3)
    with pytest.raises(CameraUnreachable, match="对方拒绝连接"):
        dialling.dial("rtsp://camera.lan/main", "camera", lambda: None)
    with keep_silent() as silent:
        monkeypatch.setattr(dialling, "_look_up", lambda *_: [(socket.AF_INET, silent)] * 2)
        until = time.monotonic() + 1

        def check() -> None:
            if time.monotonic() > until:
                raise CameraError("recording.ended", url="camera")

        with pytest.raises(CameraError):
            dialling.dial("rtsp://camera.lan/main", "camera", check)
    assert len(psutil.Process().net_connections()) <= before
