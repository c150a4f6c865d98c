"""Calls to cameras at the board: made, sent at their minute, answered by boxes or by eye, and kept with the half-day."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.core.clock import format_local, parse_time
from agent.core.errors import InputError
from benchmarks.support.reporting_box import ZONE, ReportingBox
from board.calls.asking import CallMaker, CallOrder
from board.calls.ledger import confirm_call, find_call, list_calls
from board.calls.sender import CallSender
from board.store.tables import audit, calls
from tests.support.board_store import BoardStore
from tests.support.board_web import serving_board
from tests.support.web_client import csrf_of


@pytest.fixture
def store(tmp_path: Path) -> Iterator[BoardStore]:
    made = BoardStore(f"sqlite:///{tmp_path}/board.db")
    made.clock.time = datetime.now(ZONE).replace(hour=9, minute=0, second=0, microsecond=0)
    yield made
    made.database.close()


class CalledClass:
    """A class from 08:30 to 10:00 and from 14:00 to 16:00, its box, and a sender whose messages are kept."""

    def __init__(self, store: BoardStore) -> None:
        self.store = store
        self.box = ReportingBox(now=store.clock.now())
        day = self.box.day()
        rows = [("08:30", "10:00"), ("14:00", "16:00")]
        lessons = [{"date": day, "start": a, "end": b, "kind": "theory", "room_id": "r1"} for a, b in rows]
        contact = {"head_teacher": "张老师", "contact": "张老师 0358-3020000"}
        store.hear(self.box.approve(lessons=lessons, **contact), self.box.begin(), self.box.attend(1))
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.connected = True
        self.sender = CallSender(
            store.database, store.clock, ZONE, lambda topic, text: self.sent.append((topic, json.loads(text))),
            lambda: self.connected,
        )  # fmt: skip

    def make(self, chosen: Any = "now", pick: int | None = None, **more: Any) -> str:
        given = {} if pick is None else {"pick": lambda n: pick % n}
        maker = CallMaker(self.store.database, ZONE, **given)
        return maker.make(CallOrder("C-1", chosen, "zhang", **more), self.store.clock.now())

    def state(self, call_id: str, state: str, seen_at: datetime | None = None, **more: object) -> None:
        at = format_local(seen_at, ZONE) if seen_at else None
        data = {**self.box.half_day(), "call_id": call_id, "state": state, "until": self.box.time(), "reason": "",
                "seen_at": at, "room_id": "r1", "camera_id": "cam1", "drive_id": "d", "path": "x", "other": False}  # fmt: skip
        self.store.hear(self.box.state_that("call", "call/C-1", data | more))

    def stage(self, call_id: str) -> str:
        found = find_call(self.store.database, call_id, self.store.clock.now())
        assert found
        return str(found["stage"])


@pytest.fixture
def called(store: BoardStore) -> CalledClass:
    return CalledClass(store)


def test_a_call_goes_out_at_once_with_a_code_good_for_three_minutes(called: CalledClass) -> None:
    call_id = called.make(pick=48213)
    called.sender.step()
    called.sender.step()
    ((topic, event),) = called.sent
    assert topic == "training/v1/wenshui/site1/box1/request/call"
    data = event["data"]
    assert event["id"] == data["call_id"] == call_id and len(call_id) == 8 and data["code"] == "048213"
    assert parse_time(data["until"]) == called.store.clock.now() + timedelta(minutes=3)
    assert (data["class_id"], data["date"], data["session"]) == ("C-1", called.box.day(), "am")
    assert "048213" not in str(called.store.all(audit)), "who reads the audit could warn the class"


def test_a_call_by_chance_waits_for_its_minute_in_what_is_left_of_lesson_time(called: CalledClass) -> None:
    call_id = called.make("random", pick=600)
    assert called.stage(call_id) == "waiting"
    for _ in range(10):
        called.sender.step()
        called.store.clock.step(59)
    assert called.sent == []
    called.store.clock.step(11)
    called.sender.step()
    assert len(called.sent) == 1 and called.stage(call_id) == "asked"


@pytest.mark.parametrize("number", [0, 57 * 60 - 1])
def test_a_minute_by_chance_leaves_time_to_answer(called: CalledClass, number: int) -> None:
    called.make("random", pick=number)
    due = parse_time(called.store.all(calls)[0]["due_at"])
    assert due == called.store.clock.now() + timedelta(seconds=number)


def test_between_lessons_only_a_call_by_chance_is_taken(called: CalledClass) -> None:
    called.store.clock.step(3 * 3600)
    with pytest.raises(InputError, match="没有课"):
        called.make()
    called.make("random", pick=0)
    row = called.store.all(calls)[0]
    assert row["session"] == "pm" and parse_time(row["due_at"]).astimezone(ZONE).hour == 14
    called.store.clock.step(5 * 3600)
    with pytest.raises(InputError):
        called.make("random")


@pytest.mark.parametrize(
    ("said", "stage"),
    [
        ("answered", "answered"),
        ("late", "late"),
        ("unanswered", "unanswered"),
        ("refused", "refused"),
        ("open", "open"),
    ],
)
def test_the_boxs_word_is_the_calls_end(called: CalledClass, said: str, stage: str) -> None:
    call_id = called.make()
    called.sender.step()
    called.state(call_id, "open")
    called.state(call_id, said, reason="busy" if said == "refused" else "")
    assert called.stage(call_id) == stage


def test_an_older_statement_that_comes_late_changes_nothing(called: CalledClass) -> None:
    call_id = called.make()
    called.sender.step()
    older = called.box.fork()
    called.box.now += timedelta(seconds=30)
    called.state(call_id, "answered", called.store.clock.now())
    called.box.now = older.now
    called.state(call_id, "open")
    assert called.stage(call_id) == "answered"


def test_a_box_that_says_nothing_has_not_answered(called: CalledClass) -> None:
    call_id = called.make()
    called.sender.step()
    called.store.clock.step(3 * 60 + 31)
    assert called.stage(call_id) == "unanswered"


def test_a_call_of_another_box_is_not_answered_by_this_one(called: CalledClass) -> None:
    two = ReportingBox(name="wenshui/site2/box1", log="5e" * 16, class_id="C-2", now=called.store.clock.now())
    call_id = called.make()
    called.sender.step()
    data = {**two.half_day(), "call_id": call_id, "state": "answered", "seen_at": two.time(), "reason": ""}
    called.store.hear(two.begin(), two.state_that("call", "call/C-2", data))
    assert called.stage(call_id) == "asked"


def test_without_a_broker_a_call_is_not_sent_late(called: CalledClass) -> None:
    call_id = called.make()
    called.connected = False
    called.sender.step()
    called.store.clock.step(11 * 60)
    called.connected = True
    called.sender.step()
    assert called.sent == [] and called.stage(call_id) == "unsent"


def test_what_a_person_sees_by_eye_counts(called: CalledClass) -> None:
    first, second = called.make(), called.make()
    called.sender.step()
    sent, store = called.store.clock.now(), called.store
    store.clock.step(400)
    called.state(first, "unanswered")
    for wrong in (sent - timedelta(seconds=1), store.clock.now() + timedelta(seconds=1)):
        with pytest.raises(InputError):
            confirm_call(store.database, first, wrong, "", "li", "li@-", store.clock.now())
    confirm_call(store.database, first, sent + timedelta(seconds=100), "白板上", "li", "li@-", store.clock.now())
    confirm_call(store.database, second, sent + timedelta(seconds=200), "", "li", "li@-", store.clock.now())
    assert (called.stage(first), called.stage(second)) == ("answered", "late")
    assert [x["stage"] for x in list_calls(store.database, store.clock.now(), class_id="C-1")].count("late") == 1


def test_a_class_of_several_boxes_needs_one_named(called: CalledClass) -> None:
    two = ReportingBox(name="wenshui/site2/box1", log="5e" * 16, now=called.store.clock.now())
    called.store.hear(two.begin(), two.attend(1, 5))
    with pytest.raises(InputError, match="多个终端"):
        called.make()
    called.make(box="wenshui/site2/box1")
    called.sender.step()
    assert called.sent[0][0] == "training/v1/wenshui/site2/box1/request/call"
    with pytest.raises(InputError, match="没有终端"):
        called.make(box="wenshui/site9/box1")


def test_the_clerk_sees_digits_and_whom_to_ring_up(called: CalledClass, tmp_path: Path) -> None:
    store = called.store
    with serving_board(store, tmp_path / "page", tls=False) as board:
        clerk = board.signed_in("clerk")
        page = clerk.open("/calls")
        assert '<option value="C-1">' in page.text
        fields = {"csrf": csrf_of(page.text), "class": "C-1", "when": "now"}
        made = clerk.submit("/calls", fields)
        code = store.all(calls)[0]["code"]
        digits = f"{code[:3]} {code[3:]}"
        assert "等待发出" in made.text and digits not in made.text
        called.sender.step()
        call_path = made.url.removeprefix(board.url)
        page = clerk.open(call_path)
        assert digits in page.text and "张老师 0358-3020000" in page.text
        assert digits not in board.signed_in("leader").open(call_path).text, "who only reads needs no digits"
        store.clock.step(60)
        seen = store.clock.now().astimezone(ZONE) - timedelta(seconds=10)
        clerk.submit(call_path, {"csrf": csrf_of(page.text), "at": f"{seen:%H:%M:%S}", "note": "举着纸"})
        page = clerk.open(f"/classes/C-1/{called.box.day()}/am").text
        assert "按时回应" in page and "the-clerk" in page and "举着纸" in page
        for action in ("call.ask", "call.confirm", "view.call", "view.calls"):
            assert action in board.actions(), action
        assert clerk.submit(call_path, {"csrf": fields["csrf"], "at": "x"}).status_code == 400
        assert clerk.open("/calls/NOSUCH00").status_code == 404
