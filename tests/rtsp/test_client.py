"""The client from the first request to the last picture, with the camera's bytes written down."""

from __future__ import annotations

import pytest

from agent.core.errors import CameraUnreachable
from agent.rtsp.client import MAX_UNITS
from simulator.rtp import build_sender_report
from tests.rtsp.rtp_feed import SC, URL, ClientFeed, build_rtp, split_fu

SDP = (
    "v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:trackID=0\r\n"
    "a=fmtp:96 sprop-parameter-sets=Z01ADeygoP0IAAADAAgAFfkAeKFMsA==,aM4PyA==\r\n"
)
SOUND = "m=audio 0 RTP/AVP 8\r\na=control:trackID=1\r\n"
METADATA = "m=application 0 RTP/AVP 107\r\na=rtpmap:107 vnd.onvif.metadata/90000\r\na=control:trackID=2\r\n"
BACK = "m=audio 0 RTP/AVP 0\r\na=control:trackID=5\r\na=sendonly\r\n"
VIDEO_0, SOUND_2 = "RTP/AVP/TCP;unicast;interleaved=0-1", "RTP/AVP/TCP;unicast;interleaved=2-3"
KEY, NEXT = b"\x65\x88" + bytes(range(1, 50)), b"\x41\x9a" + bytes(range(1, 30))


def opened(sdp: str = SDP, *transports: str, **options: str) -> ClientFeed:
    feed = ClientFeed()
    feed.open(sdp, *(transports or (VIDEO_0,)), **options)
    feed.ask()
    return feed


def test_pictures_and_sound_come_out_with_their_stamps() -> None:
    feed = opened(SDP + SOUND, VIDEO_0, SOUND_2)
    assert feed.client.video.codec == "h264"
    assert feed.client.audio is not None
    assert feed.client.audio.codec == "pcm_alaw"
    for number in range(3):
        feed.now = 5.0 + 0.04 * number
        feed.frame(0, build_rtp(NEXT if number else KEY, number, 1000 + 3600 * number, True))
        feed.frame(2, build_rtp(bytes(320), number, 320 * number, kind=8, ssrc=0x22))
    units = feed.client.take_units(feed.now) + feed.client.end(100.0)
    assert [(u.is_video, u.pts, u.is_key) for u in units if u.is_video] == [
        (True, 0, True),
        (True, 3600, False),
        (True, 7200, False),
    ]
    assert [u.data for u in units if u.is_video] == [SC + KEY, SC + NEXT, SC + NEXT]
    assert [(u.pts, u.duration) for u in units if not u.is_video] == [(0, 320), (320, 320), (640, 320)]
    assert (feed.client.lost, feed.client.damaged, feed.client.signed) == (0, 0, False)


def test_only_picture_and_first_sound_are_set_up() -> None:
    feed = ClientFeed()
    feed.reply()
    asked = [feed.reply(body=(METADATA + SDP + BACK + SOUND + SOUND).encode())]
    asked += [feed.reply(f"Transport: {VIDEO_0}"), feed.reply(f"Transport: {SOUND_2}")]
    assert [text.partition(" RTSP")[0] for text in asked] == [
        f"SETUP {URL}/trackID=0",
        f"SETUP {URL}/trackID=1",
        f"PLAY {URL}",
    ]


def test_a_refused_sound_does_not_end_the_picture() -> None:
    feed = ClientFeed()
    feed.reply()
    feed.reply(body=(SDP + SOUND).encode())
    feed.reply(f"Transport: {VIDEO_0}")
    assert feed.reply(status="461 Unsupported Transport").startswith("PLAY ")
    feed.reply()
    assert feed.client.playing
    assert feed.client.audio is None


@pytest.mark.parametrize(
    ("sdp", "key"),
    [
        ("", "recording.no_video"),
        ("v=0\r\n", "recording.no_video"),
        (SOUND, "recording.no_video"),
        ("m=video 0 RTP/AVP 26\r\n", "recording.codec"),
    ],
)
def test_nothing_that_can_be_recorded(sdp: str, key: str) -> None:
    feed = ClientFeed()
    feed.reply()
    with pytest.raises(CameraUnreachable) as caught:
        feed.reply(body=sdp.encode())
    assert caught.value.key == key


def test_a_camera_that_offers_udp_alone() -> None:
    feed = ClientFeed()
    feed.reply()
    feed.reply(body=SDP.encode())
    with pytest.raises(CameraUnreachable) as caught:
        feed.reply("Transport: RTP/AVP;unicast;client_port=5000-5001;server_port=6000-6001")
    assert caught.value.key == "recording.only_udp"


@pytest.mark.parametrize(
    ("transport", "channel"), [("interleaved=4-5", 4), ("interleaved=7", 7), ("RTP/AVP/TCP", 0), ("", 0)]
)
def test_channels_that_the_camera_chose(transport: str, channel: int) -> None:
    feed = opened(SDP, transport)
    feed.frame(channel, build_rtp(KEY, 0, 0, True))
    feed.frame(channel + 1, build_sender_report(0, 0x11, 1.7e9, 0, 1, 1)[4:])
    feed.frame(channel, build_rtp(KEY, 1, 3600, True))
    feed.frame(99, build_rtp(NEXT, 9, 3600, True))
    units = feed.client.take_units(1.0) + feed.client.end(100.0)
    assert [unit.data for unit in units] == [SC + KEY, SC + KEY]
    assert units[1].sender_time == pytest.approx(1.7e9 + 0.04)


def test_two_tracks_on_one_channel() -> None:
    feed = opened(SDP + SOUND, VIDEO_0, VIDEO_0)
    for number in range(12):
        feed.frame(0, build_rtp(KEY, number, 3600 * number, True))
        feed.frame(0, build_rtp(bytes(320), 900 + number, 320 * number, kind=8, ssrc=0x22))
    units = feed.client.take_units(1.0) + feed.client.end(100.0)
    assert sum(unit.is_video for unit in units) == 12
    assert sum(not unit.is_video for unit in units) == 12
    assert feed.client.lost == 0


def test_packets_before_the_answer_to_play_are_kept() -> None:
    feed = ClientFeed()
    feed.reply()
    feed.reply(body=SDP.encode())
    feed.reply("Session: 1", f"Transport: {VIDEO_0}")
    feed.frame(0, build_rtp(KEY, 0, 0, True))
    feed.reply()
    feed.frame(0, build_rtp(NEXT, 1, 3600, True))
    assert [unit.data for unit in feed.client.take_units(1.0) + feed.client.end(100.0)] == [SC + KEY, SC + NEXT]


def test_the_reply_to_play_puts_sound_beside_the_picture_in_either_order() -> None:
    for names in (("trackID=0", 1000, "trackID=1", 800), ("trackID=1", 800, "trackID=0", 1000)):
        info = f"url={URL}/{names[0]};seq=1;rtptime={names[1]},url={URL}/{names[2]};seq=1;rtptime={names[3]};"
        feed = opened(SDP + SOUND, VIDEO_0, SOUND_2, play=info)
        feed.frame(0, build_rtp(KEY, 0, 1000, True))
        feed.now += 0.7
        feed.frame(2, build_rtp(bytes(320), 0, 800 + 2400, kind=8, ssrc=0x22))
        units = [unit for unit in feed.client.take_units(feed.now) if not unit.is_video]
        assert [unit.pts for unit in units] == [2400]


def test_the_end_gives_the_last_picture_and_sound() -> None:
    feed = opened(SDP + SOUND, VIDEO_0, SOUND_2)
    feed.frame(0, build_rtp(KEY, 0, 0, True))
    feed.frame(2, build_rtp(bytes(320), 0, 0, kind=8, ssrc=0x22))
    assert len(feed.client.take_units(1.0)) == 1
    feed.frame(0, build_rtp(NEXT, 1, 3600, True))
    feed.frame(2, build_rtp(bytes(320), 1, 320, kind=8, ssrc=0x22))
    units = feed.client.end(100.0)
    assert [unit.data for unit in units if unit.is_video] == [SC + KEY, SC + NEXT]
    assert [unit.pts for unit in units if not unit.is_video] == [320]
    assert feed.client.end(100.0) == []


def test_the_end_leaves_out_a_picture_that_is_not_whole() -> None:
    feed = opened()
    feed.frame(0, build_rtp(KEY, 0, 0, True))
    feed.frame(0, build_rtp(split_fu(NEXT, 9)[0], 1, 3600))
    assert [unit.data for unit in feed.client.end(100.0)] == [SC + KEY]


def test_units_that_nobody_takes_are_bounded() -> None:
    feed = opened()
    for number in range(MAX_UNITS + 100):
        feed.frame(0, build_rtp(KEY[:6], number, 3600 * number, True))
    assert len(feed.client.take_units(1.0)) == MAX_UNITS


def test_after_a_redirect_nothing_of_the_first_conversation_is_left() -> None:
    feed = ClientFeed()
    feed.reply()
    feed.reply(body=(SDP + SOUND).encode())
    feed.reply(f"Transport: {VIDEO_0}")
    feed.reply(f"Transport: {SOUND_2}")
    feed.reply("Location: rtsp://10.0.0.9/other", status="302 Found")
    feed.client.restart()
    feed.open(SDP, VIDEO_0)
    assert feed.client.audio is None
    assert feed.client.lost == 0


def test_every_split_of_the_bytes_gives_the_same() -> None:
    replies = []
    feed = ClientFeed()
    for number, (head, body) in enumerate([("", ""), ("", SDP), (f"Transport: {VIDEO_0}\r\n", ""), ("", "")], 1):
        replies.append(f"RTSP/1.0 200 OK\r\nCSeq: {number}\r\n{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
    packets = [build_rtp(part, n, 0, n == 5) for n, part in enumerate(split_fu(KEY, 9))]
    data = b"".join(replies) + b"".join(b"$\0" + len(p).to_bytes(2, "big") + p for p in packets)
    for piece in (1, 2, 3, 7, 64, len(data)):
        feed = ClientFeed()
        for at in range(0, len(data), piece):
            feed.feed(data[at : at + piece])
        assert [unit.data for unit in feed.client.end(100.0)] == [SC + KEY]
