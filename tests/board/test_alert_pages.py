"""Pages of alerts, alarms and boxes: what stands there, who may act, what the audit keeps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.support.reporting_box import ReportingBox
from board.queries.alerts import count_open_alerts
from board.store import tables
from tests.support.board_store import BoardStore
from tests.support.board_web import ServedBoard, serving_board
from tests.support.web_client import csrf_of


@pytest.fixture
def box(store: BoardStore) -> ReportingBox:
    made = ReportingBox(now=store.clock.now())
    store.hear(made.approve(), made.begin(), made.state(), made.heartbeat(), made.camera(), made.close(1))
    return made


@pytest.fixture
def board(store: BoardStore, box: ReportingBox, tmp_path: Path) -> Iterator[ServedBoard]:
    with serving_board(store, tmp_path / "page") as served:
        yield served


def test_an_alert_is_acknowledged_with_note_and_name(board: ServedBoard, box: ReportingBox) -> None:
    store, clerk = board.store, board.signed_in("clerk")
    store.hear(box.alert("a1"))
    page = clerk.open("/alerts").text
    assert "摄像机 cam1 掉线" in page and "电工第1班" in page and "摄像机离线" in page
    form = {"csrf": csrf_of(page), "box": str(store.all(tables.boxes)[0]["id"]), "alert": "a1"}
    assert clerk.submit("/alerts/acknowledge", form).status_code == 400, "without a note"
    assert clerk.submit("/alerts/acknowledge", form | {"note": "x", "alert": "a9"}).status_code == 404
    assert count_open_alerts(store.database) == 1
    page = clerk.submit("/alerts/acknowledge", form | {"note": "已电话通知学校"}).text
    assert "已电话通知学校" in page and "the-clerk" in page and "摄像机 cam1 掉线" in page, "listed until it clears"
    assert count_open_alerts(store.database) == 0
    entry = next(e for e in board.server.site.audit.recent() if e.action == "alert.acknowledge")
    assert entry.detail["note"] == "已电话通知学校" and entry.object == box.name
    store.hear(box.alert("a1", "cleared"))
    assert "摄像机 cam1 掉线" not in clerk.open("/alerts").text
    history = clerk.open("/alerts/history").text
    assert "已电话通知学校" in history and "恢复" in history


def test_who_only_reads_cannot_act(board: ServedBoard, box: ReportingBox) -> None:
    board.store.hear(box.alert("a1"))
    for role in ("leader", "auditor"):
        browser = board.signed_in(role)
        page = browser.open("/alerts").text
        assert "认领处理" not in page
        form = {"csrf": csrf_of(page), "box": "1", "alert": "a1", "note": "x"}
        assert browser.submit("/alerts/acknowledge", form).status_code == 403


def test_history_is_filtered_and_paged(board: ServedBoard, box: ReportingBox) -> None:
    board.store.hear(*(box.alert(f"h{n}", "cleared", "picture.dark") for n in range(101)), box.alert("x"))
    reader = board.signed_in("leader")
    page = reader.open("/alerts/history?kind=picture.dark").text
    assert page.count('<td class="nowrap"><span class="tag') == 100 and "before=" in page
    older = page.partition("/alerts/history?kind")[2].partition('"')[0].replace("&amp;", "&")
    assert reader.open("/alerts/history?kind" + older).text.count('<td class="nowrap"><span class="tag') == 1
    assert "没有符合条件" in reader.open("/alerts/history?class=C-2").text
    assert "没有符合条件" in reader.open("/alerts/history?until=2020-01-01").text
    assert "没有符合条件" in reader.open("/alerts/history?box=site9").text
    assert "摄像机离线" in reader.open(f"/alerts/history?kind=camera.offline&from={box.day()}&before=x").text


def test_an_alarm_shows_what_came_and_is_closed_with_a_note(board: ServedBoard, box: ReportingBox) -> None:
    store, clone = board.store, box.fork()
    store.hear(box.attend(1, 20))
    store.hear(clone.attend(1, 29))
    clerk = board.signed_in("clerk")
    page = clerk.open("/alerts").text
    assert "声明链分叉" in page
    (alarm,) = store.all(tables.alarms)
    page = clerk.open(f"/alarms/{alarm['id']}").text
    assert box.last_hash in page and clone.last_hash in page, "both contents stand side by side"
    assert "到现场核对终端台数" in page
    form = {"csrf": csrf_of(page)}
    assert clerk.submit(f"/alarms/{alarm['id']}", form | {"note": " "}).status_code == 400
    assert "查明：复制" in clerk.submit(f"/alarms/{alarm['id']}", form | {"note": "查明：复制"}).text
    assert "alarm.close" in board.actions()
    assert "声明链分叉" not in clerk.open("/alerts").text and "声明链分叉" in clerk.open("/alarms").text
    assert clerk.open("/alarms/999").status_code == 404


def test_every_kind_of_alarm_has_its_words(board: ServedBoard, box: ReportingBox) -> None:
    from agent import i18n

    known = i18n.load_catalogue()
    kinds = {key.removeprefix("board.alarm.") for key in known if key.startswith("board.alarm.")}
    for kind in kinds:
        assert f"watchlist.alarm.{kind}" in known and f"watchlist.remedy.{kind}" in known, kind


def test_boxes_and_one_box(board: ServedBoard, box: ReportingBox) -> None:
    other = ReportingBox(name="wenshui/site2/box1", log="5e" * 16, now=board.store.clock.now())
    board.store.hear(other.begin(), other.state())
    board.store.hear(box.camera("S-2"))
    leader = board.signed_in("leader")
    page = leader.open("/boxes").text
    assert page.index("site2/box1") < page.index("site1/box1"), "who needs somebody comes first"
    page = leader.open("/boxes/site1/box1").text
    for part in ("SHA256:", "S-1", "S-2", box.log, "在线", "42", "0.3.0"):
        assert part in page, part
    assert leader.open("/boxes/site9/box1").status_code == 404
    assert {"view.boxes", "view.box"} <= set(board.actions())


def test_an_institution_sees_its_own_alone(board: ServedBoard, box: ReportingBox) -> None:
    store = board.store
    store.hear(box.alert("a1"), (f"{box.prefix}/heartbeat", b"{"))
    own = board.signed_in("institution", "某职业培训学校")
    assert "掉线" in own.open("/alerts").text and "site1/box1" in own.open("/boxes").text
    assert own.open("/boxes/site1/box1").status_code == 200 and own.open("/alarms").status_code == 403
    assert "消息不合约定" not in own.open("/boxes/site1/box1").text + own.open("/alerts").text
    people = board.server.site.people
    people.set_institution("the-institution", "另一所学校", store.clock.now(), "test")
    assert "掉线" not in own.open("/alerts").text and "site1/box1" not in own.open("/boxes").text
    assert own.open("/boxes/site1/box1").status_code == 404
