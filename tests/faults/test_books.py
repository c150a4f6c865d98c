"""What the ledger says of time in which nobody watched: before the first start, after a rebuild, before the first search."""

from __future__ import annotations

import socket
import struct
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from agent.catalog import Catalog
from agent.core import sd_notify
from agent.core.alert_model import AlertKind
from agent.core.camera_model import Camera, Verdict
from agent.core.errors import DriveError
from agent.core.model import Session
from agent.drive import class_gaps, rebuild
from agent.recording.options import RecordingOptions, StreamSource
from agent.recording.recover import recover
from agent.service.run_history import RunHistory
from tests.support.clocks import HandClock
from tests.support.drive_factory import DriveSite, at, site, video
from tests.support.recording_bench import CAMERA, RecordingBench, wait_for

ZONE = ZoneInfo("Asia/Shanghai")


@pytest.fixture
def class_site(tmp_path: Path) -> DriveSite:
    return site(tmp_path, signed=False)


def reasons(catalog: Catalog, over: DriveSite, now: str, *, alive: bool = True) -> list[tuple[str, str, str]]:
    if alive:
        over.clock.time = at(now)
        RunHistory(catalog, over.clock, machine_boot="a").run_once()
    found = class_gaps.find_class_gaps(catalog, over.classes, "C1", at(now), session=Session.AM)
    return [
        (f"{g.start.astimezone(ZONE):%H:%M:%S}", f"{g.end.astimezone(ZONE):%H:%M:%S}", g.reason)
        for g in found
        if g.camera_id == "cam1"
    ]


def test_time_before_the_first_start_is_the_agents(class_site: DriveSite) -> None:
    """The class was imported the day before; the agent was first started in its middle."""
    box = class_site
    box.catalog.events.add("class.imported", at("08:00") - timedelta(days=1), detail={"class_id": "C1"})
    box.clock.time = at("09:04")
    RunHistory(box.catalog, box.clock, machine_boot="a").begin("1")
    box.record(box.classes[0], "cam1", Session.AM, at("09:04:02"), at("09:10"))
    assert reasons(box.catalog, box, "09:10") == [("09:00:00", "09:04:02", "agent_down")]
    assert box.catalog.alerts.recent() == []


def test_time_after_an_orderly_stop_is_the_agents(class_site: DriveSite) -> None:
    box = class_site
    box.clock.time = at("08:50")
    RunHistory(box.catalog, box.clock, machine_boot="a").begin("1")
    box.record(box.classes[0], "cam1", Session.AM, at("08:50"), at("09:03"))
    box.clock.time = at("09:03")
    RunHistory(box.catalog, box.clock, machine_boot="a").end()
    assert reasons(box.catalog, box, "09:03:02", alive=False) == [("09:03:00", "09:03:02", "agent_down")]
    assert reasons(box.catalog, box, "09:06", alive=False) == [("09:03:00", "09:06:00", "agent_down")]
    box.clock.time = at("09:07")
    RunHistory(box.catalog, box.clock, machine_boot="a").begin("1")
    box.record(box.classes[0], "cam1", Session.AM, at("09:07:01"), at("09:10"))
    assert reasons(box.catalog, box, "09:10") == [("09:03:00", "09:07:01", "agent_down")]


@pytest.mark.parametrize(("boot", "reason"), [("a", "agent_down"), ("b", "power_loss")])
def test_a_rebuilt_catalog_knows_how_the_last_run_ended(
    boot: str, reason: str, class_site: DriveSite, tmp_path: Path
) -> None:
    """The facts (sign of life, boot) went with the database; events, segments and looks tell the same."""
    box = class_site
    box.clock.time = at("08:50")
    RunHistory(box.catalog, box.clock, machine_boot="a").begin("1")
    box.record(box.classes[0], "cam1", Session.AM, at("08:50"), at("09:03"))
    box.closer().run_once()
    box.catalog.close()
    (tmp_path / "catalog.db").unlink()
    box.clock.time = at("09:07")
    catalog, _ = rebuild.open_or_rebuild(tmp_path / "catalog.db", ZONE, [box.drive], box.clock)
    catalog.events.add("catalog.rebuilt", at("09:07"))
    RunHistory(catalog, box.clock, machine_boot=boot).begin("1")
    box.catalog = catalog
    box.record(box.classes[0], "cam1", Session.AM, at("09:07:01"), at("09:10"))
    assert reasons(catalog, box, "09:10") == [("09:03:00", "09:07:01", reason)]
    assert [a.kind for a in catalog.alerts.recent()] == [AlertKind.AGENT_RESTARTED]
    catalog.close()


def test_a_box_that_began_in_1970_says_nothing_of_earlier_gaps(class_site: DriveSite) -> None:
    """Without a clock of its own each start steps over all the years; only the time since its last run was skipped."""
    box = class_site
    box.clock.time = at("08:50")
    RunHistory(box.catalog, box.clock, machine_boot="a").begin("1")
    box.record(box.classes[0], "cam1", Session.AM, at("08:50"), at("09:02"))
    number = box.catalog.events.add("camera.down", at("09:02"), camera_id="cam1")
    box.catalog.events.end(number, at("09:05"))
    box.record(box.classes[0], "cam1", Session.AM, at("09:05"), at("09:06"))
    box.clock.time = at("09:06")
    RunHistory(box.catalog, box.clock, machine_boot="a").end()
    clock = HandClock(datetime(1970, 1, 1, tzinfo=UTC))
    life = RunHistory(box.catalog, clock, machine_boot="b")
    life.begin("1")
    life.run_once()
    clock.time = at("09:08")
    life.run_once()
    box.record(box.classes[0], "cam1", Session.AM, at("09:08"), at("09:10"))
    assert reasons(box.catalog, box, "09:10") == [
        ("09:02:00", "09:05:00", "camera_offline"),
        ("09:06:00", "09:08:00", "clock_step"),
    ]


def test_a_step_of_the_clock_is_not_told_for_ever_by_a_box_that_was_killed_soon_after_it(class_site: DriveSite) -> None:
    box, clock = class_site, HandClock(at("08:50"))
    life = RunHistory(box.catalog, clock, machine_boot="a")
    life.begin("1")
    life.run_once()
    clock.time += timedelta(hours=1)
    life.run_once()
    assert [a.kind for a in box.catalog.alerts.opened()] == [AlertKind.CLOCK_STEPPED]
    life = RunHistory(box.catalog, clock, machine_boot="a")
    life.begin("1")
    for _ in range(3):
        clock.go(301)
        life.run_once()
    assert box.catalog.alerts.opened() == []


def test_a_matter_that_comes_back_is_another_alert(class_site: DriveSite) -> None:
    """Camera away since the lesson began, met by a search, and still not recorded: the beginning is the same."""
    alerts, told = class_site.catalog.alerts, []
    for minute in ("09:01", "09:03"):
        told.append(alerts.raise_(AlertKind.CAMERA_OFFLINE, "cam1", "away", at(minute), since=at("09:00")))
        alerts.clear(AlertKind.CAMERA_OFFLINE, "cam1", at(minute) + timedelta(minutes=1))
    assert [a.state for a in told] == ["raised", "raised"]
    assert told[0].alert_id != told[1].alert_id
    assert len(alerts.recent()) == 2


def without_source(tmp_path: Path) -> RecordingBench:
    rig = RecordingBench(tmp_path, StreamSource("rtsp://127.0.5.9:1/main"), RecordingOptions(offline_seconds=1.5))
    rig.source = None  # type: ignore[assignment]
    return rig


def test_a_camera_that_no_search_has_judged_is_not_called_refused(tmp_path: Path) -> None:
    """First the search has its time, then it is a camera that is not there."""
    rig = without_source(tmp_path)
    with rig.catalog.store.write() as db:
        db.execute("delete from cameras")
    rig.start()
    try:
        time.sleep(1)
        assert not rig.events("camera.down")
        wait_for(lambda: rig.events("camera.down"), "not told")
        wait_for(lambda: rig.catalog.alerts.open_one(AlertKind.CAMERA_OFFLINE, CAMERA), "no alert")
    finally:
        rig.stop()
    assert not rig.events("camera.refused")


def test_a_camera_that_was_refused_is_called_refused(tmp_path: Path) -> None:
    rig = without_source(tmp_path)
    rig.catalog.cameras.put(Camera(CAMERA, "127.0.0.1", verdict=Verdict.REFUSED), rig.clock.now())
    rig.start()
    try:
        wait_for(lambda: rig.events("camera.refused"), "not told")
    finally:
        rig.stop()
    assert not rig.events("camera.down")


def test_a_service_manager_that_does_not_read_holds_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf:
        deaf.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        begun = time.monotonic()
        for _ in range(20):
            for _ in range(100):
                sd_notify.notify_systemd("WATCHDOG=1")
                if time.monotonic() - begun > 0.4:
                    return
        raise AssertionError("the socket never filled")


def piece(kind: bytes, size: int, held: int | None = None) -> bytes:
    """A box that says `size`, of which `held` bytes are there."""
    return (struct.pack(">I4s", size, kind) + bytes(size))[: size if held is None else held]


HEADER = piece(b"ftyp", 28) + piece(b"free", 8) + piece(b"moov", 600)


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        (b"", False), (HEADER, False), (HEADER[:300], False), (HEADER + piece(b"moof", 400, 200), False),
        (HEADER + piece(b"moof", 400) + piece(b"mdat", 9000, 3000), False),
        (HEADER + bytes(2000), False), (HEADER + bytes(2000) + b"x", True),
        # half a finish: everything under one mdat, the index lost
        (piece(b"ftyp", 28) + piece(b"mdat", 90000, 5000), True),
        (HEADER + piece(b"moof", 400) + piece(b"mdat", 900) + piece(b"moof", 400, 100), True),
    ],
    ids=[
        "empty", "header", "half a header", "half a moof", "half a fragment", "zeros", "zeros and more", "half a finish",
        "a fragment and a half",
    ],
)  # fmt: skip
def test_only_what_holds_no_whole_fragment_is_thrown_away(content: bytes, kept: bool, class_site: DriveSite) -> None:
    box = class_site
    done = box.record(box.classes[0], "cam1", Session.AM, at("09:00"), at("09:01"))
    part = (box.drive.root / done.path).with_name(".090100.mp4.part")
    part.write_bytes(content)
    name = str(Path(done.path).with_name("090100.mp4"))
    temporary = box.drive.relative(part)
    box.catalog.segments.open(
        replace(
            done, path=name, temporary=temporary, state="open", start=at("09:01"), end=None, bytes=None, sha256=None
        )
    )
    assert recover(box.catalog, [box.drive], box.clock) == []
    assert part.exists() == kept
    assert not box.catalog.segments.opened()
    assert box.catalog.events.last("segment.lost")


def test_a_file_that_cannot_be_read_keeps_no_other_from_being_finished(class_site: DriveSite, tmp_path: Path) -> None:
    box = class_site
    done = box.record(box.classes[0], "cam1", Session.AM, at("09:00"), at("09:01"))
    for minute in ("01", "02"):
        part = (box.drive.root / done.path).with_name(f".09{minute}00.mp4.part")
        # (made: nothing here has a bad sector; a folder gives an error of the operating system as well)
        part.mkdir() if minute == "01" else part.write_bytes(video(3, tmp_path))
        row = replace(
            done,
            path=str(Path(done.path).with_name(f"09{minute}00.mp4")),
            temporary=box.drive.relative(part),
            state="open",
            start=at(f"09:{minute}"),
            end=None,
            bytes=None,
            sha256=None,
        )
        box.catalog.segments.open(row)
    with pytest.raises(DriveError):
        recover(box.catalog, [box.drive], box.clock)
    assert [s.start for s in box.catalog.segments.of_class("C1")] == [at("09:00"), at("09:02")]
    assert [s.start for s in box.catalog.segments.opened()] == [at("09:01")]

    # a day later it is given up, so that its half-day can be closed; what lies there stays
    box.clock.time = at("09:01") + timedelta(days=1)
    recover(box.catalog, [box.drive], box.clock)
    assert not box.catalog.segments.opened()
    lost = box.catalog.events.last("segment.lost")
    assert lost is not None and lost.detail["why"] == "unreadable"
    assert (box.drive.root / done.path).with_name(".090100.mp4.part").exists()


def test_facts_of_an_old_copy_say_nothing_of_the_last_run(class_site: DriveSite) -> None:
    """The daily copy brought back a sign of life; segments of the drive are younger."""
    box = class_site
    box.clock.time = at("08:50")
    RunHistory(box.catalog, box.clock, machine_boot="a").begin("1")
    box.record(box.classes[0], "cam1", Session.AM, at("08:50"), at("09:03"))
    box.clock.time = at("09:07")
    RunHistory(box.catalog, box.clock, machine_boot="b").begin("1")
    box.record(box.classes[0], "cam1", Session.AM, at("09:07:01"), at("09:10"))
    assert reasons(box.catalog, box, "09:10") == [("09:03:00", "09:07:01", "power_loss")]
