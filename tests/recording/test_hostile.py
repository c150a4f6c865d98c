"""Whoever answers as a camera: the password stays here, memory and time are bounded, and it is told what is wrong."""

from __future__ import annotations

import logging
import resource
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path

import pytest

from agent import i18n
from agent.core.alert_model import AlertKind
from agent.core.errors import CameraDenied, CameraError, CameraUnreachable
from agent.recording.options import RecordingOptions, StreamSource
from agent.rtsp.connection import RtspConnection
from agent.rtsp.target import StreamTarget
from simulator.rtsp import RtspServer, _RtspConnection
from tests.support import hostile_rtsp as rogue
from tests.support.hostile_rtsp import PASSWORD, USER, hostile
from tests.support.recording_bench import CAMERA, RecordingBench, breaks, camera, clip, indexes, recording, wait_for

QUICK = RecordingOptions(segment_seconds=2, stall_seconds=2.5, offline_seconds=2, timeout=1.25, refused_pause=0.5)
TIMEOUT = 0.7
MD5 = 'Digest realm="cam", nonce="abc"'
SHA256 = 'Digest realm="cam", nonce="abc", algorithm=SHA-256'


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


def refused(url: str, timeout: float = TIMEOUT) -> CameraError:
    """What is said of a stream that cannot be opened, with an account."""
    with pytest.raises(CameraError) as caught:
        RtspConnection(StreamTarget(url, USER, PASSWORD), timeout).close()
    assert PASSWORD not in str(caught.value) and "127.0.0.1:" in str(caught.value)
    return caught.value


def with_session(reply: Callable[..., None], timeout: str) -> Callable[..., None]:
    """Replies of a camera that ends a session sooner, or writes that otherwise."""
    return lambda self, status, asked, body="", **more: reply(
        self, status, asked, body, **{k: v.replace(";timeout=60", timeout) for k, v in more.items()}
    )


# The password


@pytest.mark.parametrize(
    ("offers", "key"),
    [
        (['Basic realm="cam"'], "recording.basic"),
        (['basic realm="a", charset="UTF-8"'], "recording.basic"),
        (['Digest realm="a", nonce="b", algorithm=SHA-512-256', 'Basic realm="a"'], "recording.digest"),
        (["Bearer"], "recording.challenge"),
        ([], "recording.challenge"),
    ],
)
def test_what_must_not_or_cannot_be_answered_is_not(offers: list[str], key: str) -> None:
    with hostile(rogue.asks(*offers)) as server:
        error = refused(server.url)
    assert isinstance(error, CameraDenied) and error.key == key
    assert not any("Authorization" in text for text in server.heard)


@pytest.mark.parametrize("offers", [[MD5, SHA256], [SHA256, MD5], [f"{MD5}, {SHA256}"], ['Basic realm="x"', SHA256]])
def test_the_strongest_digest_is_given_in_whatever_order_they_stand(offers: list[str]) -> None:
    with hostile(rogue.asks(*offers, then=rogue.says("404 Not Found"))) as server:
        assert refused(server.url).key == "recording.no_path"
    answers = [text for text in server.heard if "Authorization" in text]
    assert answers and all(rogue.proven(text, "SHA-256") for text in answers) and not server.secrets()


def test_who_first_asks_for_a_digest_gets_no_more_by_asking_otherwise_later() -> None:
    """A probe before the connection would have been told one thing, the connection another."""
    for later in (rogue.asks('Basic realm="cam"'), rogue.says("302 Found", "Location: rtsp://127.0.0.9:1/x")):
        with hostile(rogue.asks(MD5, then=later)) as server:
            assert refused(server.url).key in ("recording.basic", "recording.redirect")
        assert not server.secrets()


@pytest.mark.parametrize("status", ["301 Moved Permanently", "302 Found", "303 See Other", "305 Use Proxy", "307 X"])
@pytest.mark.parametrize("prove", [False, True], ids=["at once", "after the digest"])
def test_a_redirect_to_another_host_is_not_followed(status: str, prove: bool) -> None:
    with hostile(rogue.says("200 OK"), "127.0.0.9") as other:
        away = rogue.says(status, f"Location: {other.url}")
        with hostile(rogue.asks(MD5, then=away) if prove else away) as server:
            error = refused(server.url)
    assert error.key == "recording.redirect" and "127.0.0.9" in str(error)
    assert not other.heard and not server.secrets()


def test_a_redirect_on_the_same_host_is_followed(clips: Path) -> None:
    with camera(clip(clips, "h264", "aac"), username=USER, password=PASSWORD) as real:
        away = rogue.says("301 Moved", f"Location: {real.url('main')}")
        with (
            hostile(rogue.asks(MD5, then=away)) as server,
            RtspConnection(StreamTarget(server.url, USER, PASSWORD), 3.0) as stream,
        ):
            assert wait_for(lambda: stream.read(), "no picture") < 5
    assert real.wrong == 0


def test_a_camera_that_verifies_sha_256_is_recorded(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MD5 stands first, and it takes the other only."""
    monkeypatch.setattr(RtspServer, "challenge", lambda self: f"{MD5}\nWWW-Authenticate: {SHA256}")
    monkeypatch.setattr(
        RtspServer,
        "allows",
        lambda self, method, given: (
            rogue.proven(f"{method} x\r\nAuthorization: {given}", "SHA-256") if given else False
        ),
    )
    with (
        camera(clip(clips, "h264", "aac"), username=USER) as server,
        recording(RecordingBench(tmp_path, StreamSource(server.url("main"), USER, PASSWORD), QUICK)) as rig,
    ):
        time.sleep(1)
    assert rig.segments() and server.wrong == 0


def test_a_nonce_that_is_good_once_is_answered_anew(clips: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = RtspServer.allows

    def allows(self: RtspServer, method: str, given: str) -> bool:
        good = usual(self, method, given)
        if good:
            self._nonce = f"{time.monotonic_ns():x}"
        return good

    monkeypatch.setattr(RtspServer, "allows", allows)
    with (
        camera(clip(clips, "h264", "aac"), username=USER, password=PASSWORD) as server,
        RtspConnection(StreamTarget(server.url("main"), USER, PASSWORD), 3.0) as stream,
    ):
        assert wait_for(lambda: stream.read(), "no picture") < 5


@pytest.mark.long
def test_a_sign_of_life_is_repeated_where_its_nonce_was_too_old(clips: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused each time, it would keep no session: the camera ends it, and there is a hole in the recording."""
    heeded: list[float] = []
    allows, options, reply = RtspServer.allows, _RtspConnection._options, _RtspConnection._reply

    def good_once(self: RtspServer, method: str, given: str) -> bool:
        good = allows(self, method, given)
        self._nonce = f"{time.monotonic_ns():x}" if good else self._nonce
        return good

    def sign(self: _RtspConnection, url: str, headers: Mapping[str, str]) -> None:
        heeded.append(time.monotonic())
        options(self, url, headers)

    monkeypatch.setattr(RtspServer, "allows", good_once)
    monkeypatch.setattr(_RtspConnection, "_options", sign)
    monkeypatch.setattr(_RtspConnection, "_reply", with_session(reply, ";timeout=2"))
    with (
        camera(clip(clips, "h264", "aac"), username=USER, password=PASSWORD) as server,
        RtspConnection(StreamTarget(server.url("main"), USER, PASSWORD), 3.0) as stream,
    ):
        begun = time.monotonic()
        while time.monotonic() - begun < 4.5:
            stream.read()
    signs = [at - begun for at in heeded if at > begun]
    assert len(signs) >= 3 and max(b - a for a, b in pairwise([0.0, *signs])) < 1.8, signs


def test_a_camera_that_is_first_at_work_on_it_is_waited_for(clips: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reply = _RtspConnection._reply

    def twice(self: _RtspConnection, status: int, asked: Mapping[str, str], body: str = "", **more: str) -> None:
        self.send(f"RTSP/1.0 100 Continue\r\nCSeq: {asked['cseq']}\r\n\r\n".encode())
        reply(self, status, asked, body, **more)

    monkeypatch.setattr(_RtspConnection, "_reply", twice)
    with camera(clip(clips, "h264", "aac")) as server, RtspConnection(StreamTarget(server.url("main")), 3.0) as stream:
        assert wait_for(lambda: stream.read(), "no picture") < 5


def test_who_agrees_on_ports_instead_of_channels_sends_over_udp_only(
    clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reply = _RtspConnection._reply
    udp = "RTP/AVP;unicast;mode=PLAY;source=127.0.0.1;client_port=18714-18715;server_port=40004-40005;ssrc=0"

    def ports(self: _RtspConnection, status: int, asked: Mapping[str, str], body: str = "", **more: str) -> None:
        reply(self, status, asked, body, **(more | ({"Transport": udp} if "Transport" in more else {})))

    monkeypatch.setattr(_RtspConnection, "_reply", ports)
    with camera(clip(clips, "h264", "aac")) as server:
        assert refused(server.url("main")).key == "recording.only_udp"


@pytest.mark.parametrize(
    ("status", "key"),
    [
        ("403 Forbidden", "recording.forbidden"),
        ("404 Not Found", "recording.no_path"),
        ("453 Not Enough Bandwidth", "recording.too_many"),
        ("503 Service Unavailable", "recording.not_ready"),
        ("461 Unsupported Transport", "recording.only_udp"),
        ("454 Session Not Found", "recording.answers"),
        ("599 \x1b[31m\u202e", "recording.answers"),
    ],
)
def test_each_refusal_has_its_words(status: str, key: str) -> None:
    with hostile(rogue.says(status)) as server:
        error = refused(server.url)
    assert error.key == key and i18n.translate(key, **error.params).isprintable()
    assert isinstance(error, CameraDenied if key == "recording.forbidden" else CameraUnreachable)


def test_a_name_that_nobody_knows_is_told_as_that() -> None:
    with pytest.raises(CameraUnreachable) as caught:
        RtspConnection(StreamTarget("rtsp://no-such-camera.invalid/main"), TIMEOUT)
    assert caught.value.key == "recording.no_name" and "no-such-camera.invalid" in str(caught.value)


# Time and memory


@pytest.mark.parametrize(
    "behaviour",
    [rogue.drips_head, rogue.drips_body, rogue.drips_frames, rogue.drips_requests, rogue.says_nothing],
    ids=lambda b: b.__name__,
)
def test_an_opening_has_an_end(behaviour: rogue.Behaviour) -> None:
    begun = time.monotonic()
    with hostile(behaviour) as server:
        assert refused(server.url).key == "recording.slow"
    assert time.monotonic() - begun < 3 * TIMEOUT + 1.5


def test_redirects_without_end_have_one() -> None:
    with hostile(rogue.drips_redirects) as server:
        assert refused(server.url).key == "recording.redirects"
    assert len(server.heard) < 8


@pytest.mark.parametrize("behaviour", [rogue.floods_head, rogue.floods_body], ids=lambda b: b.__name__)
def test_a_reply_without_end_is_not_taken_into_memory(behaviour: rogue.Behaviour) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun = time.monotonic()
    with hostile(behaviour) as server:
        assert refused(server.url).key == "recording.too_large"
        assert time.monotonic() - begun < TIMEOUT + 1
        # what the system holds for the connection is all that was taken
        assert server.given < 16 << 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 << 10


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", "no_rtsp"),
        (b"RTSP/1.0 OK\r\n\r\n", "no_rtsp"),
        (b"hello\r\n\r\n", "no_rtsp"),
        (b"SSH-2.0-x\r\n" * 3000, "too_large"),
        (b"\x00\xff" * 40000, "slow"),
        (b"RTSP/1.0 200 OK\r\nContent-Length: -1\r\n\r\n", "no_rtsp"),
    ],
)
def test_what_is_no_rtsp_is_told_as_that(text: bytes, key: str) -> None:
    with hostile(lambda request: request.sock.sendall(text)) as server:
        assert refused(server.url).key == f"recording.{key}"


@pytest.mark.long
def test_a_camera_that_drips_is_told_on_time_and_does_not_keep_the_recorder(tmp_path: Path) -> None:
    options = RecordingOptions(timeout=1.0, offline_seconds=4.0, stall_seconds=2.0)
    with hostile(rogue.drips_head) as server:
        rig = RecordingBench(tmp_path, StreamSource(server.url, USER, PASSWORD), options)
        rig.start()
        begun = time.monotonic()
        try:
            wait_for(lambda: rig.catalog.alerts.open_one(AlertKind.CAMERA_OFFLINE, CAMERA), "no alert")
            assert time.monotonic() - begun < options.offline_seconds + 2
        finally:
            assert rig.stop() < 3


# A camera that plays


@contextmanager
def busy_connection(server: RtspServer, data: bytes, pause: float) -> Iterator[threading.Event]:
    """While the event is set, every connection gets `data` again and again."""
    on, over = threading.Event(), threading.Event()

    def send() -> None:
        for connection in list(server.connections):
            if connection.backlog() < 1 << 20:
                connection.send(data)

    def run() -> None:
        while not over.wait(pause):
            if on.is_set():
                server._loop.call_soon_threadsafe(send)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield on
    finally:
        over.set()
        thread.join()


def frame(channel: int, payload: bytes) -> bytes:
    return b"$" + bytes([channel]) + len(payload).to_bytes(2, "big") + payload


RTP = b"\x80\x60\x00\x01\x00\x00\x00\x01\x00\x00\x00\x01"


@pytest.mark.long
@pytest.mark.parametrize(
    ("data", "pause"),
    [
        (frame(8, b"\x80\x6b" + b"x" * 100), 0.05),
        (frame(8, b"x" * 1400) * 40, 0.002),
        (frame(1, b"\x80\xc9\x00\x01\x00\x00\x00\x01"), 0.05),
        (frame(0, b"\x80\x7f" + b"x" * 50), 0.05),
        (frame(0, b"no RTP at all"), 0.05),
        (b"OPTIONS * RTSP/1.0\r\nCSeq: 7\r\n\r\n", 0.05),
        (b"RTSP/1.0 200 OK\r\nCSeq: 7\r\n\r\n", 0.05),
        (b"\r\n", 0.05),
    ],
    ids=["metadata", "flood", "RTCP", "other payload", "no RTP", "requests", "replies", "blank lines"],
)
def test_data_that_is_no_picture_does_not_hide_that_none_comes(
    data: bytes, pause: float, clips: Path, tmp_path: Path
) -> None:
    with (
        camera(clip(clips, "h264", "aac")) as server,
        busy_connection(server, data, pause) as busy,
        recording(RecordingBench(tmp_path, StreamSource(server.url("main")), QUICK)) as rig,
    ):
        busy.set()
        time.sleep(1)
        server.faults("main").frozen = True
        wait_for(lambda: rig.events("stream.stalled") or rig.events("camera.down"), "nobody noticed", 6)
        wait_for(lambda: rig.catalog.alerts.open_one(AlertKind.CAMERA_OFFLINE, CAMERA), "no alert", 6)
        time.sleep(0.3)
        # and it ends while the camera goes on like this
        begun = time.monotonic()
        rig.stop()
        assert time.monotonic() - begun < 4
    assert rig.segments()


def test_pictures_between_other_data_are_all_recorded(clips: Path, tmp_path: Path) -> None:
    with (
        camera(clip(clips, "h264", "aac")) as server,
        busy_connection(server, frame(8, b"x" * 700) + b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n", 0.02) as busy,
    ):
        rig = RecordingBench(tmp_path, StreamSource(server.url("main")), RecordingOptions(segment_seconds=1e7))
        with recording(rig):
            busy.set()
            time.sleep(3)
    numbers = [n for s in rig.segments() for n in indexes(rig.path(s))]
    assert len(numbers) > 60 and breaks(numbers) == []


@pytest.mark.parametrize("rest", [b"ABCD", b""], ids=["letters", "cut"])
def test_bytes_that_a_camera_loses_cost_their_picture_not_the_connection(
    rest: bytes, clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What then stands where a frame should begin is no message, of whatever letters it is made."""
    send, sent = _RtspConnection.send, [0]

    def lossy(self: _RtspConnection, data: bytes) -> None:
        sent[0] += data[:1] == b"$"
        send(self, rest + data[len(data) // 2 :] if data[:1] == b"$" and sent[0] % 40 == 0 else data)

    monkeypatch.setattr(_RtspConnection, "send", lossy)
    received = 0
    with camera(clip(clips, "h264", "aac")) as server, RtspConnection(StreamTarget(server.url("main")), 3.0) as stream:
        begun = time.monotonic()
        while time.monotonic() - begun < 4:
            received += len(stream.read())
    assert sent[0] > 120 and received > 0.8 * sent[0]


def test_no_secret_is_logged(clips: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), hostile(rogue.asks(MD5)) as server:
        assert refused(server.url).key == "recording.denied"
    assert PASSWORD not in caplog.text and not server.secrets()


# Signs of life, TLS


@pytest.mark.parametrize("timeout", [";timeout=2", "; timeout=2"])
def test_signs_of_life_and_the_farewell_reach_the_camera_with_proof(
    timeout: str, clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []
    answer, reply = _RtspConnection._answer, _RtspConnection._reply

    def hear(self: _RtspConnection, line: list[str], headers: Mapping[str, str]) -> None:
        heard.append(f"{line[0]} {'digest' if 'authorization' in headers else 'nothing'}")
        answer(self, line, headers)

    monkeypatch.setattr(_RtspConnection, "_answer", hear)
    monkeypatch.setattr(_RtspConnection, "_reply", with_session(reply, timeout))
    with camera(clip(clips, "h264", "aac"), username=USER, password=PASSWORD) as server:
        with RtspConnection(StreamTarget(server.url("main"), USER, PASSWORD), 3.0) as stream:
            begun = time.monotonic()
            while time.monotonic() - begun < 3:
                stream.read()
        wait_for(lambda: "TEARDOWN digest" in heard, f"no farewell: {heard}", 2)
        assert "GET_PARAMETER digest" in heard and "GET_PARAMETER nothing" not in heard
        assert server.wrong == 0


def test_rtsps_is_recorded_too(clips: Path, tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=camera", "-days", "2"]
    subprocess.run([*make, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with camera(clip(clips, "h264", "aac"), username=USER, password=PASSWORD) as server:
        listener = socket.create_server(("127.0.0.1", 0))

        def carry() -> None:
            with suppress(OSError):
                while True:
                    plain, _ = listener.accept()
                    outer = context.wrap_socket(plain, server_side=True)
                    inner = socket.create_connection((server.address, server.port))
                    for one, two in ((outer, inner), (inner, outer)):
                        threading.Thread(target=pipe, args=(one, two), daemon=True).start()

        def pipe(one: socket.socket, two: socket.socket) -> None:
            with suppress(OSError):
                while data := one.recv(65536):
                    two.sendall(data)

        threading.Thread(target=carry, daemon=True).start()
        url = f"rtsps://127.0.0.1:{listener.getsockname()[1]}/main"
        rig = RecordingBench(tmp_path, StreamSource(url, USER, PASSWORD), RecordingOptions(segment_seconds=1e7))
        try:
            with recording(rig):
                time.sleep(3)
        finally:
            listener.close()
    numbers = [n for s in rig.segments() for n in indexes(rig.path(s))]
    assert len(numbers) > 50 and breaks(numbers) == []


def test_a_certificate_is_no_way_to_the_password() -> None:
    """What answers rtsps without TLS is told, and gets nothing."""
    with hostile(rogue.asks(MD5)) as server:
        assert refused(server.url.replace("rtsp:", "rtsps:")).key in ("recording.unreachable", "recording.slow")
    assert not server.heard
