"""kill -9 and power cuts at random instants: what is finished stays, the open segment loses its last moment at most."""

from __future__ import annotations

import os
import random
import statistics
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent import media
from agent.drive import Drive
from agent.recording.options import Options, Source
from agent.recording.recover import recover
from tests.recording_drives import cut_power, loop_drive, needs_mount
from tests.recording_rig import Rig, breaks, camera, clip, indexes, recording, wait_for
from tests.support import processes

ROOT = Path(__file__).parent.parent
SEED = int(os.environ.get("TEST_SEED", random.randrange(10**6)))


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


def kill_once(rig: Rig, url: str, folder: Path, after: float) -> float:
    """Record in a child for `after` seconds from its first segment, kill it; returns the seconds of video lost."""
    before = {s.segment_id for s in rig.segments()}
    child = processes.start([sys.executable, "-m", "tests.recording_child", url, str(folder), "2"], cwd=ROOT)
    try:
        wait_for(lambda: rig.catalog.segments.opened(), "the child does not record", 20)
        time.sleep(after)
    finally:
        killed = datetime.now(UTC)
        child.kill()
        child.wait()
    finished = {s.segment_id: (rig.path(s).stat().st_mtime_ns, s.sha256) for s in rig.segments()}
    recover(rig.catalog, [rig.drive], rig.clock)
    assert not rig.catalog.segments.opened() and not rig.leftovers()
    rows = [s for s in rig.segments() if s.segment_id not in before]
    for row in rig.segments():
        if row.segment_id in finished:
            assert finished[row.segment_id] == (rig.path(row).stat().st_mtime_ns, row.sha256)
    assert breaks([n for s in rows for n in indexes(rig.path(s))]) == []
    assert all(media.probe(rig.path(s)).audio == "aac" for s in rows)
    end = max(s.end for s in rows if s.end)
    return (killed - end).total_seconds()


@pytest.mark.parametrize(
    "times", [3, pytest.param(50, marks=[pytest.mark.long, pytest.mark.minutes(8), pytest.mark.timeout(900)])]
)
def test_kill_costs_less_than_a_second(times: int, clips: Path, tmp_path: Path) -> None:
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    with camera(clip(clips, "h264", "aac")) as server:
        rig = Rig(tmp_path, Source(server.url("main")))
        lost = [kill_once(rig, server.url("main"), tmp_path, chance.uniform(0.7, 4)) for _ in range(times)]
    print(f"lost at SIGKILL, {times} runs: median {statistics.median(lost):.2f} s, worst {max(lost):.2f} s")
    assert max(lost) <= 1.0


@needs_mount
@pytest.mark.root
@pytest.mark.parametrize(
    "times", [2, pytest.param(20, marks=[pytest.mark.long, pytest.mark.minutes(6), pytest.mark.timeout(900)])]
)
def test_power_cut_costs_the_stated_bound(times: int, clips: Path, tmp_path: Path) -> None:
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    options = Options(segment_seconds=4, reserve_bytes=1 << 20)
    lost: list[float] = []
    with camera(clip(clips, "h264", "aac")) as server:
        for number in range(times):
            folder = tmp_path / str(number)
            folder.mkdir()
            with loop_drive(folder) as mounted:
                rig = Rig(folder, Source(server.url("main")), options)
                with recording(rig):
                    time.sleep(chance.uniform(3, 8))
                    cut = datetime.now(UTC)
                    cut_power(mounted.root)
                    wait_for(lambda rig=rig: rig.events("drive.error"), "the recorder does not notice", 10)
                mounted.after_power_cut()
                recover(rig.catalog, [Drive.open(rig.root)], rig.clock)
                assert not rig.catalog.segments.opened()
                rows = rig.segments()
                assert breaks([n for s in rows for n in indexes(rig.path(s))]) == []
                lost.append((cut - max(s.end for s in rows if s.end)).total_seconds())
    print(f"lost at power cut, {times} runs: median {statistics.median(lost):.2f} s, worst {max(lost):.2f} s")
    assert max(lost) <= options.max_loss + 1.5
