# ruff: noqa: E501 - the tables read better a row a line
"""Amendments: one line for each rule of what they change, and of what they refuse."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from agent.class_files.classes import parse_class, resolve_field, serialize_class
from agent.class_files.fields import ClassFileProblems
from agent.core.model import Session
from tests.support.attendance_factory import DAY, PRACTICE, THEORY, ZONE, a_class, body, lesson

TUESDAY = date(2026, 11, 24)
MONDAY_PLAN = (
    lesson("08:30", "10:00", content="安全", teacher="李", staff_in_room=3),
    lesson("08:30", "10:00", kind="practice"),
    lesson("10:20", "11:50"),
    lesson("14:00", "17:00"),
)
PLAN = (*MONDAY_PLAN, lesson("08:30", "10:00", TUESDAY))


def amendment(first: str = "2026-11-23", session: str = "am", **what: Any) -> dict[str, Any]:
    return {"approved": "2026-11-23", "first_date": first, "first_session": session, "reason": "停电", **what}


def amended(*changes: dict[str, Any], **more: Any) -> list[str]:
    """The lessons after the amendments, `×` behind a cancelled one."""
    cls = a_class(*PLAN, amendments=list(changes), **more)
    assert parse_class(serialize_class(cls, ZONE), ZONE, "again") == cls, "what is stored says the same"
    return [
        f"{x.date.day} {x.start.astimezone(ZONE):%H:%M}-{x.end.astimezone(ZONE):%H:%M} {x.room_id}{' ×' * x.cancelled}"
        for x in cls.lessons
    ]


def complaints(*changes: dict[str, Any]) -> list[str]:
    with pytest.raises(ClassFileProblems) as caught:
        parse_class(body(*PLAN, amendments=list(changes)), ZONE, "c.toml")
    return [line.removeprefix("c.toml: amendments") for line in caught.value.problems]


UNCHANGED = [
    "23 08:30-10:00 R1",
    "23 08:30-10:00 W1",
    "23 10:20-11:50 R1",
    "23 14:00-17:00 R1",
    "24 08:30-10:00 R1",
]


CANCELLED: list[tuple[str, dict[str, Any], set[str]]] = [
    ("by start, in all rooms", {"date": "2026-11-23", "start": "08:30"}, {"23 08:30-10:00 R1", "23 08:30-10:00 W1"}),
    ("by start and room, in that room alone", {"date": "2026-11-23", "start": "08:30", "room_id": "W1"}, {"23 08:30-10:00 W1"}),
    ("by half-day", {"date": "2026-11-23", "session": "pm"}, {"23 14:00-17:00 R1"}),
    ("by half-day and room", {"date": "2026-11-23", "session": "上午", "room_id": "R1"}, {"23 08:30-10:00 R1", "23 10:20-11:50 R1"}),
    ("on that day alone", {"date": "2026-11-24", "start": "08:30"}, {"24 08:30-10:00 R1"}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "entry", "gone"), CANCELLED, ids=[row[0] for row in CANCELLED])
def test_a_cancel_takes_what_it_names_and_no_more(name: str, entry: dict[str, Any], gone: set[str]) -> None:
    assert amended(amendment(cancel=[entry])) == [x + " ×" * (x in gone) for x in UNCHANGED]


MOVE = {"date": "2026-11-23", "start": "08:30", "room_id": "R1", "to_start": "18:00", "to_end": "19:30"}


def test_a_moved_lesson_keeps_its_content_teacher_kind_room_and_staff() -> None:
    cls = a_class(*PLAN, amendments=[amendment(move=[{**MOVE, "to_date": "2026-11-24"}])])
    new = next(x for x in cls.lessons if x.session is Session.EV)
    assert (new.date, new.content, new.teacher, new.kind, new.room_id, new.staff_in_room, new.cancelled) == (
        TUESDAY,
        "安全",
        "李",
        "theory",
        "R1",
        3,
        False,
    )
    assert [(x.date, x.room_id) for x in cls.lessons if x.cancelled] == [(DAY, "R1")]


def test_a_moved_lesson_goes_where_it_is_told_or_stays_on_its_day() -> None:
    assert "23 18:00-19:30 R1" in amended(amendment(move=[MOVE]))
    assert "23 18:00-19:30 W1" in amended(amendment(move=[{**MOVE, "to_room_id": "W1"}]))
    cls = a_class(*PLAN, amendments=[amendment(move=[{**MOVE, "to_session": "pm"}])])
    assert [x.session for x in cls.lessons if not x.cancelled and x.content == "安全"] == [Session.PM]


def test_a_lesson_of_a_room_with_one_kind_keeps_it_on_a_move_into_the_other_room() -> None:
    """The kind is the lesson's, not that of the room that it moves to."""
    cls = a_class(*PLAN, amendments=[amendment(move=[{**MOVE, "to_room_id": "W1"}])])
    assert [(x.room_id, x.kind) for x in cls.lessons if x.session is Session.EV] == [("W1", "theory")]


def test_a_lesson_that_is_cancelled_already_is_found_by_no_second_cancel() -> None:
    entry = {"date": "2026-11-23", "session": "pm"}
    assert complaints(amendment(cancel=[entry]), amendment(cancel=[entry])) == [
        "[2].cancel[1].start: 2026-11-23 没有这样的时段，请核对日期、开始时间和教室"
    ]


def test_added_lessons_come_once_however_often_they_are_named() -> None:
    extra = lesson("19:00", "20:00")
    assert amended(amendment(add=[extra, extra])).count("23 19:00-20:00 R1") == 1


REFUSED: list[tuple[str, dict[str, Any], list[str]]] = [
    ("neither start nor half-day", amendment(cancel=[{"date": "2026-11-23"}]), ["[1].cancel[1].start: 请写明 start 或 session"]),
    ("cancelled before it rules", amendment(session="pm", cancel=[{"date": "2026-11-23", "start": "08:30"}]),
     ["[1].cancel[1].date: 变更不能影响生效半天之前的 2026-11-23 上午"]),
    ("added before it rules", amendment(session="pm", add=[lesson("12:00", "12:30", session="am")]),
     ["[1].add[1].date: 变更不能影响生效半天之前的 2026-11-23 上午"]),
    ("added on a day before it rules", amendment("2026-11-24", add=[lesson("19:00", "20:00")]),
     ["[1].add[1].date: 变更不能影响生效半天之前的 2026-11-23 晚上"]),
    ("moved to before it rules",
     amendment("2026-11-24", move=[{"date": "2026-11-24", "start": "08:30", "to_date": "2026-11-23", "to_start": "18:00", "to_end": "19:30"}]),
     ["[1].move[1].date: 变更不能影响生效半天之前的 2026-11-23 晚上"]),
    ("two lessons fit a move", amendment(move=[{k: v for k, v in MOVE.items() if k != "room_id"}]), ["[1].move[1].start: 匹配到 2 个时段"]),
    ("a move without an end", amendment(move=[{k: v for k, v in MOVE.items() if k != "to_end"}]), ["[1].move[1].to_end: 缺少 to_end"]),
    ("a move without a start", amendment(move=[{k: v for k, v in MOVE.items() if k != "to_start"}]), ["[1].move[1].to_start: 缺少 to_start"]),
    ("nobody expected", amendment(expected=0), ["[1].expected: 0 超出范围，请写 1 到 1000 之间的整数"]),
    ("a record that is no table", amendment(expected=20, applied="x"), ["[1].applied: “x”应为一张表"]),
    ("a key that nobody knows", amendment(cancel=[{"date": "2026-11-23", "start": "08:30", "rom": "R1"}]), ["[1].cancel[1].rom:"]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change", "lines"), REFUSED, ids=[row[0] for row in REFUSED])
def test_a_wrong_amendment_is_refused_with_its_complaint(name: str, change: dict[str, Any], lines: list[str]) -> None:
    found = complaints(change)
    assert len(found) == len(lines), found
    for line, begin in zip(found, lines, strict=True):
        assert line.startswith(begin), line


def test_an_amendment_may_change_its_own_first_half_day() -> None:
    change = amendment(session="pm", cancel=[{"date": "2026-11-23", "session": "pm"}], add=[lesson("18:00", "19:00")])
    assert amended(change) == [
        *UNCHANGED[:3],
        "23 14:00-17:00 R1 ×",
        "23 18:00-19:00 R1",
        "24 08:30-10:00 R1",
    ]


def test_every_field_of_the_class_that_an_amendment_names_rules_from_then_on() -> None:
    new = {
        "expected": 25,
        "first_day": "2026-11-20",
        "last_day": "2026-11-28",
        "place": "西街",
        "head_teacher": "王",
        "staff": ["赵", "钱"],
    }
    cls = a_class(*PLAN, head_teacher="孙", staff=["周"], amendments=[amendment(session="pm", **new)])
    assert dict(cls.amendments[0].changes) == new
    assert {key: resolve_field(cls, key, DAY, Session.PM) for key in new} == new
    assert (resolve_field(cls, "head_teacher", DAY, Session.AM), resolve_field(cls, "staff", DAY, Session.AM)) == (
        "孙",
        ("周",),
    )
    assert (cls.expected_on(DAY, Session.AM), cls.expected_on(DAY, Session.PM)) == (30, 25)


def test_the_smallest_class_has_one_trainee() -> None:
    assert a_class(*PLAN, amendments=[amendment(expected=1)]).expected_on(DAY, Session.AM) == 1


def test_what_was_done_is_kept_under_applied_with_times_in_one_form() -> None:
    change = amendment(
        cancel=[{"date": "2026/11/23", "start": "8:30", "room_id": "R1"}], add=[lesson("18:00:30", "19:00")]
    )
    kept = a_class(*PLAN, amendments=[change]).amendments[0].changes["applied"]
    assert kept["cancel"] == [{"date": "2026-11-23", "start": "08:30", "room_id": "R1"}]
    assert [(x["date"], x["start"], x["end"]) for x in kept["add"]] == [("2026-11-23", "18:00:30", "19:00")]


def test_what_is_done_later_joins_what_was_applied_before() -> None:
    before = {"cancel": [{"date": "2026-11-20", "start": "08:30"}], "add": [{"date": "2026-11-20"}]}
    change = amendment(cancel=[{"date": "2026-11-23", "session": "pm"}], applied=before)
    kept = a_class(*PLAN, amendments=[change]).amendments[0].changes["applied"]
    assert kept == {"cancel": [{"date": "2026-11-23", "session": "pm"}], "add": [{"date": "2026-11-20"}]}


def test_the_rooms_of_the_tables_are_those_of_the_class() -> None:
    assert (THEORY["room_id"], PRACTICE["room_id"]) == ("R1", "W1") and amended() == UNCHANGED


def test_a_moved_lesson_stays_in_its_room_where_several_are_of_its_kind() -> None:
    rooms = [THEORY, {"room_id": "R2", "kind": "theory", "cameras": ["cam3"]}]
    cls = a_class(
        lesson("08:30", "10:00", room_id="R2"),
        rooms=rooms,
        amendments=[amendment(move=[{k: v for k, v in MOVE.items() if k != "room_id"}])],
    )
    assert [(x.room_id, x.cancelled) for x in cls.lessons] == [("R2", True), ("R2", False)]


def test_an_amendment_without_its_first_day_is_a_complaint_like_any_other() -> None:
    change = amendment(cancel=[{"date": "2026-11-23", "session": "pm"}], add=[lesson("18:00", "19:00")])
    del change["first_date"]
    (line,) = complaints(change)
    assert line.startswith("[1].first_date: 缺少 first_date")
