"""The pages of classes: search, one class, one half-day; an institution sees its own alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from benchmarks.support.reporting_box import ZONE, ReportingBox
from tests.support.board_store import BoardStore
from tests.support.board_web import ServedBoard, serving_board


@pytest.fixture
def board(store: BoardStore, tmp_path: Path) -> Iterator[ServedBoard]:
    with serving_board(store, tmp_path / "page") as served:
        yield served


def report(store: BoardStore) -> str:
    """Let two boxes report one half-day of C-1, and another institution have a class that is to come; return the day."""
    one = ReportingBox(now=store.clock.now())
    two = ReportingBox(name="wenshui/site2/box1", log="5e" * 16, now=store.clock.now())
    day = one.day()
    lessons = [{"date": day, "start": "08:00", "end": "11:30", "kind": "theory", "content": "安全用电", "teacher": "李"},
               {"date": "2099-01-02", "start": "14:00", "end": "17:00", "kind": "theory"}]  # fmt: skip
    gap = {"camera_id": "cam1", "room_id": "r1", "start": one.time(), "end": one.time(), "seconds": 61.9,
           "reason": "camera_offline", "event": 12}  # fmt: skip
    store.hear(
        one.approve(lessons=lessons), one.begin(), one.camera(), one.attend(1, 20), one.attend(2, 28, "final"), one.alert(),
        one.segment(), one.state_that("gaps", f"gaps/{one.place()}", {**one.half_day(), "items": [gap]}), one.close(1),
        two.begin(), two.attend(1, 5),
    )  # fmt: skip
    later = (one.now + timedelta(days=20)).astimezone(ZONE).date().isoformat()
    other = ReportingBox(name="wenshui/site3/box1", class_id="C-9", now=store.clock.now())
    store.hear(other.approve(institution="别的学校", occupation="焊工", first_day=later, last_day=later))
    return day


def test_classes_are_found_over_all_sites_those_under_way_first(board: ServedBoard) -> None:
    day = report(board.store)
    browser = board.signed_in()
    page = browser.open("/classes").text
    assert page.index(">C-1<") < page.index(">C-9<") and "进行中" in page and "site2/box1" in page
    for query in ("q=电工第1班", "q=职业培训", "q=c-1", f"q={day}", f"on={day}", "state=open"):
        page = browser.open(f"/classes?{query}").text
        assert ">C-1<" in page and ">C-9<" not in page, query
    assert "没有符合的班级" in browser.open("/classes?q=nothing").text
    assert ">C-9<" in browser.open("/classes?state=ahead").text


def test_a_class_shows_its_boxes_side_by_side(board: ServedBoard) -> None:
    day = report(board.store)
    page = board.signed_in().open("/classes/C-1").text
    assert "site1/box1" in page and "site2/box1" in page and "<b>28</b>" in page and "<b>5</b>" in page
    assert "<b>33</b>" not in page, "figures of several boxes are never added"
    assert "等待会签" in page and "摄像机离线" in page and "2099-01-02" in page and f"/classes/C-1/{day}/am" in page
    assert "view.class" in board.actions()


def test_a_half_day_shows_curve_gaps_recordings_and_how_to_verify(board: ServedBoard) -> None:
    day = report(board.store)
    browser = board.signed_in()
    page = browser.open(f"/classes/C-1/{day}/am").text
    for word in ('class="curve"', "摄像机离线", "某厂 IPC-1", "ab" * 32, "drive verify", "安全用电", "site2/box1"):
        assert word in page, word
    assert "/classes/C-1/2099-01-02/pm" in page, "the next half-day"
    assert "view.half_day" in board.actions()
    for path in ("/classes/C-2", f"/classes/C-1/{day}/ev", "/classes/C-1/x/am", "/classes/%00"):
        assert browser.open(path).status_code == 404, path


def test_a_class_page_follows_cancelled_and_moved_lessons(board: ServedBoard) -> None:
    box = ReportingBox(now=board.store.clock.now())
    lessons = [
        {"date": "2099-01-02", "start": start, "end": "17:00", "content": "安全用电"} for start in ("14:00", "15:30")
    ]
    move = {"date": "2099-01-02", "start": "15:30", "to_date": "2099-01-05", "to_start": "08:30", "to_end": "10:00"}
    change = {"first_date": "2099-01-02", "first_session": "pm", "reason": "停电",
              "cancel": [{"date": "2099-01-02", "start": "14:00"}], "move": [move]}  # fmt: skip
    board.store.hear(box.approve(lessons=lessons, amendments=[change]))
    browser = board.signed_in()
    page = browser.open("/classes/C-1").text
    assert "/classes/C-1/2099-01-05/am" in page and "/classes/C-1/2099-01-02/pm" not in page and "停电" in page
    assert "安全用电" in browser.open("/classes/C-1/2099-01-05/am").text


def test_an_institution_sees_its_own_classes_alone(board: ServedBoard) -> None:
    day = report(board.store)
    browser = board.signed_in("institution", "别的学校")
    page = browser.open("/classes").text
    assert ">C-9<" in page and ">C-1<" not in page
    assert browser.open("/classes/C-9").status_code == 200
    assert browser.open("/classes/C-1").status_code == 404
    assert browser.open(f"/classes/C-1/{day}/am").status_code == 404


def test_the_list_turns_its_pages(board: ServedBoard) -> None:
    store = board.store
    old = ReportingBox(now=store.clock.now() - timedelta(days=100))
    for number in range(60):
        old.class_id = f"D-{number:02}"
        store.hear(old.approve())
    browser = board.signed_in()
    first = browser.open("/classes").text
    assert ">D-49<" in first and ">D-50<" not in first and "下一页" in first
    second = browser.open("/classes?after=D-49").text
    assert ">D-49<" not in second and ">D-50<" in second and ">D-59<" in second and "下一页" not in second
