"""Files whose pictures are stored in another order than they are shown in (B-frames): read, cut, joined, decoded whole."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import cache
from itertools import accumulate, pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from agent.inspection.cut import ClipSource, Cut, cut_sources
from agent.inspection.recode import encode_exact_start
from agent.mp4.mux_stamps import MuxStamp, MuxStamps
from agent.mp4.reader import read_tracks
from agent.mp4.virtual_mp4 import VirtualMp4
from tests.rtsp.encoded_streams import RATE, EncodedPicture, encode_stream

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
FRAME, SOUND_RATE, SOUND_FRAME = 3600, 8000, 1024
FRAGMENTED = "hybrid_fragmented+empty_moov+default_base_moof"
OPTIONS = {
    "flush_packets": "1",
    "frag_duration": "500000",
    "max_interleave_delta": "500000",
    "movie_timescale": "48000",
    "avoid_negative_ts": "disabled",
}
PARAMS = {
    ("h264", "closed"): "bframes=3:b-adapt=0:b-pyramid=normal:keyint=25:scenecut=0",
    ("h264", "open"): "bframes=3:b-adapt=0:keyint=24:min-keyint=1:open-gop=1:scenecut=0",
    ("hevc", "open"): "bframes=3:b-adapt=0:keyint=24:min-keyint=24:open-gop=1:scenecut=0",
    ("hevc", "closed"): "bframes=4:b-adapt=0:keyint=25:min-keyint=25:open-gop=0:scenecut=0",
}


@cache
def pictures_of(codec: str, groups: str = "closed") -> list[EncodedPicture]:
    """Four seconds with a key frame each second."""
    return encode_stream(codec, PARAMS[codec, groups], count=100)


@cache
def sound_of(seconds: int) -> list[bytes]:
    context = av.CodecContext.create("aac", "w")
    context.sample_rate, context.layout, context.format = SOUND_RATE, "mono", "fltp"
    rng = np.random.default_rng(2)
    packets = []
    for number in range(seconds * SOUND_RATE // SOUND_FRAME):
        samples = rng.uniform(-0.5, 0.5, (1, SOUND_FRAME)).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.sample_rate, frame.pts = SOUND_RATE, number * SOUND_FRAME
        packets += context.encode(frame)
    return [bytes(p) for p in packets]


def keep_stamps(pictures: list[EncodedPicture]) -> list[MuxStamp]:
    """First picture shown at 0, decoded before 0."""
    first = pictures[0].pts
    ends = accumulate((p.pts - first + FRAME for p in pictures), max)
    return [MuxStamp(p.pts - first, p.dts - first, end - p.pts + first) for p, end in zip(pictures, ends, strict=True)]


def squeeze_stamps(pictures: list[EncodedPicture]) -> list[MuxStamp]:
    """No picture decoded before 0."""
    stamps = MuxStamps(pictures[0].pts, 90_000)
    placed = [stamps.place(p.pts, p.dts, FRAME) for p in pictures]
    return [stamp for stamp in placed if stamp is not None]


@dataclass(frozen=True)
class SegmentLayout:
    flags: str
    stamps: Callable[[list[EncodedPicture]], list[MuxStamp]]
    killed: bool


LAYOUTS = {
    "squeezed": SegmentLayout(FRAGMENTED, squeeze_stamps, killed=False),
    "squeezed killed": SegmentLayout(FRAGMENTED, squeeze_stamps, killed=True),
    "edit list": SegmentLayout(FRAGMENTED, keep_stamps, killed=False),
    "signed": SegmentLayout(FRAGMENTED + "+negative_cts_offsets", keep_stamps, killed=False),
    "signed killed": SegmentLayout(FRAGMENTED + "+negative_cts_offsets", keep_stamps, killed=True),
}


def write_segment(path: Path, codec: str, pictures: list[EncodedPicture], layout: SegmentLayout, sound_at: int) -> None:
    """Pictures and sound as the recorder muxes them; `sound_at`: when sound begins, in its ticks."""
    target = path.with_suffix(".part")
    with (
        av.open(io.BytesIO(pictures[0].data), format=codec) as first,
        av.open(str(target), "w", format="mp4", options=OPTIONS | {"movflags": layout.flags}) as made,
    ):
        video = made.add_stream_from_template(first.streams.video[0])
        video.time_base = Fraction(1, RATE)
        if codec == "hevc":
            video.codec_context.codec_tag = "hvc1"
        sound = made.add_stream("aac", rate=SOUND_RATE, layout="mono")
        sound.time_base = Fraction(1, SOUND_RATE)
        made.start_encoding()
        heard, packets = sound_at, iter(sound_of(6))
        for picture, (pts, dts, duration) in zip(pictures, layout.stamps(pictures), strict=True):
            packet = av.Packet(picture.data)
            packet.time_base, packet.pts, packet.dts, packet.duration = Fraction(1, RATE), pts, dts, duration
            packet.stream, packet.is_keyframe = video, picture.key
            made.mux_one(packet)
            while heard * RATE < dts * SOUND_RATE:
                packet = av.Packet(next(packets))
                packet.time_base, packet.pts, packet.dts = Fraction(1, SOUND_RATE), heard, heard
                packet.duration, packet.stream = SOUND_FRAME, sound
                heard += SOUND_FRAME
                made.mux_one(packet)
        if layout.killed:
            path.write_bytes(target.read_bytes())
    if not layout.killed:
        target.rename(path)


def decode(data: bytes) -> tuple[list[int], list[int]]:
    """(when each picture is shown, when each packet of sound is heard) in ticks of RATE, as FFmpeg has it."""
    with av.open(io.BytesIO(data)) as source:
        shown = [frame.pts * frame.time_base * RATE for frame in source.decode(video=0) if frame.pts is not None]
    with av.open(io.BytesIO(data)) as source:
        heard = [p.pts * p.time_base * RATE for p in source.demux(audio=0) if p.pts is not None and p.size]
    return [round(at) for at in shown], [round(at) for at in heard]


def test_stamps_of_a_file_begin_at_0_and_rise() -> None:
    stamps = MuxStamps(1000, 90_000)
    rows = [(1000, -7000), (15400, -3400), (8200, 200), (4600, 1000), (11800, 4600)]
    assert [stamps.place(pts, dts, FRAME) for pts, dts in rows] == [
        (0, 0, 3600),
        (14400, 1, 3600),
        (7200, 2, 10800),
        (3600, 3, 14400),
        (10800, 3600, 7200),
    ]


def test_without_reordering_stamps_stay_as_they_are() -> None:
    stamps = MuxStamps(50, 90_000)
    assert [stamps.place(at, at, 40) for at in (50, 90, 135)] == [(0, 0, 40), (40, 40, 40), (85, 85, 40)]


@pytest.mark.parametrize("kind", PARAMS)
@pytest.mark.parametrize("group", range(4))
def test_a_file_may_begin_at_any_key_frame(kind: tuple[str, str], group: int) -> None:
    pictures = pictures_of(*kind)
    begin = [number for number, p in enumerate(pictures) if p.key][group]
    part, first = pictures[begin:], pictures[begin].pts
    stamps = MuxStamps(first, 90_000)
    placed = [stamps.place(p.pts, p.dts, FRAME) for p in part]
    assert [s is None for s in placed] == [p.pts < first for p in part]
    kept = [s for s in placed if s is not None]
    assert kept[0][:2] == (0, 0)
    assert all(a.dts < b.dts <= b.pts for a, b in pairwise(kept))


def seconds(value: float) -> datetime:
    return START + timedelta(seconds=value)


def render(cut: Cut, sources: list[ClipSource]) -> bytes:
    return b"".join(VirtualMp4(cut.tracks, sources).read())


@pytest.mark.parametrize("codec", ["h264", "hevc"])
@pytest.mark.parametrize("count", [25, 53, 54, 100])
def test_a_squeezed_segment_shows_every_picture_at_its_time(tmp_path: Path, codec: str, count: int) -> None:
    """Whatever the last fragment holds; the recorder's way to write B-frames."""
    path, pictures = tmp_path / "1.mp4", pictures_of(codec)[:count]
    write_segment(path, codec, pictures, LAYOUTS["squeezed"], sound_at=160)
    shown, heard = decode(path.read_bytes())
    assert shown == sorted(p.pts - pictures[0].pts for p in pictures)
    assert heard[:2] == [1800, 1800 + SOUND_FRAME * RATE // SOUND_RATE]


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_a_squeezed_segment_that_is_killed_shows_its_pictures_at_their_times(tmp_path: Path, codec: str) -> None:
    path, pictures = tmp_path / "1.mp4", pictures_of(codec)
    write_segment(path, codec, pictures, LAYOUTS["squeezed killed"], sound_at=0)
    shown, _ = decode(path.read_bytes())
    assert len(shown) > 75
    assert set(shown) <= {p.pts - pictures[0].pts for p in pictures}
    assert shown == sorted(shown)


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_all_ways_to_write_shifts_are_read(tmp_path: Path, codec: str, name: str) -> None:
    path, pictures = tmp_path / "1.mp4", pictures_of(codec)
    write_segment(path, codec, pictures, LAYOUTS[name], sound_at=0)
    video, sound = read_tracks(path)
    count = video.pts.size
    expected = [p.pts - pictures[0].pts for p in pictures]
    assert video.pts.tolist() == expected[:count]
    assert (count == 100) is not LAYOUTS[name].killed
    assert (np.diff(video.dts) > 0).all()
    assert int(sound.pts[0]) == 0
    # each is shown until the next one is
    order = np.argsort(video.pts)
    assert (video.pts + video.length)[order][:-1].tolist() == video.pts[order][1:].tolist()
    assert int((video.pts + video.length).max()) - int(video.pts.max()) == FRAME


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("codec", ["h264", "hevc"])
@pytest.mark.parametrize(("begin", "end"), [(0, 4), (0, 0.5), (1, 2), (1.5, 2.62), (2.3, 3.01), (0.2, 3.3), (1, 1.24)])
def test_a_clip_decodes_whole_and_in_step(tmp_path: Path, codec: str, name: str, begin: float, end: float) -> None:
    path, pictures = tmp_path / "1.mp4", pictures_of(codec)
    write_segment(path, codec, pictures, LAYOUTS[name], sound_at=0)
    sources = [ClipSource(path, START)]
    tracks = read_tracks(path)
    (cut,) = cut_sources(sources, seconds(begin), seconds(end), [tracks])
    shown, heard = decode(render(cut, sources))
    first = int(begin) * RATE
    stored = sorted(tracks[0].pts.tolist())
    last = first + shown[-1]
    # every picture from the key frame on, without a hole, up to the asked end and at most a group of B-frames more
    assert [first + at for at in shown] == [at for at in stored if first <= at <= last]
    asked = min(round(end * RATE), stored[-1] + FRAME)
    assert asked - FRAME <= last <= asked + 4 * FRAME
    assert (cut.span.end - START).total_seconds() == pytest.approx((last + FRAME) / RATE, abs=1e-4)
    for at in heard:
        packet = (first + at) * SOUND_RATE / RATE / SOUND_FRAME
        assert abs(packet - round(packet)) * SOUND_FRAME < 2


@pytest.mark.parametrize("name", ["squeezed", "edit list"])
@pytest.mark.parametrize("other", ["squeezed", "edit list"])
@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_segments_of_any_layout_are_joined(tmp_path: Path, codec: str, name: str, other: str) -> None:
    pictures = pictures_of(codec)
    paths = [tmp_path / "1.mp4", tmp_path / "2.mp4"]
    write_segment(paths[0], codec, pictures[:50], LAYOUTS[name], sound_at=0)
    write_segment(paths[1], codec, pictures[50:], LAYOUTS[other], sound_at=0)
    sources = [ClipSource(paths[0], START), ClipSource(paths[1], seconds(2))]
    (cut,) = cut_sources(sources, seconds(1), seconds(4), [read_tracks(p) for p in paths])
    shown, _ = decode(render(cut, sources))
    assert len(shown) == 75
    # a join may move by 3 ms for the sound
    assert max(abs(at - number * FRAME) for number, at in enumerate(shown)) <= 270
    assert cut.holes == []


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_pictures_shown_before_the_key_frame_that_begins_a_clip_are_left_out(tmp_path: Path, codec: str) -> None:
    path, pictures = tmp_path / "1.mp4", pictures_of(codec, "open")
    keys = [number for number, p in enumerate(pictures) if p.key]
    ahead = [p for p in pictures[keys[1] :] if p.pts < pictures[keys[1]].pts]
    assert ahead, "the group is not open"
    write_segment(path, codec, pictures, LAYOUTS["squeezed"], sound_at=0)
    sources = [ClipSource(path, START)]
    begin = pictures[keys[1]].pts / RATE
    (cut,) = cut_sources(sources, seconds(begin), seconds(4), [read_tracks(path)])
    shown, heard = decode(render(cut, sources))
    rest = sorted(p.pts for p in pictures if p.pts >= pictures[keys[1]].pts)
    assert shown == sorted(cut.video_parts[0].pts.tolist()) == [pts - rest[0] for pts in rest]
    assert cut.span.start == seconds(begin)
    assert abs(heard[0]) < 2 * SOUND_FRAME * RATE / SOUND_RATE


@pytest.mark.parametrize("start", [0.2, 1.0, 1.24, 1.6])
def test_an_exact_start_works_with_reordered_pictures(tmp_path: Path, start: float) -> None:
    path, pictures = tmp_path / "1.mp4", pictures_of("h264")
    write_segment(path, "h264", pictures, LAYOUTS["squeezed"], sound_at=0)
    sources = [ClipSource(path, START)]
    (cut,) = cut_sources(sources, seconds(start), seconds(3.6), [read_tracks(path)])
    exact, sources = encode_exact_start(cut, sources, seconds(start))
    shown, _ = decode(render(exact, sources))
    assert exact.span.start == seconds(start)
    assert shown == [number * FRAME for number in range(len(shown))]
    assert len(shown) / 25 == pytest.approx((exact.span.end - exact.span.start).total_seconds(), abs=1e-3)
