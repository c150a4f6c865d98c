"""What is said where a camera's stream cannot be opened, and a password in clear text, which a setting may allow."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent import i18n
from agent.core.clock import SystemClock
from agent.core.errors import CameraDenied, CameraError
from agent.credentials.attempts import AttemptBudget, make_private_budget
from agent.recording.options import StreamSource
from agent.recording.stream import connect
from simulator.firmware import FIRMWARE
from simulator.quirk_server import QuirkServer
from simulator.quirks import Quirks, RtspQuirks
from tests.support.hostile_rtsp import hostile
from tests.support.recording_bench import clip, wait_for

USER, PASSWORD = "admin", "p:w 密"
TIMEOUT = 2.0
SRTP = b"v=0\r\nm=video 0 RTP/SAVP 96\r\na=rtpmap:96 H264/90000\r\na=control:1\r\n"


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clip(tmp_path_factory.mktemp("clips"), "h264", "aac")


def refused(source: StreamSource, budget: AttemptBudget | None = None) -> CameraError:
    with pytest.raises(CameraError) as caught:
        connect(source, TIMEOUT, budget or make_private_budget(SystemClock())).close()
    assert PASSWORD not in str(caught.value)
    return caught.value


def proofs(server: QuirkServer) -> list[str]:
    return [heard.headers["authorization"] for heard in server.heard if "authorization" in heard.headers]


def test_basic_is_answered_where_it_is_allowed_and_only_there(film: Path) -> None:
    with QuirkServer(film, FIRMWARE["basic-only"], username=USER, password=PASSWORD) as server:
        error = refused(StreamSource(server.url(), USER, PASSWORD))
        assert isinstance(error, CameraDenied) and error.key == "recording.basic"
        assert proofs(server) == [], "nothing of the password was sent"
        source = StreamSource(server.url(), USER, PASSWORD, allow_basic=True)
        with connect(source, TIMEOUT, make_private_budget(SystemClock())) as stream:
            wait_for(stream.read, "no picture")
    assert proofs(server) and all(proof.startswith("Basic ") for proof in proofs(server))


@pytest.mark.parametrize("name", ["basic-then-digest", "digest-then-basic", "one-line"])
def test_a_digest_is_preferred_although_basic_is_allowed(film: Path, name: str) -> None:
    with QuirkServer(film, FIRMWARE[name], username=USER, password=PASSWORD) as server:
        source = StreamSource(server.url(), USER, PASSWORD, allow_basic=True)
        with connect(source, TIMEOUT, make_private_budget(SystemClock())) as stream:
            wait_for(stream.read, "no picture")
    assert proofs(server) and all(proof.startswith("Digest ") for proof in proofs(server))


def test_a_wrong_password_in_clear_text_is_given_once_and_counts(film: Path) -> None:
    budget = make_private_budget(SystemClock())
    with QuirkServer(film, FIRMWARE["basic-only"], username=USER, password=PASSWORD) as server:
        source = StreamSource(server.url(), USER, "wrong", allow_basic=True)
        keys = [refused(source, budget).key for _ in range(4)]
    assert keys[:3] == ["recording.denied"] * 3 and keys[3] != "recording.denied"
    assert len(proofs(server)) == 3


def test_words_of_basic_name_both_remedies() -> None:
    for language in ("zh", "en"):
        words = i18n.load_catalogue()["recording.basic"][language]
        assert "digest" in words and "allow_basic" in words and "[[cameras.known]]" in words


def test_a_port_for_tls_only_is_told_as_that(film: Path) -> None:
    with QuirkServer(film, wants_tls=True) as server:
        error = refused(StreamSource(server.url()))
    assert error.key == "recording.wants_tls" and "rtsps://" in str(error)


def test_a_stream_with_srtp_is_told_as_that() -> None:
    headers = "Content-Type: application/sdp", f"Content-Length: {len(SRTP)}"
    with hostile(lambda request: request.answer("200 OK", *headers, body=SRTP)) as server:
        error = refused(StreamSource(server.url))
    assert error.key == "recording.encrypted" and "SRTP" in str(error)


@pytest.mark.parametrize("method", ["DESCRIBE", "SETUP", "PLAY"])
@pytest.mark.parametrize(
    ("status", "key"),
    [(404, "no_path"), (453, "too_many"), (461, "only_udp"), (503, "not_ready"), (500, "answers")],
)
def test_each_status_has_words_of_its_own(film: Path, method: str, status: int, key: str) -> None:
    quirks = Quirks(rtsp=RtspQuirks(refuse={method: status}))
    with QuirkServer(film, quirks) as server:
        assert refused(StreamSource(server.url())).key == f"recording.{key}"
