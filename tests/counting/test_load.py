"""On a machine that has no time left, recording goes first: not a packet is lost, looks come late and are made up."""

from __future__ import annotations

import itertools
import math
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.core.clock import SystemClock
from agent.core.model import Look
from agent.counting import weights
from agent.counting.detector import OpenVinoDetector
from agent.counting.look import take_look
from agent.counting.worker import CountingWorker
from agent.media import containers
from agent.media.containers import BgrImage
from agent.recording.options import RecordingOptions, StreamSource
from tests.support import processes
from tests.support.recording_bench import (
    CAMERA,
    RecordingBench,
    breaks,
    camera,
    clip,
    indexes,
    recording,
    sound_packets,
    wait_for,
)

LOADED_S = 20
LOOK_S = 1.0


def measure_look(picture: BgrImage) -> float:
    """Return the seconds that a look takes on this machine, as the worker takes it, without load."""
    detector, spent = OpenVinoDetector(weights.check_weights()), []
    for _ in range(4):
        begun = time.perf_counter()
        take_look(picture, detector)
        spent.append(time.perf_counter() - begun)
    return min(spent)


def count_busy(look_s: float) -> int:
    """Return how many busy processes a processor needs for looks to get an eighth of the time that they want.

    Linux gives a thread of niceness 15 the weight 36, and one of niceness 0 the weight 1024: a fast machine needs more of them.
    """
    return max(2, math.ceil(8 * LOOK_S / look_s * 36 / 1024))


@contextmanager
def no_time_left(each: int) -> Iterator[None]:
    """`each` busy processes for each processor, at the priority that recording has."""
    busy = [processes.start([sys.executable, "-c", "while True: pass"]) for _ in range(each * (os.cpu_count() or 1))]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


@contextmanager
def counting(rig: RecordingBench) -> Iterator[None]:
    """The daemon's worker beside the recorder, in a thread of its own, a look each LOOK_S."""
    stop = threading.Event()
    made = CountingWorker(rig.catalog, SystemClock(), lambda: OpenVinoDetector(weights.check_weights()), LOOK_S)
    thread = threading.Thread(target=made.run, args=[stop])
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(60)
        assert not thread.is_alive()


def looks(rig: RecordingBench) -> list[Look]:
    return rig.catalog.looks.since(CAMERA, datetime.now(UTC) - timedelta(hours=1))


@pytest.mark.long
@pytest.mark.minutes(6)
def test_recording_loses_nothing_while_looks_are_late(tmp_path: Path) -> None:
    film = clip(tmp_path, "h264", "aac")
    found_frame = containers.read_key_frame_at(film, 1.0)
    assert found_frame is not None
    look_s = measure_look(found_frame[1])
    busy = count_busy(look_s)
    with camera(film) as server:
        rig = RecordingBench(tmp_path, StreamSource(server.url("main")), RecordingOptions(segment_seconds=5))
        drive = rig.drive
        rig.catalog.drives.put(
            drive.drive_id,
            label=drive.label,
            institution=drive.institution,
            path=str(drive.root),
            created=drive.created,
            public_key=drive.public_key,
            seen_at=drive.created,
        )
        with recording(rig), counting(rig):
            wait_for(lambda: len(looks(rig)) >= 3, "no looks without load", 170)
            with no_time_left(busy):
                before, begun = len(looks(rig)), time.monotonic()
                time.sleep(LOADED_S)
                taken, due = len(looks(rig)) - before, (time.monotonic() - begun) / LOOK_S
            rig.stop()
            last = rig.segments()[-1].end
            assert last is not None
            wait_for(lambda: last - looks(rig)[-1].at < timedelta(seconds=3), "late looks were not made up", 90)
        found, segments = looks(rig), rig.segments()
    print(
        f"a look takes {look_s:.3f} s; {busy} busy processes each: {taken} looks of {due:.0f};"
        f" afterwards {len(found)} looks at {(last - segments[0].start)} of video"
    )

    # recording: every picture and every packet of sound, in order, over all files
    assert (last - segments[0].start).total_seconds() > LOADED_S
    assert breaks([n for s in segments for n in indexes(rig.path(s))]) == []
    assert all(one.end == two.start for one, two in itertools.pairwise(segments))
    sound = [n for s in segments for n in sound_packets(rig.path(s))]
    assert len(sound) >= 15 * LOADED_S, "64 ms of sound a packet"
    outages = [e.kind for e in rig.catalog.events.between(segments[0].start, last) if e.camera_id == CAMERA]
    assert outages == []

    # looks: late under load, and none left out afterwards
    assert taken <= due / 2, "at the priority of recording they would get a third of the time or more, and not be late"
    assert all((b.at - a.at).total_seconds() <= 2.1 * LOOK_S for a, b in itertools.pairwise(found))
