"""The doctor's checks, each against the fault that it is for, made for real."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from agent import __version__, i18n
from agent.backup.box_backup import DAY_FACT
from agent.bureau import BureauOptions
from agent.catalog import Catalog
from agent.catalog.views import ViewConfirmation
from agent.core import clock as clocks
from agent.core.alert_model import AlertKind
from agent.core.camera_model import Camera, Stream, Verdict
from agent.core.model import Segment, Session
from agent.demo.broker import find_free_port
from agent.doctor import backups, cameras, drives, examine, finding, link, machine, plan, readiness
from agent.doctor.box import BoxFacts
from agent.doctor.finding import HealthFinding
from agent.drive import Drive, keys
from agent.drive.creation import init_drive
from agent.service.run_history import RunHistory
from tests.support.broker import Broker, needs_mosquitto
from tests.support.clocks import HandClock
from tests.support.drive_factory import ZONE, at, training_class
from tests.support.paths import ROOT

MODEL = ROOT / "models/head-yolo11n.onnx"
NOW = at("10:00")


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    (tmp_path / "state").mkdir(mode=0o700)
    with Catalog(tmp_path / "state/catalog.db", ZONE) as found:
        yield found


@pytest.fixture
def box(tmp_path: Path, catalog: Catalog) -> BoxFacts:
    """A box in which all is well: a drive, a list, a class, an admitted camera, a service that runs."""
    settings = tmp_path / "etc/agent.toml"
    settings.parent.mkdir()
    settings.write_text("")
    settings.chmod(0o640)
    (settings.parent / "recovery.pem").touch()
    models = tmp_path / "models.toml"
    models.write_text('[[camera]]\nmanufacturer = "Example"\nmodel = "VC-*"\n')
    still, state = HandClock(NOW), tmp_path / "state"
    root = tmp_path / "drive"
    root.mkdir()
    init_drive(root, label="L", institution="I", clock=still, key_dir=state / "keys")
    cls = training_class()
    for camera_id in {c for room in cls.rooms for c in room.cameras}:
        catalog.cameras.put(camera(camera_id), NOW)
    RunHistory(catalog, still, machine_boot="b").begin(__version__)
    return BoxFacts(
        clock=still,
        now=NOW,
        zone=ZONE,
        version=__version__,
        settings_file=settings,
        state_dir=state,
        key_dir=state / "keys",
        drives=(root,),
        model=MODEL,
        model_sha256="",
        model_list=models,
        catalog=catalog,
        classes=(cls,),
        smart_file=tmp_path / "health.json",
    )


def camera(camera_id: str, **changes: object) -> Camera:
    stream = Stream("main", "rtsp://10.0.0.9/1", "h264", 1920, 1080, 25.0, audio="aac")
    one = Camera(
        camera_id,
        "10.0.0.9",
        model="VC-1",
        serial=f"S-{camera_id}",
        verdict=Verdict.ADMITTED,
        streams=(stream,),
        up=True,
    )
    return replace(one, **changes)  # type: ignore[arg-type]


def by_check(findings: list[HealthFinding]) -> dict[str, HealthFinding]:
    return {f.check: f for f in findings}


def severity(findings: list[HealthFinding], check: str) -> str:
    found = by_check(findings)
    assert check in found, sorted(found)
    return found[check].severity


def test_all_is_well(box: BoxFacts) -> None:
    """Everything but what this machine cannot have: a drive of its own, and perhaps an NTP daemon."""
    found = [f for f in examine.examine(box) if f.severity in ("warning", "critical")]
    assert {f.check for f in found} <= {f"drive.{box.drives[0]}.mount", "clock"}


def test_every_finding_that_is_not_ok_has_a_mend_in_both_languages() -> None:
    entries = i18n.load_catalogue()
    bad = {k.removesuffix(".mend") for k in entries if k.startswith("doctor.") and k.endswith(".mend")}
    assert bad <= entries.keys()
    assert all(entries[f"{key}.mend"][lang] for key in bad for lang in ("zh", "en"))


def test_exit_status_counts_faults_and_only_new_ones_against_a_baseline() -> None:
    fault, warning = HealthFinding("drive.x", "critical", "a", "b"), HealthFinding("clock", "warning", "a", "b")
    assert finding.compute_exit_status([warning]) == 0
    assert finding.compute_exit_status([warning, fault]) == 1
    assert finding.compute_exit_status([fault], {"drive.x": "critical"}) == 0
    assert finding.compute_exit_status([fault], {"drive.x": "ok"}) == 1
    assert finding.find_worst_severity([warning, fault]) == "critical"


@pytest.mark.parametrize("line", ["硬盘不在；请插好", "the drive is gone; plug it in"])
def test_an_error_gives_finding_and_mend(line: str) -> None:
    found = finding.report_line("drive", "critical", line)
    assert found.finding
    assert found.mend in ("请插好", "plug it in")


def test_service_that_stopped_or_died(box: BoxFacts) -> None:
    assert severity(machine.check_service(box), "service") == "ok"
    assert severity(machine.check_service(replace(box, now=NOW + timedelta(minutes=2))), "service") == "critical"
    assert severity(machine.check_service(replace(box, catalog=None)), "service") == "critical"


def test_cameras(box: BoxFacts) -> None:
    assert box.catalog
    cls = box.classes[0]
    one, two = sorted({c for room in cls.rooms for c in room.cameras})[:2]
    box.catalog.cameras.put(camera(one, verdict=Verdict.UNREACHABLE, reasons=("gone; look at its cable",)), NOW)
    box.catalog.cameras.put(camera(two, verdict=Verdict.FAULTY, reasons=("no sound; switch it on",)), NOW)
    box.catalog.cameras.put(camera("stranger", verdict=Verdict.REFUSED, reasons=("not on the list; ask",)), NOW)
    found = cameras.check_cameras(box)
    assert severity(found, f"cameras.{one}") == "critical"
    assert by_check(found)[f"cameras.{one}"].mend == "look at its cable"
    assert severity(found, f"cameras.{two}") == "warning"
    assert severity(found, "cameras.stranger") == "warning"


def test_a_planned_camera_that_was_never_found_and_one_with_a_wrong_clock(box: BoxFacts) -> None:
    assert box.catalog
    room = replace(box.classes[0].rooms[0], cameras=("cam1", "ghost"))
    cls = replace(box.classes[0], rooms=(room,))
    box.catalog.cameras.put(camera("cam1", clock_offset_s=-28800.0), NOW)
    found = cameras.check_cameras(replace(box, classes=(cls,)))
    assert severity(found, "cameras.ghost") == "critical"
    assert severity(found, "cameras.cam1") == "warning"


def test_a_camera_without_stream_during_a_lesson(box: BoxFacts) -> None:
    assert box.catalog
    name = box.classes[0].rooms[0].cameras[0]
    box.catalog.cameras.set_up(name, False)
    lesson = replace(box, now=box.classes[0].lessons[0].start)
    assert severity(cameras.check_cameras(lesson), f"cameras.{name}") == "critical"
    assert severity(cameras.check_cameras(replace(box, now=at("05:00"))), f"cameras.{name}") == "ok"


def test_model_list_missing_and_empty(box: BoxFacts, tmp_path: Path) -> None:
    assert severity(cameras.check_cameras(replace(box, model_list=tmp_path / "none")), "cameras.list") == "critical"


def test_drive_missing_and_of_another_box(box: BoxFacts, tmp_path: Path) -> None:
    root = box.drives[0]
    assert severity(drives.check_drives(box), f"drive.{root}") == "ok"
    gone = tmp_path / "gone"
    assert severity(drives.check_drives(replace(box, drives=(gone,))), f"drive.{gone}") == "critical"
    # a stand-by that is not plugged in is no fault
    assert severity(drives.check_drives(replace(box, drives=(root, gone))), f"drive.{gone}") == "info"
    keys.ensure_key(tmp_path / "other")
    assert severity(drives.check_drives(replace(box, key_dir=tmp_path / "other")), f"drive.{root}") == "critical"


def test_drive_handed_over(box: BoxFacts) -> None:
    assert box.catalog
    drive = Drive.open(box.drives[0])
    box.catalog.drives.put(
        drive.drive_id,
        label="L",
        institution="I",
        path=str(drive.root),
        created=drive.created,
        public_key=drive.public_key,
        seen_at=NOW,
    )
    box.catalog.drives.set(drive.drive_id, handed_over_at=NOW, handed_over_to="bureau")
    assert severity(drives.check_drives(box), f"drive.{drive.root}") == "critical"


def test_drive_speed_is_measured_and_nothing_is_left_behind(box: BoxFacts) -> None:
    root = box.drives[0]
    before = sorted(p.name for p in root.rglob("*"))
    found = by_check(drives.check_drives(box))[f"drive.{root}.speed"]
    assert found.severity == "ok", found
    assert sorted(p.name for p in root.rglob("*")) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give a folder to another user")
def test_drive_that_the_service_may_not_write(box: BoxFacts) -> None:
    os.chown(box.state_dir, 65534, 65534)
    assert severity(drives.check_drives(box), f"drive.{box.drives[0]}.rights") == "critical"
    os.chown(box.drives[0], 65534, 65534)
    assert severity(drives.check_drives(box), f"drive.{box.drives[0]}.rights") == "critical"
    os.chown(box.drives[0] / ".site-agent", 65534, 65534)
    assert f"drive.{box.drives[0]}.rights" not in by_check(drives.check_drives(box))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"smart_status": {"passed": True}, "temperature": {"current": 35}}, "ok"),
        ({"smart_status": {"passed": False}}, "critical"),
        ({"smart_status": {"passed": True}, "ata_smart_attributes": {"table": [{"id": 197, "raw": {"value": 8}}]}}, "warning"),
        ({"smart_status": {"passed": True}, "nvme_smart_health_information_log": {"media_errors": 2}}, "warning"),
        ({}, "info"),
    ],
)  # fmt: skip
def test_smart(box: BoxFacts, body: dict[str, object], expected: str) -> None:
    box.smart_file.write_text(json.dumps({"at": clocks.format_utc(NOW), "disks": {"/dev/sda": body}}))
    assert severity(drives.check_smart(box), "drive.smart.sda") == expected


def test_smart_missing_and_old(box: BoxFacts) -> None:
    assert severity(drives.check_smart(box), "drive.smart") == "info"
    box.smart_file.write_text(json.dumps({"at": clocks.format_utc(NOW - timedelta(days=20)), "disks": {}}))
    assert severity(drives.check_smart(box), "drive.smart") == "info"


def test_model_with_another_sum(box: BoxFacts, tmp_path: Path) -> None:
    assert severity(machine.check_model(box), "model") == "ok"
    copy = tmp_path / "other.onnx"
    shutil.copy(MODEL, copy)
    with copy.open("ab") as file:
        file.write(b"x")
    wrong = replace(box, model=copy, model_sha256="0" * 64)
    assert severity(machine.check_model(wrong), "model") == "critical"


def test_database_damaged(box: BoxFacts, tmp_path: Path) -> None:
    assert severity(machine.check_database(box), "database") == "ok"
    assert box.catalog
    damaged = tmp_path / "damaged.db"
    box.catalog.store.db.execute("vacuum into ?", [str(damaged)])
    data = bytearray(damaged.read_bytes())
    data[8192 : 8192 + 16384] = os.urandom(16384)
    damaged.write_bytes(data)
    try:
        with Catalog(damaged, ZONE) as broken:
            assert severity(machine.check_database(replace(box, catalog=broken)), "database") == "critical"
    except Exception as error:  # the damage may show as soon as it is opened
        assert type(error).__name__ == "CatalogError"


def test_a_box_without_recovery_key_or_with_an_old_backup(box: BoxFacts) -> None:
    assert box.catalog
    assert severity(backups.check_backup(box), "backup") == "ok"
    box.catalog.facts.put(DAY_FACT, (NOW - timedelta(days=7)).date().isoformat())
    assert severity(backups.check_backup(box), "backup") == "ok"
    box.catalog.facts.put(DAY_FACT, (NOW - timedelta(days=9)).date().isoformat())
    assert severity(backups.check_backup(box), "backup") == "warning"
    (box.settings_file.parent / "recovery.pem").unlink()
    (found,) = backups.check_backup(box)
    assert found.severity == "warning" and "backup --new-key" in found.mend


def test_rights(box: BoxFacts) -> None:
    assert severity(machine.check_permissions(box), "rights") == "ok"
    box.settings_file.chmod(0o644)
    found = machine.check_permissions(box)
    assert severity(found, "rights") == "warning"
    assert "640" in found[0].mend


def test_open_alerts_are_told_and_class_matters_left_out(box: BoxFacts) -> None:
    assert box.catalog
    box.catalog.alerts.raise_(AlertKind.SOUND_SILENT, "cam1", "no sound; look at the microphone", NOW)
    box.catalog.alerts.raise_(AlertKind.ATTENDANCE_SHORTFALL, "C1", "too few", NOW)
    found = machine.check_alerts(box)
    assert [f.check for f in found] == ["alert.sound.silent.cam1"]


def recording(box: BoxFacts, *camera_ids: str) -> None:
    assert box.catalog is not None
    for camera_id in camera_ids:
        box.catalog.segments.open(
            Segment(
                0,
                "D",
                f"{camera_id}.mp4",
                f"{camera_id}.part",
                "open",
                "C1",
                NOW.date(),
                Session.AM,
                "R1",
                camera_id,
                NOW,
            )
        )


def test_only_what_is_recorded_is_said_to_be(box: BoxFacts) -> None:
    """A camera that is gone, a drive that is gone, a service that was killed: the course plan alone records nothing."""
    assert box.catalog is not None
    dead, lesson = "cam2", replace(box, now=at("09:05"), deep=False)
    (found,) = plan.check_plan(lesson)
    assert (found.check, found.severity) == ("schedule", "info") and "cam1, cam2" in found.finding
    recording(box, "cam1", "cam2")
    (found,) = plan.check_plan(lesson)
    assert found.severity == "ok" and "cam1, cam2" in found.finding
    (found,) = plan.check_plan(replace(box, now=at("14:05")))
    assert found.severity == "info", "the service has shown no sign of life for hours"
    lost = camera(dead, verdict=Verdict.UNREACHABLE, reasons=("没有回应；看电源",), address="10.9.9.9:80")
    box.catalog.cameras.put(lost, NOW)
    box.catalog.cameras.set_up(dead, False)
    box.catalog.alerts.raise_(AlertKind.CAMERA_OFFLINE, dead, "没有回应；看电源", NOW, camera_id=dead)
    told = list(examine.examine(lesson))
    assert not [f for f in told if f.severity == "ok" and dead in f.finding]
    assert by_check(told)["schedule"].finding == "正在按课程计划录像：cam1；应录而没有录像：cam2"
    red = [f for f in told if f.severity == "critical" and dead in f.check]
    assert [f.check for f in red] == [f"cameras.{dead}"], "one fault is one red line"


@pytest.mark.parametrize(
    "reason", ["没有回应；看电源", "10.9.9.9:80 没有回应（拒绝连接）；看电源", "10.9.9.9 在 5 秒内没有答完；看网络"]
)
def test_the_address_of_a_camera_is_told_once(box: BoxFacts, reason: str) -> None:
    assert box.catalog is not None
    name = box.classes[0].rooms[0].cameras[0]
    address = "10.9.9.9:80" if ":80" in reason else "10.9.9.9"
    box.catalog.cameras.put(camera(name, verdict=Verdict.UNREACHABLE, reasons=(reason,), address=address), NOW)
    line = by_check(cameras.check_cameras(box))[f"cameras.{name}"].finding
    assert line.count("10.9.9.9") == 1 and line.count(name) == 1, line


def test_classes_that_nobody_signed_are_named(box: BoxFacts) -> None:
    assert box.catalog is not None
    key = (keys.ensure_key(box.key_dir)).strip()
    bureau = BureauOptions("c", "s", "b", port=find_free_port(), tls=False)
    plain = replace(box, bureau=bureau, deep=False)
    assert severity(link.check_link(plain), "bureau.signing") == "info"
    for class_id, source in (("M1", "bureau"), ("M2", "bureau"), ("F1", "file")):
        box.catalog.classes.put(class_id, {}, source, NOW)
    found = by_check(link.check_link(plain))["bureau.signing"]
    assert found.severity == "warning" and "M1, M2" in found.finding and "F1" not in found.finding
    assert "--signing-key" in found.mend
    signed = replace(plain, bureau=replace(bureau, signing_key=key))
    assert "bureau.signing" not in by_check(link.check_link(signed))


def test_a_camera_that_no_class_wants_can_be_forgotten(box: BoxFacts) -> None:
    assert box.catalog is not None
    box.catalog.cameras.put(camera("cam9", verdict=Verdict.UNREACHABLE, reasons=("没有回应；看电源",)), NOW)
    assert "cameras forget cam9" in by_check(cameras.check_cameras(box))["cameras.cam9"].mend


def test_schedule(box: BoxFacts) -> None:
    recording(box, *(c for room in box.classes[0].rooms for c in room.cameras))
    assert severity(plan.check_plan(box), "schedule") == "ok"
    assert severity(plan.check_plan(replace(box, classes=())), "schedule") == "warning"
    rooms = tuple(replace(r, cameras=()) for r in box.classes[0].rooms)
    blind = replace(box.classes[0], rooms=rooms)
    assert severity(plan.check_plan(replace(box, classes=(blind,))), "schedule.C1") == "critical"


def test_a_check_that_hangs_is_given_up() -> None:
    found = examine.run_bounded("drive", lambda: time.sleep(5) or [], 0.2)  # type: ignore[func-returns-value]
    assert severity(found, "drive") == "critical"


def options(port: int, **changes: object) -> BureauOptions:
    return replace(BureauOptions("c", "s", "b", host="127.0.0.1", port=port, tls=False), **changes)  # type: ignore[arg-type]


@needs_mosquitto
def test_broker(box: BoxFacts, tmp_path: Path) -> None:
    with Broker(tmp_path / "broker") as broker:
        found = link.check_link(replace(box, bureau=options(broker.port)))
        assert severity(found, "bureau") == "ok"
        assert severity(found, "bureau.tls") == "warning"
    assert severity(link.check_link(replace(box, bureau=options(find_free_port()))), "bureau") == "critical"
    assert severity(link.check_link(box), "bureau") == "info"


@needs_mosquitto
def test_a_wrong_password_is_told_and_not_shown(box: BoxFacts, tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.touch(mode=0o600)
    subprocess.run(["mosquitto_passwd", "-b", str(users), "box", "right"], check=True)
    with Broker(tmp_path / "broker", settings=f"allow_anonymous false\npassword_file {users}") as broker:
        found = link.check_link(replace(box, bureau=options(broker.port, username="box", password="wrong-One")))
    assert severity(found, "bureau") == "critical"
    assert all("wrong-One" not in f.finding + f.mend for f in found)


@pytest.mark.parametrize(("days", "expected"), [(400, "ok"), (10, "warning")])
def test_certificate_dates(box: BoxFacts, tmp_path: Path, days: int, expected: str) -> None:
    file = tmp_path / "page.pem"
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            str(days),
            "-subj",
            "/CN=x",
            "-keyout",
            str(tmp_path / "key"),
            "-out",
            str(file),
        ],
        check=True,
        capture_output=True,
    )
    today = replace(box, certificates=(("page", file),), now=clocks.SystemClock().now())
    assert severity(link.check_link(today), "certificate.page") == expected
    over = replace(today, now=today.now + timedelta(days=days + 1))
    assert severity(link.check_link(over), "certificate.page") == "critical"
    file.write_text("no certificate")
    assert severity(link.check_link(today), "certificate.page") == "critical"


def test_messages_that_wait(box: BoxFacts, tmp_path: Path) -> None:
    assert box.catalog
    box.catalog.outbox.put("x", "x", {}, NOW - timedelta(hours=3))
    found = link.check_link(replace(box, bureau=options(find_free_port())))
    assert severity(found, "bureau.outbox") == "warning"


def test_readiness(box: BoxFacts) -> None:
    """Only a confirmed view, of this camera and not moved since, makes a class ready."""
    assert box.catalog
    cls = box.classes[0]
    names = [c for room in cls.rooms for c in room.cameras]
    early = replace(box, now=at("05:00"))
    found = readiness.check_readiness(early, cls)
    assert {f.check for f in found if f.severity == "critical"} == {f"class.view.{c}" for c in names}
    for name in names:
        box.catalog.views.confirm(ViewConfirmation(name, f"S-{name}", "张", NOW, "p.jpg"))
    assert finding.compute_exit_status(readiness.check_readiness(early, cls)) == 0
    assert readiness.build_readiness_sheet(early, cls, readiness.check_readiness(early, cls))["ready"] is True

    box.catalog.events.add("picture.view_accepted", NOW + timedelta(hours=1), camera_id=names[0])
    assert severity(readiness.check_readiness(early, cls), f"class.view.{names[0]}") == "critical"
    box.catalog.cameras.put(camera(names[1], serial="another"), NOW)
    assert severity(readiness.check_readiness(early, cls), f"class.view.{names[1]}") == "critical"


def test_readiness_without_sound_camera_or_space(box: BoxFacts, tmp_path: Path) -> None:
    assert box.catalog
    cls, early = box.classes[0], replace(box, now=at("05:00"))
    room = cls.rooms[0]
    for name in room.cameras:
        mute = replace(camera(name).streams[0], audio=None)
        box.catalog.cameras.put(camera(name, streams=(mute,)), NOW)
    assert severity(readiness.check_readiness(early, cls), f"class.room.{room.room_id}.sound") == "critical"
    box.catalog.cameras.put(camera(room.cameras[0], verdict=Verdict.FAULTY, reasons=("dark",)), NOW)
    assert severity(readiness.check_readiness(early, cls), f"class.camera.{room.cameras[0]}") == "critical"
    assert (
        severity(readiness.check_readiness(replace(early, drives=(tmp_path / "no",)), cls), "class.space") == "critical"
    )
    blind = replace(cls, rooms=(replace(room, cameras=()),))
    assert severity(readiness.check_readiness(early, blind), f"class.room.{room.room_id}") == "critical"
