"""kill -9 of the whole agent at random instants: by frame index, what the camera had sent and the file does not hold."""

from __future__ import annotations

import os
import random
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from simulator.clips import make_clip
from tests.support.faults import (
    accounts,
    balanced,
    behind,
    box,
    check_log,
    last_kept,
    on_wire,
    recorded_to,
    spread,
    sums,
    tell,
)
from tests.support.fuse_drives import KINDS as FUSE_KINDS
from tests.support.fuse_drives import fuse_drive, needs_fuse

SEED = int(os.environ.get("TEST_SEED", random.randrange(10**6)))
FILM_S = 16
KILLS = {"disk": 50, "exfat": 12, "ntfs": 12}
ADDRESSES = {k: (f"127.0.5.{n}", f"127.0.5.{n + 1}") for n, k in ((1, "disk"), (11, "exfat"), (21, "ntfs"))}


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("film") / "film.mp4", FILM_S, (640, 360), 25, key_seconds=1)


@pytest.mark.long
@pytest.mark.minutes(12)
@pytest.mark.timeout(2400)
def test_fifty_kills_lose_a_second_each_at_most(film: Path, tmp_path: Path) -> None:
    killed("disk", film, tmp_path)


@needs_fuse
@pytest.mark.root
@pytest.mark.long
@pytest.mark.minutes(4)
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", sorted(FUSE_KINDS))
def test_kills_on_other_file_systems(kind: str, film: Path, tmp_path: Path) -> None:
    with fuse_drive(tmp_path, kind, 1024):
        killed(kind, film, tmp_path)


def killed(kind: str, film: Path, tmp_path: Path) -> None:
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    lost: list[float] = []
    back: list[float] = []
    with box(tmp_path, film, ADDRESSES[kind], broker=False) as site:
        for _ in range(KILLS[kind]):
            begun = time.monotonic()
            site.start()
            back.append(time.monotonic() - begun)
            time.sleep(chance.uniform(0, 6))
            recorded = recorded_to(site.daemon)
            finished = sums(site.daemon)
            sent = {i: on_wire(camera) for i, camera in site.cameras.items()}
            site.daemon.kill()
            for camera_id, place in recorded.items():
                lost.append(behind(sent[camera_id], last_kept(place), FILM_S))
            assert finished.items() <= sums(site.daemon).items(), "a finished segment was touched"
        site.start()
        site.daemon.until(lambda: len(site.daemon.parts()) == len(site.cameras), 30)
        assert site.daemon.stop() == 0
        assert site.daemon.parts() == []
        assert site.daemon.json("drive", "verify", str(site.daemon.drive))[0]["ok"]
        check_log(site)
        with site.catalog() as catalog:
            balanced(accounts(catalog, site.daemon.drive, datetime.now(UTC)))
    tell("kill -9", kind=kind, **spread(lost), seed=SEED, start_to_recording=spread(back))
    assert max(lost) <= 1.0
