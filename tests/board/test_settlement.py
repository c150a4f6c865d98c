"""Settlement: hours, attendance, gaps, checks and calls by half-day, class and institution; and what cannot be judged."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import openpyxl
import pytest
from sqlalchemy import update

from benchmarks.support.reporting_box import ZONE, Message, ReportingBox
from board.calls.asking import CallMaker, CallOrder
from board.calls.ledger import confirm_call
from board.settlement.figures import SettlementOrder, load_settlement
from board.settlement.model import SettledClass
from board.spot_checks import ledger
from board.spot_checks.drawing import SpotDrawer, SpotOrder
from board.store.tables import calls
from tests.support.board_store import BoardStore
from tests.support.board_web import serving_board

DAYS = ("2026-11-02", "2026-11-03", "2026-11-04", "2026-11-05", "2026-11-30")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[BoardStore]:
    made = BoardStore(f"sqlite:///{tmp_path}/board.db")
    made.clock.time = datetime(2026, 11, 6, 12, 0, tzinfo=ZONE)
    yield made
    made.database.close()


def lessons(*days: str) -> list[dict[str, object]]:
    spans = [("08:00", "09:30"), ("09:40", "11:10")]
    rows = [{"date": d, "start": a, "end": b, "kind": "theory", "room_id": "r1"} for d in days for a, b in spans]
    # another room at the same time is the same lesson time
    return rows + [{"date": d, "start": "08:00", "end": "09:30", "kind": "theory", "room_id": "r2"} for d in days]


def attend(box: ReportingBox, day: str, present: int | None, status: str = "final", judged_s: float = 9000) -> Message:
    counts = {"expected": 30, "present": present, "low": present, "high": present, "at_start": present, "at_end": present,
              "lesson_s": 10_800, "judged_s": judged_s}  # fmt: skip
    data = {
        "class_id": box.class_id,
        "date": day,
        "session": "am",
        **counts,
        "status": status,
        "revision": 1,
        "rooms": [],
    }
    return box.state_that("attendance", f"attendance/{box.class_id}/{day}/am", data)


def ledger_of(box: ReportingBox, day: str, *seconds: float) -> Message:
    items = [{"camera_id": "cam1", "room_id": "r1", "start": f"{day}T08:00:00+08:00", "end": f"{day}T08:10:00+08:00",
              "seconds": x, "reason": "camera_offline", "event": 1} for x in seconds]  # fmt: skip
    data = {"class_id": box.class_id, "date": day, "session": "am", "items": items}
    return box.state_that("gaps", f"gaps/{box.class_id}/{day}/am", data)


def fill(store: BoardStore) -> ReportingBox:
    """A class of five half-days: taught, empty, not judged by its box, reported by nobody, to come; a second box in one."""
    box = ReportingBox(now=store.clock.now())
    two = ReportingBox(name="wenshui/site2/box1", log="5e" * 16, now=store.clock.now())
    change = {"approved": "2026-11-02", "first_date": DAYS[1], "expected": 20, "reason": "退学"}
    store.hear(
        box.approve(first_day=DAYS[0], last_day=DAYS[-1], lessons=lessons(*DAYS), amendments=[change]), box.begin(),
        attend(box, DAYS[0], 27), ledger_of(box, DAYS[0], 600, 300.5),
        attend(box, DAYS[1], 0, judged_s=7200), ledger_of(box, DAYS[1]),
        attend(box, DAYS[2], None, "unjudged", 0), two.begin(), attend(two, DAYS[2], 12, judged_s=3600),
    )  # fmt: skip
    other = ReportingBox(name="wenshui/site3/box1", log="6e" * 16, class_id="D-1", now=store.clock.now())
    store.hear(other.approve(first_day=DAYS[0], last_day=DAYS[0], lessons=lessons(DAYS[0]), institution="别的学校"))
    return box


def load(store: BoardStore, **more: str) -> list[SettledClass]:
    order = SettlementOrder(date(2026, 11, 1), date(2026, 11, 30), **more)
    return load_settlement(store.database, order, store.clock.now(), ZONE)


def test_hours_and_attendance_of_a_class(store: BoardStore) -> None:
    fill(store)
    other, mine = load(store)
    assert (other.class_id, mine.class_id, mine.to_come) == ("D-1", "C-1", 1)
    rows = [(h.expected, h.planned_s / 3600, h.taught_s, h.empty_s, h.unknown_s) for h in mine.half_days]
    assert rows == [
        (30, 3.0, 9000, 0, 1800),
        (20, 3.0, 0, 7200, 3600),
        (20, 3.0, 3600, 0, 7200),  # the least that one of two boxes judged with trainees
        (20, 3.0, 0, 0, 10_800),
    ]
    assert [h.ratio for h in mine.half_days] == [0.9, 0.0, None, None]
    total = mine.totals
    assert (total.half_days, total.planned_s / 3600, total.taught_s, total.empty_s) == (4, 12, 12_600, 7200)
    assert total.taught_s + total.empty_s + total.unknown_s == total.planned_s
    assert (total.present, total.base, total.counted) == (27, 50, 2), "side by side is not in the ratio"
    assert (total.gaps, total.gap_s) == (2, 900.5)


def test_what_cannot_be_judged_is_named(store: BoardStore) -> None:
    box = fill(store)
    doubts = [h.doubts for h in load(store, class_id="C-1")[0].half_days]
    assert doubts == [["unsigned"], ["unsigned"], ["several", "no_ledger", "unsigned"], ["unreported"]]
    store.hear(attend(box, DAYS[3], None, "unjudged", 0))
    assert load(store, class_id="C-1")[0].half_days[3].doubts == ["unjudged", "no_ledger", "unsigned"]


def test_checks_calls_and_alerts_stand_with_their_half_day(store: BoardStore) -> None:
    box = fill(store)
    alert = {"alert_id": "a1", "kind": "camera.offline", "state": "cleared", "severity": "critical", "since": box.time(),
             "at": box.time(), "class_id": "C-1", "date": DAYS[0], "session": "am", "message": "x"}  # fmt: skip
    store.hear(box.state_that("alert", "alert/camera.offline", alert))
    day = date.fromisoformat(DAYS[0])
    drawer = SpotDrawer(store.database, ZONE)
    drawer.draw(SpotOrder(2, 60, "li", "C-1", day, day, "5"), store.clock.now())
    ledger.judge_moment(store.database, 1, "deviates", {}, "li", "li@-", store.clock.now())
    now = datetime.fromisoformat(f"{DAYS[0]}T09:00:00+08:00")
    made = CallMaker(store.database, ZONE).make(CallOrder("C-1", "now", "li", "wenshui/site1/box1"), now)
    with store.database.write() as connection:
        sent = {"sent_at": "2026-11-02T01:00:00.000Z", "until": "2026-11-02T01:03:00.000Z"}
        connection.execute(update(calls).values(sent))
    confirm_call(store.database, made, now + timedelta(minutes=1), "", "li", "li@-", store.clock.now())
    half_day = load(store, class_id="C-1")[0].half_days[0]
    assert dict(half_day.alerts) == {"camera.offline": 1}
    assert dict(half_day.checks) == {"deviates": 1, "": 1}
    assert dict(half_day.calls) == {"answered": 1}


def test_a_class_without_a_plan_counts_as_reported(store: BoardStore) -> None:
    box = ReportingBox(now=store.clock.now(), class_id="X-1")
    store.hear(box.begin(), attend(box, DAYS[0], 5), attend(box, DAYS[1], 5, "provisional"))
    (found,) = load(store)
    assert (found.institution, found.to_come) == ("", 1)
    assert [(h.expected, h.planned_s, h.taught_s) for h in found.half_days] == [(None, 10_800, 9000)]
    assert load(store, institution="某职业培训学校") == []


def test_pages_and_workbook(store: BoardStore, tmp_path: Path) -> None:
    fill(store)
    with serving_board(store, tmp_path / "page", tls=False) as board:
        browser = board.signed_in("leader")
        page = browser.open("/settlement?month=2026-11").text
        for word in ("某职业培训学校", "别的学校", ">12.0<", ">3.5<", "54.0 %", "只列数据", "本月另有 1 个半天未到"):
            assert word in page, word
        assert "C-1" not in browser.open("/settlement?month=2026-11&institution=别的学校").text
        assert "没有班级上课" in browser.open("/settlement?month=2020-01").text
        page = browser.open("/settlement/C-1?month=2026-11").text
        assert "site2/box1" in page and "多个终端并列" in page and "无上报" in page
        answer = browser.open("/settlement.xlsx?month=2026-11")
        book = openpyxl.load_workbook(io.BytesIO(answer.content))
        assert book.sheetnames == ["按培训机构", "按班级", "按半天", "说明"]
        classes = [[cell.value for cell in row] for row in book["按班级"].iter_rows(min_row=2)]
        mine = next(dict(zip(classes[0], row, strict=True)) for row in classes[1:] if row[1] == "C-1")
        assert (mine["计划授课（小时）"], mine["有学员（小时）"], mine["无法判断（小时）"]) == (12, 3.5, 6.5)
        assert mine["到课率（视频估计）"] == 0.54 and mine["无上报"] == 1 and mine["多个终端并列"] == 1
        halves = [[cell.value for cell in row] for row in book["按半天"].iter_rows(min_row=3)]
        assert [row[6] for row in halves if row[1] == "C-1"] == [27, 0, "— / 12", None]
        assert browser.open("/settlement/NONE?month=2026-11").status_code == 404
        for action in ("view.settlement", "view.settlement.class", "export.settlement"):
            assert action in board.actions(), action


def test_text_that_looks_like_a_formula_stays_text(store: BoardStore) -> None:
    from board.settlement.sheet import build_workbook

    box = ReportingBox(now=store.clock.now())
    store.hear(box.approve(first_day=DAYS[0], last_day=DAYS[0], lessons=lessons(DAYS[0]), institution="=1+1"))
    book = openpyxl.load_workbook(io.BytesIO(build_workbook(load(store), "t", lambda key, **_: key)))
    cell = next(cell for row in book.worksheets[0].iter_rows() for cell in row if cell.value == "=1+1")
    assert cell.data_type == "s"
