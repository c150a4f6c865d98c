"""What `drive verify` must not let pass: seals, places in the chain, what was added or taken away after a seal."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from agent.core.model import Session
from agent.drive import chain, keys, layout, verify
from agent.drive.seal import Sealer
from tests.support.drive_factory import DAY, DriveSite, at, site, training_class

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs openssh-client")
AM, PM = "2026-11-23/上午", "2026-11-23/下午"


@pytest.fixture
def over(tmp_path: Path) -> DriveSite:
    """A class whose two half-days are closed."""
    box = site(tmp_path)
    for session, end in ((Session.AM, "09:30"), (Session.PM, "14:30")):
        box.half_day(box.classes[0], session)
        box.clock.time = at(end)
        box.closer().run_once()
    return box


@pytest.fixture
def sealed(over: DriveSite) -> DriveSite:
    """The class sealed, and with write permission again, as for whoever owns the drive."""
    sealer(over).one_class("C1")
    for path in [folder(over), *folder(over).rglob("*")]:
        path.chmod(path.stat().st_mode | 0o200)
    return over


def sealer(box: DriveSite) -> Sealer:
    return Sealer(box.drive, box.clock, box.catalog, box.classes, box.key_dir, "李四")


def folder(box: DriveSite) -> Path:
    return box.drive.root / (box.drive.find_class("C1") or "")


def problems(box: DriveSite, **asked: object) -> set[tuple[str, str]]:
    """(kind, path below the class folder) of all that is wrong by lists, signatures and chain alone.

    What differs from the statements besides is the matter of tests/drive/test_statements.py.
    """
    found = verify.verify_drive(box.drive, **asked).problems  # type: ignore[arg-type]
    return {
        (p.kind, p.path.removeprefix(f"{folder(box).name}/"))
        for p in found
        if not p.kind.startswith(("statement_", "paper_"))
    }


def spoil(path: Path) -> None:
    raw = path.read_bytes()
    path.write_bytes(raw[:-40] + b"A" * 8 + raw[-32:])


# Seals


def test_the_seal_of_a_class_must_be_signed(sealed: DriveSite) -> None:
    signature = folder(sealed) / "SHA256SUMS.sig"
    spoil(signature)
    assert problems(sealed) == {("signature_bad", "SHA256SUMS.sig")}
    signature.unlink()
    assert problems(sealed) == {("signature_missing", "SHA256SUMS.sig")}


def test_a_correction_must_be_signed(sealed: DriveSite) -> None:
    figures = sealed.catalog.attendance.get("C1", DAY, Session.AM)
    sealed.catalog.attendance.put({**(figures or {}), "revision": 2, "status": "revised"}, at("16:00"))
    sealed.clock.time = at("16:00")
    sealed.closer().run_once()
    (signature,) = folder(sealed).glob("更正/*.sig")
    spoil(signature)
    assert problems(sealed) == {("signature_bad", f"更正/{signature.name}")}
    signature.unlink()
    assert problems(sealed) == {("signature_missing", f"更正/{signature.name}")}


def test_the_seal_of_the_whole_drive_must_be_signed(over: DriveSite) -> None:
    sealer(over).whole()
    signature = over.drive.root / ".site-agent/sealed.json.sig"
    spoil(signature)
    assert problems(over) == {("signature_bad", ".site-agent/sealed.json.sig")}
    signature.unlink()
    assert problems(over) == {("signature_missing", ".site-agent/sealed.json.sig")}


def test_a_class_sealed_anew_after_the_whole_drive_was_sealed_is_seen(over: DriveSite) -> None:
    """The forger has the box's key: every signature is good, only the drive's seal names the head before."""
    sealer(over).whole()
    sums = folder(over) / "SHA256SUMS"
    entries = dict(chain.sums.parse_sums(sums.read_bytes()))
    for path in (folder(over), sums, sums.with_name("SHA256SUMS.sig"), folder(over) / "标签.txt"):
        path.chmod(0o755)
    (folder(over) / "标签.txt").write_bytes(b"another")
    entries["标签.txt"] = chain.compute_head(folder(over) / "标签.txt")
    chain.write_sums(folder(over), "SHA256SUMS", entries, over.key_dir)
    assert problems(over) == {("changed", "SHA256SUMS")}


@pytest.mark.parametrize("name", ["补.txt", ".hidden"])
def test_a_file_put_into_a_sealed_class_is_an_addition(sealed: DriveSite, name: str) -> None:
    (folder(sealed) / name).write_text("x")
    assert problems(sealed) == {("added", name)}


def test_what_a_sealed_class_lists_may_not_change_or_go(sealed: DriveSite) -> None:
    (folder(sealed) / "清单.csv").write_text("x")
    (folder(sealed) / "目录.html").unlink()
    assert problems(sealed) == {("changed", "清单.csv"), ("missing", "目录.html")}


def test_half_days_of_a_sealed_class_are_still_read(sealed: DriveSite) -> None:
    video = next(folder(sealed).glob(f"{AM}/R1_cam1/*.mp4"))
    video.write_bytes(video.read_bytes()[:-1] + b"x")
    assert problems(sealed) == {("changed", f"{AM}/R1_cam1/{video.name}")}


def test_a_half_day_whose_sums_are_gone_is_under_way_before_the_seal_alone(over: DriveSite) -> None:
    for name in ("SHA256SUMS", "SHA256SUMS.sig"):
        (folder(over) / PM / name).unlink()
    shutil.rmtree(over.drive.root / ".site-agent/journal")
    report = verify.verify_drive(over.drive)
    assert problems(over) == set() and report.unclosed == [f"{folder(over).name}/{PM}"]
    assert {p.kind for p in report.problems} == {"statement_missing"}, "the morning's chain names a statement"


def test_what_the_journal_closed_is_missing_and_not_under_way(over: DriveSite) -> None:
    for name in ("SHA256SUMS", "SHA256SUMS.sig"):
        (folder(over) / PM / name).unlink()
    report = verify.verify_drive(over.drive)
    assert [(p.kind, p.path.rpartition("/")[2]) for p in report.problems] == [("missing", "SHA256SUMS")]
    assert report.unclosed == []


# The chain


def rewrite(box: DriveSite, half_day: str, change: Callable[[chain.HalfDayLink], bytes]) -> None:
    """What a forger with the box's key does to a half-day's link; the journal is gone too, so that the chain alone speaks."""
    shutil.rmtree(box.drive.root / ".site-agent/journal", ignore_errors=True)
    path = folder(box) / half_day
    (path / "CHAIN").write_bytes(change(chain.parse_chain_file((path / "CHAIN").read_bytes())))
    entries = {name: chain.compute_head(path / name) for name in chain.list_files_to_hash(path)}
    chain.write_sums(path, "SHA256SUMS", entries, box.key_dir)


LINKS: list[tuple[str, str, Callable[[chain.HalfDayLink], chain.HalfDayLink]]] = [
    ("another class", PM, lambda x: replace(x, class_id="C2")),
    ("another half-day", PM, lambda x: replace(x, session=Session.EV)),
    ("another day", PM, lambda x: replace(x, date=DAY.replace(day=22))),
    ("another head before", PM, lambda x: replace(x, previous="0" * 64)),
    ("the first one, with a head before", PM, lambda x: replace(x, sequence=1)),
    ("a later one, with none before", PM, lambda x: replace(x, previous=chain.NO_PREVIOUS, previous_drive=chain.NO_PREVIOUS)),
    ("a number left out, a head that is not here", PM, lambda x: replace(x, sequence=3, previous="0" * 64)),
    ("the first one, with a number in the middle", AM, lambda x: replace(x, sequence=5)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "half_day", "change"), LINKS, ids=[row[0] for row in LINKS])
def test_a_link_out_of_its_place_breaks_the_chain(
    over: DriveSite, name: str, half_day: str, change: Callable[[chain.HalfDayLink], chain.HalfDayLink]
) -> None:
    rewrite(over, half_day, lambda link: change(link).write())
    assert ("chain_broken", f"{half_day}/CHAIN") in problems(over)


def test_a_link_signed_anew_as_it_was_breaks_nothing(over: DriveSite) -> None:
    """The counterpart of the table above: it is the change that is seen, not the signing anew."""
    rewrite(over, PM, lambda link: link.write())
    assert problems(over) == set()


def test_a_link_of_another_format_is_none(over: DriveSite) -> None:
    rewrite(over, PM, lambda link: link.write().replace(b"chain 1", b"chain 2"))
    assert problems(over) == {("chain_broken", f"{PM}/CHAIN")}


def test_a_number_left_out_whose_head_is_here_is_the_gap_of_another_drive(over: DriveSite) -> None:
    """Sequence 2 may lie on another drive; what this one shows must be in order."""
    rewrite(over, PM, lambda link: replace(link, sequence=3, previous="0" * 64, previous_drive="D-other").write())
    assert problems(over) == set()


def test_every_link_is_compared_with_the_one_before_it(over: DriveSite) -> None:
    """Three closings: the third must name the second's head, not the first's."""
    first = over.catalog.chain.of_class("C1")[0].head
    over.record(over.classes[0], "cam1", Session.AM, at("09:20"), at("09:22"))
    (third,) = over.closer().run_once()
    assert third.sequence == 3 and problems(over) == set()
    path = folder(over) / AM
    shutil.rmtree(over.drive.root / ".site-agent/journal")
    link = chain.parse_chain_file((path / "CHAIN-2").read_bytes())
    (path / "CHAIN-2").write_bytes(replace(link, previous=first).write())
    entries = dict(chain.sums.parse_sums((path / "SHA256SUMS-2").read_bytes()))
    entries["CHAIN-2"] = chain.compute_head(path / "CHAIN-2")
    chain.write_sums(path, "SHA256SUMS-2", entries, over.key_dir)
    assert problems(over) == {("chain_broken", f"{AM}/CHAIN-2")}


# Anchors, keys, other problems of one path


def test_heads_may_be_given_in_capitals_and_of_a_seal_too(sealed: DriveSite) -> None:
    heads = [x.head.upper() for x in sealed.catalog.chain.of_class("C1")]
    heads.append(chain.compute_head(folder(sealed) / "SHA256SUMS"))
    report = verify.verify_drive(sealed.drive, heads=heads)
    assert report.ok and report.anchored
    assert {p.kind for p in verify.verify_drive(sealed.drive, heads=["0" * 64]).problems} == {"head_unknown"}


def test_a_key_alone_is_no_anchor_and_a_head_under_another_key_neither(over: DriveSite, tmp_path: Path) -> None:
    head = over.catalog.chain.of_class("C1")[-1].head
    assert not verify.verify_drive(over.drive, key=over.drive.public_key).anchored
    keys.ensure_key(tmp_path / "other")
    report = verify.verify_drive(over.drive, key=keys.load_public_key(tmp_path / "other"), heads=[head])
    assert not report.anchored and {"other_key", "signature_bad"} == {p.kind for p in report.problems}
    assert not verify.verify_drive(over.drive).anchored


def test_one_path_may_have_two_kinds_of_problems_and_each_is_told_once(over: DriveSite) -> None:
    path = folder(over) / PM / "CHAIN"
    path.write_bytes(b"x")
    report = verify.verify_drive(over.drive)
    found = [(p.kind, p.path.partition("/")[2]) for p in report.problems]
    assert sorted(found) == [("chain_broken", f"{PM}/CHAIN"), ("changed", f"{PM}/CHAIN")]


def test_only_the_class_that_was_asked_for_is_read(over: DriveSite) -> None:
    other = training_class("C2")
    over.classes.append(other)
    video = over.record(other, "cam1", Session.PM, at("14:00"), at("14:05"))
    over.clock.time = at("15:00")
    over.closer().run_once()
    path = over.drive.root / video.path
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    (over.drive.root / "说明.docx").write_text("x")
    assert verify.verify_drive(over.drive, only="C1").ok
    assert {p.kind for p in verify.verify_drive(over.drive, only="C2").problems} == {"changed"}
    assert {p.kind for p in verify.verify_drive(over.drive).problems} == {"changed", "added"}


def test_a_row_of_the_journal_about_another_drive_says_nothing_of_this_one(over: DriveSite) -> None:
    row = {
        "class_id": "C1",
        "date": "2026-11-23",
        "session": "ev",
        "sequence": 9,
        "drive_id": "D-other",
        "head": "0" * 64,
    }
    line = json.dumps({"table": "chain", "row": row}) + "\n"
    (path,) = (over.drive.root / ".site-agent/journal").glob("*.jsonl")
    kept = path.read_text()
    path.write_text(kept + line)
    assert problems(over) == set()
    path.write_text(kept + line.replace("D-other", over.drive.drive_id))
    assert problems(over) == {("missing", "2026-11-23/晚上/SHA256SUMS")}


def test_a_fault_of_the_audit_on_the_drive_is_told(over: DriveSite) -> None:
    over.catalog.audit.add(at("14:31"), "wang", "clip", "C1")
    over.catalog.audit.add(at("14:32"), "wang", "view", "C1")
    over.closer().run_once()
    (path,) = (over.drive.root / ".site-agent/journal").glob("*.jsonl")
    assert '"wang"' in path.read_text() and problems(over) == set()
    path.write_text(path.read_text().replace('"wang"', '"zhao"'))
    assert {kind for kind, _ in problems(over)} == {"audit_broken"}


# What lies where nothing should


STRAYS: list[tuple[str, Callable[[Path], object]]] = [
    (f"{AM}/R1_cam1/SHA256SUMS", lambda p: p.write_bytes(b"x")),
    (f"{AM}/R1_cam1/SHA256SUMS.sig", lambda p: p.write_bytes(b"x")),
    (f"{AM}/R1_cam1/link", lambda p: p.symlink_to(p.parent.parent)),
    (f"{AM}/R1_cam1/pipe", lambda p: os.mkfifo(p)),
    (f"{AM}/deep/er/x.mp4", lambda p: (p.parent.mkdir(parents=True), p.write_bytes(b"x"))),
    ("2026-11-25", lambda p: p.write_bytes(b"x")),
    ("2026-11-23/晚上", lambda p: p.write_bytes(b"x")),
    ("2026-11-24", lambda p: p.symlink_to(p.parent / "2026-11-23")),
    ("更正/20261124-080000-2.jsonl.sig", lambda p: (p.parent.mkdir(exist_ok=True), p.write_bytes(b"x"))),
    ("更正/x/20261124-080000-2.jsonl", lambda p: (p.parent.mkdir(parents=True), p.write_bytes(b"x"))),
]  # fmt: skip


@pytest.mark.parametrize(("name", "make"), STRAYS, ids=[row[0] for row in STRAYS])
def test_a_thing_that_no_list_can_name_is_an_addition(
    over: DriveSite, name: str, make: Callable[[Path], object]
) -> None:
    make(folder(over) / name)
    found = problems(over)
    assert {kind for kind, _ in found} == {"added"} and any(name.startswith(path) for _, path in found), found


@pytest.mark.parametrize("name", ["x.mp4", "x.part"])
def test_a_strange_file_in_the_system_folder_is_an_addition_unless_it_is_half_written(
    over: DriveSite, name: str
) -> None:
    (over.drive.root / ".site-agent" / name).write_bytes(b"x")
    assert problems(over) == (set() if name.endswith(".part") else {("added", f".site-agent/{name}")})


# Reading a chain


def test_half_days_and_closings_are_read_in_order_of_time(tmp_path: Path) -> None:
    """Whatever order the file system lists them in: the evening's name sorts before the morning's."""
    for name in ("2026-11-24/上午", "2026-11-23/晚上", "2026-11-23/下午", "2026-11-23/上午", "x/上午", "2026-11-23/x"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "2026-11-25").write_text("x")
    (tmp_path / "2026-11-24/下午").write_text("x")
    assert list(map(str, chain.list_half_day_folders(tmp_path))) == [
        "2026-11-23/上午",
        "2026-11-23/下午",
        "2026-11-23/晚上",
        "2026-11-24/上午",
    ]
    path = tmp_path / AM
    for name in ("SHA256SUMS-10", "SHA256SUMS-2", "SHA256SUMS", "SHA256SUMS.sig"):
        (path / name).write_bytes(b"")
    assert [x.part for x in chain.list_closings(tmp_path, PurePosixPath(AM))] == [1, 2, 10]


def test_a_closing_without_a_link_comes_last_and_one_with_empty_sums_lists_nothing(tmp_path: Path) -> None:
    path = tmp_path / AM
    path.mkdir(parents=True)
    for part in (1, 2):
        (path / layout.add_part_number("SHA256SUMS", part)).write_bytes(b"")
    link = chain.HalfDayLink("C1", DAY, Session.AM, 7, "D1")
    (path / "CHAIN-2").write_bytes(link.write())
    found = chain.list_all_closings(tmp_path)
    assert [(x.part, x.link, x.sums) for x in found] == [(2, link, None), (1, None, None)]
    assert chain.parse_chain_file(link.write()) == link


def test_a_list_that_is_not_there_has_no_head(tmp_path: Path) -> None:
    assert chain.compute_head(tmp_path / "SHA256SUMS") == ""
    head = chain.write_sums(tmp_path, "SHA256SUMS", {"b": "1" * 64, "a": "0" * 64}, None)
    assert head == chain.compute_head(tmp_path / "SHA256SUMS") and not (tmp_path / "SHA256SUMS.sig").exists()


def test_the_files_below_a_folder_are_named_in_order_without_its_own_lists(tmp_path: Path) -> None:
    for name in ("b.mp4", "a.mp4", "SHA256SUMS", "SHA256SUMS.sig", "c/SHA256SUMS", "CHAIN"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "link").symlink_to(tmp_path / "c")
    assert chain.list_files_to_hash(tmp_path) == ["CHAIN", "a.mp4", "b.mp4", "c/SHA256SUMS"]
    assert [str(x.path) for x in chain.scan_half_day(tmp_path).odd] == ["link"]


def test_whoever_finds_the_sums_finds_them_signed(
    over: DriveSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill between the two writes must not leave a list without its signature."""
    written: list[str] = []
    real = chain.durable.write_file

    def noted(path: Path, data: bytes) -> None:
        written.append(path.name)
        real(path, data)

    monkeypatch.setattr(chain.durable, "write_file", noted)
    chain.write_sums(tmp_path, "SHA256SUMS", {"a": "0" * 64}, over.key_dir)
    assert written == ["SHA256SUMS.sig", "SHA256SUMS"]


def test_a_folder_too_deep_to_look_into_is_an_addition(over: DriveSite) -> None:
    path = folder(over) / AM / "/".join("abcdefghijklmnopq")
    path.mkdir(parents=True)
    assert {kind for kind, _ in problems(over)} == {"added"}


def test_what_systems_leave_is_named_once_and_makes_no_drive_wrong(over: DriveSite) -> None:
    (folder(over) / AM / "Thumbs.db").write_bytes(b"x" * 10)
    report = verify.verify_drive(over.drive)
    assert report.ok and report.faults() == []
    assert [(p.kind, p.path.rpartition("/")[2]) for p in report.system_files()] == [("system_file", "Thumbs.db")]


def test_a_problem_that_is_found_twice_is_told_once() -> None:
    report = verify.VerifyReport()
    for kind, path in (("added", "a"), ("added", "a"), ("changed", "a"), ("added", "b")):
        report.add(kind, path, "why")
    assert [(p.kind, p.path) for p in report.problems] == [("added", "a"), ("changed", "a"), ("added", "b")]


def test_an_empty_half_day_is_not_under_way(over: DriveSite) -> None:
    (folder(over) / "2026-11-24/上午/R1_cam1").mkdir(parents=True)
    report = verify.verify_drive(over.drive)
    assert report.ok and report.unclosed == []


def test_a_strange_file_among_the_journal_is_an_addition(over: DriveSite) -> None:
    (over.drive.root / ".site-agent/journal/notes.txt").write_bytes(b"x")
    assert problems(over) == {("added", ".site-agent/journal/notes.txt")}


def test_a_link_among_the_corrections_and_a_paper_elsewhere_are_additions(over: DriveSite) -> None:
    (folder(over) / "更正").mkdir(exist_ok=True)
    (folder(over) / "更正/20261124-080000-2.jsonl").symlink_to(folder(over) / "清单.csv")
    (folder(over) / "补").mkdir()
    (folder(over) / "补/清单.csv").write_bytes(b"x")
    found = problems(over)
    assert ("added", "更正/20261124-080000-2.jsonl") in found and ("added", "补/清单.csv") in found


def test_a_paper_larger_than_any_of_the_agents_is_not_opened(over: DriveSite) -> None:
    os.truncate(folder(over) / "清单.csv", 257 << 20)
    assert problems(over) == {("unreadable", "清单.csv")}
