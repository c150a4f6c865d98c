"""The box's own disk is full, the evidence drive is well: recording goes on with the room that was set aside."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from agent.catalog import Catalog
from agent.catalog.reserve import LOW, NAME, Reserve
from agent.demo.media import make_clip
from agent.drive import rebuild
from agent.errors import CatalogBlocked
from agent.model_alerts import AlertKind
from agent.room import RoomWatch
from tests.drive_kit import HandClock, at
from tests.faults import box

ZONE = ZoneInfo("Asia/Shanghai")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A state folder on a disk of its own, 14 MB."""
    state = tmp_path / "state"
    state.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=14m", "none", str(state)], check=True)
    try:
        yield state
    finally:
        subprocess.run(["umount", "-l", str(state)], check=True)


def fill(folder: Path) -> Path:
    path = folder / "log"
    with path.open("ab", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            return path


@needs_root
@pytest.mark.root
def test_a_full_disk_does_not_make_the_database_look_damaged(disk: Path) -> None:
    path = disk / "catalog.db"
    Catalog(path, ZONE).close()
    fill(disk)
    with pytest.raises(CatalogBlocked, match="已满"):
        rebuild.open_or_rebuild(path, ZONE, [], HandClock(at("09:00")))
    assert not list(disk.glob("*damaged*"))


@needs_root
@pytest.mark.root
def test_the_reserve_is_spent_told_and_set_aside_again(disk: Path) -> None:
    clock = HandClock(at("09:00"))
    with Catalog(disk / "catalog.db", ZONE) as catalog:
        watch = RoomWatch(catalog, clock, disk)
        watch.run_once()
        assert (disk / NAME).stat().st_size == 14 * 1024 * 1024 // 4
        assert catalog.alerts.open_one(AlertKind.BOX_DISK_FULL, "disk") is None
        left = fill(disk)
        watch.run_once()
        told = catalog.alerts.open_one(AlertKind.BOX_DISK_FULL, "disk")
        assert told and told.severity == "critical" and not (disk / NAME).exists()
        for number in range(2000):
            catalog.facts.put(f"fact{number % 50}", "y" * 1000)  # the log stays short and is written over
        watch.run_once()
        os.truncate(left, left.stat().st_size - LOW)
        watch.run_once()
        assert catalog.alerts.open_one(AlertKind.BOX_DISK_FULL, "disk"), "there is no room for a reserve yet"
        left.unlink()
        watch.run_once()
        assert (disk / NAME).exists() and catalog.alerts.open_one(AlertKind.BOX_DISK_FULL, "disk") is None


def test_the_reserve_of_a_usual_disk(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path)
    assert reserve.keep() and reserve.keep() and reserve.there() and not reserve.full()
    assert (tmp_path / NAME).stat().st_blocks * 512 >= 64 * 1024 * 1024, "no hole: the room is really held"
    assert reserve.spend() and not reserve.spend()
    assert Reserve(tmp_path / "away").keep() is False and Reserve(tmp_path / "away").full() is False


@needs_root
@pytest.mark.root
def test_without_a_reserve_the_older_copies_make_room(disk: Path) -> None:
    Catalog(disk / "catalog.db", ZONE).close()
    (disk / "copies").mkdir()
    for day in (21, 22, 23):
        (disk / "copies" / f"catalog-202611{day}.db").write_bytes(b"x" * LOW)
    fill(disk)
    reserve = Reserve(disk)
    assert reserve.full() and reserve.spend() and not reserve.full() and not reserve.spend()
    assert [p.name for p in (disk / "copies").iterdir()] == ["catalog-20261123.db"]
    Catalog(disk / "catalog.db", ZONE).close()


@needs_root
@pytest.mark.root
@pytest.mark.timeout(180)
def test_the_agent_starts_and_records_on_a_full_disk(disk: Path, tmp_path: Path) -> None:
    film = make_clip(tmp_path / "film.mp4", 8, (320, 240), 25, key_seconds=1)
    with box(tmp_path, film, ("127.0.9.77",), broker=False) as site:
        daemon = site.daemon
        site.start()
        daemon.until(lambda: len(daemon.videos()) >= 2, 60)
        assert daemon.stop() == 0
        fill(disk)
        doctor = daemon.run("doctor", "--only", "service", "--language", "en")
        assert "never run" not in doctor.stdout and "does not run" in doctor.stdout
        before = len(daemon.videos())
        site.start()
        daemon.until(lambda: len(daemon.videos()) >= before + 2, 60)
        doctor = daemon.run("doctor", "--only", "database", "--only", "alert", "--language", "en")
        # an alert speaks the service's language
        assert "预留空间已动用" in doctor.stdout and doctor.returncode == 1, doctor.stdout
        (disk / "log").unlink()
        daemon.until(lambda: (disk / NAME).exists(), 30)
        assert daemon.stop() == 0
        with site.catalog() as catalog:
            assert catalog.alerts.open_one(AlertKind.BOX_DISK_FULL, "disk") is None
        assert daemon.json("drive", "verify", str(daemon.drive))[0]["ok"]
