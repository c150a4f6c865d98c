"""A class on paper and as XLSX, and what its pages show beside the figures: alarms, rooms, sign-ins, segments told later."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from openpyxl import load_workbook

from agent.core.clock import format_utc
from benchmarks.support.reporting_box import ReportingBox
from board.store import tables
from tests.support.board_store import BoardStore
from tests.support.board_web import ServedBoard, serving_board


@pytest.fixture
def board(store: BoardStore, tmp_path: Path) -> Iterator[ServedBoard]:
    with serving_board(store, tmp_path / "page") as served:
        yield served


def sign(box: ReportingBox, revision: int) -> tuple[str, bytes]:
    """A figure with the sign-ins that the institution stated."""
    data = json.loads(box.fork().attend(revision)[1])["data"]
    signed = {"signed_in": 29, "signed_out": 27, "source": "typed", "at": box.time()}
    return box.state_that("attendance", f"attendance/{box.place()}", data | {"signed": signed})


def recover(box: ReportingBox) -> tuple[str, bytes]:
    """A segment that another run told than the one that recorded it."""
    data = json.loads(box.fork().segment()[1])["data"]
    data["half_days"][0]["items"][0]["recovered"] = True
    return box.state_that("segment", "segment", data)


def report(store: BoardStore) -> str:
    """Two boxes report one half-day; the first was copied, the second sent something malformed. Return the day."""
    one, two = (ReportingBox(f"wenshui/site{n}/box1", f"{n:032x}", store.clock.now(), class_id="C-1") for n in (1, 2))
    day = one.day()
    lessons = [{"date": day, "start": "08:00", "end": "11:30", "kind": "theory", "room_id": "r1"},
               {"date": "2099-01-02", "start": "14:00", "end": "17:00", "kind": "theory"}]  # fmt: skip
    store.hear(one.approve(lessons=lessons), one.begin(), one.camera(), one.segment(), recover(one), sign(one, 1))
    clone = one.fork()
    store.hear(one.attend(2, 20), one.heartbeat())
    store.hear(clone.attend(2, 29))
    store.hear(two.begin(), two.attend(1, 5), two.heartbeat(), (f"{two.prefix}/heartbeat", b"{"))
    return day


def test_the_sheet_has_a_line_for_each_box_and_sums_nothing(board: ServedBoard) -> None:
    day = report(board.store)
    answer = board.signed_in().open("/classes/C-1/attendance.xlsx")
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="C-1.xlsx"')
    assert answer.headers["Content-Type"].endswith("spreadsheetml.sheet")
    sheet = load_workbook(io.BytesIO(answer.content)).active
    rows = [list(row) for row in sheet.iter_rows(values_only=True)]
    assert rows[0][0] == "班级编号：C-1" and "电工 第 1 班" in rows[1][0]
    headings = rows[3]
    assert headings[:6] == ["日期", "半天", "终端", "应到人数", "到课人数（视频估计）", "下限"]
    one, two, later = (dict(zip(headings, row, strict=True)) for row in rows[4:7])
    assert str(one["日期"]).startswith(day) and (one["半天"], one["终端"]) == ("上午", "site1/box1")
    assert (one["到课人数（视频估计）"], one["补报录像（段）"], one["状态"]) == (20, 1, "暂定")
    assert one["告警和证据警报"] == "证据警报：声明链分叉"
    assert (two["终端"], two["到课人数（视频估计）"], two["应到人数"]) == ("site2/box1", 5, 30)
    assert (later["终端"], later["到课人数（视频估计）"], later["状态"]) == (None, None, "未开始")
    assert not any(25 in row for row in rows) and "不设合计" in str(rows), "figures of several boxes are never added"
    assert "export.attendance" in board.actions()


def test_the_paper_says_the_same_and_who_printed_it(board: ServedBoard) -> None:
    day = report(board.store)
    browser = board.signed_in()
    browser.open("/language/en?back=/")
    page = browser.open("/classes/C-1/paper").text
    paper = re.sub(r"<[^>]+>", " ", page.partition('<article class="paper sheet" lang="zh-CN">')[2])
    for part in (
        f"{day} 上午",
        "site1/box1",
        "site2/box1",
        "声明链分叉",
        "补报 1 段",
        "the-inspector",
        "未开始",
        "文水县人社局",
    ):
        assert part in paper, part
    assert "print.attendance" in board.actions()
    assert browser.open("/classes/C-2/paper").status_code == 404


def test_class_and_half_day_show_alarms_rooms_sign_ins_and_what_was_told_later(board: ServedBoard) -> None:
    day = report(board.store)
    browser = board.signed_in()
    page = browser.open("/classes/C-1").text
    line = page.partition(f'/am">{day} 上午')[2].partition("site2/box1")[0]
    assert "声明链分叉" in line and "补报 1 段" in line, "beside the half-day of the box that it is about"
    assert "消息不合约定" in page and "在线" in page
    page = browser.open(f"/classes/C-1/{day}/am").text
    assert "声明链分叉" in page and "各教室人数" in page and "40 / 45" in page and "其中补报" in page
    assert "消息不合约定" in page, "an alarm about the box as a whole"
    assert browser.open("/classes/C-1/2099-01-02/pm").text.count("声明链分叉") == 0
    at = format_utc(board.store.clock.now())
    with board.store.database.write() as connection:
        connection.execute(tables.alarms.update().values(acknowledged_at=at, acknowledged_by="w", note="查明"))
    page = browser.open("/classes/C-1").text
    assert "声明链分叉" in page and "消息不合约定" not in page, (
        "those about the class stay in view, with what was found"
    )


def test_sign_ins_stand_beside_the_estimate(board: ServedBoard) -> None:
    box = ReportingBox(now=board.store.clock.now())
    board.store.hear(box.approve(), box.begin(), sign(box, 1))
    browser = board.signed_in()
    assert re.search(r'<td class="n">29</td>\s*<td class="n">27</td>', browser.open("/classes/C-1").text)
    assert "签到 29 · 签退 27" in browser.open(f"/classes/C-1/{box.day()}/am").text


def test_an_institution_gets_its_own_sheet_without_alarms(board: ServedBoard) -> None:
    day = report(board.store)
    own = board.signed_in("institution", "某职业培训学校")
    for path in ("/classes/C-1", f"/classes/C-1/{day}/am", "/classes/C-1/paper"):
        page = own.open(path)
        assert page.status_code == 200 and "声明链分叉" not in page.text and "不合约定" not in page.text, path
    sheet = load_workbook(io.BytesIO(own.open("/classes/C-1/attendance.xlsx").content)).active
    assert "声明链分叉" not in str(list(sheet.iter_rows(values_only=True)))
    board.server.site.people.set_institution("the-institution", "别的学校", board.store.clock.now(), "test")
    for path in ("/classes/C-1/paper", "/classes/C-1/attendance.xlsx"):
        assert own.open(path).status_code == 404, path
