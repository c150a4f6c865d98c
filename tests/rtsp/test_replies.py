"""Replies of real cameras are understood: the retina project's test data, read where it lies. Skips without it.

A file holds a whole reply, or (names that end in `_sdp`) the description alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pytest

from agent.rtsp.formats import AudioFormat
from agent.rtsp.message import RtspMessage, parse_message
from agent.rtsp.reply_headers import RtpInfo, SetupTransport, parse_rtp_info, parse_session, parse_transport
from agent.rtsp.sdp import parse_sdp
from agent.rtsp.tracks import AudioTrack, VideoTrack, choose_tracks
from agent.rtsp.urls import resolve_aggregate, resolve_control
from tests.support.paths import ROOT

REPLIES = ROOT.parent / "shared" / "field" / "rtsp-replies"
pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not REPLIES.is_dir(), reason="no replies of real cameras beside the repository"),
]
REQUEST_URL = "rtsp://10.0.0.9:8554/asked"
OUR = "rtsp://10.0.0.9:8554"


class ExpectedPicture(NamedTuple):
    """What is expected. `sets`: lengths of the parameter sets, in the order VPS, SPS, PPS."""

    codec: str
    url: str
    sets: tuple[int, ...]
    rate: float = 0.0
    payload_type: int = 96


class ExpectedSound(NamedTuple):
    codec: str
    url: str
    rate: int
    channels: int = 1
    config: str = ""
    payload_type: int = 96


class ExpectedTracks(NamedTuple):
    aggregate: str
    picture: ExpectedPicture
    sound: ExpectedSound | None = None


DAHUA = "/cam/realmonitor?channel=1&subtype="
GATEWAY = "/H264?channel=1&subtype="
HIKVISION = "/Streaming/Channels/101/"
MOVIE = "/vod/mp4:BigBuckBunny_115k.mov/"
REOLINK = ExpectedTracks(
    "/h264Preview_01_main/",
    ExpectedPicture("h264", "/h264Preview_01_main/trackID=1", (10, 4)),
    ExpectedSound("aac", "/h264Preview_01_main/trackID=2", 16000, config="1408", payload_type=97),
)
DESCRIBED = {
    "anjvision_describe": ExpectedTracks("/stream0/", ExpectedPicture("hevc", "/stream0/trackID=1", (24, 38, 8), 5.0)),
    "anpviz_sdp": ExpectedTracks(
        "/asked",
        ExpectedPicture("h264", "/asked/trackID=1", (11, 4), 12.0),
        ExpectedSound("aac", "/asked/trackID=2", 16000, config="1408", payload_type=0),
    ),
    "bunny_describe": ExpectedTracks(
        MOVIE,
        ExpectedPicture("h264", f"{MOVIE}trackID=2", (21, 4), 24.0, 97),
        ExpectedSound("aac", f"{MOVIE}trackID=1", 12000, 2, "1490"),
    ),
    "dahua_describe_h264_aac_onvif": ExpectedTracks(
        f"{DAHUA}1&unicast=true&proto=Onvif/",
        ExpectedPicture("h264", f"{DAHUA}1&unicast=true&proto=Onvif/trackID=0", (26, 5), 15.0),
        ExpectedSound("aac", f"{DAHUA}1&unicast=true&proto=Onvif/trackID=1", 48000, config="1188", payload_type=97),
    ),
    "dahua_describe_h265_pcma": ExpectedTracks(
        f"{DAHUA}2/",
        ExpectedPicture("hevc", f"{DAHUA}2/trackID=0", (34, 44, 9), 12.0, 98),
        ExpectedSound("pcm_alaw", f"{DAHUA}2/trackID=1", 8000, payload_type=8),
    ),
    "foscam_describe": ExpectedTracks(
        "/videoMain/",
        ExpectedPicture("h264", "/videoMain/track1", (10, 4)),
        ExpectedSound("pcm_mulaw", "/videoMain/track2", 8000, payload_type=0),
    ),
    "geovision_sdp": ExpectedTracks(
        "/asked", ExpectedPicture("h264", "/media/video1/video", (24, 4), payload_type=105)
    ),
    "gw_main_describe": ExpectedTracks(
        f"{GATEWAY}0&unicast=true&proto=Onvif",
        ExpectedPicture("h264", f"{GATEWAY}0&unicast=true&proto=Onvif/video", (16, 4)),
        ExpectedSound("pcm_mulaw", f"{GATEWAY}0&unicast=true&proto=Onvif/audio", 8000, payload_type=8),
    ),
    "gw_sub_describe": ExpectedTracks(
        f"{GATEWAY}1&unicast=true&proto=Onvif",
        ExpectedPicture("h264", f"{GATEWAY}1&unicast=true&proto=Onvif/video", (14, 4)),
    ),
    "h264dvr_describe": ExpectedTracks(
        "/camera",
        ExpectedPicture("h264", "/camera/trackID=3", (25, 4), 25.0),
        ExpectedSound("pcm_alaw", "/camera/trackID=4", 8000, payload_type=8),
    ),
    "hikvision_describe": ExpectedTracks(
        f"{HIKVISION}?transportmode=unicast&profile=Profile_1",
        ExpectedPicture("h264", f"{HIKVISION}trackID=1?transportmode=unicast&profile=Profile_1", (25, 4)),
    ),
    "ipcam_describe": ExpectedTracks("/asked", ExpectedPicture("h264", "/asked/trackID=1", (21, 4), 25.0)),
    "macrovideo_describe": ExpectedTracks("/asked", ExpectedPicture("h264", "/asked/track1", (24, 5))),
    "missing_content_type_describe": ExpectedTracks(
        "/asked",
        ExpectedPicture("h264", "/asked/streamid=0", (26, 6)),
        ExpectedSound("aac", "/asked/streamid=1", 48000, 2, "119056e500", 97),
    ),
    "reolink_describe": REOLINK,
    "reolink_describe_control_first": REOLINK,
    "tplink_sdp": ExpectedTracks(
        "/asked",
        ExpectedPicture("hevc", "/asked/track1", (24, 42, 7)),
        ExpectedSound("pcm_alaw", "/asked/track2", 8000, payload_type=8),
    ),
    "ubiquiti_sdp": ExpectedTracks(
        "/asked",
        ExpectedPicture("h264", "/asked/trackID=2", (29, 4), payload_type=97),
        ExpectedSound("aac", "/asked/trackID=0", 48000, config="1188"),
    ),
    "vstarcam_describe": ExpectedTracks(
        "/asked",
        ExpectedPicture("h264", "/asked/track0", (26, 4)),
        ExpectedSound("pcm_alaw", "/asked/track1", 8000, payload_type=8),
    ),
}
"""URLs without scheme, host and port, which are those of the request."""

SET_UP = {
    "bunny_setup": ("1642021126", 60, SetupTransport((0, 1))),
    "dahua_setup": ("634214675641", 60, SetupTransport((0, 1), 0x30A98EE7)),
    "gw_main_setup_audio": ("9a90de54", 60, SetupTransport((2, 3))),
    "gw_main_setup_video": ("9a90de54", 60, SetupTransport((0, 1))),
    "gw_sub_setup": ("9b0d0e54", 60, SetupTransport((0, 1))),
    "h264dvr_setup_audio": ("231980", 60, SetupTransport(wants_udp=True)),
    "h264dvr_setup_video": ("231970", 60, SetupTransport(wants_udp=True)),
    "hikvision_setup": ("708345999", 60, SetupTransport((0, 1), 0x4CACC3D1)),
    "hikvision_setup_ssrc_space": ("708886412", 60, SetupTransport((0, 1), 0xD6D6627)),
    "luckfox_rkipc_setup_tcp": ("12345678", 60, SetupTransport((0, 1), 0x22345684)),
    "luckfox_rkipc_setup_udp": ("12345678", 60, SetupTransport((), 0x22345685, wants_udp=True)),
    "reolink_setup": ("F8F8E425", 60, SetupTransport((0, 1))),
}

MOVIE_INFO = (
    RtpInfo("trackID=1", 1),
    RtpInfo("rtsp://wowzaec2demo.streamlock.net/vod/mp4:BigBuckBunny_115k.mov/trackID=2", 1),
)
HIKVISION_URL = f"rtsp://192.168.5.106:554{HIKVISION}trackID=1?transportmode=unicast&profile=Profile_1"
PLAYED: dict[str, tuple[str, int, tuple[RtpInfo, ...]]] = {
    "bad_rtptime": ("551045787", 60, MOVIE_INFO),
    "bunny_play": ("551045787", 60, MOVIE_INFO),
    "dahua_play": (
        "634214684047",
        60,
        (
            RtpInfo("trackID=0", 47121, 3475222385),
            RtpInfo("trackID=1", 45186, 2234446919),
            RtpInfo("trackID=4", 36583, 816418535),
        ),
    ),
    "gw_main_play": ("9a90de54", 120, (RtpInfo("rtsp://192.168.1.110:5050/H264/video", 271, 1621990950),)),
    "gw_sub_play": ("9b0d0e54", 120, (RtpInfo("rtsp://192.168.1.110:5049/H264/video", 273, 1621810809),)),
    "h264dvr_play": ("231970", 60, ()),
    "hikvision_play": ("708345999", 60, (RtpInfo(HIKVISION_URL, 24104, 1270711678),)),
    "laureii_play": ("1234567890", 60, (RtpInfo("rtsp://192.168.1.19:554/0/main/trackID=0"),)),
    "reolink_play": (
        "F8F8E425",
        60,
        (
            RtpInfo("trackID=1", 16852, 1070938629, 0xDCC4A0D8),
            RtpInfo("trackID=2", 39409, 3075976528, 0x9FC9FFF8),
        ),
    ),
}
OTHERS = {"dahua_options": 200, "longse_unauthorized": 401, "reolink_teardown": 200}


def read_reply(name: str) -> RtspMessage:
    """Read a reply; a description alone becomes the body of one."""
    data = (REPLIES / f"{name}.txt").read_bytes()
    if name.endswith("_sdp"):
        return RtspMessage("RTSP/1.0 200 OK", (), data)
    message, length = parse_message(data)
    assert message is not None
    assert length == len(data)
    return message


def name_files(folder: Path) -> Iterable[str]:
    return (path.stem for path in folder.glob("*.txt"))


def test_no_reply_is_left_out() -> None:
    assert set(name_files(REPLIES)) == {*DESCRIBED, *SET_UP, *PLAYED, *OTHERS}


@pytest.mark.parametrize("name", DESCRIBED)
def test_the_right_tracks_are_chosen(name: str) -> None:
    reply, expected = read_reply(name), DESCRIBED[name]
    description = parse_sdp(reply.body)
    chosen = choose_tracks(description)
    told = reply.one("Content-Base"), reply.one("Content-Location"), description.control
    assert resolve_aggregate(REQUEST_URL, *told) == OUR + expected.aggregate
    assert chosen.refused == ()
    assert chosen.video is not None
    check_picture(chosen.video, expected.picture)
    assert resolve_control(REQUEST_URL, *told, chosen.video.control) == OUR + expected.picture.url
    assert (chosen.audio is None) == (expected.sound is None)
    if chosen.audio and expected.sound:
        check_sound(chosen.audio, expected.sound)
        assert resolve_control(REQUEST_URL, *told, chosen.audio.control) == OUR + expected.sound.url


def check_picture(track: VideoTrack, expected: ExpectedPicture) -> None:
    seen = track.format
    assert (seen.codec, seen.rate, track.payload_type) == (expected.codec, expected.rate, expected.payload_type)
    assert (seen.clock_rate, seen.has_don) == (90000, False)
    assert tuple(len(unit) for unit in seen.parameter_sets) == expected.sets
    kinds = [unit[0] & 0x1F if seen.codec == "h264" else unit[0] >> 1 for unit in seen.parameter_sets]
    assert kinds == ([7, 8] if seen.codec == "h264" else [32, 33, 34])


def check_sound(track: AudioTrack, expected: ExpectedSound) -> None:
    seen: AudioFormat = track.format
    assert (seen.codec, seen.sample_rate, seen.channels) == (expected.codec, expected.rate, expected.channels)
    assert (seen.clock_rate, seen.config.hex()) == (expected.rate, expected.config)
    assert seen.payload == ("hbr" if expected.codec == "aac" else "samples")
    assert track.payload_type == expected.payload_type


@pytest.mark.parametrize("name", SET_UP)
def test_setup_tells_channels_and_session(name: str) -> None:
    reply = read_reply(name)
    session = parse_session(reply.one("Session"))
    assert (*session, parse_transport(reply.one("Transport"))) == SET_UP[name]


@pytest.mark.parametrize("name", PLAYED)
def test_play_tells_where_streams_begin(name: str) -> None:
    reply = read_reply(name)
    session = parse_session(reply.one("Session"))
    assert (*session, parse_rtp_info(reply.one("RTP-Info"))) == PLAYED[name]


@pytest.mark.parametrize("name", OTHERS)
def test_other_replies_are_read(name: str) -> None:
    assert read_reply(name).status == OTHERS[name]
