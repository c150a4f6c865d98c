"""Session descriptions as cameras write them, and as nobody should."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.rtsp.sdp import MAX_MEDIA, MAX_PAYLOAD_TYPES, RtpMap, SdpUnreadable, SessionDescription, parse_sdp
from agent.rtsp.tracks import choose_tracks

LINES = [
    b"v=0",
    b"o=- 1 1 IN IP4 0.0.0.0",
    b"s=x",
    b"a=control:*",
    b"a=recvonly",
    b"m=video 0 RTP/AVP 96",
    b"a=control:track1",
    b"a=rtpmap:96 H264/90000",
    b"a=fmtp:96 packetization-mode=1;sprop-parameter-sets=Z00AKZpk,aO48gA==",
    b"a=framerate:25",
    b"m=audio 0 RTP/AVP 8 0",
    b"a=sendonly",
    b"a=control:track2",
]


def check_whole(seen: SessionDescription) -> None:
    video, audio = seen.media
    assert seen.control == "*"
    assert (video.kind, video.proto, video.payload_types) == ("video", "RTP/AVP", (96,))
    assert (video.control, video.direction, video.framerate) == ("track1", "recvonly", 25.0)
    assert video.rtpmap == {96: RtpMap("H264", 90000)}
    assert video.fmtp == {96: {"packetization-mode": "1", "sprop-parameter-sets": "Z00AKZpk,aO48gA=="}}
    assert (audio.kind, audio.payload_types, audio.control, audio.direction) == ("audio", (8, 0), "track2", "sendonly")


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r", b"\n\n", b" \t\r\n", b"\r\n ", b"\0\r\n"])
def test_lines_end_in_any_way(end: bytes) -> None:
    check_whole(parse_sdp(end.join(LINES) + end))
    check_whole(parse_sdp(end.join(LINES) + b"\0" * 20))


def test_no_session_line_is_needed() -> None:
    check_whole(parse_sdp(b"\n".join(LINES[3:])))
    check_whole(parse_sdp(b"\n".join([b"a=control:*", b"a=recvonly", *LINES[:3], *LINES[5:]])))


def test_case_and_blanks_do_not_matter() -> None:
    told = (
        b" M = VIDEO  0 rtp/avp\t96 \n A = Control : track1\nA=RTPMAP: 96  h264 / 90000 / 1\n"
        b"a=FMTP:96 Packetization-Mode = 1 ; SPROP-parameter-sets = Z00AKZpk, aO48gA==\nA=RecvOnly\n"
    )
    (video,) = parse_sdp(told).media
    assert (video.kind, video.proto, video.payload_types) == ("video", "RTP/AVP", (96,))
    assert (video.control, video.direction) == ("track1", "recvonly")
    assert video.rtpmap == {96: RtpMap("H264", 90000, 1)}
    assert video.fmtp == {96: {"packetization-mode": "1", "sprop-parameter-sets": "Z00AKZpk, aO48gA=="}}


def test_text_in_any_charset_goes_back_as_it_came() -> None:
    control = "通道1".encode("gbk")
    seen = parse_sdp(b"s=" + "摄像机".encode("gbk") + b"\nm=video 0 RTP/AVP 96\na=control:" + control)
    assert seen.media[0].control.encode("utf-8", "surrogateescape") == control


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"96 H264/90000", RtpMap("H264", 90000)),
        (b"96 H264/90000 ", RtpMap("H264", 90000)),
        (b"96 L16/16000/2", RtpMap("L16", 16000, 2)),
        (b"96 H264", RtpMap("H264")),
        (b"96 H264/", RtpMap("H264")),
        (b"96 H264/-1", RtpMap("H264")),
        (b"96 H264/abc/2", RtpMap("H264", 0, 2)),
        (b"96 H264/99999999999999999999", RtpMap("H264")),
        (b"96 H264/\xef\xbc\x99", RtpMap("H264")),
        (b"96 H264 90000", RtpMap("H264")),
        (b"96", RtpMap("")),
    ],
)
def test_rtpmaps_are_read(line: bytes, expected: RtpMap) -> None:
    assert parse_sdp(b"m=video 0 RTP/AVP 96\na=rtpmap:" + line).media[0].rtpmap == {96: expected}


@pytest.mark.parametrize("line", [b"", b"x H264/90000", b"128 H264/90000", b"-1 H264/90000", b"1000 H264/1", b"9 6"])
def test_a_payload_type_that_cannot_be_is_left_out(line: bytes) -> None:
    seen = parse_sdp(b"m=video 0 RTP/AVP 96\na=rtpmap:" + line + b"\na=fmtp:" + line).media[0]
    assert set(seen.rtpmap) <= {9}
    assert set(seen.fmtp) <= {9}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"a=1;b=2", {"a": "1", "b": "2"}),
        (b"a=1; b=2; ", {"a": "1", "b": "2"}),
        (b";;a=1;;b", {"a": "1", "b": ""}),
        (b'a="1";b=x=y==', {"a": "1", "b": "x=y=="}),
        (b"a=1 b=2 c=3", {"a": "1", "b": "2", "c": "3"}),
        (b"sets=Zw==, aO48gA== b=2", {"sets": "Zw==, aO48gA==", "b": "2"}),
        (b"sets=Zw==, aO48gA=;b=2", {"sets": "Zw==, aO48gA=", "b": "2"}),
        (b"a=1;A=2", {"a": "1"}),
        (b"", {}),
    ],
)
def test_parameters_are_read(text: bytes, expected: dict[str, str]) -> None:
    assert parse_sdp(b"m=video 0 RTP/AVP 96\na=fmtp:96 " + text).media[0].fmtp == {96: expected}


def test_the_first_control_counts() -> None:
    seen = parse_sdp(b"a=control:*\na=control:x\nm=video 0 RTP/AVP 96\na=control:\na=control:first\na=control:second")
    assert (seen.control, seen.media[0].control) == ("*", "first")


def test_several_fmtp_lines_complete_each_other() -> None:
    seen = parse_sdp(b"m=video 0 RTP/AVP 96\na=fmtp:96 a=1\na=fmtp:96 a=2;b=3\na=fmtp:97 c=4").media[0]
    assert seen.fmtp == {96: {"a": "1", "b": "3"}, 97: {"c": "4"}}


@pytest.mark.parametrize(
    ("lines", "rate"),
    [
        (b"a=framerate:0S\na=framerate:25", 25.0),
        (b"a=framerate:25\na=framerate:0S", 25.0),
        (b"a=framerate:12.000000", 12.0),
        (b"a=x-framerate: 5", 5.0),
        (b"a=framerate:nan", 0.0),
        (b"a=framerate:inf", 0.0),
        (b"a=framerate:1e3", 0.0),
        (b"a=framerate:-5", 0.0),
        (b"a=framerate:9999", 0.0),
        (b"a=framerate", 0.0),
    ],
)
def test_frame_rates_are_read(lines: bytes, rate: float) -> None:
    assert parse_sdp(b"m=video 0 RTP/AVP 96\n" + lines).media[0].framerate == rate


def test_media_that_cannot_be_read_stand_beside_good_ones() -> None:
    odd, empty, good = parse_sdp(b"m=application/X 0 RTP/AVP smart/1/90000\nm=\nm=video 0 RTP/AVP 96").media
    assert (odd.kind, odd.payload_types) == ("application/x", ())
    assert (empty.kind, empty.proto, empty.payload_types) == ("", "", ())
    assert good.payload_types == (96,)


@pytest.mark.parametrize("data", [b"", b"\0\0", b"v=0\r\na=control:*\r\n", b"<html>m=video</html>", b"\xff" * 100])
def test_without_media_there_is_nothing_to_read(data: bytes) -> None:
    with pytest.raises(SdpUnreadable):
        parse_sdp(data)


def test_everything_has_a_limit() -> None:
    media = b"m=video 0 RTP/AVP 96\na=control:t\n"
    seen = parse_sdp(media * 100 + b"a=control:last\n")
    assert len(seen.media) == MAX_MEDIA
    assert {medium.control for medium in seen.media} == {"t"}
    numbers = b" ".join(b"%d" % number for number in range(128))
    maps = b"".join(b"a=rtpmap:%d X/1\na=fmtp:%d x=1\n" % (number, number) for number in range(128))
    (medium,) = parse_sdp(b"m=video 0 RTP/AVP " + numbers + b"\n" + maps + b"a=control:" + b"x" * 3000).media
    assert len(medium.payload_types) == len(medium.rtpmap) == len(medium.fmtp) == MAX_PAYLOAD_TYPES
    assert medium.control == ""
    with pytest.raises(SdpUnreadable):
        parse_sdp(b"a\n" * 5000 + media)


PIECES = [
    *LINES,
    b"m=audio 0 RTP/AVP 97",
    b"a=rtpmap:97 MPEG4-GENERIC/16000/1",
    b"a=fmtp:97 mode=AAC-hbr;config=1408;sizelength=13",
    b"a=rtpmap:97 MP4A-LATM/16000",
    b"a=fmtp:97 cpresent=0;config=40002410",
    b"a=fmtp:96 sprop-vps=QAEMAf//AUA=;sprop-sps=QgEBAUA=;sprop-pps=RAHAc8BBgwk=",
    b"a=rtpmap:96 H265/90000",
    b"\xff\xfe",
    b"=",
    b":",
    b";",
    b" ",
    b"/",
    b",",
    b"\0",
    b"9" * 30,
    b"a=fmtp:",
    b"a=rtpmap:",
    b"a=control:",
    b"m=",
]


@given(
    st.binary(max_size=400)
    | st.lists(st.sampled_from(PIECES) | st.binary(max_size=12), max_size=30).map(b"\n".join)
    | st.lists(st.sampled_from(PIECES) | st.binary(max_size=12), max_size=30).map(b"".join)
)
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    try:
        seen = parse_sdp(data)
    except SdpUnreadable:
        return
    assert 0 < len(seen.media) <= MAX_MEDIA
    chosen = choose_tracks(seen)
    if chosen.video:
        sets = chosen.video.format.parameter_sets
        assert sum(map(len, sets)) <= len(data)
        assert all(b"\0\0\1" not in unit for unit in sets)
        assert 0 < chosen.video.format.clock_rate <= 10_000_000
    if chosen.audio:
        assert 0 < chosen.audio.format.clock_rate <= 10_000_000
        assert 0 <= chosen.audio.format.sample_rate <= 384_000
        assert 0 < chosen.audio.format.channels <= 8
        assert len(chosen.audio.format.config) <= len(data)
