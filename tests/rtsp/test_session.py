"""The conversation, request by request: passwords, redirects, signs of life, odd replies, requests of the camera."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest

from agent.core.errors import CameraDenied, CameraError, CameraUnreachable
from tests.rtsp.rtp_feed import URL, ClientFeed

SDP = "v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:track1\r\n"
TRANSPORT = "RTP/AVP/TCP;unicast;interleaved=0-1"
MD5 = 'Digest realm="cam", nonce="n1"'
SHA = 'Digest realm="cam", nonce="n2", algorithm=SHA-256, qop="auth"'


def with_password(**options: bool) -> ClientFeed:
    return ClientFeed(username="admin", password="S3cret", **options)


def refuse(feed: ClientFeed, *challenges: str) -> str:
    return feed.reply(*(f"WWW-Authenticate: {text}" for text in challenges), status="401 Unauthorized")


def playing(**options: str) -> ClientFeed:
    feed = ClientFeed()
    feed.open(SDP, TRANSPORT, **options)
    feed.ask()
    return feed


def method_of(text: str) -> str:
    return text.partition(" ")[0]


def test_the_steps_of_opening() -> None:
    feed = ClientFeed()
    assert feed.peek().startswith(f"OPTIONS {URL} RTSP/1.0\r\nCSeq: 1\r\n")
    asked = feed.reply("Public: OPTIONS")
    assert asked.startswith(f"DESCRIBE {URL} RTSP/1.0\r\nCSeq: 2\r\n")
    assert "Accept: application/sdp\r\n" in asked
    asked = feed.reply(body=SDP.encode())
    assert asked.startswith(f"SETUP {URL}/track1 RTSP/1.0\r\nCSeq: 3\r\n")
    assert "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n" in asked
    asked = feed.reply("Session: 12ab ; timeout=20", f"Transport: {TRANSPORT}")
    assert asked.startswith(f"PLAY {URL} RTSP/1.0\r\nCSeq: 4\r\n")
    assert "Session: 12ab\r\n" in asked
    assert "Authorization" not in asked
    feed.reply()
    assert feed.client.playing


def test_no_password_is_sent_before_it_is_asked_for() -> None:
    feed = with_password()
    assert "Authorization" not in feed.peek()
    assert "Authorization" not in feed.reply()


def test_digest_md5() -> None:
    feed = with_password()
    asked = refuse(feed, MD5)
    inner = [hashlib.md5(text.encode()).hexdigest() for text in ("admin:cam:S3cret", f"OPTIONS:{URL}")]
    proof = hashlib.md5(f"{inner[0]}:n1:{inner[1]}".encode()).hexdigest()
    assert asked.startswith("OPTIONS ")
    assert f'response="{proof}"' in asked
    assert "CSeq: 2\r\n" in asked
    assert "S3cret" not in asked
    assert 'nonce="n1"' in feed.reply()


@pytest.mark.parametrize("offers", [(MD5, SHA), (SHA, MD5), (f"{MD5}, {SHA}",), ('Basic realm="x"', MD5, SHA)])
def test_the_strongest_digest_is_answered(offers: tuple[str, ...]) -> None:
    asked = refuse(with_password(), *offers)
    assert "algorithm=SHA-256" in asked
    found = re.search(r'cnonce="(\w+)".*response="(\w+)".*nc=00000001', asked)
    assert found
    inner = [hashlib.sha256(text.encode()).hexdigest() for text in ("admin:cam:S3cret", f"OPTIONS:{URL}")]
    assert found[2] == hashlib.sha256(f"{inner[0]}:n2:00000001:{found[1]}:auth:{inner[1]}".encode()).hexdigest()


def test_uses_of_a_nonce_are_counted() -> None:
    feed = with_password()
    assert "nc=00000001" in refuse(feed, SHA)
    assert "nc=00000002" in feed.reply()


def test_a_wrong_password_is_sent_once() -> None:
    feed = with_password()
    refuse(feed, MD5)
    with pytest.raises(CameraDenied) as caught:
        refuse(feed, 'Digest realm="cam", nonce="n9"')
    assert caught.value.key == "recording.denied"


def test_an_old_nonce_is_replaced() -> None:
    feed = with_password()
    refuse(feed, MD5)
    feed.reply()
    assert 'nonce="n9"' in refuse(feed, 'Digest realm="cam", nonce="n9"')
    with pytest.raises(CameraDenied):
        refuse(feed, 'Digest realm="cam", nonce="n10"')


def test_a_nonce_that_is_always_stale_ends() -> None:
    feed = with_password()
    with pytest.raises(CameraDenied):
        for number in range(9):
            refuse(feed, f'Digest realm="cam", nonce="{number}", stale=true')


def test_without_a_user_name_nothing_is_proved() -> None:
    with pytest.raises(CameraDenied) as caught:
        refuse(ClientFeed(), MD5)
    assert caught.value.key == "recording.denied"


def test_basic_is_refused_where_it_is_not_allowed() -> None:
    feed = with_password()
    with pytest.raises(CameraDenied) as caught:
        refuse(feed, 'Basic realm="x"')
    assert caught.value.key == "recording.basic"
    assert "Authorization" not in feed.peek()


def test_basic_where_it_is_allowed() -> None:
    feed = with_password(allow_basic=True)
    proof = base64.b64encode(b"admin:S3cret").decode()
    assert f"Authorization: Basic {proof}\r\n" in refuse(feed, 'Basic realm="x"')
    with pytest.raises(CameraDenied) as caught:
        refuse(feed, 'Basic realm="x"')
    assert caught.value.key == "recording.denied"


def test_who_asked_for_a_digest_does_not_get_the_password_later() -> None:
    feed = with_password(allow_basic=True)
    refuse(feed, MD5)
    feed.reply()
    with pytest.raises(CameraDenied) as caught:
        refuse(feed, 'Basic realm="x"')
    assert caught.value.key == "recording.basic"
    assert "Basic" not in feed.peek()


@pytest.mark.parametrize(
    ("offers", "key"),
    [((), "recording.challenge"), (('Digest realm="x", nonce="y", algorithm=FOO',), "recording.digest")],
)
def test_challenges_that_cannot_be_answered(offers: tuple[str, ...], key: str) -> None:
    with pytest.raises(CameraDenied) as caught:
        refuse(with_password(), *offers)
    assert caught.value.key == key


@pytest.mark.parametrize(
    ("status", "key"),
    [
        ("403 Forbidden", "recording.forbidden"),
        ("404 Not Found", "recording.no_path"),
        ("453 Not Enough Bandwidth", "recording.too_many"),
        ("461 Unsupported Transport", "recording.only_udp"),
        ("503 Service Unavailable", "recording.not_ready"),
        ("500 Oops", "recording.answers"),
    ],
)
def test_refusals(status: str, key: str) -> None:
    feed = ClientFeed()
    feed.reply()
    with pytest.raises(CameraError) as caught:
        feed.reply(status=status)
    assert caught.value.key == key


@pytest.mark.parametrize("step", [0, 1])
def test_a_redirect_on_the_same_host_is_followed_without_the_old_proof(step: int) -> None:
    feed = with_password()
    refuse(feed, MD5)
    for _ in range(step):
        feed.reply()
    feed.reply("Location: rtsp://10.0.0.9:8554/other", status="302 Found")
    assert feed.client.session.redirected == "rtsp://10.0.0.9:8554/other"
    feed.client.restart()
    asked = feed.ask()
    assert asked.startswith("OPTIONS rtsp://10.0.0.9:8554/other RTSP/1.0")
    assert "Authorization" not in asked


@pytest.mark.parametrize(
    "location", ["rtsp://10.0.0.8/x", "http://10.0.0.9/x", "rtsp://a:b@10.0.0.9/x", "", "rtsp://[", "x"]
)
def test_a_redirect_elsewhere_is_not_followed(location: str) -> None:
    feed = with_password()
    with pytest.raises(CameraUnreachable) as caught:
        feed.reply(f"Location: {location}", status="302 Found")
    assert caught.value.key == "recording.redirect"
    assert feed.peek() == ""


def test_redirects_end() -> None:
    feed = ClientFeed()
    with pytest.raises(CameraUnreachable) as caught:
        for number in range(9):
            feed.reply(f"Location: rtsp://10.0.0.9/{number}", status="301 Moved")
            feed.client.restart()
    assert caught.value.key == "recording.redirects"


@pytest.mark.parametrize(
    ("public", "method"),
    [("OPTIONS, GET_PARAMETER", "GET_PARAMETER"), ("options,get_parameter", "GET_PARAMETER"), ("PLAY", "OPTIONS")],
)
def test_a_sign_of_life_at_half_the_sessions_time(public: str, method: str) -> None:
    feed = playing(public=public)
    for now, expected in ((100.0, ""), (114.9, ""), (115.1, method), (120.0, ""), (130.2, method)):
        feed.client.keep_alive(now)
        asked = feed.ask()
        assert method_of(asked) == expected
        assert not asked or "Session: 77\r\n" in asked


def test_no_sign_of_life_before_it_plays() -> None:
    feed = ClientFeed()
    feed.ask()
    feed.client.keep_alive(1.0)
    feed.client.keep_alive(1000.0)
    assert feed.ask() == ""


def test_signs_of_life_do_not_pile_up_where_the_camera_takes_nothing() -> None:
    feed = playing()
    for number in range(20):
        feed.client.keep_alive(1000.0 * number)
    assert feed.ask().count("RTSP/1.0") == 1


def test_a_refused_sign_of_life_is_said_with_options() -> None:
    feed = playing()
    feed.client.keep_alive(1.0)
    feed.client.keep_alive(100.0)
    feed.reply(status="501 Not Implemented")
    feed.client.keep_alive(200.0)
    assert method_of(feed.ask()) == "OPTIONS"


def test_an_old_nonce_of_a_sign_of_life_is_replaced_without_end() -> None:
    feed = with_password()
    refuse(feed, MD5)
    feed.open(SDP, TRANSPORT)
    feed.client.keep_alive(1.0)
    feed.client.keep_alive(100.0)
    assert 'nonce="n5"' in refuse(feed, 'Digest realm="cam", nonce="n5"')
    for number in range(20):
        refuse(feed, f'Digest realm="cam", nonce="{number}", stale=true')
    assert feed.ask() == ""


def test_a_session_whose_name_changes() -> None:
    feed = ClientFeed()
    feed.reply()
    feed.reply(body=SDP.encode())
    feed.reply("Session: one", f"Transport: {TRANSPORT}")
    feed.reply("Session: two")
    feed.client.tear_down()
    assert "Session: two\r\n" in feed.ask()


@pytest.mark.parametrize("number", ["CSeq: 0", "CSeq: 99", "CSeq: x", "X: y", "cseq:2"])
def test_replies_that_do_not_count(number: str) -> None:
    feed = ClientFeed()
    feed.reply()
    feed.ask()
    feed.feed(f"RTSP/1.0 200 OK\r\n{number}\r\nContent-Length: {len(SDP)}\r\n\r\n{SDP}".encode())
    assert method_of(feed.ask()) == "SETUP"


def test_a_reply_to_an_earlier_request_is_left_out() -> None:
    feed = ClientFeed()
    feed.reply()
    feed.reply(number=1, status="404 Not Found")
    assert not feed.client.session.is_idle


def test_a_reply_that_says_that_it_takes_time() -> None:
    feed = ClientFeed()
    feed.reply(status="100 Continue", number=1)
    assert not feed.client.session.is_idle
    feed.feed(b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n")
    assert method_of(feed.ask()) == "DESCRIBE"


def test_a_camera_without_options_is_asked_on() -> None:
    feed = ClientFeed()
    assert method_of(feed.reply(status="501 Not Implemented")) == "DESCRIBE"


def test_requests_of_the_camera_are_declined() -> None:
    feed = playing()
    feed.feed(b"ANNOUNCE rtsp://x RTSP/1.0\r\nCSeq: 42\r\nContent-Length: 3\r\n\r\nabc")
    assert feed.ask() == "RTSP/1.0 501 Not Implemented\r\nCSeq: 42\r\n\r\n"


def test_a_camera_that_floods_with_requests_is_left() -> None:
    feed = playing()
    with pytest.raises(CameraUnreachable):
        for _ in range(3000):
            feed.feed(b"A B RTSP/1.0\r\nCSeq: " + b"1" * 900 + b"\r\n\r\n")
    assert 60_000 < len(feed.ask()) < 70_000


def test_a_camera_that_asks_all_the_time_is_answered() -> None:
    feed = playing()
    for _ in range(3000):
        feed.feed(b"A B RTSP/1.0\r\nCSeq: 7\r\n\r\n")
        assert feed.ask().startswith("RTSP/1.0 501")


@pytest.mark.parametrize("data", [b"HTTP/1.1 200 OK\r\n\r\n", b"RTSP/1.0 abc\r\n\r\n", b"hello\r\n\r\n"])
def test_what_is_not_rtsp(data: bytes) -> None:
    with pytest.raises(CameraUnreachable) as caught:
        ClientFeed().feed(data)
    assert caught.value.key == "recording.no_rtsp"


@pytest.mark.parametrize(
    "data", [b"RTSP/1.0 200 OK\r\nContent-Length: 65537\r\n\r\n", b"RTSP/1.0 200 OK\r\nX: " + b"y" * 17000]
)
def test_what_is_too_large(data: bytes) -> None:
    with pytest.raises(CameraUnreachable) as caught:
        ClientFeed().feed(data)
    assert caught.value.key == "recording.too_large"


def test_farewell() -> None:
    feed = playing()
    feed.client.tear_down()
    asked = feed.peek()
    assert asked.startswith(f"TEARDOWN {URL} RTSP/1.0")
    assert "Session: 77\r\n" in asked
    assert not feed.client.session.is_idle
    feed.reply(status="454 Session Not Found")
    assert feed.client.session.is_idle


def test_no_farewell_without_a_session() -> None:
    feed = ClientFeed()
    feed.ask()
    feed.client.tear_down()
    assert feed.ask() == ""
