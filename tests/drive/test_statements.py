"""The attacks that versions before the statement log did not see, done on a real box folder as an attacker does them.

Root on the box writes into its database and drive with the box stopped (the method of the field test's scripts): a segment
exchanged or deleted before its half-day is closed, looks raised, papers edited before the seal, journals cut, alerts deleted.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.__main__ import main
from agent.attendance import publication
from agent.catalog import Catalog
from agent.core.alert_model import AlertKind
from agent.core.errors import InputError
from agent.core.model import Session
from agent.core.sign_in import SignInCount
from agent.core.stated_segment import list_stated_segments
from agent.core.statement_model import EVENT_TYPE, Statement, compute_statement_hash
from agent.drive import Drive, against, keys, status, verify
from agent.drive.journal_writer import Journal
from agent.drive.report import VerifyReport
from agent.drive.seal import Sealer
from agent.drive.witness_files import write_waiting_witnesses
from agent.service.run_history import RunHistory
from tests.support.drive_factory import (
    DAY,
    DriveSite,
    at,
    new_drive,
    site,
    site_with_afternoon,
    video,
)
from tests.support.statement_lists import Bureau

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs openssh-client")
AM, PM = "2026-11-23/上午", "2026-11-23/下午"


@pytest.fixture
def box(tmp_path: Path) -> DriveSite:
    """The morning is closed, the afternoon recorded and counted but not closed; the journal is on the drive."""
    return site_with_afternoon(tmp_path)


@pytest.fixture
def bureau(tmp_path: Path) -> Bureau:
    return Bureau(tmp_path / "bureau")


def close(box: DriveSite) -> None:
    box.clock.time = at("14:30")
    assert len(box.closer().run_once()) == 1


def folder(box: DriveSite) -> Path:
    return box.drive.root / (box.drive.find_class("C1") or "")


def kinds(report: VerifyReport) -> set[str]:
    return {problem.kind for problem in report.problems}


def found(box: DriveSite, bureau: Bureau | None = None, **more: object) -> VerifyReport:
    """What verify says, with the bureau's list where there is one."""
    listed = against.read_bureau_list(bureau.list_file) if bureau else None
    return verify.verify_drive(box.drive, against=listed, **more)  # type: ignore[arg-type]


def root(box: DriveSite) -> sqlite3.Connection:
    """The attacker's own way into the database, beside the box."""
    db = sqlite3.connect(box.folder / "catalog.db", isolation_level=None)
    db.row_factory = sqlite3.Row
    return db


def forge(item: dict[str, object], row: sqlite3.Row) -> dict[str, object]:
    return item | {name: row[name] for name in ("sha256", "bytes")}


def tell_anew(box: DriveSite) -> None:
    """Make the log agree with the forged rows: hashed again from the first statement that they contradict, journal too."""
    db = root(box)
    segments = {row["path"]: row for row in db.execute("select * from segments")}
    previous, first, log = "", 0, ""
    for row in db.execute("select * from statements order by number").fetchall():
        data = json.loads(row["data"])
        forged = dict(data)
        if row["type"] == "segment":
            forged["half_days"] = [
                part | {"items": [forge(x, segments[f"{part['folder']}/{x['path']}"]) for x in part["items"]]}
                for part in data["half_days"]
            ]
        if row["type"] == "journal" and first:
            forged |= {"drive_id": "another"}
        if forged == data and not first:
            previous, log = row["hash"], row["log"]
            continue
        first = first or row["number"]
        draft = Statement(
            log, row["number"], previous, "", row["event_id"], row["subject"],
            EVENT_TYPE.format(name=row["type"]), row["time"], forged,
        )  # fmt: skip
        digest = compute_statement_hash(draft)
        text = json.dumps(forged, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        db.execute(
            "update statements set data = ?, previous = ?, hash = ? where id = ?", [text, previous, digest, row["id"]]
        )
        previous = digest
    db.execute("update logs set hash = ?", [previous])
    (day,) = (box.drive.root / ".site-agent/journal").glob("*.jsonl")
    lines = day.read_bytes().splitlines(True)
    stated = [
        n for n, x in enumerate(lines) if b'"table":"statements"' in x and json.loads(x)["row"]["number"] == first
    ]
    day.write_bytes(b"".join(lines[: stated[0]]))
    db.execute("delete from facts where name = 'journal.current'")
    db.execute("update facts set value = ? where name like 'journal.%.held'", [f"{log}:{first - 1}"])
    db.close()


# Nothing is wrong where nothing was done


def test_an_honest_box_is_whole_and_its_statements_are_one_chain(box: DriveSite, bureau: Bureau) -> None:
    close(box)
    Journal(box.catalog, box.clock, box.catalog.zone).complete(box.drive)
    bureau.hear(box.catalog)
    report = found(box, bureau)
    assert report.problems == [] and bureau.alarms == []
    newest = box.catalog.statements.current()
    assert newest and report.newest == newest and report.statements == newest.number
    assert bureau.numbers() == list(range(1, newest.number + 1)), "numbered without a hole"
    told = {s.name for s in box.catalog.statements.of_log(newest.log)}
    assert told >= {"log", "segment", "looks", "attendance", "gaps", "papers", "journal", "chain"}


def test_an_unclosed_half_day_is_read_against_its_statements(box: DriveSite) -> None:
    assert found(box).ok
    video = next(folder(box).glob(f"{PM}/*/*.mp4"))
    video.write_bytes(video.read_bytes()[:-1] + b"x")
    assert kinds(found(box)) == {"statement_differs"}


# Root, before a half-day is closed (finding 5)


def exchange(box: DriveSite) -> None:
    path = sorted(folder(box).glob(f"{PM}/*/*.mp4"))[0]
    path.write_bytes(video(77, box.folder))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    where = box.drive.relative(path)
    root(box).execute("update segments set sha256 = ?, bytes = ? where path = ?", [digest, path.stat().st_size, where])


def delete(box: DriveSite) -> None:
    path = sorted(folder(box).glob(f"{PM}/*/*.mp4"))[0]
    path.unlink()
    root(box).execute("delete from segments where path = ?", [box.drive.relative(path)])


def raise_looks(box: DriveSite) -> None:
    root(box).execute("update looks set people = people + 10, low = low + 10, high = high + 10 where session = 'pm'")


def raise_figures(box: DriveSite) -> None:
    db = root(box)
    body = json.loads(db.execute("select body from attendance where session = 'pm'").fetchone()[0])
    db.execute(
        "update attendance set body = ?, revision = 2 where session = 'pm'",
        [json.dumps({**body, "present": 30, "revision": 2})],
    )


@pytest.mark.parametrize("attack", [exchange, delete, raise_looks, raise_figures])
def test_what_root_changes_before_the_closing_differs_from_what_was_stated(
    box: DriveSite, attack: Callable[[DriveSite], None]
) -> None:
    attack(box)
    close(box)
    report = found(box, heads=[box.catalog.chain.of_class("C1")[-1].head])
    assert report.anchored, "the published head is that of the forged half-day"
    assert kinds(report) & {"statement_differs", "statement_missing"}


@pytest.mark.parametrize("tidy", [False, True])
def test_what_is_exchanged_within_the_minute_shows_against_the_journal(tmp_path: Path, tidy: bool) -> None:
    """The rows are finished and in the journal, the batch is yet to come. `tidy`: the attacker edits the journal too."""
    box = site(tmp_path)
    box.half_day(box.classes[0], Session.PM)
    box.clock.time = at("14:11")
    closer = box.closer()
    written = Journal(box.catalog, box.clock, box.catalog.zone)
    written.flush(box.drive)
    before = {s.path: s.sha256 or "" for s in box.catalog.segments.of_class("C1")}
    exchange(box)
    if tidy:
        (day,) = (box.drive.root / ".site-agent/journal").glob("*.jsonl")
        text = day.read_text("utf-8")
        for made in box.catalog.segments.of_class("C1"):
            text = text.replace(before[made.path], made.sha256 or "")
        day.write_text(text, "utf-8")
        box.clock.time = at("14:30")
        written.complete(box.drive)  # the agent that goes on remembers what it wrote
    box.clock.time = at("14:30")
    assert len(closer.run_once()) == 1
    assert kinds(found(box)) == {"statement_differs"}


@pytest.mark.parametrize("how", ["waiting", "inserted"])
def test_what_is_rewritten_while_the_agent_is_killed_is_named(tmp_path: Path, how: str) -> None:
    """Killed between a segment's end and its statement; file, row and journal are rewritten, the agent is started again.

    `inserted`: the attacker hides the row until the agent runs again, so that it looks like one of this run.
    """
    box, bureau = site(tmp_path), Bureau(tmp_path / "bureau")
    RunHistory(box.catalog, box.clock, machine_boot="boot").begin("0.3.0")
    bureau.hear(box.catalog)
    box.half_day(box.classes[0], Session.PM)
    Journal(box.catalog, box.clock, box.catalog.zone).flush(box.drive)
    old = {s.path: s.sha256 or "" for s in box.catalog.segments.of_class("C1")}
    box.catalog.store.db.close()
    exchange(box)
    db = root(box)
    (day,) = (box.drive.root / ".site-agent/journal").glob("*.jsonl")
    rows = [dict(row) for row in db.execute("select * from segments")]
    lines = [json.loads(line) for line in day.read_text("utf-8").splitlines()]
    for line in (x for x in lines if x["table"] == "segments"):
        line["row"] = next(row for row in rows if row["path"] == line["row"]["path"])
    day.write_text("".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines), "utf-8")
    if how == "inserted":
        db.execute("delete from segments")
        db.execute("delete from changes where name = 'segments'")
    box.clock.time = at("14:12")
    with Catalog(tmp_path / "catalog.db", box.catalog.zone) as catalog:
        again = DriveSite(tmp_path, box.drive, catalog, box.clock, box.classes, box.key_dir)
        RunHistory(catalog, box.clock, machine_boot="boot").begin("0.3.0")
        for row in rows if how == "inserted" else ():
            db.execute(f"insert into segments ({', '.join(row)}) values ({', '.join('?' * len(row))})", [*row.values()])
        close(again)
        bureau.hear(catalog)
        report = found(again, bureau)
        assert report.problems == [], "nothing contradicts it"
        assert sorted(report.left_out["recovered"]) == sorted(old), "it is named as what the box alone had"
        listed = against.read_bureau_list(bureau.list_file).segments
        assert {x.path: x.recovered for x in listed} == dict.fromkeys(old, True)
        again.half_day_of(Session.EV, box.drive)
        again.clock.time = at("19:30")
        assert len(again.closer().run_once()) == 1
        report = found(again)
        assert report.ok and sorted(report.left_out["recovered"]) == sorted(old), "what is recorded since is not"


def test_segments_are_stated_as_soon_as_no_more_of_them_come(tmp_path: Path) -> None:
    box = site(tmp_path)
    cls, closer = box.classes[0], box.closer()
    closer.run_once()

    def stated() -> list[int]:
        box.clock.go(5)
        closer.run_once()
        newest = box.catalog.statements.current()
        told = box.catalog.statements.of_log(newest.log) if newest else ()
        return [len(list(list_stated_segments(s))) for s in told if s.name == "segment"]

    box.record(cls, "cam1", Session.AM, at("08:50"), at("08:55"))
    assert stated() == [], "the other camera ends at the same time"
    box.record(cls, "cam2", Session.AM, at("08:50"), at("08:55"))
    assert stated() == []
    assert stated() == [2], "10 s later, in one statement"
    for minute in range(4):
        box.record(cls, "cam1", Session.AM, at(f"08:5{minute}"), at(f"08:5{minute + 1}"))
        box.clock.go(10)
        stated()
    assert sum(stated()) == 6 and len(stated()) == 3, "one a minute at least where they never cease to come"


def test_a_log_rewritten_to_agree_is_not_the_one_that_left_the_building(box: DriveSite, bureau: Bureau) -> None:
    bureau.hear(box.catalog)
    exchange(box)
    tell_anew(box)
    close(box)
    assert found(box).ok, "the drive alone agrees with itself"
    report = found(box, bureau)
    assert "against_differs" in kinds(report)
    bureau.hear(box.catalog)
    assert {alarm.kind for alarm in bureau.alarms} == {"fork"}, "told as soon as the next statement comes"
    assert [found.body["session"] for found in bureau.signed] == ["am"], "a forked log is never signed"


# Rollback (finding 6)


def test_two_histories_from_one_copy_are_an_alarm_and_the_second_is_not_witnessed(
    box: DriveSite, bureau: Bureau, tmp_path: Path
) -> None:
    bureau.hear(box.catalog)
    box.catalog.close()
    shutil.copytree(tmp_path, tmp_path.parent / f"{tmp_path.name}-copy", ignore=shutil.ignore_patterns("bureau"))
    from agent.catalog import Catalog

    heads = []
    for place in (tmp_path, tmp_path.parent / f"{tmp_path.name}-copy"):
        drive = Drive.open(place / "drive")
        catalog = Catalog(place / "catalog.db", box.catalog.zone)
        again = DriveSite(place, drive, catalog, box.clock, box.classes, place / "keys")
        if heads:
            raise_looks(again)
        close(again)
        bureau.hear(catalog)
        heads.append(catalog.chain.of_class("C1")[-1].head)
        catalog.close()
    assert heads[0] != heads[1]
    assert {alarm.kind for alarm in bureau.alarms} == {"fork"}
    assert [found.body["head"] for found in bureau.signed][-1] == heads[0] and len(bureau.signed) == 2
    forged = verify.verify_drive(
        Drive.open(tmp_path.parent / f"{tmp_path.name}-copy/drive"),
        against=against.read_bureau_list(bureau.list_file),
    )
    assert kinds(forged) >= {"against_differs"}


# Papers (finding 4)


@pytest.mark.parametrize(
    ("name", "edit"),
    [
        ("到课人数.csv", lambda raw: raw.replace(b",27,3,", b",30,0,")),
        ("清单.csv", lambda raw: raw.replace(b"cam1", b"cam9")),
        ("清单.csv", lambda raw: b"\r\n".join(raw.split(b"\r\n")[:-2]) + b"\r\n"),
        ("目录.html", lambda raw: raw + b"<p>30</p>"),
        ("标签.txt", lambda raw: raw.replace(b"30", b"35")),
    ],
)
def test_an_edited_paper_shows_before_the_seal_and_is_not_sealed(
    box: DriveSite, name: str, edit: Callable[[bytes], bytes]
) -> None:
    close(box)
    assert found(box).ok
    paper = folder(box) / name
    before = paper.read_bytes()
    paper.write_bytes(edit(before))
    assert paper.read_bytes() != before
    assert kinds(found(box)) == {"paper_differs"}
    away = Sealer(box.drive, box.clock, key_dir=box.key_dir)
    with pytest.raises(InputError) as refused:
        away.whole()
    assert refused.value.key == "drive.seal_papers"


def test_an_edited_paper_of_a_box_without_statements_is_compared_with_the_signed_record(box: DriveSite) -> None:
    close(box)
    strip_statements(box)
    assert found(box).ok
    paper = folder(box) / "到课人数.csv"
    paper.write_bytes(paper.read_bytes().replace(b",27,3,", b",30,0,"))
    report = found(box)
    assert kinds(report) == {"paper_differs"}
    assert "上午 的人数与记录不符" in report.problems[0].detail, "in the words of the file"
    assert {Path(path).name for path in report.left_out["papers"]} >= {"目录.html", "标签.txt"}, "named as not covered"


def state_sign_ins(box: DriveSite) -> None:
    """Sign-ins of the morning, which is closed already, as the agent publishes them."""
    before = box.catalog.attendance.get("C1", DAY, Session.AM)
    assert before is not None
    count = SignInCount("C1", DAY, Session.AM, 29, 28, "file", "王老师", box.clock.now())
    body = publication.with_sign_ins(before, count, box.catalog.zone)
    assert body is not None
    box.catalog.attendance.put(body, box.clock.now())


@pytest.mark.parametrize(
    "edit",
    [
        lambda raw: raw.replace(",29,28,打卡记录统计".encode(), ",27,27,打卡记录统计".encode()),
        lambda raw: raw.replace(",29,28,打卡记录统计".encode(), b",,,"),
        lambda raw: raw.replace(",29,28,打卡记录统计".encode(), b""),
    ],
)
def test_sign_ins_stand_in_the_papers_and_an_edited_one_shows(box: DriveSite, edit: Callable[[bytes], bytes]) -> None:
    close(box)
    state_sign_ins(box)
    box.clock.time = at("14:45")
    box.closer().run_once()
    paper = folder(box) / "到课人数.csv"
    before = paper.read_bytes()
    assert ",确定,2,29,28,打卡记录统计\r\n".encode() in before
    assert "签到 29，签退 28（打卡记录统计）" in (folder(box) / "目录.html").read_text("utf-8")
    assert found(box).ok
    paper.write_bytes(edit(before))
    assert paper.read_bytes() != before
    assert kinds(found(box)) == {"paper_differs"}


def test_a_table_of_an_earlier_version_without_columns_for_sign_ins_verifies(box: DriveSite) -> None:
    close(box)
    strip_statements(box)
    paper = folder(box) / "到课人数.csv"
    before = paper.read_bytes().decode("utf-8-sig").splitlines()
    assert all(row.endswith(",,,") for row in before[1:])
    earlier = [row.removesuffix(",,,") for row in before]
    earlier[0] = earlier[0].rsplit(",", 3)[0]
    paper.write_bytes(("\ufeff" + "\r\n".join(earlier) + "\r\n").encode())
    assert found(box).ok


def strip_statements(box: DriveSite) -> None:
    """Make the drive one of an earlier version: no statement in journal, records and chain; signed anew by the box."""
    from agent.drive import chain

    for file in sorted((box.drive.root / ".site-agent/journal").glob("*.jsonl")):
        file.write_bytes(b"".join(x for x in file.read_bytes().splitlines(True) if b'"table":"statements"' not in x))
    previous = "none"
    for half_day in (AM, PM):
        place = folder(box) / half_day
        lines = [x for x in (place / "CHAIN").read_text().splitlines() if not x.startswith("statements: ")]
        (place / "CHAIN").write_text(
            "".join(f"previous: {previous}\n" if x.startswith("previous:") else f"{x}\n" for x in lines)
        )
        record = (place / "RECORD.jsonl").read_bytes().splitlines(True)
        (place / "RECORD.jsonl").write_bytes(b"".join(x for x in record if b'"table":"statements"' not in x))
        old = hashlib.sha256((place / "SHA256SUMS").read_bytes()).hexdigest()
        entries = {name: chain.compute_head(place / name) for name in chain.list_files_to_hash(place)}
        previous = chain.write_sums(place, "SHA256SUMS", entries, box.key_dir)
        for file in (box.drive.root / ".site-agent/journal").glob("*.jsonl"):
            file.write_text(file.read_text("utf-8").replace(old, previous), "utf-8")


# The journal (findings 10, T15, T15b, T9b)


def test_lines_cut_out_of_the_journal_are_found(box: DriveSite) -> None:
    box.catalog.alerts.raise_(AlertKind.ATTENDANCE_EMPTY, "C1/d/pm", "空教室", at("14:05"))
    box.catalog.audit.add(at("14:06"), "检查员", "view.class", "C1")
    close(box)
    (day,) = (box.drive.root / ".site-agent/journal").glob("*.jsonl")
    lines = day.read_bytes().splitlines(True)
    kept = [x for x in lines if b'"table":"audit"' not in x and b'"table":"alerts"' not in x]
    assert len(kept) < len(lines)
    day.write_bytes(b"".join(kept))
    assert kinds(found(box)) == {"statement_differs"}


def test_an_emptied_journal_is_found(box: DriveSite) -> None:
    close(box)
    shutil.rmtree(box.drive.root / ".site-agent/journal")
    assert kinds(found(box)) >= {"statement_missing"}


def test_a_cut_half_day_whose_journal_lines_are_cut_too_is_found(box: DriveSite, bureau: Bureau) -> None:
    older = box.catalog.chain.of_class("C1")[-1].head
    close(box)
    bureau.hear(box.catalog)
    shutil.rmtree(folder(box) / PM)
    (day,) = (box.drive.root / ".site-agent/journal").glob("*.jsonl")
    day.write_bytes(b"".join(x for x in day.read_bytes().splitlines(True) if b'"sequence":2' not in x))
    report = found(box, heads=[older])
    assert report.anchored and kinds(report) & {"statement_differs", "statement_missing"}
    # and cut to what it was when the morning was closed: only the bureau's list knows more
    number = next(
        s.number for s in box.catalog.statements.of_log(box.catalog.statements.current().log) if s.name == "chain"
    )  # type: ignore[union-attr]
    kept = [
        x
        for x in day.read_bytes().splitlines(True)
        if b'"table":"statements"' not in x or json.loads(x)["row"]["number"] <= number
    ]
    day.write_bytes(b"".join(x for x in kept if b'"pm"' not in x))
    assert "against_missing" in kinds(found(box, bureau))


# Alerts deleted in an outage (finding 10)


def test_alerts_deleted_from_the_outbox_are_sent_all_the_same(box: DriveSite, bureau: Bureau) -> None:
    bureau.hear(box.catalog)
    box.catalog.alerts.raise_(AlertKind.ATTENDANCE_EMPTY, "C1/d/pm", "空教室", at("14:05"))
    db = root(box)
    db.execute("delete from outbox")
    db.execute("delete from alerts")
    assert box.catalog.outbox.waiting() == []
    newest = box.catalog.statements.current()
    assert newest and box.catalog.outbox.requeue(newest.number - 1) == 1, "as after each connection"
    (message,) = box.catalog.outbox.waiting()
    assert message.topic == "alert/attendance.empty"


def test_an_alert_deleted_with_its_statement_leaves_a_hole(box: DriveSite, bureau: Bureau) -> None:
    bureau.hear(box.catalog)
    box.catalog.alerts.raise_(AlertKind.ATTENDANCE_EMPTY, "C1/d/pm", "空教室", at("14:05"))
    db = root(box)
    for table in ("outbox", "alerts"):
        db.execute(f"delete from {table}")
    db.execute("delete from statements where type = 'alert'")
    db.execute("delete from changes where name in ('alerts', 'statements')")
    close(box)
    bureau.hear(box.catalog)
    bureau.seconds += 601
    assert {alarm.kind for alarm in bureau.witness.find_holes()} == {"hole"}
    assert [found.body["session"] for found in bureau.signed] == ["am"], "nothing behind a hole is signed"
    assert "statement_missing" in kinds(found(box))


# Countersignature


def test_a_countersigned_half_day_is_checked_by_ssh_keygen_alone(
    box: DriveSite, bureau: Bureau, tmp_path: Path
) -> None:
    bureau.hear(box.catalog)
    assert write_waiting_witnesses(box.catalog, box.drive) == 1
    public = keys.load_public_key(bureau.folder / "key")
    report = found(box, witness=public)
    assert report.problems == [] and report.unwitnessed == []
    assert [(path.split("/", 1)[1], name) for path, name, _ in report.witnessed] == [
        (f"{AM}/SHA256SUMS", "文水县人社局")
    ]
    allowed = tmp_path / "witnesses"
    allowed.write_text(f'bureau namespaces="site-agent-witness" {public}\n')
    text = folder(box) / AM / "SHA256SUMS.witness"
    command = [
        "ssh-keygen",
        "-Y",
        "verify",
        "-f",
        str(allowed),
        "-I",
        "bureau",
        "-n",
        "site-agent-witness",
        "-s",
        f"{text}.sig",
    ]
    done = subprocess.run(command, input=text.read_bytes(), capture_output=True)
    assert done.returncode == 0 and b"Good" in done.stdout
    head = hashlib.sha256((folder(box) / AM / "SHA256SUMS").read_bytes()).hexdigest()
    assert f"head: {head}" in text.read_text("utf-8").splitlines()
    close(box)
    assert found(box, witness=public).unwitnessed == [f"{folder(box).name}/{PM}/SHA256SUMS"]


def test_status_counts_the_countersigned_closings(
    box: DriveSite, bureau: Bureau, capsys: pytest.CaptureFixture[str]
) -> None:
    bureau.hear(box.catalog)
    assert [(x.closings, x.witnessed) for x in status.summarise_classes(box.drive)] == [(1, 0)]
    close(box)
    assert [(x.closings, x.witnessed) for x in status.summarise_classes(box.drive)] == [(2, 1)]
    assert main(["drive", "status", str(box.drive.root), "--language", "zh"]) == 0
    assert " 1/2 " in capsys.readouterr().out
    text = folder(box) / AM / "SHA256SUMS.witness"
    text.write_text(text.read_text("utf-8").replace("head: ", "head: 0"), "utf-8")
    assert status.summarise_classes(box.drive)[0].witnessed == 0


def test_a_countersignature_of_another_head_or_key_is_bad(box: DriveSite, bureau: Bureau) -> None:
    bureau.hear(box.catalog)
    write_waiting_witnesses(box.catalog, box.drive)
    assert keys.load_public_key(box.key_dir or Path()) != keys.load_public_key(bureau.folder / "key")
    assert kinds(found(box, witness=box.drive.public_key)) == {"witness_bad"}
    text = folder(box) / AM / "SHA256SUMS.witness"
    text.write_text(text.read_text("utf-8").replace("box: wenshui/site1/box1", "box: wenshui/site1/box2"), "utf-8")
    assert kinds(found(box, witness=keys.load_public_key(bureau.folder / "key"))) == {"witness_bad"}


def test_a_witness_that_was_restarted_remembers_what_it_signed(box: DriveSite, bureau: Bureau) -> None:
    bureau.hear(box.catalog)
    bureau.start()
    close(box)
    bureau.hear(box.catalog)
    assert bureau.alarms == [] and [x.body["session"] for x in bureau.signed] == ["am", "pm"]


# What an honest box goes through


def test_a_box_rebuilt_from_its_drive_goes_on_in_the_same_log(box: DriveSite, bureau: Bureau) -> None:
    from agent.drive import rebuild

    bureau.hear(box.catalog)
    before = box.catalog.statements.current()
    box.catalog.close()
    (box.folder / "catalog.db").unlink()
    catalog, report = rebuild.open_or_rebuild(box.folder / "catalog.db", box.catalog.zone, [box.drive], box.clock)
    assert report is not None and catalog.statements.current() == before
    again = DriveSite(box.folder, box.drive, catalog, box.clock, box.classes, box.key_dir)
    close(again)
    bureau.hear(catalog)
    assert bureau.alarms == [] and [x.body["session"] for x in bureau.signed] == ["am", "pm"]
    assert found(again, bureau).problems == []
    catalog.close()


def test_an_older_copy_of_the_state_goes_on_behind_the_drive(box: DriveSite, bureau: Bureau) -> None:
    from agent.catalog import Catalog
    from agent.drive import rebuild

    box.catalog.store.db.execute("pragma wal_checkpoint(truncate)")
    copy = (box.folder / "catalog.db").read_bytes()
    box.catalog.alerts.raise_(AlertKind.CAMERA_OFFLINE, "cam1", "掉线", at("14:12"), camera_id="cam1")
    box.clock.time = at("14:12")
    box.closer().run_once()
    bureau.hear(box.catalog)
    box.catalog.close()
    for name in ("catalog.db-wal", "catalog.db-shm"):
        (box.folder / name).unlink(missing_ok=True)
    (box.folder / "catalog.db").write_bytes(copy)
    catalog = Catalog(box.folder / "catalog.db", box.catalog.zone)
    assert rebuild.continue_log(catalog, [box.drive]) > 0
    catalog.alerts.raise_(AlertKind.CAMERA_OFFLINE, "cam2", "掉线", at("14:13"), camera_id="cam2")
    bureau.hear(catalog)
    assert bureau.alarms == []
    catalog.close()


def test_a_change_of_drive_leaves_no_hole(box: DriveSite, bureau: Bureau, tmp_path: Path) -> None:
    second = new_drive(tmp_path / "second", box.clock, box.key_dir, "二号盘")
    box.know(second)
    close(box)
    box.half_day_of(Session.EV, second)
    box.clock.time = at("19:30")
    assert len(box.closer(second).run_once()) == 1
    box.catalog.alerts.raise_(AlertKind.CAMERA_OFFLINE, "cam1", "掉线", at("19:40"), camera_id="cam1")
    box.closer().run_once()
    bureau.hear(box.catalog)
    assert bureau.alarms == []
    for drive in (box.drive, second):
        report = verify.verify_drive(drive, against=against.read_bureau_list(bureau.list_file))
        assert report.problems == [], drive.label


def test_what_the_catalog_has_pruned_is_named_by_the_drive_that_begins_later(box: DriveSite, tmp_path: Path) -> None:
    close(box)
    bureau = Bureau(tmp_path / "bureau")
    bureau.hear(box.catalog)
    Journal(box.catalog, box.clock, box.catalog.zone).complete(box.drive)
    bureau.hear(box.catalog)
    assert box.catalog.statements.prune(at("23:00", DAY)) >= 3
    newest = box.catalog.statements.current()
    second = new_drive(tmp_path / "second", box.clock, box.key_dir, "二号盘")
    box.know(second)
    box.closer(second).run_once()
    report = verify.verify_drive(second)
    assert report.problems == [] and newest and 0 < report.statements < newest.number
    bureau.hear(box.catalog)
    assert bureau.alarms == []
