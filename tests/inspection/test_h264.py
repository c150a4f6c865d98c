"""H.265 made H.264 for the player, in a process of its own that may be busy, slow or killed."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from agent.core.errors import MediaError
from agent.inspection import h264_parts, h264_processes, playback
from agent.inspection.h264_processes import H264Processes
from simulator.clips import make_clip, read_index


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("h264") / "source.mp4", 9, size=(320, 192), codec="hevc", b_frames=2)


@pytest.fixture
def processes() -> Iterator[H264Processes]:
    made = H264Processes()
    yield made
    made.close()


def test_parts_of_the_process_are_the_recording_at_its_times(source: Path, processes: H264Processes) -> None:
    codecs, initialization = processes.describe(source)
    assert codecs.startswith("avc1.")
    assert codecs.endswith("mp4a.40.2")
    parts = [processes.make(source, n, 50.0) for n in range(len(playback.open_playback(source).parts))]
    with av.open(io.BytesIO(initialization + b"".join(parts))) as container:
        assert container.streams.video[0].codec_context.name == "h264"
        shown = [
            (round(float(f.pts * f.time_base) - 50, 3), read_index(f.to_ndarray(format="gray")))
            for f in container.decode(video=0)
        ]
    assert [i for _, i in shown] == list(range(225))
    assert [t for t, _ in shown] == pytest.approx([i * 0.04 for i in range(225)], abs=0.002)


def test_a_part_that_continues_another_is_decoded_from_the_key_frame_before(tmp_path: Path) -> None:
    long = make_clip(tmp_path / "long.mp4", 20, size=(320, 192), codec="hevc", key_seconds=100, audio=None)
    file = playback.open_playback(long)
    assert not file.parts[1].key
    head = h264_parts.describe_as_h264(file).initialization
    with av.open(io.BytesIO(head + h264_parts.encode_part(file, 1, 0.0))) as container:
        found = [read_index(f.to_ndarray(format="gray")) for f in container.decode(video=0)]
    assert found[0] == round(file.parts[1].start * 25)
    assert len(found) == file.parts[1].end - file.parts[1].begin


def test_what_is_no_video_is_a_named_error_and_the_process_goes_on(
    tmp_path: Path, source: Path, processes: H264Processes
) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"x" * 4000)
    for path in (bad, tmp_path / "none.mp4"):
        with pytest.raises(MediaError):
            processes.describe(path)
    assert processes.make(source, 0, 0.0)


def test_a_killed_process_is_replaced(source: Path, processes: H264Processes) -> None:
    assert processes.make(source, 0, 0.0)
    processes._idle[0].kill()
    with pytest.raises(MediaError):
        processes.make(source, 1, 0.0)
    assert processes.make(source, 1, 0.0)


def test_more_requests_than_may_wait_are_refused(source: Path, processes: H264Processes) -> None:
    results: list[str] = []

    def ask() -> None:
        try:
            processes.make(source, 0, 0.0)
            results.append("made")
        except MediaError as error:
            results.append(error.key)

    most = h264_processes.MOST_PROCESSES + h264_processes.MOST_WAITING
    threads = [threading.Thread(target=ask) for _ in range(most + 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results.count("made") >= most
    assert results.count("player.h264_busy") >= 1
    assert len(processes._idle) <= h264_processes.MOST_PROCESSES
