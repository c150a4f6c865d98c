"""A transport stream over a connection: opening lasts until it is known what it holds."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import simulator.mpegts
from agent.core.errors import CameraError, CameraUnreachable
from agent.rtsp.connection import RtspConnection
from agent.rtsp.media_unit import MediaUnit
from agent.rtsp.target import StreamTarget
from simulator.clips import AudioCodec, VideoCodec, make_clip
from simulator.quirk_server import QuirkServer
from simulator.quirks import PacketQuirks, Quirks, RtpQuirks
from simulator.source import load_source
from tests.rtsp.transport_streams import list_nals

MULTIPLEX = Quirks(packets=PacketQuirks(multiplex=True))
RATE = 90_000


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


def get_clip(clips: Path, codec: VideoCodec = "h264", audio: AudioCodec | None = "aac", b_frames: int = 0) -> Path:
    path = clips / f"{codec}-{audio}-{b_frames}.mp4"
    if path.exists():
        return path
    return make_clip(path, 4.8, (320, 180), codec=codec, audio=audio, key_seconds=0.8, b_frames=b_frames)


def read_seconds(stream: RtspConnection, seconds: float) -> list[MediaUnit]:
    units, until = list[MediaUnit](), time.monotonic() + seconds
    while time.monotonic() < until:
        units += stream.read()
    return units


@pytest.mark.parametrize(
    ("codec", "audio", "b_frames"),
    [("h264", "aac", 0), ("h264", "mp3", 2), ("hevc", "ac3", 2), ("hevc", "aac", 0), ("h264", None, 0)],
)
def test_picture_and_sound_come_in_step(
    clips: Path, codec: VideoCodec, audio: AudioCodec | None, b_frames: int
) -> None:
    path = get_clip(clips, codec, audio, b_frames)
    source = load_source(path)
    with QuirkServer(path, MULTIPLEX) as server, RtspConnection(StreamTarget(server.url()), 3.0) as stream:
        video, sound = stream.video, stream.audio
        units = read_seconds(stream, 2.5)
        assert (stream.lost, stream.damaged) == (0, 0)
    assert video.codec == codec
    assert (sound.codec if sound else None) == audio
    pictures = [u for u in units if u.is_video]
    samples = [s for s in source.samples if s.kind == "video"]
    found = [list_nals(u.data, codec) for u in pictures]
    first = next(at for at, s in enumerate(samples) if s.units[-1] == found[0][-1])
    expected = (samples * 2)[first : first + len(found)]
    assert len(found) > 40
    assert [nals[-1] for nals in found] == [s.units[-1] for s in expected]
    assert [u.is_key for u in pictures] == [s.key for s in expected]
    steps = [u.pts - u.dts for u in pictures]
    assert all(abs(step - (s.pts - s.due) * RATE) <= 2 for step, s in zip(steps, expected, strict=True))
    if not sound:
        return
    frames = {s.units[0]: s.pts for s in source.samples if s.kind == "audio"}
    zero = expected[0].pts
    offsets = [
        (frames[u.data] - zero - u.pts / RATE + source.duration / 2) % source.duration - source.duration / 2
        for u in units
        if not u.is_video
    ]
    assert len(offsets) > 20
    assert max(map(abs, offsets)) < 0.001
    assert sound.sample_rate == (16_000 if audio == "aac" else 48_000)
    assert all(u.sender_time is not None for u in pictures[60:] if u.is_key)


def test_a_lost_packet_costs_the_pictures_around_it(clips: Path) -> None:
    path = get_clip(clips)
    quirks = Quirks(packets=PacketQuirks(multiplex=True), rtp=RtpQuirks(lose_every=50))
    whole = {sample.units[-1] for sample in load_source(path).samples if sample.kind == "video"}
    with QuirkServer(path, quirks) as server, RtspConnection(StreamTarget(server.url()), 3.0) as stream:
        units = read_seconds(stream, 2.5)
        assert stream.lost and stream.damaged
    pictures = [list_nals(u.data, "h264") for u in units if u.is_video]
    assert len(pictures) > 20
    assert all(nals[-1] in whole for nals in pictures)


def test_sound_that_never_comes_delays_the_opening_by_two_seconds(clips: Path) -> None:
    with QuirkServer(get_clip(clips), MULTIPLEX) as server:
        server.streams["main"].faults.send_audio = False
        begun = time.monotonic()
        with RtspConnection(StreamTarget(server.url()), 3.0) as stream:
            assert 1.5 < time.monotonic() - begun < 3.5
            assert stream.audio is None
            # nothing of the time until then is missing
            assert len(stream.read()) > 40


@pytest.mark.parametrize(
    ("kind", "key", "codec"), [(0x02, "recording.codec", "mpeg2video"), (0xEA, "recording.no_video", None)]
)
def test_what_cannot_be_recorded_is_refused(
    clips: Path, monkeypatch: pytest.MonkeyPatch, kind: int, key: str, codec: str | None
) -> None:
    monkeypatch.setitem(simulator.mpegts.STREAM_TYPES, "h264", kind)
    with QuirkServer(get_clip(clips), MULTIPLEX) as server, pytest.raises(CameraUnreachable) as caught:
        RtspConnection(StreamTarget(server.url()), 3.0)
    assert caught.value.key == key
    assert caught.value.params.get("codec") == codec


def test_a_stream_that_says_nothing_of_itself_is_given_up(clips: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulator.mpegts.TransportMuxer, "_build_tables", lambda self: ())
    with QuirkServer(get_clip(clips), MULTIPLEX) as server:
        begun = time.monotonic()
        with pytest.raises(CameraUnreachable) as caught:
            RtspConnection(StreamTarget(server.url()), 0.7)
        assert caught.value.key == "recording.slow"
        assert time.monotonic() - begun < 3 * 0.7 + 1


def test_a_stream_that_becomes_another_one_is_opened_anew(clips: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        QuirkServer(get_clip(clips), MULTIPLEX) as server,
        RtspConnection(StreamTarget(server.url()), 3.0) as stream,
    ):
        read_seconds(stream, 0.3)
        monkeypatch.setitem(simulator.mpegts.STREAM_TYPES, "h264", 0x24)
        with pytest.raises(CameraError) as caught:
            read_seconds(stream, 2.0)
        assert caught.value.key == "recording.ended"
