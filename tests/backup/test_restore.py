"""A dead box whose backup is there: a new one goes on with the same class, chain, log and accounts on the same drive."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.core.errors import DriveError
from agent.core.model import Session
from agent.drive import Drive, layout, verify
from agent.service.backup_worker import BackupWorker
from tests.support.box_life import ACCOUNT, LivingBox, box_with_morning, close_session, die, list_log_faults
from tests.support.drive_factory import DriveSite, at, loop_drive


def back_up(box: LivingBox, found: DriveSite, *, busy: bool = False) -> Path | None:
    """Run the service's nightly worker once."""
    return BackupWorker(
        box.settings, box.config, found.catalog, found.clock, drives=lambda: [found.drive], busy=lambda: busy
    ).run_once()


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file of a box but its lock."""
    return {str(p): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file() and p.name != "lock"}


def test_a_box_with_the_backup_goes_on(tmp_path: Path) -> None:
    old, found = box_with_morning(tmp_path)
    code = old.make_key()
    assert back_up(old, found, busy=True) is None, "never during a lesson"
    made = back_up(old, found)
    assert made is not None and made.parent == old.drive / layout.BACKUPS
    assert back_up(old, found) is None, "once a day"
    assert b"Example-5" not in made.read_bytes() and b"PRIVATE KEY-----" in made.read_bytes()
    close_session(found, Session.PM, "14:30")  # after the backup: only the drive knows of it
    account, newest = found.catalog.accounts.get(ACCOUNT), found.catalog.statements.current()
    new = die(old, found)

    said = json.loads(new.run("setup", "--restore", "--json", typed=code.lower().replace("-", " ")).stdout)
    assert said["log_continued"] and said["statements"] > 0, said
    assert new.settings.cameras.password.get_secret_value() == "Example-5"
    again = new.site(found)
    assert newest is not None and again.catalog.statements.current() == newest
    assert again.catalog.accounts.get(ACCOUNT) == account
    note = again.catalog.views.confirmed("cam1")
    assert note is not None and note.by == "张老师"
    again.clock.time = at("18:00")
    again.half_day_of(Session.EV, again.drive)
    again.clock.time = at("19:30")
    again.closer().run_once()
    chain = [(x.session, x.sequence) for x in again.catalog.chain.of_class("C1")]
    assert chain == [(Session.AM, 1), (Session.PM, 2), (Session.EV, 3)]
    assert again.catalog.audit.verify() is None
    assert list_log_faults(again.catalog) == []
    assert len(again.catalog.statements.ends()) == 1, "the same log goes on"
    report = verify.verify_drive(Drive.open(new.drive))
    assert (report.ok, report.half_days) == (True, 3), report.problems
    again.catalog.close()
    new.run("setup", "--restore", "--json", typed=code, status=2)  # it has recorded itself by now


def test_without_the_drive_a_new_log_begins_with_its_cause(tmp_path: Path) -> None:
    old, found = box_with_morning(tmp_path)
    code = old.make_key()
    stick = tmp_path / "stick"
    stick.mkdir()
    found.catalog.close()
    made = Path(json.loads(old.run("backup", "--to", str(stick), "--json").stdout)["file"])
    (tmp_path / "drive").rename(tmp_path / "lost")
    new = die(old, found)
    said = json.loads(new.run("setup", "--restore", str(made), "--json", typed=code).stdout)
    assert not said["log_continued"] and said["drives"] == []
    with new.catalog() as catalog:
        assert list_log_faults(catalog) == ["new_log restored"]
        assert catalog.accounts.get(ACCOUNT) is not None


def test_what_is_wrong_is_said_and_nothing_changes(tmp_path: Path) -> None:
    old, found = box_with_morning(tmp_path)
    code = old.make_key()
    made = back_up(old, found)
    assert made is not None
    whole = made.read_bytes()
    new = die(old, found)
    before = snapshot(new.folder)
    other = LivingBox(tmp_path / "other", tmp_path / "nothing")
    strange = other.make_key()
    cut, altered, foreign = tmp_path / "cut.backup", tmp_path / "altered.backup", tmp_path / "foreign.backup"
    cut.write_bytes(whole[: len(whole) // 2])
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    altered.write_bytes(flipped)
    foreign.write_bytes(b"PK" + whole[2:4000])
    for file, typed, words in (
        (made, strange, "打不开"),
        (made, code[:-1] + ("0" if code[-1] != "0" else "1"), "恢复码输入有误"),
        (cut, code, "不完整或已损坏"),
        (altered, code, "不完整或已损坏"),
        (foreign, code, "不是终端的备份文件"),
    ):
        done = new.run("setup", "--restore", str(file), typed=typed, status=2)
        assert words in done.stderr and len(done.stderr.strip().splitlines()) == 1, done.stderr
        assert code not in done.stderr
        assert snapshot(new.folder) == before, words


def test_a_full_drive_gets_no_half_backup(tmp_path: Path) -> None:
    with loop_drive(tmp_path, 24) as mount:
        (mount / "lost+found").rmdir()
        old, found = box_with_morning(tmp_path, mount)
        old.make_key()
        (mount / "C1_full.bin").write_bytes(b"x")
        filler = mount / ".site-agent/probe"
        with filler.open("wb") as file:
            file.write(b"0" * (found.drive.free_bytes() - 64 * 1024))
        with pytest.raises(DriveError, match=r"快满了|已满"):
            back_up(old, found)
        folder = mount / layout.BACKUPS
        assert not folder.exists() or list(folder.iterdir()) == []
        found.catalog.close()
