"""The comparison of tests/matrix finds what it looks for: each damage done to a file is told, and no other."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import pytest

from simulator.clips import make_clip
from tests.support.access_units import (
    PictureComparison,
    SoundSync,
    StoredPicture,
    compare_pictures,
    measure_sync,
    read_pictures,
)

Pictures = list[StoredPicture]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("source") / "clip.mp4", 4, (320, 180), audio=None)


def compare(source: Path, change: Callable[[Pictures], Pictures]) -> PictureComparison:
    pictures = read_pictures(source)
    return compare_pictures(pictures, [change(list(pictures))])


def _nothing(found: PictureComparison) -> tuple[int, ...]:
    return found.unknown, found.lost, found.repeated, found.backwards, found.altered_sei


def test_the_same_file_has_no_fault(source: Path) -> None:
    found = compare(source, lambda pictures: pictures[30:])
    assert _nothing(found) == (0, 0, 0, 0, 0)
    assert (found.pictures, found.first, found.drift) == (70, 30, 0)


def test_each_damage_is_counted(source: Path) -> None:
    pictures = read_pictures(source)
    assert compare(source, lambda p: p[:40] + p[43:]).lost == 3
    assert compare(source, lambda p: [*p[:40], p[39], *p[40:]]).repeated == 1
    assert compare(source, lambda p: [*p[:40], p[41], p[40], *p[42:]]).backwards == 1
    torn = StoredPicture(b"a part of it", pictures[40].pts, ())
    found = compare(source, lambda p: [*p[:40], torn, *p[41:]])
    assert (found.unknown, found.lost) == (1, 1)
    late = StoredPicture(pictures[40].digest, (pictures[40].pts or 0) + 0.2, (b"\x06x",))
    found = compare(source, lambda p: [*p[:40], late, *p[41:]])
    assert (found.altered_sei, found.drift) == (1, pytest.approx(0.2))


def test_what_follows_in_a_second_file_is_in_order(source: Path) -> None:
    pictures = read_pictures(source)
    assert _nothing(compare_pictures(pictures, [pictures[:50], pictures[50:]])) == (0, 0, 0, 0, 0)
    assert compare_pictures(pictures, [pictures[50:], pictures[:50]]).backwards == 1
    assert compare_pictures(pictures, [pictures[:50], pictures[49:]]).repeated == 1


def test_start_codes_and_lengths_give_the_same_picture(source: Path, tmp_path: Path) -> None:
    raw = tmp_path / "raw.h264"
    with av.open(str(source)) as read, av.open(str(raw), "w", format="h264") as made:
        stream = made.add_stream_from_template(read.streams.video[0])
        for packet in read.demux(video=0):
            if packet.size:
                packet.stream = stream
                made.mux(packet)
    assert [p.digest for p in read_pictures(raw)] == [p.digest for p in read_pictures(source)]


@pytest.mark.parametrize("late_s", [0.0, 0.1, -0.1])
def test_sound_is_measured_against_the_picture(tmp_path: Path, late_s: float) -> None:
    import numpy as np

    path = tmp_path / "clip.mkv"
    with av.open(str(path), "w") as made:
        video = made.add_stream("libx264", rate=25)
        audio = made.add_stream("pcm_s16le", rate=8000, layout="mono")
        video.width, video.height, video.pix_fmt = 320, 180, "yuv420p"
        for index in range(150):
            # white for three pictures at 1, 3 and 5 s, as matrix_clips makes them
            level = 235 if 25 <= index % 50 < 28 else 60
            frame = av.VideoFrame.from_ndarray(np.full((270, 320), level, np.uint8), format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            made.mux(video.encode(frame))
        t = np.arange(6 * 8000) / 8000
        wave = np.sin(t * 6283) * 16000 * ((t - 1 - late_s) % 2 < 0.1)
        sound = av.AudioFrame.from_ndarray(wave.astype(np.int16).reshape(1, -1), format="s16", layout="mono")
        sound.sample_rate, sound.pts = 8000, 0
        made.mux(audio.encode(sound))
        made.mux(video.encode(None))
    found = measure_sync(path, path)
    assert found is not None
    assert list(found.offsets.values()) == [pytest.approx(late_s, abs=0.005)] * 3
    source = SoundSync({flash - 5: 0.02 for flash in found.offsets})
    assert found.stray(source, 5) == [pytest.approx(late_s - 0.02, abs=0.005)] * 3
    assert found.unmatched == 0
