"""Segments made from live streams: nothing lost, nothing doubled, in step, as the catalog says."""

from __future__ import annotations

import hashlib
import itertools
import time
from datetime import timedelta
from pathlib import Path

import pytest

from agent.core.alert_model import AlertKind
from agent.media import containers
from agent.mp4.repair import list_top_boxes
from agent.recording.options import RecordingOptions, StreamSource
from tests.support.clocks import SteppedClock
from tests.support.recording_bench import (
    UNCUT,
    RecordingBench,
    beeps,
    breaks,
    camera,
    clip,
    flashes,
    indexes,
    placement,
    recording,
    sound_packets,
    training_class,
    wait_for,
)


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


CASES = [("h264", "aac"), ("hevc", "alaw"), ("h264", "ulaw"), ("h264", None)]


@pytest.mark.long
@pytest.mark.parametrize(("codec", "audio"), CASES, ids=[f"{c}-{a}" for c, a in CASES])
def test_segments_follow_one_another(codec: str, audio: str | None, clips: Path, tmp_path: Path) -> None:
    with (
        camera(clip(clips, codec, audio)) as server,
        recording(RecordingBench(tmp_path, StreamSource(server.url("main")))) as rig,
    ):
        wait_for(lambda: len(rig.segments()) >= 3, "no three segments")
        assert rig.stop() < 5
    segments = rig.segments()
    assert not rig.leftovers()
    assert not rig.catalog.segments.opened()
    paths = [rig.path(s) for s in segments]

    # every picture of the camera once and in order, over all files
    numbers = [n for p in paths for n in indexes(p)]
    assert breaks(numbers) == []
    assert len(numbers) > 90

    # no stretch between segments, and each is as long as its pictures
    for one, two in itertools.pairwise(segments):
        assert one.end == two.start
    for segment, path in zip(segments, paths, strict=True):
        assert segment.end is not None
        length = (segment.end - segment.start).total_seconds()
        assert length == pytest.approx(len(indexes(path)) * 0.04, abs=0.041)
        assert path.stat().st_size == segment.bytes
        assert hashlib.sha256(path.read_bytes()).hexdigest() == segment.sha256
        assert [kind for kind, _, _ in list_top_boxes(path)] == ["ftyp", "free", "mdat", "moov"]
        found = containers.probe_media(path)
        assert (found.video, found.audio) == ("h265" if codec == "hevc" else codec, "aac" if audio else None)
        assert (segment.video_codec, segment.audio_codec) == (found.video, found.audio)
        assert (segment.width, segment.height) == (640, 360)
    # aligned to the wall clock: all but the first begin in the first key-frame interval of a slot
    assert all(s.start.timestamp() % 2 < 1.1 for s in segments[1:])
    assert segments[0].sender_time is not None
    assert abs(segments[0].sender_time - segments[0].start) < timedelta(seconds=0.3)

    if audio:
        steps = [min(abs(f - b) for b in beeps(path)) for path in paths for f in flashes(path)]
        assert len(steps) >= 2
        assert max(steps) < 0.04
        sound = [n for p in paths for n in sound_packets(p)]
        assert len(sound) == len(set(sound)) or audio == "aac"
    if audio == "aac":
        played = sound_packets(clip(clips, codec, audio))
        order = {packet: n for n, packet in enumerate(played)}
        places = [order[p] for p in sound]
        period = round(8 * 16000 / 1024)
        assert [b - a for a, b in itertools.pairwise(places) if (b - a) % period != 1] == []


@pytest.mark.long
@pytest.mark.parametrize("audio", ["aac", "alaw"])
def test_sound_whose_clock_drifts_stays_in_step(audio: str, clips: Path, tmp_path: Path) -> None:
    """Eighty times the drift of two ordinary crystals (50 ppm) for 45 s: without the sender reports, which FFmpeg follows, it
    would be 0.18 s at the end."""
    with camera(clip(clips, "h264", audio)) as server:
        server.faults("main").sound_gains = 0.004
        rig = RecordingBench(tmp_path, StreamSource(server.url("main")), RecordingOptions(segment_seconds=15))
        with recording(rig):
            time.sleep(45)
    last = [s for s in rig.segments() if len(flashes(rig.path(s))) > 8][-1]
    seen, heard = flashes(rig.path(last)), beeps(rig.path(last))
    # a beep that a packet's border cuts begins a packet later
    steps = sorted(min(abs(f - b) for b in heard) for f in seen)
    print(f"{audio}: picture and sound off by {steps[len(steps) // 2]:.3f} s, worst {steps[-1]:.3f} s")
    assert steps[len(steps) // 2] <= 0.04 and steps[-1] <= 0.064


def test_growing_segment_can_be_looked_at(clips: Path, tmp_path: Path) -> None:
    with camera(clip(clips, "h264", "aac")) as server:
        rig = RecordingBench(tmp_path, StreamSource(server.url("main")), RecordingOptions(segment_seconds=UNCUT))
        with recording(rig):
            time.sleep(3)
            row = rig.catalog.segments.opened(CAMERA_ID)[0]
            found = containers.read_last_key_frame(rig.root / row.temporary)
            assert found is not None
            behind = (rig.clock.now() - row.start).total_seconds() - found[0]
            assert 0 < behind < 2.2
            assert found[1].shape == (360, 640, 3)


CAMERA_ID = "C1"


def test_no_sound_is_told_where_it_is_required(clips: Path, tmp_path: Path) -> None:
    with camera(clip(clips, "h264", None)) as server:
        rig = RecordingBench(tmp_path, StreamSource(server.url("main"), audio_required=True))
        with recording(rig):
            wait_for(lambda: rig.catalog.alerts.open_one(AlertKind.SOUND_MISSING, CAMERA_ID), "no alert")
            assert rig.catalog.segments.opened()[0].audio_codec is None


@pytest.mark.long
def test_sound_that_falls_silent_does_not_hold_the_picture(clips: Path, tmp_path: Path) -> None:
    with camera(clip(clips, "h264", "aac")) as server:
        options = RecordingOptions(segment_seconds=2, silent_seconds=1.5)
        rig = RecordingBench(tmp_path, StreamSource(server.url("main"), audio_required=True), options)
        with recording(rig):
            time.sleep(1)
            server.faults("main").send_audio = False
            wait_for(lambda: rig.catalog.alerts.open_one(AlertKind.SOUND_MISSING, CAMERA_ID), "no alert")
            done = len(rig.segments())
            wait_for(lambda: len(rig.segments()) > done + 1, "the picture stands still")
            server.faults("main").send_audio = True
            wait_for(lambda: not rig.catalog.alerts.open_one(AlertKind.SOUND_MISSING, CAMERA_ID), "not cleared")
    assert breaks([n for s in rig.segments() for n in indexes(rig.path(s))]) == []


@pytest.mark.parametrize("hours", [-1, 1])
def test_stepped_clock_hides_no_video(hours: int, clips: Path, tmp_path: Path) -> None:
    clock = SteppedClock()
    with camera(clip(clips, "h264", "aac")) as server:
        rig = RecordingBench(tmp_path, StreamSource(server.url("main")), RecordingOptions(segment_seconds=UNCUT), clock)
        cls = training_class()
        rig.plan = cls, placement(cls, clock.now(), 3 * 3600)
        with recording(rig):
            time.sleep(1.5)
            clock.moved = timedelta(hours=hours)
            wait_for(lambda: rig.segments(), "no new segment")
            time.sleep(1)
    one, two = sorted(rig.segments(), key=lambda s: s.segment_id)
    assert one.end is not None
    assert (two.start - one.end).total_seconds() == pytest.approx(hours * 3600, abs=0.5)
    assert breaks(indexes(rig.path(one)) + indexes(rig.path(two))) == []


def test_second_that_comes_twice_gets_a_name_of_its_own(clips: Path, tmp_path: Path) -> None:
    clock = SteppedClock()
    with camera(clip(clips, "h264", "aac")) as server:
        rig = RecordingBench(tmp_path, StreamSource(server.url("main")), RecordingOptions(segment_seconds=UNCUT), clock)
        for _ in range(2):
            begun = clock.now()
            with recording(rig):
                time.sleep(0.5)
            wanted = rig.segments()[0].start - timedelta(seconds=0.15)
            clock.moved += wanted - clock.now()
            rig.path(rig.segments()[0]).unlink(missing_ok=True)
    assert len({s.path for s in rig.segments()}) == 2
    assert begun < clock.now() + timedelta(hours=1)


@pytest.mark.long
def test_plan_decides_where_and_until_when(clips: Path, tmp_path: Path) -> None:
    with camera(clip(clips, "h264", "aac")) as server:
        rig = RecordingBench(tmp_path, StreamSource(server.url("main")), RecordingOptions(segment_seconds=UNCUT))
        cls, two = training_class(), training_class("K2")
        now = rig.clock.now()
        rig.plan = cls, placement(cls, now, 3)

        def plan_at(moment):
            if moment < now + timedelta(seconds=3):
                return cls, placement(cls, now, 3)
            if moment < now + timedelta(seconds=7):
                return two, placement(two, now + timedelta(seconds=3), 4)
            return None

        rig.plan_at = plan_at
        with recording(rig):
            wait_for(lambda: rig.catalog.segments.of_class("K2"), "second class not finished")
            wait_for(lambda: server.players("main") == 0, "still connected outside the plan")
    (first,), (second,) = rig.segments(), rig.catalog.segments.of_class("K2")
    assert first.end == second.start
    assert second.end is not None
    assert abs(second.end - now - timedelta(seconds=7)) < timedelta(seconds=0.1)
    assert "K1_" in first.path and "K2_" in second.path
    assert breaks(indexes(rig.path(first)) + indexes(rig.path(second))) == []
