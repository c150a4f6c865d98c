"""On a machine that has no time left, recording goes first: not a packet is lost, looks come late and are made up."""

from __future__ import annotations

import itertools
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.clock import SystemClock
from agent.counting import weights
from agent.counting.detector import OpenVinoDetector
from agent.counting.worker import Counter
from agent.model import Look
from agent.recording.options import Options, Source
from tests.recording_rig import CAMERA, Rig, breaks, camera, clip, indexes, recording, sound_packets, wait_for
from tests.support import processes

LOADED_S = 20
LOOK_S = 1.0


@contextmanager
def no_time_left() -> Iterator[None]:
    """Two busy processes for each processor, at the priority that recording has."""
    busy = [processes.start([sys.executable, "-c", "while True: pass"]) for _ in range(2 * (os.cpu_count() or 1))]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


@contextmanager
def counting(rig: Rig) -> Iterator[None]:
    """The daemon's worker beside the recorder, in a thread of its own, a look each LOOK_S."""
    stop = threading.Event()
    made = Counter(rig.catalog, SystemClock(), lambda: OpenVinoDetector(weights.check()), LOOK_S)
    thread = threading.Thread(target=made.run, args=[stop])
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(60)
        assert not thread.is_alive()


def looks(rig: Rig) -> list[Look]:
    return rig.catalog.looks.since(CAMERA, datetime.now(UTC) - timedelta(hours=1))


@pytest.mark.long
@pytest.mark.minutes(3)
def test_recording_loses_nothing_while_looks_are_late(tmp_path: Path) -> None:
    with camera(clip(tmp_path, "h264", "aac")) as server:
        rig = Rig(tmp_path, Source(server.url("main")), Options(segment_seconds=5))
        drive = rig.drive
        rig.catalog.drives.put(drive.drive_id, label=drive.label, institution=drive.institution, path=str(drive.root),
                               created=drive.created, public_key=drive.public_key, seen_at=drive.created)  # fmt: skip
        with recording(rig), counting(rig):
            wait_for(lambda: len(looks(rig)) >= 3, "no looks without load", 60)
            with no_time_left():
                time.sleep(LOADED_S)
                now = datetime.now(UTC)
                lag = (now - looks(rig)[-1].at).total_seconds()
            rig.stop()
            last = rig.segments()[-1].end
            assert last is not None
            wait_for(lambda: last - looks(rig)[-1].at < timedelta(seconds=3), "late looks were not made up", 90)
        found, segments = looks(rig), rig.segments()
    print(
        f"loaded: newest look {lag:.1f} s old; afterwards {len(found)} looks at {(last - segments[0].start)} of video"
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
    assert lag > 3 * LOOK_S
    assert all((b.at - a.at).total_seconds() <= 2.1 * LOOK_S for a, b in itertools.pairwise(found))
