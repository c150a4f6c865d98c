"""What systemd hears: a line that says how it is, and a sign of life only while bytes reach the drive or a reason is known."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from agent import i18n
from agent.catalog.health import Examination
from agent.class_files.classes import serialize_class
from agent.core.alert_model import AlertKind
from agent.core.camera_model import Camera, Verdict
from agent.core.model import Segment, Session
from agent.doctor import finding
from agent.drive import keys
from agent.drive.monitor import DriveMonitor, DriveMonitorOptions
from agent.service.watchdog import SILENT_S, STALE_S, Watchdog
from agent.settings.wiring import ClassBook, RecordingPlan
from tests.support.drive_factory import DAY, DriveSite, at, site


class WatchdogBench:
    """A box with a drive and one admitted camera whose stream is up; `grow` is what its recorder does."""

    def __init__(self, made: DriveSite, *, always: bool = False) -> None:
        self.made, self.always = made, always
        assert made.key_dir
        made.catalog.classes.put("C1", serialize_class(made.classes[0], made.catalog.zone), "file", made.clock.now())
        made.catalog.cameras.put(Camera("cam1", "10.0.0.1", verdict=Verdict.ADMITTED), made.clock.now())
        made.catalog.cameras.set_up("cam1", True)
        self.book = ClassBook(made.catalog)
        options = DriveMonitorOptions((made.drive.root,), keys.load_public_key(made.key_dir))
        self.drives = DriveMonitor(made.catalog, made.clock, self.book.all, options)
        self.drives.run_once()
        self.replaced: list[str] = []
        self.can_replace = False
        self.still: dict[str, float] = {}
        self.pulse = Watchdog(
            made.catalog,
            made.clock,
            self.book,
            self.drives,
            plan=self.plan,
            link=lambda: True,
            replace=self.replace,
            still_s=lambda camera_id: self.still.get(camera_id, 0.0),
        )

    def replace(self, camera_id: str) -> bool:
        if self.can_replace:
            self.replaced.append(camera_id)
        return self.can_replace

    def plan(self, camera_id: str, moment: datetime) -> RecordingPlan | None:
        return self.book.always(camera_id, moment, "学校") if self.always else self.book.plan(camera_id, moment)

    def begin(self, camera_id: str = "cam1") -> Path:
        file = self.made.drive.root / f"{camera_id}.part"
        file.write_bytes(b"x")
        self.made.catalog.segments.open(
            Segment(
                0,
                self.made.drive.drive_id,
                f"{camera_id}.mp4",
                file.name,
                "open",
                "C1",
                DAY,
                Session.AM,
                "R1",
                camera_id,
                self.made.clock.now(),
            )
        )
        return file

    def after(self, seconds: float) -> bool:
        """Whether the watchdog is fed then."""
        self.made.clock.go(seconds)
        return "WATCHDOG=1" in self.pulse.lines()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[WatchdogBench]:
    made = site(tmp_path)
    yield WatchdogBench(made)
    made.catalog.close()


def test_a_file_that_grows_feeds_the_watchdog_and_one_that_does_not_starves_it(rig: WatchdogBench) -> None:
    file = rig.begin()
    for _ in range(4):
        file.write_bytes(file.read_bytes() + b"x")
        assert rig.after(STALE_S * 0.9)
    assert rig.after(STALE_S * 0.9)
    assert not rig.after(STALE_S * 0.9), "no byte for longer than STALE_S, and no reason"
    file.write_bytes(file.read_bytes() + b"x")
    assert rig.after(5)


def test_a_recorder_that_never_begins_starves_it_too(rig: WatchdogBench) -> None:
    assert rig.after(1)
    assert not rig.after(STALE_S + 1)


def test_a_recorder_that_hangs_while_it_connects_starves_it_as_well(rig: WatchdogBench) -> None:
    rig.made.catalog.cameras.set_up("cam1", False)
    assert rig.after(1)
    assert rig.after(SILENT_S - 10)
    assert not rig.after(20), "no stream, no bytes, and nobody says why"
    rig.made.catalog.cameras.set_up("cam1", True)
    assert rig.after(1), "a stream that has just come has its own time"


def test_one_recorder_that_hangs_is_replaced_and_does_not_end_the_others(tmp_path: Path) -> None:
    made = site(tmp_path)
    rig = WatchdogBench(made, always=True)
    made.catalog.cameras.put(Camera("cam2", "10.0.0.2", verdict=Verdict.ADMITTED), made.clock.now())
    made.catalog.cameras.set_up("cam2", True)
    rig.begin()
    good = rig.begin("cam2")

    def pass_(seconds: float) -> bool:
        good.write_bytes(good.read_bytes() + b"x")
        return rig.after(seconds)

    assert pass_(1)
    assert not pass_(STALE_S + 1), "it cannot be replaced"
    rig.can_replace = True
    assert pass_(1) and rig.replaced == ["cam1"]
    assert pass_(STALE_S - 1) and rig.replaced == ["cam1"], "the new one has its time"
    assert pass_(2) and rig.replaced == ["cam1", "cam1"]
    assert not rig.after(STALE_S + 1), "nothing reaches the drive any more"
    assert rig.replaced == ["cam1", "cam1"], "nor would it from others"
    assert pass_(1)
    made.catalog.close()


def test_a_recorder_that_hangs_again_after_it_was_replaced_is_found_too(rig: WatchdogBench) -> None:
    """The one before was told as `camera.offline`, and the new one hung before its first picture: an excuse for ever."""
    rig.begin()
    rig.after(1)
    rig.made.catalog.cameras.set_up("cam1", False)
    told = AlertKind.CAMERA_OFFLINE, "cam1", "离线", rig.made.clock.now()
    rig.made.catalog.alerts.raise_(*told, camera_id="cam1")
    rig.can_replace = True
    assert rig.after(STALE_S + 1) and rig.replaced == [], "a recorder that goes on trying is well"
    rig.still["cam1"] = STALE_S + 1
    assert rig.after(1) and rig.replaced == ["cam1"]
    rig.can_replace = False
    assert not rig.after(1), "and where no more can be replaced the agent begins anew"
    rig.made.clock.time = at("12:30")
    assert rig.after(1), "no class is on"


def test_each_stated_reason_feeds_it(rig: WatchdogBench) -> None:
    rig.begin()
    rig.after(1)
    rig.made.catalog.cameras.set_up("cam1", False)
    assert rig.after(STALE_S + 1), "the recorder has a moment to find out and tell"
    told = AlertKind.CAMERA_OFFLINE, "cam1", "离线", rig.made.clock.now()
    rig.made.catalog.alerts.raise_(*told, camera_id="cam1")
    assert rig.after(SILENT_S + 1), "the camera is away, which has an alert of its own"
    rig.made.catalog.alerts.clear(*told[:2], rig.made.clock.now())
    rig.made.catalog.cameras.set_up("cam1", True)
    assert rig.after(1)
    assert not rig.after(STALE_S + 1)
    rig.made.catalog.cameras.put(Camera("cam1", "10.0.0.1", verdict=Verdict.REFUSED), rig.made.clock.now())
    assert rig.after(1), "it is not on the list"
    rig.made.catalog.cameras.put(Camera("cam1", "10.0.0.1", verdict=Verdict.ADMITTED), rig.made.clock.now())
    assert rig.after(1)
    assert not rig.after(STALE_S + 1)
    shutil.move(rig.made.drive.root, rig.made.folder / "away")
    rig.drives.run_once()
    assert rig.after(1), "the drive is missing"
    shutil.move(rig.made.folder / "away", rig.made.drive.root)
    rig.drives.run_once()
    assert rig.after(1)
    rig.made.clock.time = at("12:30")
    assert rig.after(STALE_S + 1), "no class is on"


def test_what_is_recorded_outside_the_plan_is_watched_as_well(tmp_path: Path) -> None:
    made = site(tmp_path)
    made.clock.time = at("12:30")
    rig = WatchdogBench(made, always=True)
    rig.begin()
    assert rig.after(1)
    assert not rig.after(STALE_S + 1)
    made.catalog.close()


def test_the_line_says_cameras_drive_schedule_link_and_health(rig: WatchdogBench) -> None:
    assert rig.pulse.status() == "摄像机 1/1 路有画面；硬盘正常，可用 — 天；正在上课：C1；人社局服务器已连接"
    rig.made.clock.time = at("12:30")
    assert "下次录像 2026-11-23 13:45" in rig.pulse.status()
    found = (finding.report_line("clock", "critical", "x"), finding.report_line("model", "warning", "x"))
    rig.made.catalog.health.put(Examination(rig.made.clock.now(), found))
    assert rig.pulse.status().endswith("；自检：故障 1 项，注意 1 项")
    rig.made.clock.time = at("20:00")
    rig.made.clock.go(100)
    i18n.use_language("en")
    try:
        assert "no lesson to come; bureau connected; self-check: 1 faults, 1 warnings" in rig.pulse.status()
    finally:
        i18n.use_language("zh")
