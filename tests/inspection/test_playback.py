"""The player's parts: the samples of the recording, at their times, as a decoder that gets them one after another sees them."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from agent.core.errors import MediaError
from agent.inspection import playback
from agent.inspection.playback import PlaybackFile, open_playback, read_part
from agent.mp4.reader import read_tracks
from simulator.clips import VideoCodec, make_clip, read_index

BEGINS = 100_000.25


def joined(file: PlaybackFile, numbers: list[int], begins: float = BEGINS) -> io.BytesIO:
    return io.BytesIO(file.initialization + b"".join(read_part(file, n, begins) for n in numbers))


def shown(stream: io.BytesIO) -> list[tuple[float, int | None]]:
    with av.open(stream) as container:
        video = container.streams.video[0]
        return [
            (float(f.pts * video.time_base), read_index(f.to_ndarray(format="gray"))) for f in container.decode(video)
        ]


@pytest.mark.parametrize(("codec", "name"), [("h264", "avc1."), ("hevc", "hvc1.1.")])
@pytest.mark.parametrize("b_frames", [0, 2])
def test_all_parts_together_are_the_recording(tmp_path: Path, codec: VideoCodec, name: str, b_frames: int) -> None:
    source = make_clip(tmp_path / "source.mp4", 12, size=(320, 192), codec=codec, b_frames=b_frames)
    file = open_playback(source)
    assert file.codecs.startswith(name)
    assert file.codecs.endswith(",mp4a.40.2")
    assert [p.key for p in file.parts] == [True] * len(file.parts)
    assert len(file.parts) == 3
    assert file.frame_s == pytest.approx(0.04)
    found = shown(joined(file, [0, 1, 2]))
    assert [i for _, i in found] == list(range(300))
    assert [t for t, _ in found] == pytest.approx([BEGINS + i * 0.04 for i in range(300)], abs=0.001)
    second = shown(joined(file, [1]))
    assert second[0] == (pytest.approx(BEGINS + file.parts[1].start, abs=0.001), round(file.parts[1].start * 25))


def test_no_byte_of_picture_or_sound_is_changed(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "source.mp4", 9, size=(320, 192))
    file = open_playback(source)

    def packets(stream: io.BytesIO | str) -> list[tuple[str, bytes]]:
        with av.open(stream) as container:
            return sorted((p.stream.type, bytes(p)) for p in container.demux() if p.size)

    assert packets(joined(file, list(range(len(file.parts))))) == packets(str(source))


def test_key_frames_far_apart_give_parts_that_continue(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "source.mp4", 40, size=(320, 192), key_seconds=100, audio=None)
    file = open_playback(source)
    assert [p.key for p in file.parts] == [True] + [False] * (len(file.parts) - 1)
    assert max(p.stop - p.start for p in file.parts) <= playback.LONGEST_PART_S + 0.1
    assert [i for _, i in shown(joined(file, list(range(len(file.parts)))))] == list(range(1000))


def test_a_hole_in_the_sound_is_filled_with_silence(tmp_path: Path) -> None:
    """Else a browser would leave out the pictures of that time."""
    tracks = read_tracks(make_clip(tmp_path / "source.mp4", 12, size=(320, 192)))
    sound = tracks[1]
    ticks = sound.timescale
    outside = (sound.dts < 3 * ticks) | (sound.dts > 7 * ticks)
    file = playback.build_playback(
        tmp_path / "source.mp4", [tracks[0], sound.select(outside & (sound.dts < 10 * ticks))]
    )
    assert file.sound is not None
    assert np.diff(file.sound.dts).max() < 1.6 * np.median(file.sound.length)
    assert (file.sound.dts[-1] + file.sound.length[-1]) / ticks == pytest.approx(12, abs=0.1)
    with av.open(joined(file, [0, 1, 2], 5.0)) as container:
        levels = {
            float(f.pts * f.time_base): float(np.abs(f.to_ndarray()).max()) for f in container.decode(audio=0) if f.pts
        }
    assert max(v for t, v in levels.items() if 8.2 < t < 11.9) < 0.001
    assert min(v for t, v in levels.items() if 5.5 < t < 7.8) > 0.01


def test_sound_of_an_unknown_format_with_a_hole_is_left_out(tmp_path: Path) -> None:
    tracks = read_tracks(make_clip(tmp_path / "source.mp4", 6, size=(320, 192)))
    sound = replace(tracks[1], entry=b"\0\0\0\x24Opus" + bytes(28))
    holed = sound.select((sound.dts < sound.timescale) | (sound.dts > 3 * sound.timescale))
    assert playback.build_playback(tmp_path / "source.mp4", [tracks[0], holed]).sound is None


def test_a_file_that_was_cut_short_meanwhile_is_a_named_error(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "source.mp4", 9, size=(320, 192))
    file = open_playback(source)
    with source.open("r+b") as handle:
        handle.truncate(source.stat().st_size // 3)
    with pytest.raises(MediaError):
        read_part(file, 1, 0.0)
    source.unlink()
    with pytest.raises(MediaError):
        read_part(file, 0, 0.0)
