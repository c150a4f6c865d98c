"""Power cuts: drive and database lie on one ext4 that stops at an instant; what reached the disk is all that remains.

The drive is a folder of it, or an exFAT or NTFS in a file of it: then that file is the disk, and what the FUSE driver had not
synced to it is gone.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
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
    rows_on_disk,
    spread,
    sums,
    tell,
)
from tests.support.fuse_drives import KINDS, FuseDrive, is_mounted, needs_fuse
from tests.support.recording_drives import LoopDrive, cut_power, needs_mount

SEED = int(os.environ.get("TEST_SEED", random.randrange(10**6)))
FILM_S = 16
CUTS = 20
MAX_LOSS_S = 2.0
ADDRESSES = {k: (f"127.0.10.{n}", f"127.0.10.{n + 1}") for n, k in ((1, "ext4"), (11, "exfat"), (21, "ntfs"))}

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


class Disk:
    """The box's disk, and the drive of its own that may lie on it."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.outer = LoopDrive(folder, 640)
        self.outer.mount()
        self.box = self.outer.root / "box"
        self.box.mkdir()
        self.inner = FuseDrive(self.box, 320, kind) if kind in KINDS else None
        if self.inner:
            self.inner.mount()

    def cut(self) -> None:
        cut_power(self.outer.root)

    def back(self) -> None:
        """The disk as it was at the cut; call once the agent is dead."""
        if self.inner:
            self.inner.kill_driver()
            self.inner.unmount(lazily=True)
        self.outer.after_power_cut()
        if self.inner:
            self.inner.mount()

    def close(self) -> None:
        if self.inner and is_mounted(self.inner.root):
            self.inner.unmount(lazily=True)
        self.outer.unmount(lazily=True)


@pytest.mark.parametrize(
    "kind", ["ext4", pytest.param("exfat", marks=needs_fuse), pytest.param("ntfs", marks=needs_fuse)]
)
@pytest.mark.timeout(1800)
def test_power_cuts_cost_the_stated_bound(kind: str, film: Path, tmp_path: Path) -> None:
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    lost: list[float] = []
    back: list[float] = []
    disk = Disk(tmp_path, kind)
    try:
        with box(disk.box, film, ADDRESSES[kind], broker=False) as site:
            # what the installation wrote lies there for long
            for place in (site.daemon.drive, disk.box):
                subprocess.run(["sync", "-f", str(place)], check=True, timeout=60)
            for _ in range(CUTS):
                begun = time.monotonic()
                site.daemon.start(wait=False)  # the service manager's socket went with the file system
                site.recording()
                back.append(time.monotonic() - begun)
                time.sleep(chance.uniform(3, 9))
                recorded = recorded_to(site.daemon)
                finished = sums(site.daemon)
                rows = rows_on_disk(disk.box / "state/catalog.db")
                sent = {i: on_wire(camera) for i, camera in site.cameras.items()}
                disk.cut()
                site.daemon.kill()
                disk.back()
                another_boot(disk.box / "state/catalog.db")
                lasting = {(path, state) for path, state in rows.items() if state.startswith("finished")}
                assert lasting <= rows_on_disk(disk.box / "state/catalog.db").items(), "a finished row did not survive"
                assert finished.items() <= sums(site.daemon).items(), "a finished segment did not survive"
                for camera_id, place in recorded.items():
                    lost.append(behind(sent[camera_id], last_kept(place), FILM_S))
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
            check_log(site)
    finally:
        disk.close()
    tell("power cut", kind=kind, **spread(lost), seed=SEED, start_to_recording=spread(back))
    assert max(lost) <= MAX_LOSS_S + 1.5
