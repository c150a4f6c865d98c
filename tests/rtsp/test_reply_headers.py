"""Headers of replies to SETUP and PLAY."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.rtsp.reply_headers import RtpInfo, SetupTransport, parse_rtp_info, parse_session, parse_transport


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("RTP/AVP/TCP;unicast;interleaved=0-1", SetupTransport((0, 1))),
        ("rtp/avp/tcp ; Interleaved = 4 - 5 ;", SetupTransport((4, 5))),
        ("RTP/AVP/TCP;interleaved=2", SetupTransport((2,))),
        ('RTP/AVP/TCP;interleaved="2-3"', SetupTransport((2, 3))),
        ("RTP/AVP/TCP;interleaved=0-0", SetupTransport((0,))),
        ("RTP/AVP/TCP;interleaved=300-301", SetupTransport()),
        ("RTP/AVP/TCP;interleaved=1000", SetupTransport()),
        ("RTP/AVP;unicast;interleaved=0-1", SetupTransport((0, 1))),
        ("RTP/AVP/TCP;ssrc=22345684;interleaved=0-1", SetupTransport((0, 1), 0x22345684)),
        ("RTP/AVP/TCP;interleaved=0-1;ssrc= d6d6627", SetupTransport((0, 1), 0xD6D6627)),
        ("RTP/AVP/TCP;interleaved=0-1;SSRC=0xDEADBEEF", SetupTransport((0, 1), 0xDEADBEEF)),
        ("RTP/AVP/TCP;interleaved=0-1;ssrc=", SetupTransport((0, 1))),
        ("RTP/AVP/TCP;interleaved=0-1;ssrc=123456789", SetupTransport((0, 1))),
        ("RTP/AVP/TCP;interleaved=0-1;ssrc=nonsense", SetupTransport((0, 1))),
        ("RTP/AVP/TCP;interleaved=0-1;ssrc=00000000", SetupTransport((0, 1))),
        ("RTP/AVP;unicast;client_port=5000-5001;server_port=6000-6001", SetupTransport(wants_udp=True)),
        ("RTP/AVP/UDP;unicast", SetupTransport(wants_udp=True)),
        ("RTP/AVP;multicast;destination=239.0.0.1;port=5000-5001", SetupTransport(wants_udp=True)),
        ("RTP/AVP/TCP;unicast;client_port=5000-5001", SetupTransport()),
        ("", SetupTransport()),
    ],
)
def test_transports_are_read(value: str, expected: SetupTransport) -> None:
    assert parse_transport(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("12", ("12", 60)),
        ("   708345999;timeout=60 ", ("708345999", 60)),
        ("9a90de54; timeout=120", ("9a90de54", 120)),
        ("12 ; Timeout = 10", ("12", 10)),
        ('12;timeout="30"', ("12", 30)),
        ("12;x=1;timeout=30;y", ("12", 30)),
        ("12;timeout=never", ("12", 60)),
        ("12;timeout=0", ("12", 60)),
        ("12;timeout=999999", ("12", 60)),
        ("timeout=5", ("timeout=5", 60)),
        ("12\rX: y", ("12", 60)),
        ("", ("", 60)),
    ],
)
def test_sessions_are_read(value: str, expected: tuple[str, int]) -> None:
    assert parse_session(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("url=t1;seq=7;rtptime=8", (RtpInfo("t1", 7, 8),)),
        ("url=t1;rtptime=8;seq=7;", (RtpInfo("t1", 7, 8),)),
        (' URL = "t1" ; Seq = 7 ; RtpTime = 8 ; ssrc = AB ', (RtpInfo("t1", 7, 8, 0xAB),)),
        ("url=rtsp://h/a,b;c;seq=7,url=t2;seq=9", (RtpInfo("rtsp://h/a,b;c", 7), RtpInfo("t2", 9))),
        ("url=rtsp://h/a;seq=0;rtptime=0;", (RtpInfo("rtsp://h/a"),)),
        ("url=t1;seq=7;rtptime=-1", (RtpInfo("t1", 7),)),
        ("url=t1;seq=65536;rtptime=4294967296", (RtpInfo("t1"),)),
        ("url=t1;seq=7x;rtptime=", (RtpInfo("t1", 7),)),
        ("url=", (RtpInfo(""),)),
        ("seq=7;rtptime=8", ()),
        ("", ()),
    ],
)
def test_rtp_info_is_read(value: str, expected: tuple[RtpInfo, ...]) -> None:
    assert parse_rtp_info(value) == expected


@given(st.text(max_size=300) | st.text('url=;,seqrtpim0123456789 "-', max_size=300))
def test_headers_never_raise(value: str) -> None:
    transport = parse_transport(value)
    assert all(0 <= number < 256 for number in transport.channels)
    name, seconds = parse_session(value)
    assert len(name) <= len(value)
    assert 0 < seconds <= 3600
    for stream in parse_rtp_info(value):
        assert stream.seq is None or 0 < stream.seq < 1 << 16
        assert stream.rtptime is None or 0 < stream.rtptime < 1 << 32


def test_rtp_info_has_a_bounded_number_of_streams() -> None:
    assert len(parse_rtp_info("url=a;seq=1," * 1000)) == 32
