"""Sealing for hand-over, and the catalog made again from the drive alone."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.__main__ import main
from agent.catalog import Catalog
from agent.core.alert_model import AlertKind
from agent.core.errors import CatalogBlocked, DriveError, InputError
from agent.core.model import Session
from agent.drive import Drive, class_gaps, layout, rebuild, verify
from agent.drive.seal import Sealer
from agent.recording.recover import recover
from tests.support.drive_factory import DAY, ZONE, DriveSite, at, new_drive, site, training_class, video

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs openssh-client")


@pytest.fixture
def over(tmp_path: Path) -> DriveSite:
    """A class that is over: two half-days recorded and closed, with an alert and a gap's event."""
    box = site(tmp_path)
    cls = box.classes[0]
    box.catalog.alerts.raise_(
        AlertKind.ATTENDANCE_SHORTFALL, "C1 am", "到课不足", at("09:05"), class_id="C1", day=DAY, session=Session.AM
    )
    box.catalog.alerts.clear(AlertKind.ATTENDANCE_SHORTFALL, "C1 am", at("09:09"))
    box.half_day(cls, Session.AM)
    box.clock.time = at("09:30")
    box.closer().run_once()
    box.half_day(cls, Session.PM)
    number = box.catalog.events.add("camera.down", at("14:09"), camera_id="cam1")
    box.catalog.events.end(number, at("14:20"))
    box.catalog.audit.add(at("14:20"), "wang", "clip", "C1")
    box.clock.time = at("14:30")
    box.closer().run_once()
    return box


def sealer(box: DriveSite, to: str = "") -> Sealer:
    return Sealer(box.drive, box.clock, box.catalog, box.classes, box.key_dir, to)


def folder(box: DriveSite) -> Path:
    return box.drive.root / (box.drive.find_class("C1") or "")


def test_a_sealed_class_is_whole_signed_and_closed_to_writers(over: DriveSite) -> None:
    sealed = sealer(over).one_class("C1")
    path = folder(over)
    report = verify.verify_drive(over.drive, heads=[sealed.head])
    assert report.ok and report.anchored
    subprocess.run(["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=path, check=True, capture_output=True)
    assert {
        "标签.txt",
        "清单.csv",
        "到课人数.csv",
        "目录.html",
        "移交单.html",
        "SHA256SUMS.sig",
        "RECORD.jsonl",
        "更正",
    } <= {p.name for p in path.iterdir()}
    assert all(p.stat().st_mode & 0o222 == 0 for p in path.rglob("*") if layout.CORRECTIONS not in p.parts)
    assert "封存" in (path / "标签.txt").read_text("utf-8-sig")
    assert over.drive.is_sealed(path.name) and not over.drive.is_sealed()
    with pytest.raises(DriveError, match="封存"):
        over.drive.segment_folder(over.classes[0], over.place(over.classes[0], "cam1", Session.AM))
    assert over.closer().run_once() == [] and verify.verify_drive(over.drive).ok
    with pytest.raises(InputError, match="封存"):
        sealer(over).one_class("C1")
    assert over.catalog.audit.of_object("C1", "seal")


def test_a_paper_changed_after_the_seal_is_found(over: DriveSite) -> None:
    sealer(over).one_class("C1")
    path = folder(over) / "到课人数.csv"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b"27", b"30"))
    (folder(over) / "补.txt").write_text("x")
    assert {p.kind for p in verify.verify_drive(over.drive).problems} == {"changed", "added"}


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("changed", "标签.txt"),
        ("changed", "移交单.html"),
        ("missing", "移交单.html"),
        ("missing", ".site-agent/sealed.json"),
    ],
)
def test_a_sealed_drives_own_papers_are_held_by_its_seal(over: DriveSite, kind: str, name: str) -> None:
    sealer(over, "李四").whole()
    assert verify.verify_drive(over.drive).ok
    path = over.drive.root / name
    if kind == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes() + b"x")
    assert [(p.kind, p.path) for p in verify.verify_drive(over.drive).problems] == [(kind, name)]


def test_a_deleted_seal_of_a_class_is_told(over: DriveSite) -> None:
    sealer(over).one_class("C1")
    (folder(over) / "SHA256SUMS").unlink()
    assert [p.kind for p in verify.verify_drive(over.drive).problems] == ["missing"]


def test_a_later_correction_goes_to_a_new_signed_file(over: DriveSite) -> None:
    sealer(over).one_class("C1")
    figures = over.catalog.attendance.get("C1", DAY, Session.AM)
    assert figures is not None
    over.closer().run_once()
    assert not list(folder(over).glob("更正/*"))
    over.catalog.attendance.put({**figures, "present": 26, "revision": 2, "status": "revised"}, at("16:00"))
    for moment in ("16:00", "16:01", "17:00"):  # at one instant a second file would have the first one's name
        over.clock.time = at(moment)
        over.closer().run_once()
    found = sorted(folder(over).glob("更正/*"))
    assert [p.suffix for p in found] == [".jsonl", ".sig"]
    assert json.loads(found[0].read_text())["row"]["revision"] == 2
    assert verify.verify_drive(over.drive).ok
    found[0].write_bytes(found[0].read_bytes().replace(b"26", b"29"))
    assert {p.kind for p in verify.verify_drive(over.drive).problems} == {"signature_bad"}


def test_sealing_waits_for_what_is_not_final(over: DriveSite) -> None:
    figures = over.catalog.attendance.get("C1", DAY, Session.PM)
    assert figures is not None
    over.catalog.attendance.put({**figures, "status": "provisional"}, at("14:30"))
    with pytest.raises(InputError, match="下午 的到课人数仍是暂定"):
        sealer(over).one_class("C1")
    over.catalog.attendance.put(figures, at("14:31"))
    later = training_class(
        lessons=tuple(replace(x, start=at("20:00"), end=at("21:00")) for x in over.classes[0].lessons)
    )
    with pytest.raises(InputError, match="还有未上的课"):
        Sealer(over.drive, over.clock, over.catalog, [later], over.key_dir).one_class("C1")
    segment = over.catalog.segments.of_class("C1")[0]
    over.catalog.segments.open(replace(segment, path=segment.path + "x", state="open", end=None))
    with pytest.raises(InputError, match="正在"):
        sealer(over).one_class("C1")
    with pytest.raises(InputError, match="没有班级"):
        sealer(over).one_class("C9")
    assert not (folder(over) / "SHA256SUMS").exists()


def test_the_whole_drive(over: DriveSite) -> None:
    done = sealer(over, "文水县人社局").whole()
    assert [x.class_id for x in done] == ["C1"] and over.drive.is_sealed()
    sheet = (over.drive.root / "移交单.html").read_text("utf-8")
    head = over.catalog.chain.of_class("C1")[-1].head
    assert head in sheet and over.drive.drive_id in sheet and "文水县人社局" in sheet
    row = over.catalog.drives.get(over.drive.drive_id)
    assert (
        row
        and row.state == "handed_over"
        and row.handed_over_to == "文水县人社局"
        and row.handed_over_at == at("14:30")
    )
    assert row.last_head == over.catalog.chain.last("C1").head  # type: ignore[union-attr]
    assert "封存" in (over.drive.root / "标签.txt").read_text("utf-8-sig") and verify.verify_drive(over.drive).ok
    before = snapshot(over.drive.root)
    over.closer().run_once()
    assert snapshot(over.drive.root) == before
    with pytest.raises(InputError):
        sealer(over).whole()
    shutil.rmtree(folder(over))
    assert {p.kind for p in verify.verify_drive(over.drive).problems} == {"missing"}, "a whole class taken away shows"
    seal = over.drive.root / ".site-agent/sealed.json"
    seal.write_bytes(seal.read_bytes().replace(done[0].folder.encode(), b"C2"))
    assert {p.kind for p in verify.verify_drive(over.drive).problems} == {"missing", "signature_bad"}


def test_a_half_day_or_class_put_there_after_the_seal_is_found(over: DriveSite) -> None:
    """Before the seal such video is a half-day under way; after it nothing is."""
    later = over.drive.root / "C9_x_第1班_20261123_20261123_x/2026-11-23/上午/R1_cam1"
    for place in (folder(over) / "2026-11-24/上午/R1_cam1", later):
        place.mkdir(parents=True)
        (place / "090000.mp4").write_bytes(video(1, over.folder))
    report = verify.verify_drive(over.drive)
    assert report.ok and len(report.unclosed) == 2
    for place in (folder(over) / "2026-11-24", later.parents[2]):
        shutil.rmtree(place)
    sealer(over).whole()
    folder(over).chmod(0o755)
    for place in (folder(over) / "2026-11-24/上午/R1_cam1", later):
        place.mkdir(parents=True)
        (place / "090000.mp4").write_bytes(video(1, over.folder))
    report = verify.verify_drive(over.drive)
    assert {(p.kind, p.path) for p in report.problems} == {
        ("added", f"{folder(over).name}/2026-11-24/上午"),
        ("added", f"{later.parents[2].name}/2026-11-23/上午"),
        ("added", later.parents[2].name),
    } and not report.unclosed


def snapshot(root: Path) -> dict[str, int]:
    return {str(p): p.stat().st_mtime_ns for p in root.rglob("*") if p.is_file()}


def test_sealing_without_the_box_closes_what_is_open(tmp_path: Path) -> None:
    box = site(tmp_path)
    box.half_day(box.classes[0], Session.AM)
    Sealer(box.drive, box.clock, key_dir=box.key_dir).whole()
    report = verify.verify_drive(box.drive)
    assert report.ok and report.half_days == 1 and not report.unclosed


TABLES = ("classes", "segments", "looks", "attendance", "alerts", "events", "chain", "audit")


def dump(catalog: Catalog) -> dict[str, list[dict[str, Any]]]:
    return {t: [dict(r) for r in catalog.store.rows(f"select * from {t} order by 1, 2, 3")] for t in TABLES}


def test_a_deleted_database_answers_as_before(over: DriveSite, tmp_path: Path) -> None:
    cls = over.classes[0]
    # a half-day under way: rows that only the journal has, and one open segment
    evening = replace(cls.lessons[0], session=Session.EV, start=at("19:00"), end=at("19:10"))
    over.classes[:] = [training_class(lessons=(*cls.lessons, evening))]
    over.record(over.classes[0], "cam1", Session.EV, at("19:00"), at("19:05"))
    segment = over.record(over.classes[0], "cam1", Session.EV, at("19:05"), at("19:06"))
    temporary = over.drive.root / Path(segment.path).with_name(".190600.mp4.part")
    temporary.write_bytes(b"x" * 100)
    path = str(Path(segment.path).with_name("190600.mp4"))
    over.catalog.segments.open(
        replace(segment, path=path, temporary=over.drive.relative(temporary), state="open", start=at("19:06"), end=None)
    )
    over.clock.time = at("19:06")
    over.closer().run_once()
    before = dump(over.catalog)
    before_gaps = class_gaps.find_class_gaps(over.catalog, over.classes, "C1", at("19:06"))
    over.catalog.close()
    (tmp_path / "catalog.db").unlink()
    catalog, report = rebuild.open_or_rebuild(tmp_path / "catalog.db", ZONE, [over.drive], over.clock)
    assert report and not report.lost and not report.unreadable and report.read == 0
    assert dump(catalog) == before
    assert class_gaps.find_class_gaps(catalog, over.classes, "C1", at("19:06")) == before_gaps
    assert catalog.outbox.size() == 0 and catalog.changes.after(0)[0] == 0
    assert catalog.audit.verify() is None
    # again: nothing doubles
    rebuild.restore_from_drive(catalog, over.drive, over.clock)
    assert dump(catalog) == before
    catalog.close()


@pytest.mark.parametrize("harm", ["truncate", "flip", "text", "empty pages"])
def test_a_damaged_database_is_set_aside(over: DriveSite, tmp_path: Path, harm: str) -> None:
    before = dump(over.catalog)
    over.catalog.close()
    file = tmp_path / "catalog.db"
    raw = bytearray(file.read_bytes())
    if harm == "truncate":
        raw = raw[: len(raw) // 2]
    elif harm == "flip":
        raw[4096:12288] = b"\xa5" * 8192
    elif harm == "text":
        raw = bytearray(b"not a database, but long enough to be read as one " * 100)
    else:
        raw[4096:] = bytes(len(raw) - 4096)
    file.write_bytes(raw)
    catalog, report = rebuild.open_or_rebuild(file, ZONE, [over.drive], over.clock)
    assert report is not None and dump(catalog) == before
    assert [p for p in tmp_path.iterdir() if ".damaged-" in p.name]
    catalog.close()


def test_a_rebuild_that_was_killed_goes_on_at_the_next_start(over: DriveSite, tmp_path: Path) -> None:
    """Whatever lies there then is a sound database of which half is missing."""
    over.catalog.close()
    (tmp_path / "catalog.db").unlink()
    child = os.fork()
    if child == 0:

        def killed() -> Iterator[Drive]:
            os.kill(os.getpid(), signal.SIGKILL)
            yield over.drive

        rebuild.open_or_rebuild(tmp_path / "catalog.db", ZONE, killed(), over.clock)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    assert (tmp_path / "catalog.db").exists()
    for expected in (True, False):
        catalog, report = rebuild.open_or_rebuild(tmp_path / "catalog.db", ZONE, [over.drive], over.clock)
        assert (report is not None) == expected
        assert catalog.segments.by_path(over.drive.drive_id, first_path(over))
        catalog.close()


def first_path(over: DriveSite) -> str:
    return over.drive.relative(min(over.drive.root.glob("*/*/*/*/[!.]*.mp4")))


def test_a_sound_database_is_left_alone(over: DriveSite, tmp_path: Path) -> None:
    over.catalog.close()
    catalog, report = rebuild.open_or_rebuild(tmp_path / "catalog.db", ZONE, [over.drive], over.clock)
    assert report is None
    catalog.close()


def test_without_a_journal_the_records_do(over: DriveSite, tmp_path: Path) -> None:
    before = dump(over.catalog)
    shutil.rmtree(over.drive.root / ".site-agent/journal")
    catalog = Catalog(tmp_path / "new.db", ZONE)
    rebuild.restore_from_drive(catalog, over.drive, over.clock)
    after = dump(catalog)
    for table in ("classes", "segments", "looks", "attendance", "alerts"):
        assert after[table] == before[table], table
    heads = [(x["sequence"], x["head"]) for x in before["chain"]]
    assert sorted((x["sequence"], x["head"]) for x in after["chain"]) == sorted(heads)


def test_from_the_files_alone(over: DriveSite, tmp_path: Path) -> None:
    shutil.rmtree(over.drive.root / ".site-agent/journal")
    for record in over.drive.root.rglob("RECORD.jsonl"):
        record.unlink()
    camera = next(over.drive.root.glob("*/*/上午/R1_cam1"))
    (camera / "092000.mp4").write_bytes(b"no video")
    (camera / "holiday.mp4").write_bytes(video(1, tmp_path))
    catalog = Catalog(tmp_path / "new.db", ZONE)
    report = rebuild.restore_from_drive(catalog, over.drive, over.clock)
    assert report.read == 4 and len(report.unreadable) == 1 and report.unreadable[0].endswith("092000.mp4")
    found = catalog.segments.of_class("C1", DAY, Session.AM)
    assert [(s.camera_id, s.start, s.room_id) for s in found] == [
        ("cam1", at("09:00"), "R1"),
        ("cam2", at("09:00"), "R1"),
    ]
    assert found[0].sha256 == over.catalog.segments.of_class("C1")[0].sha256
    assert (found[0].end - found[0].start).total_seconds() == pytest.approx(2, abs=0.2)  # type: ignore[operator]


def test_a_segment_begun_just_before_the_crash_is_found(over: DriveSite, tmp_path: Path) -> None:
    """Neither journal nor record knows it: recovery gets an open row to finish."""
    first = next(over.drive.root.glob("*/*/下午/R1_cam1/*.mp4"))
    part = first.with_name(".141000.mp4.part")
    part.write_bytes(video(5, tmp_path))
    over.catalog.close()
    (tmp_path / "catalog.db").unlink()
    catalog, report = rebuild.open_or_rebuild(tmp_path / "catalog.db", ZONE, [over.drive], over.clock)
    assert report and report.read == 1
    (row,) = catalog.segments.opened()
    assert (row.camera_id, row.start, row.temporary) == ("cam1", at("14:10"), over.drive.relative(part))
    assert row.path.endswith("/141000.mp4") and row.video_codec == "mpeg4"
    assert [s.path for s in recover(catalog, [over.drive], over.clock)] == [row.path]
    catalog.close()


def test_a_lost_file_is_told_and_becomes_a_gap(over: DriveSite, tmp_path: Path) -> None:
    lost = next(over.drive.root.glob("*/*/上午/R1_cam1/*.mp4"))
    lost.unlink()
    catalog = Catalog(tmp_path / "new.db", ZONE)
    report = rebuild.restore_from_drive(catalog, over.drive, over.clock)
    assert report.lost == (over.drive.relative(lost),)
    found = class_gaps.find_class_gaps(catalog, over.classes, "C1", at("20:00"))
    assert [(g.camera_id, g.session) for g in found] == [("cam1", Session.AM)]


def test_two_drives_make_one_catalog(over: DriveSite, tmp_path: Path) -> None:
    second = new_drive(tmp_path / "second", over.clock, over.key_dir, "二号盘")
    over.know(second)
    over.half_day_of(Session.EV, second)
    over.clock.time = at("19:30")
    over.closer(second, over.drive).run_once()
    before = dump(over.catalog)
    for order in ([over.drive, second], [second, over.drive]):
        file = tmp_path / f"new-{order[0].label}.db"
        catalog, _ = rebuild.open_or_rebuild(file, ZONE, order, over.clock)
        after = dump(catalog)
        assert {t: len(after[t]) for t in TABLES} == {t: len(before[t]) for t in TABLES}
        assert after["chain"] == before["chain"] and after["segments"] == before["segments"]
        catalog.close()


def test_hostile_journal_lines_do_no_harm(over: DriveSite, tmp_path: Path) -> None:
    """What lies on a drive is data: tables that are not journaled, paths that leave the drive, wrong types."""
    lines = [
        {"table": "facts", "row": {"name": "boot", "value": "x"}},
        {"table": "segments; drop table looks", "row": {"id": 1}},
        {"table": "looks", "row": {"camera_id": "c", "at": None, "people": "many"}},
        {"table": "looks", "row": {"camera_id": "c", "at": "x) --", "1=1 --": 1}},
        {"table": "segments", "row": {"drive_id": over.drive.drive_id, "path": "../../etc/passwd", "state": "finished"}},
        ["x"], 7, {"table": 3, "row": []},
    ]  # fmt: skip
    journal = over.drive.root / ".site-agent/journal/2099-01-01.jsonl"
    journal.write_text("\n".join(json.dumps(x) for x in lines) + "\n{torn", encoding="utf-8")
    catalog = Catalog(tmp_path / "new.db", ZONE)
    report = rebuild.restore_from_drive(catalog, over.drive, over.clock)
    assert report.lost == ("../../etc/passwd",)
    after, before = dump(catalog), dump(over.catalog)
    assert after == before and catalog.facts.get("boot") is None


def test_rebuild_needs_no_write_to_the_drive(over: DriveSite, tmp_path: Path) -> None:
    before = snapshot(over.drive.root)
    catalog = Catalog(tmp_path / "new.db", ZONE)
    rebuild.restore_from_drive(catalog, over.drive, over.clock)
    assert snapshot(over.drive.root) == before


def test_the_commands(over: DriveSite, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*arguments: object) -> tuple[int, str, str]:
        status = main([str(a) for a in arguments])
        out = capsys.readouterr()
        return status, out.out, out.err

    fresh, away = tmp_path / "fresh", over.drive.root
    fresh.mkdir()
    made = run("drive", "init", fresh, "--label", "三号盘", "--json", "--key-dir", tmp_path / "k")
    assert made[0] == 0 and json.loads(made[1])["drive_id"] == Drive.open(fresh).drive_id
    again = run("drive", "init", fresh, "--label", "x")
    assert again[0] == 2 and len(again[2].splitlines()) == 1
    status = json.loads(run("drive", "status", away, "--json")[1])
    assert status["state"] == "ok" and status["classes"][0]["half_days"] == 2 and status["deletable"] == []
    head = over.catalog.chain.of_class("C1")[-1].head
    key = tmp_path / "keys" / "box_ed25519.pub"
    good = run("drive", "verify", away, "--key", key, "--head", head, "--json")
    body = json.loads(good[1])
    assert good[0] == 0 and body["ok"] and body["anchored"] and body["checked"] == 8 and body["problems"] == []
    path = next(away.glob("*/*/下午/*/*.mp4"))
    path.write_bytes(path.read_bytes()[:-1])
    bad = run("drive", "verify", away, "--json")
    body = json.loads(bad[1])
    assert bad[0] == 1 and not body["ok"] and set(body["problems"][0]) == {"kind", "path", "detail"}
    for arguments in (
        ("verify", tmp_path / "none"),
        ("verify", away, "--head", "xyz"),
        ("verify", away, "--key", path),
        ("verify", away, "--class", "C9"),
        ("seal", away, "--class", "C9"),
        ("rebuild", tmp_path),
        ("rebuild", away, "--catalog", tmp_path / "no" / "c.db"),
    ):
        refused = run("drive", *arguments)
        assert refused[0] == 2 and len(refused[2].splitlines()) == 1, (arguments, refused)
    rebuilt = run("drive", "rebuild", away, "--catalog", tmp_path / "r.db", "--json")
    count = sqlite3.connect(tmp_path / "r.db").execute("select count(*) from segments").fetchone()
    assert rebuilt[0] == 0 and count == (4,)
    sealed = run("drive", "seal", away, "--key-dir", tmp_path / "keys", "--to", "人社局", "--json")
    assert sealed[0] == 0 and json.loads(sealed[1])["whole"] is True
    assert json.loads(run("drive", "status", away, "--json")[1])["state"] == "sealed"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be somebody else")
def test_a_database_that_may_not_be_read_is_not_set_aside(over: DriveSite) -> None:
    """One that root put back from a copy: the agent says so and does not take it for damaged."""
    with tempfile.TemporaryDirectory() as name:
        folder_of_state = Path(name)
        folder_of_state.chmod(0o777)
        path = folder_of_state / "catalog.db"
        Catalog(path, ZONE).close()
        path.chmod(0o600)
        os.seteuid(65534)
        try:
            with pytest.raises(CatalogBlocked, match="权限"):
                rebuild.open_or_rebuild(path, ZONE, [], over.clock)
        finally:
            os.seteuid(0)
        assert [p.name for p in folder_of_state.iterdir()] == ["catalog.db"]
