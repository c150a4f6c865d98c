"""Open groups: pictures shown before the key picture that they follow, cut between files without losing one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import av
import pytest

from agent.inspection.cut import ClipSource, cut_sources
from agent.mp4.reader import read_tracks
from agent.mp4.virtual_mp4 import VirtualMp4
from agent.recording.options import RecordingOptions
from simulator.clips import VideoCodec, make_clip
from tests.matrix.harness import decode_errors
from tests.support.access_units import compare_pictures, read_pictures
from tests.support.recording_bench import indexes
from tests.support.segmenter_feed import SegmenterFeed, spans

PLAYED_S = 8.0
KEY_S = 1.04
"""A picture more than a multiple of those between two others that all are decoded from."""


@pytest.fixture(scope="module", params=["h264", "hevc"])
def clip(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    codec: VideoCodec = request.param
    path = tmp_path_factory.mktemp("open") / f"{codec}.mp4"
    return make_clip(path, 8, (320, 180), codec=codec, key_seconds=KEY_S, b_frames=3, open_gop=True)


@pytest.fixture
def fed(clip: Path, tmp_path: Path) -> Iterator[SegmenterFeed]:
    options = RecordingOptions(segment_seconds=2, max_loss=1e9, reserve_bytes=0)
    made = SegmenterFeed(tmp_path, clip, options)
    yield made
    made.finisher.close()
    made.catalog.close()


def is_open(clip: Path) -> bool:
    """Whether pictures that are shown before a key picture follow it."""
    with av.open(str(clip)) as container:
        packets = [p for p in container.demux(video=0) if p.size]
    return any(one.is_keyframe and one.pts > two.pts for one, two in pairwise(packets))


def complaints(path: Path) -> list[str]:
    """What ffmpeg says while it decodes a file.

    Of one that begins with a key picture that is no IDR: pictures of the time before it are told to be forgotten.
    """
    return [line for line in decode_errors(path).splitlines() if "mmco: unref short failure" not in line]


def test_each_picture_is_shown_once_and_each_file_plays_by_itself(clip: Path, fed: SegmenterFeed) -> None:
    assert is_open(clip)
    fed.play(PLAYED_S)
    found = fed.close()
    paths = [fed.path(row) for row in found]
    assert fed.holes == [] and len(paths) == 4
    compared = compare_pictures(read_pictures(clip), [read_pictures(path) for path in paths])
    assert (compared.unknown, compared.lost, compared.repeated, compared.backwards) == (0, 0, 0, 0)
    assert compared.pictures > PLAYED_S * 25 - 5 and compared.drift < 0.001
    assert all(abs(two.start - one.end) < timedelta(seconds=0.001) for one, two in pairwise(found) if one.end)
    # what is decoded of each file alone is what it shows, in order, without a word
    numbers = [indexes(path) for path in paths]
    assert [len(each) for each in numbers] == [len(read_pictures(path)) for path in paths]
    assert {b - a for a, b in pairwise([n for each in numbers for n in each if n is not None])} == {1}
    assert [complaints(path) for path in paths] == [[]] * 4


def test_a_picture_that_is_not_shown_is_no_key_picture_of_its_file(fed: SegmenterFeed) -> None:
    fed.play(PLAYED_S)
    tracks = [read_tracks(fed.path(row))[0] for row in fed.close()]
    assert [int(track.unseen.sum()) for track in tracks] == [1, 1, 1, 0]
    assert not any((track.unseen & track.key).any() for track in tracks)


def test_a_clip_across_the_cuts_shows_each_picture_once(clip: Path, fed: SegmenterFeed, tmp_path: Path) -> None:
    fed.play(PLAYED_S)
    found = fed.close()
    sources = [ClipSource(fed.path(row), row.start) for row in found]
    tracks = [read_tracks(source.path) for source in sources]
    begin, end = found[0].start + timedelta(seconds=1), found[-1].start + timedelta(seconds=1.5)
    (cut,) = cut_sources(sources, begin, end, tracks)
    made = tmp_path / "clip.mp4"
    made.write_bytes(b"".join(VirtualMp4(cut.tracks, sources).read()))
    compared = compare_pictures(read_pictures(clip), [read_pictures(made)])
    assert (compared.unknown, compared.lost, compared.repeated, compared.backwards) == (0, 0, 0, 0)
    assert compared.pictures >= 137 and compared.drift < 0.002
    numbers = [n for n in indexes(made) if n is not None]
    assert len(numbers) == compared.pictures and {b - a for a, b in pairwise(numbers)} == {1}
    assert complaints(made) == []


def test_a_clip_that_ends_before_a_cut_is_whole(clip: Path, fed: SegmenterFeed, tmp_path: Path) -> None:
    fed.play(PLAYED_S)
    found = fed.close()
    source = ClipSource(fed.path(found[0]), found[0].start)
    (cut,) = cut_sources([source], found[0].start, found[1].start, [read_tracks(source.path)])
    made = tmp_path / "clip.mp4"
    made.write_bytes(b"".join(VirtualMp4(cut.tracks, [source]).read()))
    numbers = indexes(made)
    assert numbers[: len(numbers) - 1] == indexes(source.path)
    assert abs(cut.span.seconds - spans(found)[0][1]) < 0.001


def test_lost_pictures_before_a_cut_leave_no_copy(fed: SegmenterFeed) -> None:
    """Nothing is shown before the key picture: the file before has no use for it."""
    late = 0

    def lose(at: float, unit: object) -> float | None:
        nonlocal late
        if getattr(unit, "is_key", False):
            late = unit.pts  # type: ignore[attr-defined]
        early = fed.is_video(unit) and unit.pts < late  # type: ignore[attr-defined,arg-type]
        return None if early else at

    fed.play(PLAYED_S, lose)
    tracks = [read_tracks(fed.path(row))[0] for row in fed.close()]
    assert len(tracks) == 4 and not any(track.unseen.any() for track in tracks)
