"""The overview, the wall and the stream of changes."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from unittest import mock

import pytest
import requests

from agent.core.errors import SiteAgentError
from benchmarks.support.reporting_box import ZONE, ReportingBox
from board.errors import StoreError
from board.queries.changes import read_change_mark
from board.queries.county_day import CountyDay, load_county_day
from board.queries.course_plan import DayPlans, plan_half_days
from board.web import change_feed
from board.web.pages import overview_page
from tests.support.board_store import BoardStore
from tests.support.board_web import ServedBoard, serving_board

DAY = date(2026, 11, 27)
NINE = datetime(2026, 11, 27, 9, 0, tzinfo=ZONE)


def lesson(start: str, end: str, **more: object) -> dict[str, object]:
    return {"date": DAY.isoformat(), "start": start, "end": end, "room_id": "r1"} | more


def look(store: BoardStore, institution: str = "") -> CountyDay:
    return load_county_day(store.database, DayPlans(ZONE), store.clock.now(), institution=institution)


@pytest.fixture
def morning(store: BoardStore) -> BoardStore:
    store.clock.time = NINE
    return store


def report(store: BoardStore, box: ReportingBox) -> None:
    """Let a box report a class under way."""
    lessons = [lesson("08:30", "11:30"), lesson("14:00", "16:00")]
    store.hear(box.approve(lessons=lessons), box.begin(), box.state(), box.heartbeat(), box.attend(1, 28))


def test_amendments_change_the_plan_of_a_day() -> None:
    body = {
        "expected": 30,
        "lessons": [lesson("8:30", "09:15"), lesson("09:30", "10:15"), lesson("14:00", "15:00")],
        "amendments": [
            {"first_date": DAY.isoformat(), "first_session": "pm", "expected": 28,
             "cancel": [{"date": DAY.isoformat(), "start": "09:30"}],
             "move": [{"date": DAY.isoformat(), "session": "下午", "to_start": "19:00", "to_end": "20:00"}]}
        ],
    }  # fmt: skip
    found = plan_half_days("C-1", body, DAY, ZONE)
    assert found is not None
    assert [(x.session, f"{x.start:%H:%M}", f"{x.end:%H:%M}", x.expected) for x in found] == [
        ("am", "08:30", "09:15", 30), ("ev", "19:00", "20:00", 28)
    ]  # fmt: skip
    assert plan_half_days("C-1", {}, DAY, ZONE) is None, "the board does not know its plan"
    assert plan_half_days("C-1", {"lessons": [lesson("x", "09:00"), lesson("09:00+08:00", "10:00")]}, DAY, ZONE) is None


def test_where_a_half_day_belongs(morning: BoardStore) -> None:
    box = ReportingBox(now=NINE)
    report(morning, box)
    day = look(morning)
    (now,), (later,) = day.under_way, day.later
    assert (now.weight, now.session, later.session, day.missing, day.over) == ("well", "am", "pm", 0, ())
    morning.hear(box.attend(2, 28, "final"))
    assert [x.session for x in look(morning).over] == ["am"]
    morning.clock.time = NINE.replace(hour=14, minute=5)
    assert [x.weight for x in look(morning).under_way] == ["waiting"]
    morning.clock.time = NINE.replace(hour=14, minute=11)
    day = look(morning)
    assert day.missing == 1 and day.under_way[0].quiet == ((box.name, "silent"),)
    assert [(need.box.name, need.reasons, need.busy) for need in day.needs] == [(box.name, ("presence",), True)]
    morning.clock.time = NINE.replace(hour=17)
    assert [(x.session, len(x.figures)) for x in look(morning).over] == [("pm", 0), ("am", 1)]


def test_an_old_figure_and_two_boxes_side_by_side(morning: BoardStore) -> None:
    one, two = ReportingBox(now=NINE), ReportingBox(name="wenshui/site2/box1", log="5e" * 16, now=NINE)
    report(morning, one)
    morning.hear(two.begin(), two.state(), two.heartbeat(), two.attend(1, 5))
    (item,) = look(morning).under_way
    assert [f.card.present for f in item.figures] == [28, 5] and item.weight == "well"
    morning.clock.step(590)
    assert not any(f.old for f in look(morning).under_way[0].figures)
    morning.clock.step(30)
    assert all(f.old for f in look(morning).under_way[0].figures) and look(morning).under_way[0].weight == "critical"


def test_an_institution_sees_its_own_alone(morning: BoardStore) -> None:
    one = ReportingBox(now=NINE)
    two = ReportingBox(name="wenshui/site2/box1", log="5e" * 16, class_id="C-2", now=NINE)
    report(morning, one)
    morning.hear(two.approve(institution="别的学校"), two.begin(), two.state("offline"), two.attend(1, 5))
    assert [x.class_id for x in look(morning, "某职业培训学校").under_way] == ["C-1"]
    assert look(morning, "某职业培训学校").needs == ()
    assert [need.box.name for need in look(morning, "别的学校").needs] == [two.name] and look(morning).unplanned == 1


def test_what_changes_the_mark(morning: BoardStore) -> None:
    box = ReportingBox(now=NINE)
    report(morning, box)
    seen = [read_change_mark(morning.database, morning.clock.now(), ZONE)]
    morning.hear(box.heartbeat())
    assert read_change_mark(morning.database, morning.clock.now(), ZONE) == seen[0], (
        "a heartbeat alone shows nothing new"
    )
    for message in (box.attend(2, 27), box.alert(), box.alert("a1", "cleared"), box.state("offline")):
        morning.hear(message)
        seen.append(read_change_mark(morning.database, morning.clock.now(), ZONE))
    morning.clock.step(200)
    seen.append(read_change_mark(morning.database, morning.clock.now(), ZONE))
    # an alert that was raised and cleared leaves the picture of before
    assert all(earlier != later for earlier, later in itertools.pairwise(seen))


@pytest.fixture
def board(morning: BoardStore, tmp_path: Path) -> Iterator[ServedBoard]:
    with serving_board(morning, tmp_path / "page") as served:
        yield served


def test_the_pages_in_both_languages(board: ServedBoard) -> None:
    report(board.store, ReportingBox(now=NINE))
    board.store.hear(ReportingBox(class_id="C-9", log="7a" * 16, now=NINE).approve(lessons=[lesson("08:30", "11:00")]))
    browser = board.signed_in("leader")
    for language, words in (
        ("zh", ("电工 第 1 班", "未见录像", "计划 08:30–11:30")),
        ("en", ("Nothing received", "present")),
    ):
        browser.open(f"/language/{language}?back=/")
        for path in ("/", "/wall", "/wall?page=7"):
            page = browser.open(path)
            assert page.status_code == 200 and "<svg" in page.text
            assert all(word in page.text for word in words[:2]), (path, words)
    assert {"view.overview", "view.wall"} <= set(board.actions())
    school = board.signed_in("institution", "别的学校")
    assert "C-1" not in school.open("/").text and "现在没有班级上课" in school.open("/wall").text


def stream(browser: requests.Session, board: ServedBoard) -> Iterator[str]:
    """Yield the events of a stream that is open; the first when it is."""
    answer = browser.get(board.url + "/events", stream=True, timeout=20)
    assert answer.status_code == 200, answer.status_code
    lines = answer.iter_lines(chunk_size=1, decode_unicode=True)
    yield next(lines)
    for line in lines:
        if line.startswith("event: "):
            yield line.removeprefix("event: ")


def wait_for(holds: object) -> None:
    until = time.monotonic() + 20
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_stream_tells_of_a_change_and_ends_with_its_session(board: ServedBoard) -> None:
    box = ReportingBox(now=NINE)
    report(board.store, box)
    feed = board.server.site.changes
    assert board.browser().open("/events").status_code == 401
    browser = board.signed_in()
    told = stream(browser, board)
    assert next(told).startswith("retry")
    reads = mock.Mock(side_effect=feed._read)
    with mock.patch.object(feed, "_read", reads):
        wait_for(lambda: reads.call_count > 2)
    with mock.patch.object(feed, "_read", mock.Mock(side_effect=StoreError("board.store", detail="x"))) as dead:
        wait_for(lambda: dead.call_count > 2)
    board.store.hear(box.attend(2, 20))
    assert next(told) == "change"
    board.server.site.people.sign_out(browser.cookies[board.server.site.cookie])
    begun = time.monotonic()
    assert list(told)[-1:] == ["ended"] and time.monotonic() - begun < 10
    wait_for(lambda: len(feed) == 0)
    assert issubclass(StoreError, SiteAgentError)


def test_streams_are_few(board: ServedBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change_feed, "FROM_ONE", 3)
    browser = board.signed_in()
    streams = [stream(browser, board) for _ in range(change_feed.OF_SESSION + 1)]
    for one in streams:
        next(one)
    assert list(streams[0]) == ["replaced"]
    other, third = board.signed_in("leader"), board.signed_in("auditor")
    last = stream(other, board)
    next(last)
    assert third.open("/events").status_code == 503
    assert third.open("/").status_code == 200


def test_streams_end_with_the_server(morning: BoardStore, tmp_path: Path) -> None:
    with serving_board(morning, tmp_path / "page") as board:
        told = stream(board.signed_in(), board)
        next(told)
        begun = time.monotonic()
    assert time.monotonic() - begun < 8
    assert list(told) == []


def test_many_classes_are_pages_the_worst_first(board: ServedBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview_page, "ON_PAGE", 2)
    for number in range(5):
        box = ReportingBox(f"wenshui/site{number}/box1", f"{number:032x}", NINE, class_id=f"C-{number}")
        lessons = [lesson("08:30", "11:30"), lesson("14:00", "16:00")]
        board.store.hear(box.approve(lessons=lessons), box.begin(), box.state(), box.heartbeat(), box.attend(1, 28))
    board.store.hear(box.alert())
    browser = board.signed_in()
    seen = [re.findall(r'<h3><a href="/classes/(C-[0-9])"', browser.open(f"/?page={n}").text) for n in (1, 2, 3, 9)]
    assert seen == [["C-4", "C-0"], ["C-1", "C-2"], ["C-3"], ["C-3"]]
    first = browser.open("/").text
    assert "第 1/3 页" in first and 'href="/?page=2"' in first and "另有 3 个" in first, "those of the afternoon"


def test_moved_days_are_known(morning: BoardStore) -> None:
    box = ReportingBox(now=NINE - timedelta(days=30))
    later = {"first_date": DAY.isoformat(), "last_day": DAY.isoformat()}
    morning.hear(box.approve(last_day="2026-11-01", lessons=[lesson("08:30", "11:00")], amendments=[later]))
    assert [x.class_id for x in look(morning).under_way] == ["C-1"]


def test_what_is_later_and_over_stands_below(board: ServedBoard) -> None:
    box = ReportingBox(now=NINE)
    report(board.store, box)
    board.store.hear(box.attend(2, 26, "final"))
    text = board.signed_in().open("/").text
    assert "今天稍后" in text and "14:00–16:00" in text and "今天已结束" in text and "已定稿" in text
