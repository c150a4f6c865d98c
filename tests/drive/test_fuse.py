"""Identity, layout, papers, proof, seal and rebuild on real exFAT and NTFS, mounted through FUSE."""

from __future__ import annotations

import errno
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent.catalog import Catalog
from agent.core.alert_model import AlertKind
from agent.core.class_model import Room
from agent.core.errors import DriveError
from agent.core.model import Session
from agent.drive import Drive, durable, layout, rebuild, verify
from agent.drive.monitor import DriveMonitor, DriveMonitorOptions
from agent.drive.seal import Sealer
from tests.support.clocks import HandClock
from tests.support.drive_factory import ZONE, at, new_drive, site, training_class
from tests.support.fuse_drives import KINDS, FuseDrive, fuse_drive, needs_fuse

pytestmark = [needs_fuse, pytest.mark.root]


@pytest.fixture(params=sorted(KINDS))
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FuseDrive]:
    with fuse_drive(tmp_path, request.param, 32) as found:
        yield found


@pytest.fixture
def clock() -> HandClock:
    return HandClock(at("08:00"))


def test_a_name_is_never_replaced(disk: FuseDrive) -> None:
    """renameat2 with a flag is EINVAL here."""
    old, new = disk.root / ".a.part", disk.root / "a"
    old.write_bytes(b"new")
    new.write_bytes(b"evidence")
    with pytest.raises(FileExistsError):
        durable.commit_file(old, new)
    assert new.read_bytes() == b"evidence" and old.read_bytes() == b"new"
    new.unlink()
    durable.commit_file(old, new)
    durable.write_file(new, b"replaced whole")
    durable.append_lines(new, b"line\n")
    assert new.read_bytes() == b"replaced whole\nline\n"
    assert [p.name for p in disk.root.iterdir() if "a" in p.name] == ["a"]


def test_a_class_from_first_paper_to_hand_over(disk: FuseDrive, tmp_path: Path) -> None:
    box = site(tmp_path, root=disk.root)
    cameras = tuple("C" * 31 + n for n in "12")
    lessons = tuple(replace(lesson, room_id="R" * 32) for lesson in box.classes[0].lessons)
    box.classes[:] = [
        training_class(
            "A" * 32,
            project="超长的培训项目？" * 20,
            place="很远的:实训楼*" * 30,
            lessons=lessons,
            rooms=(Room("R" * 32, "教室", "theory", cameras),),
        )
    ]
    cls = box.classes[0]
    box.catalog.classes.put(cls.class_id, {"class_id": cls.class_id}, "file", box.clock.now())
    for session, end in ((Session.AM, "09:30"), (Session.PM, "14:30")):
        box.half_day(cls, session)
        box.clock.time = at(end)
        assert len(box.closer().run_once()) == 1
    folder = disk.root / (box.drive.find_class(cls.class_id) or "")
    longest = max((str(p.relative_to(disk.root)) for p in folder.rglob("*.mp4")), key=len)
    assert len(longest) + len("E:\\") <= 200 and "_超长" in longest
    report = verify.verify_drive(box.drive)
    assert report.ok and report.half_days == 2 and report.checked == 8

    half_day = folder / "2026-11-23/上午"
    subprocess.run(["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=half_day, check=True, capture_output=True)
    video = next(half_day.rglob("*.mp4"))
    raw = video.read_bytes()
    video.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    assert [(p.kind, p.path) for p in verify.verify_drive(box.drive).problems] == [
        ("changed", box.drive.relative(video))
    ]
    video.write_bytes(raw)

    before = [(s.path, s.start, s.end, s.sha256) for s in box.catalog.segments.of_class(cls.class_id)]
    chain = box.catalog.chain.of_class(cls.class_id)
    fresh = Catalog(tmp_path / "new.db", ZONE)
    assert rebuild.restore_from_drive(fresh, box.drive, box.clock).lost == ()
    assert [(s.path, s.start, s.end, s.sha256) for s in fresh.segments.of_class(cls.class_id)] == before
    assert [x.head for x in fresh.chain.of_class(cls.class_id)] == [x.head for x in chain]
    fresh.close()

    sealed = Sealer(box.drive, box.clock, box.catalog, box.classes, box.key_dir, "人社局").whole()
    disk.unmount()
    disk.mount("ro")
    away = Drive.open(disk.root)
    report = verify.verify_drive(away, key=away.public_key, heads=[sealed[0].head])
    assert report.ok and report.anchored and away.is_sealed()


def test_a_dead_driver_is_a_missing_drive(disk: FuseDrive, clock: HandClock) -> None:
    drive = new_drive(disk.root, clock, None)
    folder = drive.class_folder(training_class())
    drive.make_folder(folder)
    disk.kill_driver()
    with pytest.raises(OSError) as raw:
        list(disk.root.iterdir())
    # ECONNABORTED for a call that the kernel still held when the driver ended
    assert raw.value.errno in (errno.ENOTCONN, errno.ECONNABORTED)
    for act in (
        drive.check,
        drive.probe,
        drive.space,
        drive.is_sealed,
        drive.class_folders,
        lambda: drive.make_folder("x/y"),
        lambda: drive.is_sealed(folder),
        lambda: drive.class_folder(training_class()),
        lambda: Drive.open(disk.root),
    ):
        with pytest.raises(DriveError) as error:
            act()
        assert error.value.kind == "drive.missing"


def test_the_watch_tells_and_takes_it_back(disk: FuseDrive, tmp_path: Path) -> None:
    box = site(tmp_path, root=disk.root)
    watch = DriveMonitor(
        box.catalog,
        box.clock,
        lambda: box.classes,
        DriveMonitorOptions((disk.root,), box.drive.public_key, reserve_bytes=1 << 20),
    )
    subject = str(disk.root)
    watch.run_once()
    assert watch.current() == box.drive and watch.report()["state"] == "ok"
    disk.kill_driver()
    with pytest.raises(DriveError):
        box.closer().run_once()
    watch.run_once()
    assert watch.report()["state"] == "missing" and watch.healthy() == []
    assert box.catalog.alerts.open_one(AlertKind.DRIVE_MISSING, subject)
    disk.unmount(lazily=True)
    watch.run_once()
    assert list(disk.root.iterdir()) == []
    disk.mount()
    watch.run_once()
    assert watch.report()["state"] == "ok" and not box.catalog.alerts.open_one(AlertKind.DRIVE_MISSING, subject)


def test_full_and_read_only(disk: FuseDrive, clock: HandClock) -> None:
    drive = new_drive(disk.root, clock, None)
    label = (disk.root / layout.LABEL).read_bytes()
    with pytest.raises(OSError) as full, (disk.root / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 16))
    assert full.value.errno == errno.ENOSPC
    with pytest.raises(OSError):
        durable.write_file(disk.root / layout.LABEL, b"y" * (1 << 17))
    assert (disk.root / layout.LABEL).read_bytes() == label and not list(disk.root.glob(f".{layout.LABEL}*"))
    drive.check()
    disk.unmount()
    disk.mount("ro")
    drive = Drive.open(disk.root)
    for act in (drive.check, drive.probe, lambda: drive.make_folder("c")):
        with pytest.raises(DriveError) as error:
            act()
        assert error.value.kind == "drive.read_only"
