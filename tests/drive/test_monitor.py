"""The watch: alarms within ten seconds, back within ten, standby, forecast; on real small file systems where root."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest

from agent.catalog import Catalog
from agent.core.alert_model import AlertKind
from agent.core.clock import SystemClock
from agent.core.errors import DriveError
from agent.core.model import Segment, Session
from agent.core.schedule import Placement
from agent.drive import Drive, forecast, keys
from agent.drive.creation import init_drive
from agent.drive.monitor import DriveMonitor, DriveMonitorOptions
from tests.support.drive_factory import DAY, ZONE, DriveSite, at, loop_drive, new_drive, site

CAN_MOUNT = os.geteuid() == 0 and shutil.which("mkfs.ext4") is not None and Path("/dev/loop-control").exists()
root_only = pytest.mark.skipif(not CAN_MOUNT, reason="needs root, mkfs.ext4 and loop devices")


@pytest.fixture
def box(tmp_path: Path) -> DriveSite:
    made = site(tmp_path)
    with made.catalog.store.write() as db:
        db.execute("delete from drives")
    return made


def watch(box: DriveSite, *roots: Path, key: str | None = None) -> DriveMonitor:
    public = box.drive.public_key if key is None else key
    return DriveMonitor(
        box.catalog, box.clock, lambda: box.classes, DriveMonitorOptions(roots or (box.drive.root,), public)
    )


def open_kinds(box: DriveSite) -> set[str]:
    return {a.kind.value for a in box.catalog.alerts.opened()}


def kind_of(watcher: DriveMonitor) -> str:
    with pytest.raises(DriveError) as error:
        watcher.current()
    return error.value.kind


def test_a_drive_of_this_box_is_taken_and_remembered(box: DriveSite) -> None:
    watcher = watch(box)
    watcher.run_once()
    assert watcher.current().drive_id == box.drive.drive_id and watcher.healthy() == [watcher.current()]
    assert box.catalog.drives.get(box.drive.drive_id) is not None and open_kinds(box) == set()
    report = watcher.report()
    assert (
        report["state"] == "ok"
        and report["free_bytes"] > 0
        and set(report) == {"drive_id", "state", "free_bytes", "days_left"}
    )


def test_missing_and_back(box: DriveSite) -> None:
    watcher = watch(box)
    watcher.run_once()
    away = box.drive.root.with_name("away")
    box.drive.root.rename(away)
    box.drive.root.mkdir()
    box.clock.go(2)
    gone = box.clock.now()
    watcher.run_once()
    assert kind_of(watcher) == "drive.missing" and open_kinds(box) == {"drive.missing"}
    assert watcher.report()["state"] == "missing"
    assert list(box.drive.root.iterdir()) == []
    sent = box.catalog.outbox.size()
    box.clock.go(2)
    watcher.run_once()
    assert box.catalog.outbox.size() == sent, "one alarm, not one every two seconds"
    box.drive.root.rmdir()
    away.rename(box.drive.root)
    box.clock.go(2)
    watcher.run_once()
    assert watcher.current().drive_id == box.drive.drive_id and open_kinds(box) == set()
    event = box.catalog.events.last("drive.missing")
    assert event and event.at == gone and event.until == box.clock.now() and event.drive_id == box.drive.drive_id
    assert box.catalog.events.last("drive.returned") is not None


def test_drives_that_are_not_ours(box: DriveSite, tmp_path: Path) -> None:
    keys.ensure_key(tmp_path / "other")
    foreign = new_drive(tmp_path / "foreign", box.clock, tmp_path / "other")
    unsigned = new_drive(tmp_path / "unsigned", box.clock, None)
    for drive in (foreign,):
        watcher = watch(box, drive.root)
        watcher.run_once()
        assert kind_of(watcher) == "drive.wrong" and open_kinds(box) == {"drive.wrong"}
    box.catalog.alerts.clear(AlertKind.DRIVE_WRONG, str(foreign.root), box.clock.now())
    watcher = watch(box, unsigned.root)
    watcher.run_once()
    assert watcher.current().drive_id == unsigned.drive_id
    shutil.rmtree(unsigned.root)
    new_drive(unsigned.root, box.clock, None)
    watcher.run_once()
    assert kind_of(watcher) == "drive.wrong", "an unsigned drive cannot replace another"


def test_handed_over_and_sealed_drives_are_refused(box: DriveSite) -> None:
    box.know(box.drive)
    box.catalog.drives.set(box.drive.drive_id, handed_over_at=box.clock.now(), handed_over_to="人社局")
    watcher = watch(box)
    watcher.run_once()
    assert kind_of(watcher) == "drive.wrong"
    box.catalog.drives.set(box.drive.drive_id, handed_over_at=None)
    watcher.run_once()
    watcher.current()
    (box.drive.root / ".site-agent/sealed.json").write_text("{}")
    watcher.run_once()
    assert kind_of(watcher) == "drive.wrong" and not watcher.healthy()


def test_standby_takes_over_and_stays(box: DriveSite, tmp_path: Path) -> None:
    second = new_drive(tmp_path / "second", box.clock, box.key_dir)
    watcher = watch(box, box.drive.root, second.root)
    watcher.run_once()
    assert watcher.current().drive_id == box.drive.drive_id and len(watcher.healthy()) == 2
    away = box.drive.root.with_name("away")
    box.drive.root.rename(away)
    watcher.run_once()
    assert watcher.current().drive_id == second.drive_id and open_kinds(box) == {"drive.missing"}
    assert box.catalog.events.last("drive.missing") is None, "recording never stopped, so there is no gap to explain"
    away.rename(box.drive.root)
    watcher.run_once()
    assert watcher.current().drive_id == second.drive_id and open_kinds(box) == set()


BROKEN = DriveError("drive.error", "drive.error", root="-", detail="Input/output error")


def test_what_recorders_say_is_told_and_ends_when_they_are_quiet(box: DriveSite) -> None:
    """The watch's own few bytes get through, the video does not."""
    watcher = watch(box)
    watcher.run_once()
    watcher.complain(watcher.current(), DriveError("drive.missing", "drive.missing", root=box.drive.root))
    watcher.run_once()
    assert open_kinds(box) == set(), "what the watch sees by itself needs no complaint"
    for _ in range(10):
        watcher.complain(watcher.current(), BROKEN)
        box.clock.go(2)
        watcher.run_once()
        assert open_kinds(box) == {"drive.error"} and watcher.report()["state"] == "error"
        assert watcher.current().drive_id == box.drive.drive_id, "it goes on being tried"
    assert len([m for m in box.catalog.outbox.waiting() if m.topic == "alert/drive.error"]) == 1
    box.clock.go(16)
    watcher.run_once()
    assert open_kinds(box) == set() and watcher.report()["state"] == "ok"


def test_standby_takes_over_from_a_drive_that_recorders_cannot_write_to(box: DriveSite, tmp_path: Path) -> None:
    second = new_drive(tmp_path / "second", box.clock, box.key_dir)
    watcher = watch(box, box.drive.root, second.root)
    watcher.run_once()
    watcher.complain(watcher.current(), BROKEN)
    for _ in range(3):
        watcher.run_once()
        box.clock.go(30)
        assert watcher.current().drive_id == second.drive_id and open_kinds(box) == {"drive.error"}
    # exchanged: what was held against the old one is forgotten
    away = box.drive.root.with_name("away")
    box.drive.root.rename(away)
    watcher.run_once()
    away.rename(box.drive.root)
    watcher.run_once()
    assert open_kinds(box) == set() and watcher.current().drive_id == second.drive_id


def test_what_a_killed_run_left_open_is_ended(box: DriveSite) -> None:
    number = box.catalog.events.add("drive.full", box.clock.now())
    box.clock.go(60)
    watch(box).run_once()
    event = box.catalog.events.last("drive.full")
    assert event and event.event_id == number and event.until == box.clock.now()


def test_an_app_that_never_looked_has_no_drive(box: DriveSite) -> None:
    assert kind_of(watch(box)) == "drive.missing"


def test_hanging_disk_does_not_hang_the_watch(box: DriveSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """(A made fault: no device here hangs on demand.)"""
    release = threading.Event()
    monkeypatch.setattr(Drive, "probe", lambda self: release.wait(20))
    options = DriveMonitorOptions((box.drive.root,), box.drive.public_key, patience_s=0.2)
    watcher = DriveMonitor(box.catalog, box.clock, lambda: box.classes, options)
    began = time.monotonic()
    watcher.run_once()
    watcher.run_once()
    assert time.monotonic() - began < 2 and kind_of(watcher) == "drive.error" and open_kinds(box) == {"drive.error"}
    monkeypatch.undo()
    release.set()
    time.sleep(0.1)
    watcher.run_once()
    watcher.current()


@root_only
@pytest.mark.root
class TestMonitorOnRealDisk:
    def make(self, tmp_path: Path, mount: Path) -> tuple[Catalog, Drive, DriveMonitor, Path]:
        clock = SystemClock()
        key = keys.ensure_key(tmp_path / "keys")
        drive = init_drive(mount, label="盘", institution="x", clock=clock, key_dir=tmp_path / "keys")
        catalog = Catalog(tmp_path / "c.db", ZONE)
        return catalog, drive, DriveMonitor(catalog, clock, list, DriveMonitorOptions((mount,), key)), mount

    @pytest.mark.long
    def test_pulled_read_only_full_and_back_within_ten_seconds(self, tmp_path: Path) -> None:
        with loop_drive(tmp_path, 24) as mount:
            catalog, drive, watcher, _ = self.make(tmp_path, mount)
            stop = threading.Event()
            thread = threading.Thread(target=watcher.run, args=(stop,))
            thread.start()
            try:
                _until(lambda: watcher.current() is not None)
                for kind, hurt, mend in (
                    (
                        "drive.read_only",
                        ["mount", "-o", "remount,ro", str(mount)],
                        ["mount", "-o", "remount,rw", str(mount)],
                    ),
                    (
                        "drive.missing",
                        ["umount", "-l", str(mount)],
                        ["mount", "-o", "loop", str(tmp_path / "disk-24-ext4.img"), str(mount)],
                    ),
                ):
                    subprocess.run(hurt, check=True)
                    alarm = _until(lambda k=kind: any(a.kind == k for a in catalog.alerts.opened()))  # type: ignore[misc]
                    subprocess.run(mend, check=True)
                    back = _until(lambda: not catalog.alerts.opened() and watcher.current().drive_id == drive.drive_id)
                    assert alarm < 10 and back < 10
                filler = mount / "filler"
                with filler.open("wb", buffering=0) as file, pytest.raises(OSError):
                    while True:
                        file.write(b"x" * 65536)
                assert _until(lambda: any(a.kind == "drive.full" for a in catalog.alerts.opened())) < 10
                row = catalog.drives.get(drive.drive_id)
                assert row and row.stopped_at is not None and row.stopped_reason == "drive.full"
                filler.unlink()
                assert _until(lambda: watcher.current().drive_id == drive.drive_id) < 10
                _until(lambda: not any(a.kind == "drive.full" for a in catalog.alerts.opened()))
            finally:
                stop.set()
                thread.join(10)
            assert not thread.is_alive()


def _until(true: object, seconds: float = 15) -> float:
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        try:
            if true():  # type: ignore[operator]
                return time.monotonic() - began
        except DriveError:
            pass
        time.sleep(0.05)
    raise AssertionError("did not happen")


def seg(camera: str, start: str, end: str, size: int, day: int = 0) -> Segment:
    shift = timedelta(days=day)
    return Segment(
        1, "D", "p", "t", "finished", "C1", DAY, Session.AM, "R1", camera, at(start) + shift, at(end) + shift, size
    )


def stretch(camera: str, hours: float, day: int) -> Placement:
    start = at("08:00") + timedelta(days=day)
    return Placement("C1", DAY, Session.AM, "R1", camera, start, start + timedelta(hours=hours))


def test_forecast_walks_the_plan_at_the_real_rate() -> None:
    past = [seg("cam1", "08:00", "09:00", 3600_000_000)]  # 1 MB/s
    now = at("08:00") + timedelta(days=1)
    plan = [stretch("cam1", 2, day) for day in range(1, 11)]  # 7.2 GB a day
    assert forecast.estimate_days_left(7_200_000_000 + 3_600_000_000, past, plan, now) == pytest.approx(1 + 1 / 24)
    # cam2 was never seen: it is taken to write as much as the others
    both = plan + [stretch("cam2", 2, day) for day in range(1, 11)]
    assert forecast.estimate_days_left(7_200_000_000, past, both, now) == pytest.approx(2 / 24)
    # the plan ends first: the rest goes on as the plan did on average
    long = forecast.estimate_days_left(144_000_000_000, past, plan, now)
    assert long is not None and 17 < long < 21
    assert forecast.estimate_days_left(10**9, [], plan, now) is None
    assert forecast.estimate_days_left(100, past, plan, now, reserve=100) == 0
    assert forecast.estimate_days_left(36 * 10**8, past, [], now) == pytest.approx(1.0)


def test_filling_is_told_once_a_mark(box: DriveSite) -> None:
    total = box.drive.space()[1]
    marks = ((2.0, 0.0), (0.0, 0.0))  # any drive is below twice its size
    options = DriveMonitorOptions((box.drive.root,), box.drive.public_key, marks=marks, reserve_bytes=1, forecast_s=0)
    watcher = DriveMonitor(box.catalog, box.clock, lambda: box.classes, options)
    watcher.run_once()
    sent = [m for m in box.catalog.outbox.waiting() if m.topic == "alert/drive.filling"]
    watcher.run_once()
    assert total and len(sent) == 1 and open_kinds(box) == {"drive.filling"}
    assert len([m for m in box.catalog.outbox.waiting() if m.topic == "alert/drive.filling"]) == 1
    watcher.current()
