"""Half-days closed, chained and signed; checked by sha256sum and ssh-keygen alone, and by `drive verify`."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from agent.core.errors import DriveError
from agent.core.model import Session
from agent.drive import Drive, chain, closing, durable, keys, layout, verify
from agent.drive.creation import init_drive
from agent.drive.identity import FORCE_WORD
from tests.support.clocks import HandClock
from tests.support.drive_factory import DriveSite, at, new_drive, site, training_class

needs_ssh = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs openssh-client")
pytestmark = needs_ssh


STATED = {"statement_missing", "statement_differs", "paper_differs"}
"""Kinds that come from the statement log: they show more than lists, signatures and chain do."""


@pytest.fixture
def box(tmp_path: Path) -> DriveSite:
    return site(tmp_path)


@pytest.fixture
def closed(box: DriveSite) -> DriveSite:
    """A class whose two half-days are closed."""
    for session, end in ((Session.AM, "09:30"), (Session.PM, "14:30")):
        box.half_day(box.classes[0], session)
        box.clock.time = at(end)
        assert len(box.closer().run_once()) == 1
    return box


def class_path(box: DriveSite) -> Path:
    folder = box.drive.find_class("C1")
    assert folder is not None
    return box.drive.root / folder


def test_nothing_is_closed_before_its_time(box: DriveSite) -> None:
    cls = box.classes[0]
    box.half_day(cls, Session.AM)
    box.clock.time = at("09:24:59")
    assert box.closer().run_once() == []
    folder = class_path(box) / "2026-11-23" / "上午"
    assert not (folder / "SHA256SUMS").exists()
    assert (class_path(box) / "标签.txt").exists(), "papers come before the half-day is closed"
    row = box.catalog.segments.of_class("C1")[0]
    number = box.catalog.segments.open(replace(row, path=row.path + "x", state="open", end=None))
    box.clock.time = at("09:25")
    assert box.closer().run_once() == [], "an open segment keeps the half-day open"
    box.catalog.segments.drop(number)
    assert [x.sequence for x in box.closer().run_once()] == [1]
    assert box.closer().run_once() == []


def test_any_pc_checks_it_with_two_commands(closed: DriveSite, tmp_path: Path) -> None:
    public = keys.load_public_key(closed.key_dir or tmp_path)
    allowed = tmp_path / "allowed_signers"
    allowed.write_text(f'box namespaces="site-agent" {public}\n')
    for session in (Session.AM, Session.PM):
        folder = class_path(closed) / "2026-11-23" / session.folder
        done = subprocess.run(["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0 and done.stdout.count(": OK") == 4
        with (folder / "SHA256SUMS").open("rb") as data:
            done = subprocess.run(
                [
                    "ssh-keygen",
                    "-Y",
                    "verify",
                    "-f",
                    str(allowed),
                    "-I",
                    "box",
                    "-n",
                    "site-agent",
                    "-s",
                    "SHA256SUMS.sig",
                ],
                cwd=folder,
                stdin=data,
                capture_output=True,
                text=True,
            )
        assert done.returncode == 0, done.stderr


def test_the_chain_is_told_to_catalog_and_bureau(closed: DriveSite) -> None:
    links = closed.catalog.chain.of_class("C1")
    assert [(x.sequence, x.session) for x in links] == [(1, Session.AM), (2, Session.PM)]
    sums_file = class_path(closed) / "2026-11-23/下午/SHA256SUMS"
    digest = subprocess.run(["sha256sum", str(sums_file)], capture_output=True, text=True, check=True).stdout[:64]
    assert links[1].head == digest
    told = [m for m in closed.catalog.outbox.waiting(limit=1000) if m.topic == "chain/C1"]
    data = dict(told[-1].data)  # type: ignore[arg-type]
    assert told[-1].retained and data["head"] == digest and data["sequence"] == 2 and data["session"] == "pm"
    assert data["key"] == closed.drive.public_key and data["date"] == "2026-11-23"
    link = chain.parse_chain_file((sums_file.parent / "CHAIN").read_bytes())
    assert link.previous == links[0].head and link.sequence == 2


def test_a_whole_drive_verifies(closed: DriveSite) -> None:
    report = verify.verify_drive(closed.drive)
    assert (report.ok, report.anchored, report.half_days, report.checked) == (True, False, 2, 8)
    head = closed.catalog.chain.of_class("C1")[-1].head
    report = verify.verify_drive(closed.drive, key=closed.drive.public_key, heads=[head])
    assert report.ok and report.anchored
    assert verify.count_drive_bytes(closed.drive) > report.bytes > 0


def one(box: DriveSite, pattern: str) -> Path:
    return sorted(class_path(box).glob(pattern))[0]


def flip(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)


def beside(box: DriveSite, name: str) -> Path:
    """A new folder in the class's folder."""
    folder = class_path(box) / name
    folder.mkdir()
    return folder


def elsewhere(box: DriveSite, path: Path) -> None:
    """Moved off the drive, a link in its place."""
    path.rename(box.folder / "elsewhere")
    path.symlink_to(box.folder / "elsewhere")


def resign(box: DriveSite, folder: Path, key_dir: Path | None) -> None:
    """What a forger does: new sums over what lies there now, signed with a key at hand."""
    entries = {name: chain.compute_head(folder / name) for name in chain.list_files_to_hash(folder)}
    chain.write_sums(folder, "SHA256SUMS", entries, key_dir)


@pytest.mark.parametrize(
    ("kind", "act"),
    [
        ("changed", lambda b: flip(one(b, "*/上午/*/*.mp4"))),
        ("changed", lambda b: flip(one(b, "*/下午/RECORD.jsonl"))),
        ("missing", lambda b: one(b, "*/上午/*/*.mp4").unlink()),
        ("added", lambda b: (one(b, "*/上午/*/*.mp4").parent / "100000.mp4").write_bytes(b"x")),
        ("added", lambda b: (one(b, "*/上午") / ".hidden").write_bytes(b"x")),
        ("added", lambda b: (class_path(b) / "假.mp4").write_bytes(b"x")),
        ("added", lambda b: (class_path(b) / "2026-11-23" / "x.mp4").write_bytes(b"x")),
        ("added", lambda b: (b.drive.root / "说明.docx").write_bytes(b"x")),
        ("added", lambda b: (b.drive.root / "补录").mkdir()),
        ("changed", lambda b: flip(one(b, "*/下午/CHAIN"))),
        ("signature_bad", lambda b: flip(one(b, "*/下午/SHA256SUMS.sig"))),
        ("signature_missing", lambda b: one(b, "*/下午/SHA256SUMS.sig").unlink()),
        ("chain_broken", lambda b: shutil.rmtree(one(b, "*/上午"))),
        ("chain_broken", lambda b: (one(b, "*/下午/CHAIN")).unlink()),
        ("unreadable", lambda b: one(b, "*/下午/SHA256SUMS").write_bytes(b"../../etc/passwd\n")),
        ("missing", lambda b: one(b, "*/下午/SHA256SUMS").unlink()),
        ("missing", lambda b: shutil.rmtree(one(b, "*/下午"))),
        ("added", lambda b: (one(b, "*/上午") / "SHA256SUMS-0").write_bytes(b"x")),
        ("added", lambda b: (one(b, "*/上午") / "SHA256SUMS-٣").write_bytes(b"x")),
        ("added", lambda b: (one(b, "*/上午") / "SHA256SUMS-2.sig").write_bytes(b"x")),
        ("added", lambda b: (b.drive.root / ".site-agent" / "假.mp4").write_bytes(b"x")),
        ("added", lambda b: beside(b, "更正").joinpath("假.mp4").write_bytes(b"x")),
        ("added", lambda b: beside(b, "更正").joinpath("20261124-080000-2.jsonl.sig").write_bytes(b"x")),
        ("added", lambda b: elsewhere(b, class_path(b))),
    ],
)
def test_one_change_is_found(closed: DriveSite, kind: str, act: Callable[[DriveSite], None]) -> None:
    act(closed)
    report = verify.verify_drive(closed.drive)
    assert kind in {p.kind for p in report.problems}, report.problems


def instead(path: Path, make: Callable[[Path], None]) -> None:
    path.unlink()
    make(path)


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
@pytest.mark.parametrize(
    "name", ["上午/SHA256SUMS", "上午/SHA256SUMS.sig", "上午/CHAIN", "上午/RECORD.jsonl", "上午/R1_cam1/090000.mp4"]
)
def test_what_is_no_file_is_told_and_the_rest_still_read(
    closed: DriveSite, name: str, make: Callable[[Path], None]
) -> None:
    """A folder cannot be read and a pipe never ends: neither may keep the inspector from the other faults."""
    instead(one(closed, f"*/{name}"), make)
    flip(one(closed, "*/下午/*/*.mp4"))
    found = {(p.kind, p.path.partition("2026-11-23/")[2]) for p in verify.verify_drive(closed.drive).problems}
    assert ("changed", "下午/R1_cam1/140000.mp4") in found
    assert ("signature_bad" if name.endswith(".sig") else "unreadable", name) in found
    assert not any(kind == "added" for kind, _ in found), "nobody added what a lost list had listed"
    assert ("chain_broken", "下午/CHAIN") not in found or name.endswith("SUMS"), "the half-day before is there"


def test_without_a_signature_the_journal_shows_a_rewritten_list(tmp_path: Path) -> None:
    box = site(tmp_path, signed=False)
    box.half_day(box.classes[0], Session.AM)
    box.clock.time = at("09:30")
    box.closer().run_once()
    assert verify.verify_drive(box.drive).ok
    flip(one(box, "*/上午/*/*.mp4"))
    resign(box, one(box, "*/上午"), None)
    (problem,) = (p for p in verify.verify_drive(box.drive).problems if p.kind not in STATED)
    assert (problem.kind, problem.path.rpartition("/")[2]) == ("changed", "SHA256SUMS") and "日志" in problem.detail


def test_a_signed_drive_does_not_pass_for_an_unsigned_one(closed: DriveSite) -> None:
    file = closed.drive.root / ".site-agent" / "drive.json"
    body = json.loads(file.read_bytes())
    assert body["public_key"]
    file.write_text(json.dumps(body | {"public_key": ""}), encoding="utf-8")
    report = verify.verify_drive(Drive.open(closed.drive.root))
    assert {p.kind for p in report.problems} == {"signature_bad"}


def test_the_journal_says_nothing_of_a_class_that_a_person_deleted(closed: DriveSite) -> None:
    shutil.rmtree(class_path(closed))
    assert verify.verify_drive(closed.drive).ok


def test_names_neither_steer_the_terminal_nor_break_the_json(closed: DriveSite) -> None:
    folder = os.fsencode(one(closed, "*/上午"))
    for name in ("录像.mp4".encode("gbk"), b"x\x1b[2K\r.mp4", "y\n完好.mp4".encode()):
        Path(os.fsdecode(folder + b"/" + name)).write_bytes(b"x")
    done = subprocess.run(
        [sys.executable, "-m", "agent", "drive", "verify", str(closed.drive.root), "--json"],
        capture_output=True,
        env=os.environ | {"PYTHONIOENCODING": "utf-8:strict"},
    )
    assert done.returncode == 1
    names = [p["path"].rpartition("/")[2] for p in json.loads(done.stdout.decode("utf-8"))["problems"]]
    assert sorted(map(os.fsencode, names)) == sorted(
        ["录像.mp4".encode("gbk"), b"x\x1b[2K\r.mp4", "y\n完好.mp4".encode()]
    )
    assert b"\x1b" not in done.stderr and len(done.stderr.splitlines()) == 5, "with what is not covered"
    assert rb"x\x1b[2K\r.mp4" in done.stderr


def test_what_lay_there_before_and_what_systems_put_there_is_no_addition(tmp_path: Path) -> None:
    (tmp_path / "drive").mkdir()
    (tmp_path / "drive/旧照片").mkdir()
    drive = init_drive(tmp_path / "drive", label="x", institution="y", clock=HandClock(at("08:00")), force=FORCE_WORD)
    (drive.root / "System Volume Information").mkdir()
    assert verify.verify_drive(drive).ok
    (drive.root / "新照片").mkdir()
    assert [(p.kind, p.path) for p in verify.verify_drive(drive).problems] == [("added", "新照片")]


def test_a_link_made_to_another_file_is_no_evidence(closed: DriveSite, tmp_path: Path) -> None:
    path = one(closed, "*/上午/*/*.mp4")
    (tmp_path / "elsewhere.mp4").write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere.mp4")
    assert {p.kind for p in verify.verify_drive(closed.drive).problems} == {"missing"}


def test_a_forger_with_the_same_key_breaks_the_chain(closed: DriveSite) -> None:
    folder = one(closed, "*/上午")
    one(closed, "*/上午/*/*.mp4").write_bytes(b"forged")
    resign(closed, folder, closed.key_dir)
    found = {p.kind for p in verify.verify_drive(closed.drive).problems}
    assert found == {"chain_broken", "changed", "statement_differs", "paper_differs"}
    shutil.rmtree(closed.drive.root / ".site-agent/journal")
    assert {p.kind for p in verify.verify_drive(closed.drive).problems} - STATED == {"chain_broken"}


def test_only_an_anchor_shows_a_cut_end_and_another_key(closed: DriveSite, tmp_path: Path) -> None:
    head = closed.catalog.chain.of_class("C1")[-1].head
    own = closed.drive.public_key
    shutil.rmtree(one(closed, "*/下午"))
    shutil.rmtree(closed.drive.root / ".site-agent/journal")
    report = verify.verify_drive(closed.drive)
    assert {p.kind for p in report.problems} <= STATED and not report.anchored
    report = verify.verify_drive(closed.drive, heads=[head])
    assert {p.kind for p in report.problems} - STATED == {"head_unknown"} and not report.anchored
    # everything signed anew by somebody else, the identity too
    other = tmp_path / "other"
    keys.ensure_key(other)
    resign(closed, one(closed, "*/上午"), other)
    identity = closed.drive.root / ".site-agent/drive.json"
    body = json.loads(identity.read_text())
    body["public_key"] = keys.load_public_key(other)
    identity.write_text(json.dumps(body))
    drive = Drive.open(closed.drive.root)
    assert {p.kind for p in verify.verify_drive(drive).problems} <= STATED
    found = {p.kind for p in verify.verify_drive(drive, key=own).problems}
    assert found - STATED == {"other_key", "signature_bad"}


def test_a_kill_between_any_two_steps_costs_nothing(box: DriveSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop after each durable write of the closing, in turn; the next pass ends with one whole chain."""
    box.half_day(box.classes[0], Session.AM)
    box.clock.time = at("09:30")
    real = durable.write_file
    for stop_at in range(8):
        count = 0

        def killed(path: Path, data: bytes, stop_at: int = stop_at) -> None:
            nonlocal count
            if count == stop_at:
                raise KeyboardInterrupt
            count += 1
            real(path, data)

        monkeypatch.setattr(durable, "write_file", killed)
        with suppress(KeyboardInterrupt):
            box.closer().run_once()
    monkeypatch.setattr(durable, "write_file", real)
    box.closer().run_once()
    assert [x.sequence for x in box.catalog.chain.of_class("C1")] == [1]
    assert verify.verify_drive(box.drive, heads=[box.catalog.chain.of_class("C1")[0].head]).ok


def test_a_kill_before_the_catalog_knew(closed: DriveSite) -> None:
    with closed.catalog.store.write() as db:
        db.execute("delete from chain where session = 'pm'")
    closed.closer().run_once()
    assert [x.sequence for x in closed.catalog.chain.of_class("C1")] == [1, 2]


def test_video_that_comes_late_gets_sums_of_its_own(closed: DriveSite) -> None:
    first = closed.catalog.chain.of_class("C1")
    closed.record(closed.classes[0], "cam1", Session.AM, at("09:20"), at("09:22"))
    links = closed.closer().run_once()
    assert [x.sequence for x in links] == [3]
    folder = one(closed, "*/上午")
    assert {"SHA256SUMS", "SHA256SUMS-2", "SHA256SUMS-2.sig", "CHAIN-2", "RECORD-2.jsonl"} <= {
        p.name for p in folder.iterdir()
    }
    for name in ("SHA256SUMS", "SHA256SUMS-2"):
        subprocess.run(["sha256sum", "--strict", "-c", name], cwd=folder, check=True, capture_output=True)
    heads = [first[0].head, first[1].head, links[0].head]
    assert verify.verify_drive(closed.drive, heads=heads).ok
    assert closed.closer().run_once() == []


def test_the_chain_goes_on_on_another_drive(closed: DriveSite, tmp_path: Path) -> None:
    first = closed.classes[0].lessons
    evening = replace(first[0], session=Session.EV, start=at("19:00"), end=at("19:10"))
    cls = training_class(lessons=(*first, evening))
    closed.classes[:] = [cls]
    second = new_drive(tmp_path / "second", closed.clock, closed.key_dir, "二号盘")
    closed.know(second)
    closed.clock.time = at("19:30")
    closed.half_day(cls, Session.EV, drive=second)
    assert [x.sequence for x in closed.closer(second, closed.drive).run_once()] == [3]
    link = chain.list_all_closings(second.root / (second.find_class("C1") or ""))[0].link
    assert link and link.previous_drive == closed.drive.drive_id
    assert link.previous == closed.catalog.chain.of_class("C1")[1].head
    assert verify.verify_drive(second).ok and verify.verify_drive(closed.drive).ok
    for drive, other in ((second, closed.drive), (closed.drive, second)):
        label = (drive.root / (drive.find_class("C1") or "") / "标签.txt").read_text("utf-8-sig")
        assert "共 2 块" in label and other.drive_id in label and other.label in label


def test_a_drive_of_another_key_is_not_left_unsigned(closed: DriveSite, tmp_path: Path) -> None:
    keys.ensure_key(tmp_path / "other")
    with pytest.raises(DriveError, match="密钥"):
        closing.find_signing_key(closed.drive, tmp_path / "other")
    with pytest.raises(DriveError):
        closing.find_signing_key(closed.drive, None)


def test_unsigned_drives_are_chained(tmp_path: Path) -> None:
    box = site(tmp_path, signed=False)
    box.half_day(box.classes[0], Session.AM)
    box.clock.time = at("09:30")
    box.closer().run_once()
    report = verify.verify_drive(box.drive)
    assert report.ok and not report.signed and not list(box.drive.root.rglob("*.sig"))


def rows(path: Path) -> list[list[str]]:
    raw = path.read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf") and b"\n" not in raw.replace(b"\r\n", b"")
    return list(csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline="")))


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.hrefs: list[str] = []
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.hrefs += [v for k, v in attrs if k == "href" and v]
        assert not [v for k, v in attrs if k == "src"], "nothing is loaded from elsewhere"

    def handle_data(self, data: str) -> None:
        self.text += data


def test_papers_for_excel_and_browser(closed: DriveSite) -> None:
    listing = rows(class_path(closed) / "清单.csv")
    assert listing[0][:2] == ["类别", "日期"] and len(listing) == 5
    assert all((class_path(closed) / row[9]).is_file() and len(row[11]) == 64 for row in listing[1:])
    assert listing[1][5] == "2026-11-23 09:00:00"
    figures = rows(class_path(closed) / "到课人数.csv")
    assert figures[1][:6] == ["2026-11-23", "上午", "30", "27", "3", "25"] and figures[1][12] == "确定"
    page = Page()
    page.feed((class_path(closed) / "目录.html").read_text("utf-8"))
    assert len(page.hrefs) == 4 and all((class_path(closed) / unquote(h)).is_file() for h in page.hrefs)
    assert "无录像缺失" in page.text and "polyline" in page.tags and "video" in page.tags
    label = (class_path(closed) / "标签.txt").read_text("utf-8-sig")
    for word in ("电工培训", "2026-11-23 至 2026-12-04", "文水县实训楼", "第 3 班", "第 1 块，共 1 块"):
        assert word in label


def test_gaps_stand_in_the_papers_with_reasons(box: DriveSite) -> None:
    cls = box.classes[0]
    box.record(cls, "cam1", Session.AM, at("09:00"), at("09:04"))
    box.record(cls, "cam2", Session.AM, at("09:00"), at("09:10"))
    number = box.catalog.events.add("power.lost", at("09:04"))
    box.catalog.events.end(number, at("09:10"))
    box.clock.time = at("09:30")
    box.closer().run_once()
    gaps = [r for r in rows(class_path(box) / "清单.csv") if r[0] == "录像缺失"]
    assert [(r[4], r[5][11:], r[7], r[17], r[18]) for r in gaps] == [
        ("cam1", "09:04:00", "360.000", "断电", str(number))
    ]
    assert "断电" in (class_path(box) / "目录.html").read_text("utf-8")


def test_hostile_words_do_no_harm(tmp_path: Path) -> None:
    box = site(tmp_path)
    cls = training_class(
        project="<script>alert(1)</script>", place='=cmd|"/c calc"!A1\r\nx', institution='"><img src=x>'
    )
    box.classes[:] = [cls]
    box.half_day(cls, Session.AM)
    box.clock.time = at("09:30")
    box.closer().run_once()
    text = (class_path(box) / "目录.html").read_text("utf-8")
    assert "<script>alert" not in text and "<img" not in text
    assert ":" not in class_path(box).name and "<" not in class_path(box).name
    assert verify.verify_drive(box.drive).ok


def test_papers_are_not_rewritten_for_nothing(closed: DriveSite) -> None:
    before = {p: p.stat().st_mtime_ns for p in class_path(closed).iterdir() if p.is_file()}
    closer = closed.closer()
    for _ in range(3):  # a new closer writes what differs; one that is kept must hold back too
        closed.clock.go(3600)
        closer.run_once()
    assert len(before) == 4 and {p: p.stat().st_mtime_ns for p in before} == before


def test_sums_at_segment_time_show_a_bit_that_flipped_before_the_close(box: DriveSite) -> None:
    box.half_day(box.classes[0], Session.AM)
    flip(one(box, "*/上午/*/*.mp4"))
    box.clock.time = at("09:30")
    box.closer().run_once()
    assert {p.kind for p in verify.verify_drive(box.drive).problems} == {"changed"}


def test_layout_names() -> None:
    assert [layout.parse_part_number(n) for n in ("SHA256SUMS", "SHA256SUMS-2", "SHA256SUMS.sig", "x")] == [
        1,
        2,
        None,
        None,
    ]
    assert (
        layout.add_part_number("RECORD.jsonl", 2) == "RECORD-2.jsonl"
        and layout.strip_part_number("RECORD-12.jsonl") == "RECORD.jsonl"
    )
    assert layout.strip_part_number("CHAIN-2") == "CHAIN"
