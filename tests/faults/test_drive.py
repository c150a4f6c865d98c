"""The drive fails under the whole agent: recording stops there, the bureau hears, the rest goes on, and it comes back."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from simulator.clips import make_clip
from tests.support.broker import needs_mosquitto
from tests.support.faults import FaultBox, accounts, balanced, box, check_log, data, sums, tell
from tests.support.fuse_drives import FuseDrive, fuse_drive, needs_fuse
from tests.support.recording_drives import LoopDrive, loop_drive, needs_mount

pytestmark = [needs_mount, needs_mosquitto, pytest.mark.root, pytest.mark.long]
ALARM_S = 10.0
RETURN_S = 10.0
# file system -> what is added to a camera's address, so that no two tests share one
KINDS = {"ext4": 0, "exfat": 10, "ntfs": 20}
each_kind = pytest.mark.parametrize(
    "kind", ["ext4", pytest.param("exfat", marks=needs_fuse), pytest.param("ntfs", marks=needs_fuse)]
)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("film") / "film.mp4", 16, (640, 360), 25, key_seconds=1)


@contextmanager
def site_on(
    tmp_path: Path, film: Path, last: int, megabytes: int = 1024, kind: str = "ext4"
) -> Iterator[tuple[FaultBox, LoopDrive]]:
    """`last` is the last number of the camera's address."""
    drive = loop_drive(tmp_path, megabytes) if kind == "ext4" else fuse_drive(tmp_path, kind, megabytes)
    with drive as disk, box(tmp_path, film, (f"127.0.6.{KINDS[kind] + last}",)) as site:
        site.start()
        site.daemon.until(lambda: len(site.daemon.videos()) >= 1, 30)
        yield site, disk


def goes_on(site: FaultBox, seconds: float = 5) -> None:
    """Heartbeats come, and counting is not dead, while the drive is away."""
    before = site.beats()
    time.sleep(seconds)
    assert site.beats() - before >= seconds - 2, "the heartbeat stopped"


def close(site: FaultBox) -> dict[str, float]:
    """Stop and balance the books; seconds of each reason."""
    assert site.daemon.stop() == 0
    assert site.daemon.parts() == []
    with site.catalog() as catalog:
        books = accounts(catalog, site.daemon.drive, datetime.now(UTC))
        assert not catalog.segments.opened()
    balanced(books)
    check_log(site)
    return dict(books[0].reasons)


@each_kind
def test_pulled_and_put_back(kind: str, film: Path, tmp_path: Path) -> None:
    with site_on(tmp_path, film, 1, kind=kind) as (site, disk):
        before = sums(site.daemon)
        disk.unmount(lazily=True)
        alarm = site.alert("drive.missing", seconds=ALARM_S)
        goes_on(site)
        assert list(disk.root.iterdir()) == [], "nothing may be written under the empty mount point"
        disk.mount()
        back = site.recording(RETURN_S + 2)
        cleared = site.alert("drive.missing", "cleared", RETURN_S)
        time.sleep(5)
        reasons = close(site)
        assert before.items() <= sums(site.daemon).items()
    tell(
        "drive pulled and put back",
        kind=kind,
        alarm=round(alarm, 1),
        recovery=round(back, 1),
        cleared=round(cleared, 1),
        lost=reasons.get("drive_missing"),
    )
    assert back <= RETURN_S


@pytest.mark.parametrize("kind", [pytest.param("exfat", marks=needs_fuse), pytest.param("ntfs", marks=needs_fuse)])
def test_its_driver_dies(kind: str, film: Path, tmp_path: Path) -> None:
    """The program behind a FUSE mount ends: ENOTCONN for every call, until somebody mounts the drive again."""
    with site_on(tmp_path, film, 6, kind=kind) as (site, disk):
        assert isinstance(disk, FuseDrive)
        before = sums(site.daemon)
        disk.kill_driver()
        alarm = site.alert("drive.missing", seconds=ALARM_S)
        goes_on(site)
        disk.unmount(lazily=True)
        assert list(disk.root.iterdir()) == [], "nothing may be written under the empty mount point"
        disk.mount()
        back = site.recording(RETURN_S + 2)
        time.sleep(5)
        reasons = close(site)
        assert before.items() <= sums(site.daemon).items()
        assert site.daemon.json("drive", "verify", str(disk.root))[0]["ok"]
    tell(
        "drive's driver dies",
        kind=kind,
        alarm=round(alarm, 1),
        recovery=round(back, 1),
        lost=reasons.get("drive_missing"),
    )
    assert back <= RETURN_S


@needs_fuse
def test_sectors_that_cannot_be_read(film: Path, tmp_path: Path) -> None:
    """The drive's end is cut off under its driver: EIO there, while the watch's few bytes still get through."""
    with site_on(tmp_path, film, 7, 256, "exfat") as (site, disk):
        os.truncate(disk.image, 1 << 16)
        alarm = site.alert("drive.error", seconds=ALARM_S)
        goes_on(site)
        with site.catalog() as catalog:
            assert catalog.events.last("drive.error"), "the ledger's reason"
        assert site.daemon.stop() == 0
        check_log(site, drive=False)
    tell("sectors that cannot be read", alarm=round(alarm, 1))


def test_made_read_only(film: Path, tmp_path: Path) -> None:
    with site_on(tmp_path, film, 2) as (site, disk):
        before = sums(site.daemon)
        refuse_writes(disk)
        begun = time.monotonic()
        site.ears.wait(lambda: site.ears.on("alert/drive.read_only") or site.ears.on("alert/drive.error"), ALARM_S)
        alarm = time.monotonic() - begun
        goes_on(site)
        subprocess.run(["umount", "-l", str(disk.root)], check=True)
        disk.mount()
        back = site.recording(RETURN_S + 2)
        time.sleep(5)
        reasons = close(site)
        assert before.items() <= sums(site.daemon).items()
    tell("drive made read-only", alarm=round(alarm, 1), recovery=round(back, 1), lost=reasons.get("drive_missing"))
    assert back <= RETURN_S


def refuse_writes(disk: LoopDrive) -> None:
    """As the kernel does after an error on the medium: `remount,ro` is refused while files are open for writing, the
    emergency one (ext4 option abort) is not."""
    subprocess.run(["mount", "-o", "remount,abort", str(disk.root)], check=False, capture_output=True)


@each_kind
def test_filled_to_the_brim(kind: str, film: Path, tmp_path: Path) -> None:
    with site_on(tmp_path, film, 3, 64, kind) as (site, disk):
        before = sums(site.daemon)
        ballast = disk.root / "ballast"
        fill(ballast)
        alarm = site.alert("drive.full", seconds=ALARM_S)
        goes_on(site)
        with site.catalog() as catalog:
            stopped = [d.stopped_at for d in catalog.drives.all()]
        assert all(stopped), "the instant at which recording stopped is kept"
        ballast.unlink()
        back = site.recording(RETURN_S + 2)
        time.sleep(5)
        reasons = close(site)
        assert before.items() <= sums(site.daemon).items()
    tell("drive full", kind=kind, alarm=round(alarm, 1), recovery=round(back, 1), lost=reasons.get("drive_full"))
    assert back <= RETURN_S


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1 << 16))
        except OSError:
            os.fsync(file.fileno())


def test_another_drive_in_its_place(film: Path, tmp_path: Path) -> None:
    """The stranger's drive is not written to, and the right one is used again when it returns."""
    with site_on(tmp_path, film, 4) as (site, disk):
        (tmp_path / "other").mkdir()
        stranger = LoopDrive(tmp_path / "other", 64)
        stranger.mount()
        site.daemon.command(
            "drive", "init", str(stranger.root), "--label", "别家的", "--key-dir", str(tmp_path / "otherkeys")
        )
        stranger.unmount()
        files = lambda: sorted(p for p in disk.root.rglob("*") if p.is_file())  # noqa: E731
        disk.unmount(lazily=True)
        subprocess.run(["mount", "-o", "loop", str(stranger.image), str(disk.root)], check=True)
        held = files()
        alarm = site.alert("drive.wrong", seconds=ALARM_S)
        goes_on(site)
        assert files() == held, "a stranger's drive was written to"
        subprocess.run(["umount", str(disk.root)], check=True)
        disk.mount()
        back = site.recording(RETURN_S + 2)
        time.sleep(5)
        reasons = close(site)
    tell("drive swapped", alarm=round(alarm, 1), recovery=round(back, 1), lost=reasons.get("drive_missing"))
    assert back <= RETURN_S


def test_folder_is_not_a_drive(film: Path, tmp_path: Path) -> None:
    """Somebody deletes everything under the running agent: it says so, does not write on, and takes the drive when it is
    made anew with the box's key."""
    with site_on(tmp_path, film, 5) as (site, disk):
        for path in disk.root.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        begun = time.monotonic()
        site.ears.wait(lambda: [h for h in site.ears.heard if "/alert/drive." in h.topic], ALARM_S)
        alarm = time.monotonic() - begun
        kinds = {data(h)["kind"] for h in site.ears.heard if "/alert/drive." in h.topic}
        goes_on(site)
        assert list(disk.root.iterdir()) == []
        assert site.daemon.stop() == 0
        check_log(site, drive=False)
    tell("drive wiped", alarm=round(alarm, 1), kinds=sorted(kinds))
