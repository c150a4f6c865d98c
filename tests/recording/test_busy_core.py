"""Four cameras of 8 Mbit/s on one core that another program uses fully: each picture is in a file, once and in order."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.core.clock import SystemClock
from agent.drive.creation import init_drive
from simulator.clips import make_clip
from simulator.rtsp import RtspServer
from tests.support import processes
from tests.support.access_units import read_pictures
from tests.support.recording_bench import breaks

CAMERAS = 4
BIT_RATE = 8_000_000
SECONDS = 40
PICTURES_A_SECOND = 25


@contextmanager
def busy(core: int) -> Iterator[None]:
    """A program that uses the core for as long as it is let."""
    program = processes.start(["taskset", "-c", str(core), sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        program.kill()
        program.wait()


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="the cameras need a core of their own")
def test_no_picture_is_lost_beside_a_busy_program(tmp_path: Path) -> None:
    film = make_clip(tmp_path / "film.mp4", 8, (1920, 1080), bit_rate=BIT_RATE)
    numbers = {picture.digest: number for number, picture in enumerate(read_pictures(film))}
    (tmp_path / "drive").mkdir()
    init_drive(tmp_path / "drive", label="one core", institution="", clock=SystemClock())
    server = RtspServer({f"cam{number}": film for number in range(CAMERAS)})
    core, *others = sorted(os.sched_getaffinity(0))
    server.start()
    os.sched_setaffinity(0, others)
    try:
        with busy(core):
            record(
                core, [f"rtsp://127.0.0.1:{server.port}/cam{number}" for number in range(CAMERAS)], tmp_path / "drive"
            )
    finally:
        os.sched_setaffinity(0, [core, *others])
        server.stop()

    folders = {path.parent for path in tmp_path.rglob("drive/**/*.mp4")}
    assert len(folders) == CAMERAS
    for folder in folders:
        stored = [numbers[picture.digest] for path in sorted(folder.glob("*.mp4")) for picture in read_pictures(path)]
        assert breaks(stored, len(numbers)) == [], folder.name
        assert len(stored) > 0.9 * SECONDS * PICTURES_A_SECOND


def record(core: int, urls: list[str], drive: Path) -> None:
    command = ["taskset", "-c", str(core), sys.executable, "-m", "agent", "record", *urls, "--drive", str(drive)]
    recorder = processes.start([*command, "--seconds", "900"])
    try:
        until = time.monotonic() + 60
        while len(list(drive.rglob("*.mp4*"))) < CAMERAS:
            assert time.monotonic() < until, "the cameras are not recorded"
            time.sleep(0.1)
        time.sleep(SECONDS)
        recorder.send_signal(signal.SIGTERM)
        assert recorder.wait(30) == 0
    finally:
        recorder.kill()
