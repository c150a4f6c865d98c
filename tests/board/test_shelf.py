"""Drives that come in: a real drive, whose box's statements the board heard, verified by the real command; and the shelf."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread

import pytest
from sqlalchemy import insert, select

from agent.core.clock import format_utc
from agent.core.errors import InputError
from agent.core.model import Session
from board.clips.orders import order_clip
from board.shelf.checking import DriveChecker
from board.shelf.ledger import add_years, find_check, find_on_shelf, list_shelf
from board.shelf.mounted import DriveScan, MountedDrive, list_half_days, list_mounted, read_identity
from board.shelf.options import ShelfOptions
from board.shelf.process import run_verification
from board.store.tables import clips, drive_checks
from tests.support.board_store import BoardStore
from tests.support.board_web import ServedBoard, serving_board
from tests.support.drive_factory import DAY, DriveSite, at, site_with_morning
from tests.support.statement_lists import events
from tests.support.web_client import Browser, csrf_of

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs openssh-client")
BOX = "wenshui/site1/box1"
RUN_S = 120
"""A check of a small drive takes two seconds on an idle machine."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[BoardStore]:
    made = BoardStore(f"sqlite:///{tmp_path}/board.db")
    yield made
    made.database.close()


@pytest.fixture
def box(tmp_path: Path) -> DriveSite:
    """A box whose drive lies below `tmp_path/box`, as a drive below /media."""
    return site_with_morning(tmp_path / "box")


@pytest.fixture
def checker(store: BoardStore, tmp_path: Path) -> Iterator[DriveChecker]:
    made = DriveChecker(store.database, store.clock, tmp_path / "lists")
    yield made
    made.close()


def check(checker: DriveChecker, store: BoardStore, box: DriveSite) -> dict[str, object]:
    drive = read_identity(box.drive.root)
    assert drive is not None
    number = checker.begin(drive, "zhang", "zhang@-")
    assert checker.wait(RUN_S)
    found = find_check(store.database, number)
    assert found is not None
    return found


def press(board: ServedBoard, browser: Browser, box: DriveSite) -> str:
    """Press the button beside the drive; return the path of its report once the check has ended."""
    fields = {"csrf": csrf_of(browser.open("/drives").text), "root": str(box.drive.root), "drive": box.drive.drive_id}
    answer = browser.submit("/drives/check", fields)
    assert answer.status_code == 200, answer.text
    assert board.server.site.drive_checker.wait(RUN_S)
    return answer.url.removeprefix(board.url)


def change_a_file(box: DriveSite) -> str:
    """Change a byte of a video; return its name."""
    video = next(box.drive.root.rglob("*.mp4"))
    video.write_bytes(video.read_bytes()[:-1] + b"x")
    return video.name


def test_a_changed_file_stands_in_the_report(store: BoardStore, box: DriveSite, tmp_path: Path) -> None:
    store.hear(*events(box.catalog))
    name = change_a_file(box)
    with serving_board(store, tmp_path / "page", tls=False, shelf=ShelfOptions((tmp_path / "box",))) as board:
        browser = board.signed_in("inspector")
        report = browser.open(press(board, browser, box)).text
        assert "核验不通过" in report and "内容被改动" in report and name in report, report
        assert f"{DAY} 上午" in report and "site1/box1" in report
        assert not list((tmp_path / "page" / "drive-checks").iterdir()), "the lists stay no longer than the check"


@pytest.mark.long
@pytest.mark.minutes(0.3)
def test_a_drive_is_verified_before_and_after_a_change(store: BoardStore, box: DriveSite, tmp_path: Path) -> None:
    store.hear(*events(box.catalog))
    with serving_board(store, tmp_path / "page", tls=False, shelf=ShelfOptions((tmp_path / "box",))) as board:
        clerk = board.signed_in("clerk")
        assert "一号盘" in clerk.open("/drives").text
        report = clerk.open(path := press(board, clerk, box)).text
        assert "核验通过" in report and "未发现问题" in report, report
        change_a_file(box)
        assert "核验不通过" in clerk.open(press(board, clerk, box)).text
        assert "未发现问题" in clerk.open(path).text, "what an earlier check found stays"
        assert {"view.drives", "drive.check", "view.drive.check"} <= set(board.actions())
    assert [x["verdict"] for x in store.all(drive_checks)] == ["clean", "wrong"]


@pytest.mark.long
@pytest.mark.minutes(0.2)
def test_progress_is_told_and_a_stop_ends_it(box: DriveSite, tmp_path: Path) -> None:
    os.truncate(next(box.drive.root.rglob("*.mp4")), 4_000_000_000)  # read for seconds, and takes no space
    stop, told = Event(), list[float]()

    def hear(share: float) -> None:
        told.append(share)
        stop.set()

    outcome = run_verification(box.drive.root, None, tmp_path / "out", hear, stop)
    assert (outcome.stopped, outcome.result) == (True, None) and 0 < told[0] < 1, (outcome, told)


def test_a_disk_that_hangs_holds_one_look(box: DriveSite, monkeypatch: pytest.MonkeyPatch) -> None:
    scan, begun, go_on = DriveScan([box.folder]), Event(), Event()
    assert [x.drive_id for x in scan.look()] == [box.drive.drive_id]

    def hang(roots: object) -> list[MountedDrive]:
        begun.set()
        assert go_on.wait(60)
        return []

    monkeypatch.setattr("board.shelf.mounted.list_mounted", hang)
    hanging = Thread(target=scan.look)
    hanging.start()
    assert begun.wait(60) and [x.drive_id for x in scan.look()] == [box.drive.drive_id]
    go_on.set()
    hanging.join(60)
    assert not hanging.is_alive()


def test_who_may_verify(store: BoardStore, tmp_path: Path) -> None:
    with serving_board(store, tmp_path / "page", tls=False) as board:
        for role, status in (("auditor", 403), ("inspector", 400)):
            browser = board.signed_in(role)
            fields = {"csrf": csrf_of(browser.open("/drives").text), "root": "/", "drive": "x"}
            assert browser.submit("/drives/check", fields).status_code == status, role
    assert store.all(drive_checks) == []


@pytest.mark.long
@pytest.mark.minutes(0.5)
def test_verdicts(store: BoardStore, box: DriveSite, checker: DriveChecker) -> None:
    found = check(checker, store, box)
    assert (found["state"], found["verdict"]) == ("done", "untold"), found
    store.hear(*events(box.catalog))
    found = check(checker, store, box)
    assert found["verdict"] == "clean", found
    # recorded while the box was offline, and handed in before it was heard again
    box.half_day(box.classes[0], Session.PM)
    box.clock.time = at("14:30")
    box.closer().run_once()
    found = check(checker, store, box)
    report = found["report"]
    assert isinstance(report, dict)
    assert (found["verdict"], report["untold"]) == ("partial", [["C1", DAY.isoformat(), "pm"]]), found
    assert report["untold_statements"] > 0
    # a box that signs with another key than the one that the board knows
    identity = box.drive.root / ".site-agent" / "drive.json"
    body = json.loads(identity.read_text("utf-8"))
    identity.write_text(json.dumps(body | {"public_key": "ssh-ed25519 AAAA other"}), "utf-8")
    assert check(checker, store, box)["verdict"] == "wrong"


def test_one_check_at_a_time_and_one_that_was_cut_off_says_so(
    store: BoardStore, box: DriveSite, checker: DriveChecker, tmp_path: Path
) -> None:
    drive = read_identity(box.drive.root)
    assert drive
    number = checker.begin(drive, "zhang", "zhang@-")
    with pytest.raises(InputError, match="正在核验"):
        checker.begin(drive, "li", "li@-")
    checker.close()
    found = find_check(store.database, number)
    assert found and found["state"] == "interrupted" and found["ended_at"]
    # a process that was killed could write nothing; the next one does
    row = {
        "drive_id": "d",
        "label": "",
        "institution": "",
        "mount": "/",
        "begun_at": format_utc(store.clock.now()),
        "begun_by": "x",
    }
    with store.database.write() as connection:
        connection.execute(insert(drive_checks).values(row | {"state": "running"}))
    with serving_board(store, tmp_path / "page", tls=False) as board:
        page = board.signed_in("auditor").open(f"/drives/checks/{number + 1}")
    assert "核验中断" in page.text and "重新核验" in page.text


def test_a_drive_is_found_as_a_stranger_may_have_made_it(box: DriveSite, tmp_path: Path) -> None:
    root = tmp_path / "media"
    (root / "zhang").mkdir(parents=True)
    for name in ("pipe", "huge", "broken", "link"):
        (root / name / ".site-agent").mkdir(parents=True)
    os.mkfifo(root / "pipe" / ".site-agent" / "drive.json")
    (root / "huge" / ".site-agent" / "drive.json").write_bytes(b" " * 100_000)
    (root / "broken" / ".site-agent" / "drive.json").write_bytes(b"[" * 50_000)
    (root / "link" / ".site-agent" / "drive.json").symlink_to(box.drive.root / ".site-agent" / "drive.json")
    box.drive.root.rename(root / "zhang" / "disk")
    assert [x.root for x in list_mounted([root, tmp_path / "none"])] == [root / "zhang" / "disk"]
    assert list_half_days(root / "zhang" / "disk") == [("C1", DAY.isoformat(), "am")]


def test_the_shelf_says_where_a_drive_lies_until_when_and_what_was_asked_of_it(
    store: BoardStore, box: DriveSite, tmp_path: Path
) -> None:
    store.hear(*events(box.catalog))
    drive_id, now = box.drive.drive_id, store.clock.now()
    order = order_clip(
        store.database, class_id="C1", box=BOX, start=at("09:01"), end=at("09:02"), camera="", by="wang@-",
        purpose="投诉核实", now=now,
    )  # fmt: skip
    with store.database.write() as connection:
        values = {"state": "refused", "code": "clip.handed_over", "reason": f"录像在硬盘 {drive_id}（一号盘）上"}
        connection.execute(clips.update().where(clips.c.id == order).values(values))
    (told,) = list_shelf(store.database, 5)
    assert not told.is_here and told.drive_id == drive_id and [x.class_id for x in told.classes] == ["C1"]
    assert told.keep_until == add_years(DAY, 5) and [x["id"] for x in told.asked] == [order]
    with serving_board(store, tmp_path / "page", tls=False) as board:
        clerk, path = board.signed_in("clerk"), f"/drives/drive?id={drive_id}"
        assert "仍在培训机构" in clerk.open("/drives").text
        page = clerk.open(path).text
        assert "投诉核实" in page and "2031-11-23" in page
        fields = {
            "csrf": csrf_of(page),
            "drive": drive_id,
            "place": "档案室 3 号柜",
            "handed_in_by": "张老师",
            "note": "",
        }
        day = (now.date() - timedelta(days=1)).isoformat()
        assert clerk.submit("/drives/drive", fields | {"handed_in_on": day}).status_code == 200
        shelf = clerk.open("/drives").text
        assert "档案室 3 号柜" in shelf and f"{day} 张老师" in shelf and "仍在培训机构" not in shelf
        for wrong in ("2026-13-01", (now.date() + timedelta(days=30)).isoformat()):
            assert clerk.submit("/drives/drive", fields | {"handed_in_on": wrong}).status_code == 400
        assert clerk.submit("/drives/drive", fields | {"drive": "nobody's"}).status_code == 404
        assert board.signed_in("institution", "某培训学校").open("/drives").status_code == 403
        assert {"drive.shelve", "view.drive"} <= set(board.actions())
    found = find_on_shelf(store.database, drive_id, 5)
    assert found and found.is_here and found.row["set_by"] == "the-clerk"


def test_a_drive_that_is_gone_is_not_verified(store: BoardStore, box: DriveSite, checker: DriveChecker) -> None:
    drive = read_identity(box.drive.root)
    assert drive
    box.drive.root.rename(box.drive.root.with_name("away"))
    number = checker.begin(drive, "zhang", "zhang@-")
    assert checker.wait(RUN_S)
    with store.database.read() as connection:
        row = connection.execute(select(drive_checks).where(drive_checks.c.id == number)).mappings().one()
    assert row["state"] == "failed" and str(drive.root) in row["reason"]
