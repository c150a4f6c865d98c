"""Power cuts: drive and database lie on one ext4 that stops at an instant; what reached the disk is all that remains."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.demo.media import make_clip
from tests.faults import accounts, balanced, behind, box, growing, last_index, on_wire, spread, sums, tell
from tests.recording_drives import LoopDrive, cut_power, needs_mount

SEED = int(os.environ.get("SITE_AGENT_SEED", random.randrange(10**6)))
FILM_S = 16
CUTS = 20
MAX_LOSS_S = 2.0

pytestmark = [needs_mount, pytest.mark.root, pytest.mark.long, pytest.mark.minutes(12)]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("film") / "film.mp4", FILM_S, (640, 360), 25, key_seconds=1)


def another_boot(catalog: Path) -> None:
    """(Made: the machine under test does not really boot.) In a process of its own: SQLite knows files by device and inode,
    and those of the file system that died come again in its copy."""
    code = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.execute(sys.argv[2]); db.commit(); db.close()"
    change = "update facts set value = 'another' where name = 'machine_boot'"
    subprocess.run([sys.executable, "-c", code, str(catalog), change], check=True, timeout=30)


@pytest.mark.timeout(1800)
def test_power_cuts_cost_the_stated_bound(film: Path, tmp_path: Path) -> None:
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    lost: list[float] = []
    back: list[float] = []
    disk = LoopDrive(tmp_path, 640)
    disk.mount()
    folder = disk.root / "box"
    folder.mkdir()
    try:
        with box(folder, film, ("127.0.10.1", "127.0.10.2"), broker=False) as site:
            # what the installation wrote lies there for long
            subprocess.run(["sync", "-f", str(folder)], check=True, timeout=60)
            for _ in range(CUTS):
                begun = time.monotonic()
                site.daemon.start(wait=False)  # the service manager's socket went with the file system
                site.recording()
                back.append(time.monotonic() - begun)
                time.sleep(chance.uniform(3, 9))
                recorded = {p.parent.name.split("_", 1)[1]: p.parent for p in growing(site.daemon)}
                finished = sums(site.daemon)
                sent = {i: on_wire(camera) for i, camera in site.cameras.items()}
                cut_power(disk.root)
                site.daemon.kill()
                disk.after_power_cut()
                another_boot(folder / "state/catalog.db")
                assert finished.items() <= sums(site.daemon).items(), "a finished segment did not survive"
                for camera_id, place in recorded.items():
                    found = [k for p in place.iterdir() if (k := last_index(p)) is not None]
                    lost.append(min(behind(sent[camera_id], k, FILM_S) for k in found))
            site.daemon.start(wait=False)
            site.recording()
            site.daemon.until(lambda: len(site.daemon.parts()) == len(site.cameras), 30)
            assert site.daemon.stop() == 0
            with site.catalog() as catalog:
                now = datetime.now(UTC)
                books = accounts(catalog, site.daemon.drive, now)
                balanced(books)
                assert all("power_loss" in account.reasons for account in books)
                assert not catalog.segments.opened()
            assert site.daemon.json("drive", "verify", str(site.daemon.drive))[0]["ok"]
    finally:
        disk.unmount(lazily=True)
    tell("power cut", **spread(lost), seed=SEED, start_to_recording=spread(back))
    assert max(lost) <= MAX_LOSS_S + 1.5
