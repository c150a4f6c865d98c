"""What a file cannot take, and what the box has not got: neither is a fault of the drive."""

from __future__ import annotations

import errno
import os
import resource
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import pytest

from agent.core.errors import Shortage
from agent.drive.identity import is_drive_errno, to_drive_error
from agent.recording.options import RecordingOptions, StreamSource
from agent.recording.picture_template import open_template
from agent.recording.sound import build_sound
from agent.recording.writer import SegmentFile, SegmentWriter, Tracks
from agent.rtsp.connection import RtspConnection
from agent.rtsp.media_unit import MediaUnit
from agent.rtsp.target import StreamTarget
from tests.support.recording_bench import (
    RecordingBench,
    breaks,
    camera,
    clip,
    indexes,
    recording,
    sound_packets,
    wait_for,
)


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


@contextmanager
def written(rig: RecordingBench, stream: RtspConnection, first: MediaUnit) -> Iterator[SegmentWriter]:
    assert first.format is not None
    template = open_template(first.format, first.data)
    assert template is not None
    writer = SegmentWriter(
        rig.drive,
        SegmentFile(rig.drive.make_folder("x"), "a.mp4", ".a.part"),
        Tracks(template, stream.video.clock_rate, build_sound(stream.audio)),
        start=0.0,
        fragment_seconds=0.3,
    )
    template.close()
    yield writer
    writer.close()
    writer.commit()


def read_units(stream: RtspConnection) -> Iterator[MediaUnit]:
    while True:
        yield from stream.read()


def test_the_muxer_refuses_a_packet_and_takes_the_next(
    clips: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with camera(clip(clips, "h264", "aac")) as server, RtspConnection(StreamTarget(server.url("main")), 3.0) as stream:
        rig = RecordingBench(tmp_path, StreamSource(server.url("main")))
        units = read_units(stream)
        first = next(unit for unit in units if unit.is_key)
        pictures = sounds = 0
        sound = build_sound(stream.audio)
        assert sound is not None
        with written(rig, stream, first) as writer:
            assert writer.empty and writer.video(first)
            while pictures < 50:
                unit = next(units)
                if not unit.is_video:
                    for packet in sound.feed(unit.data, unit.pts * sound.tick, 0.064):
                        if sounds in (5, 6):
                            packet.pts = packet.dts = 0
                        writer.audio(packet)
                        sounds += 1
                    continue
                if pictures == 20:
                    unit.pts = unit.dts - 10
                assert writer.video(unit) is (pictures != 20)
                pictures += 1
            assert not writer.empty
    file = rig.root / "x/a.mp4"
    with av.open(str(file)) as container:
        assert sum(1 for p in container.demux(video=0) if p.size) == 50
    assert len(sound_packets(file)) == sounds - 2
    assert caplog.text.count("a.mp4") == 1, "said once a file"


def test_a_picture_that_no_file_takes_is_a_fault_of_the_stream(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, spoil = RtspConnection.read, threading.Event()

    def spoilt(self: RtspConnection) -> list[MediaUnit]:
        units = read(self)
        for unit in units:
            if spoil.is_set() and unit.is_video and not unit.is_key:
                spoil.clear()
                unit.pts = unit.dts - 5
        return units

    monkeypatch.setattr(RtspConnection, "read", spoilt)
    with camera(clip(clips, "h264", "aac")) as server:
        rig = RecordingBench(tmp_path, StreamSource(server.url("main")), RecordingOptions(segment_seconds=1e7))
        with recording(rig):
            time.sleep(1.5)
            spoil.set()
            wait_for(lambda: rig.events("stream.stalled"), "not told")
            wait_for(lambda: rig.segments() and rig.catalog.segments.opened(), "does not go on")
            time.sleep(1.5)
    assert rig.complaints == [] and not rig.events("camera.down")
    (event,) = rig.events("stream.stalled")
    assert event.until is not None
    one, two = rig.segments()
    assert breaks(indexes(rig.path(one))) == [] and breaks(indexes(rig.path(two))) == []
    assert one.end and 0 < (two.start - one.end).total_seconds() < 1.5


def test_key_frames_that_no_file_takes_leave_no_empty_files(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = RtspConnection.read

    def spoilt(self: RtspConnection) -> list[MediaUnit]:
        units = read(self)
        for unit in units:
            if unit.is_video and unit.dts:
                unit.pts = unit.dts - 5
        return units

    monkeypatch.setattr(RtspConnection, "read", spoilt)
    with camera(clip(clips, "h264", "aac")) as server:
        rig = RecordingBench(tmp_path, StreamSource(server.url("main")))
        rig.start()
        time.sleep(4)
        rig.stop()
    assert rig.complaints == []
    assert rig.segments() and all(indexes(rig.path(s)) for s in rig.segments())
    assert not rig.catalog.segments.opened() and not rig.leftovers()


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
def test_a_box_without_handles_or_memory_blames_no_drive(number: int, tmp_path: Path) -> None:
    error = to_drive_error(OSError(number, os.strerror(number)), tmp_path)
    assert isinstance(error, Shortage) and is_drive_errno(number)


def test_what_speaks_of_a_drive_and_what_does_not() -> None:
    for number in (
        errno.ENOSPC,
        errno.EIO,
        errno.EROFS,
        errno.EDQUOT,
        errno.ENODEV,
        errno.ENXIO,
        errno.EACCES,
        errno.EPERM,
    ):
        assert is_drive_errno(number) and not isinstance(to_drive_error(OSError(number, "x"), Path("/")), Shortage)
    for other in (errno.EINVAL, errno.ERANGE, errno.EDOM, 1094995529, None, 0):
        assert not is_drive_errno(other)


@pytest.mark.long
def test_without_file_handles_recording_waits_and_goes_on(clips: Path, tmp_path: Path) -> None:
    """As where somebody holds a thousand connections to the box."""
    with (
        camera(clip(clips, "h264", "aac")) as server,
        recording(
            RecordingBench(tmp_path, StreamSource(server.url("main")), RecordingOptions(segment_seconds=1))
        ) as rig,
    ):
        time.sleep(1)
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 1, limits[1]))
        holes = []
        try:
            while True:
                holes.append(os.dup(0))
        except OSError:
            time.sleep(4)
        finally:
            for hole in holes:
                os.close(hole)
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        count = len(rig.segments())
        wait_for(lambda: len(rig.segments()) > count + 1, "does not go on")
    assert rig.complaints == []
    assert not rig.events("drive.error") and not rig.events("drive.missing") and not rig.events("camera.down")
