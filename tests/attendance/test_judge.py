"""The judgement of half-days, by tables."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from agent.attendance.estimate import compute_coverage, compute_upper_median, estimate_block
from agent.attendance.findings import detect_findings
from agent.attendance.judge import JudgementRules, build_attendance_object, judge_half_day
from agent.attendance.publication import decide_status
from agent.attendance.summary import summarize_class
from agent.core.model import Look, Session
from tests.support.attendance_factory import DAY, PRACTICE, THEORY, a_class, at, flat, lesson, look, looks, steps

RULES = JudgementRules()
LATER = at("23:00") + timedelta(days=9)
TWO_LESSONS = (lesson("08:30", "10:00"), lesson("10:20", "11:50"))


def figures(found: list[Look], *lessons: dict[str, Any], now: str | None = None, **more: Any) -> dict[str, Any]:
    cls = a_class(*(lessons or TWO_LESSONS), **more)
    half = judge_half_day(cls, DAY, Session.AM, found, at(now) if now else LATER, RULES)
    return build_attendance_object(half, decide_status(half, None), 1)


@pytest.mark.parametrize(
    ("pairs", "middle"),
    [
        ([(5, 1)], 5),
        ([(4, 1), (6, 1)], 6),
        ([(4, 1), (6, 1), (6, 0.5)], 6),
        ([(4, 3), (9, 1), (9, 1)], 4),
        ([(4, 2), (9, 1), (9, 1)], 9),
        ([(1, 300), (2, 300), (3, 300)], 2),
    ],
)
def test_median_with_ties_up(pairs: list[tuple[int, float]], middle: int) -> None:
    assert compute_upper_median(pairs) == middle


def test_a_block_stands_for_its_judged_looks() -> None:
    seen = [look(at("09:00"), n) for n in (20, 21, 22, 23, 24)] + [look(at("09:00"), None)]
    estimate = estimate_block(seen)
    assert estimate is not None
    assert (estimate.people, estimate.low, estimate.high) == (23, 21, 25)
    assert estimate_block([look(at("09:00"), None)]) is None


@pytest.mark.parametrize(
    ("times", "share"),
    [([], 0), (["09:00:30"], 0.2), (["09:00:00"], 0.1), (["09:00:30", "09:00:50"], 80 / 300), (["09:04:59"], 31 / 300)],
)
def test_looks_speak_for_the_time_around_them(times: list[str], share: float) -> None:
    seen = [look(at(t), 5) for t in times]
    assert compute_coverage(seen, at("09:00"), at("09:05"), 60) == pytest.approx(share)


def test_the_contracts_figures() -> None:
    seen = looks(
        at("08:15"),
        at("12:05"),
        steps(("08:15", 3), ("08:35", 21), ("08:45", 25), ("10:00", 2), ("10:18", 26), ("11:45", 11)),
    )
    assert figures(seen) == {
        "class_id": "C1", "date": "2026-11-23", "session": "am", "expected": 30, "present": 24, "absent": 6,
        "low": 23, "high": 27, "ratio": 0.8, "at_start": 20, "at_end": 25, "lesson_s": 10800, "judged_s": 10800,
        "status": "final", "revision": 1,
        "rooms": [
            {"room_id": "R1", "expected": 30, "present": 24, "absent": 6, "low": 23, "high": 27, "ratio": 0.8,
             "at_start": 20, "at_end": 25, "lesson_s": 10800, "judged_s": 10800},
        ],
    }  # fmt: skip


def test_breaks_are_no_absence() -> None:
    seen = looks(at("08:30"), at("11:50"), steps(("08:30", 31), ("10:00", 0), ("10:20", 31)))
    body = figures(seen)
    assert (body["present"], body["absent"], body["judged_s"]) == (30, 0, 10800)


def test_staff_are_taken_off_lesson_by_lesson_and_high_keeps_them() -> None:
    seen = looks(at("08:30"), at("09:30"), 20)
    one = figures(seen, lesson("08:30", "09:30", staff_in_room=3))
    assert (one["present"], one["low"], one["high"]) == (17, 16, 22)
    two = figures(seen, lesson("08:30", "09:00", staff_in_room=0), lesson("09:00", "09:30", staff_in_room=5))
    assert two["present"] == 20  # half an hour of 20, half an hour of 15: ties up


def test_more_staff_than_people_is_nobody() -> None:
    body = figures(looks(at("08:30"), at("09:30"), 1), lesson("08:30", "09:30", staff_in_room=2))
    assert (body["present"], body["low"], body["high"], body["absent"]) == (0, 0, 3, 30)


def test_nothing_judged_is_unknown_not_zero() -> None:
    for seen in ([], looks(at("08:30"), at("11:50"), None)):
        body = figures(seen)
        assert body["status"] == "unjudged"
        assert [body[k] for k in ("present", "absent", "low", "high", "ratio", "at_start", "at_end")] == [None] * 7
        assert (body["lesson_s"], body["judged_s"]) == (10800, 0)


def test_half_of_the_lesson_time_must_be_judged() -> None:
    enough = looks(at("08:30"), at("11:50"), steps(("08:30", 11), ("10:00", None)))
    assert (figures(enough)["present"], figures(enough)["at_end"], figures(enough)["judged_s"]) == (10, None, 5400)
    short = looks(at("08:30"), at("11:50"), steps(("08:30", 11), ("09:55", None)))
    assert figures(short)["present"] is None


def test_while_it_runs_only_what_has_run_counts() -> None:
    seen = looks(at("08:30"), at("08:40"), 21)
    early = figures(seen, now="08:40")
    assert (early["status"], early["present"], early["lesson_s"], early["at_start"]) == ("provisional", 20, 600, None)
    later = figures(seen + looks(at("08:40"), at("08:47"), 31), now="08:47")
    assert (later["at_start"], later["at_end"], later["lesson_s"]) == (20, None, 1020)
    before = figures([], now="08:30")
    assert (before["status"], before["present"], before["lesson_s"]) == ("provisional", None, 0)


def test_a_lesson_shorter_than_the_edges() -> None:
    body = figures(looks(at("09:00"), at("09:01"), 9, every=2), lesson("09:00", "09:01"))
    assert (body["present"], body["at_start"], body["at_end"], body["lesson_s"]) == (8, 8, 8, 60)


def test_rooms_one_after_another_are_not_added() -> None:
    plan = lesson("08:30", "10:00"), lesson("10:00", "11:30", kind="practice")
    seen = flat(
        [
            looks(at("08:30"), at("11:30"), steps(("08:30", 29), ("10:00", 0))),
            looks(at("08:30"), at("11:30"), steps(("08:30", 0), ("10:00", 27)), "cam2"),
        ]
    )
    body = figures(seen, *plan)
    assert body["present"] == 28
    assert [(r["room_id"], r["expected"], r["present"], r["lesson_s"]) for r in body["rooms"]] == [
        ("R1", 30, 28, 5400),
        ("W1", 30, 26, 5400),
    ]


def test_rooms_at_the_same_time_are_added_and_have_no_base_of_their_own() -> None:
    plan = lesson("08:30", "10:00"), lesson("08:30", "10:00", kind="practice", staff_in_room=2)
    seen = flat([looks(at("08:30"), at("10:00"), 16), looks(at("08:30"), at("10:00"), 14, "cam2")])
    body = figures(seen, *plan)
    assert (body["present"], body["absent"], body["high"], body["lesson_s"]) == (27, 3, 34, 5400)
    assert [(r["expected"], r["present"], r["absent"], r["ratio"]) for r in body["rooms"]] == [
        (None, 15, None, None),
        (None, 12, None, None),
    ]
    blind = figures(looks(at("08:30"), at("10:00"), 16), *plan)
    assert (blind["present"], blind["rooms"][0]["present"], blind["rooms"][1]["present"]) == (None, 15, None)


def test_a_room_of_another_box_leaves_absence_unknown() -> None:
    plan = lesson("08:30", "10:00"), lesson("08:30", "10:00", kind="practice")
    rooms = [THEORY, {**PRACTICE, "cameras": []}]
    body = figures(looks(at("08:30"), at("10:00"), 16), *plan, rooms=rooms)
    assert (body["present"], body["absent"], body["ratio"], len(body["rooms"])) == (15, None, None, 1)


@pytest.mark.parametrize(
    ("view", "one", "two", "present"),
    [("whole", 20, 25, 24), ("whole", 20, None, 19), ("part", 20, 25, 44), ("part", 20, None, None)],
)
def test_several_cameras_of_one_room(view: str, one: int, two: int | None, present: int | None) -> None:
    room = {"room_id": "R1", "kind": "theory", "cameras": ["cam1", "cam9"], "view": view}
    seen = flat([looks(at("08:30"), at("10:00"), one), looks(at("08:30"), at("10:00"), two, "cam9")])
    assert figures(seen, lesson("08:30", "10:00"), rooms=[room])["present"] == present


def test_an_amended_headcount_rules_from_its_half_day_on() -> None:
    tuesday = date(2026, 11, 24)
    cls = a_class(
        lesson("08:30", "10:00"),
        lesson("14:00", "15:00"),
        lesson("08:30", "10:00", day=tuesday),
        amendments=[
            {
                "approved": "2026-11-23",
                "first_date": "2026-11-23",
                "first_session": "pm",
                "reason": "退班",
                "expected": 20,
            }
        ],
    )
    bases = [judge_half_day(cls, day, session, [], LATER, RULES).expected for day, session in cls.half_days()]
    assert bases == [30, 20, 20]


FINDINGS: list[tuple[str, Any, list[tuple[str, str, str]]]] = [
    ("all there", steps(("08:30", 31)), []),
    ("fourteen minutes late", steps(("08:30", 3), ("08:40", 31)), []),
    ("late", steps(("08:30", 4), ("08:50", 31)), [("late_start", "08:30", "08:50")]),
    ("early end", steps(("08:30", 31), ("11:30", 3)), [("early_end", "11:30", "11:50")]),
    ("out for five minutes, then unseen", steps(("08:30", 31), ("11:30", 3), ("11:35", None)), []),
    ("interrupted", steps(("08:30", 31), ("09:00", 5), ("09:30", 30)), [("interrupted", "09:00", "09:30")]),
    ("nobody", steps(("08:30", 1)), [("empty", "08:30", "11:50")]),
    ("too many", steps(("08:30", 31), ("11:00", 40)), [("over", "11:00", "11:50")]),
    ("few all along", steps(("08:30", 6)), [("late_start", "08:30", "11:50")]),
    ("cannot be judged", steps(("08:30", None)), []),
    ("break", steps(("08:30", 31), ("10:00", 0), ("10:20", 31)), []),
]


@pytest.mark.parametrize(("name", "people", "expected"), FINDINGS, ids=[row[0] for row in FINDINGS])
def test_findings(name: str, people: Any, expected: list[tuple[str, str, str]]) -> None:
    half = judge_half_day(a_class(*TWO_LESSONS), DAY, Session.AM, looks(at("08:30"), at("11:50"), people), LATER, RULES)
    found = [(f.kind, f.start, f.end) for f in detect_findings(half, RULES)]
    assert found == [(kind, at(start), at(end)) for kind, start, end in expected]


DAYS = [date(2026, 11, 23), date(2026, 11, 24), date(2026, 11, 25)]
PLAN = [
    lesson(start, end, day=day, kind=kind, staff_in_room=staff)
    for day in DAYS
    for start, end, kind, staff in (
        ("08:30", "10:00", "theory", 1),
        ("10:20", "11:50", "theory", 1),
        ("14:00", "17:00", "practice", 2),
    )
]


def test_three_days_cell_by_cell() -> None:
    """Arrivals, breaks, an empty afternoon, a camera covered for an hour, an amendment, a cancelled afternoon."""
    amendment = {
        "approved": "2026-11-23",
        "first_date": "2026-11-24",
        "first_session": "am",
        "reason": "退班",
        "expected": 28,
    }
    cls = a_class(*PLAN, amendments=[amendment])
    one, two, three = DAYS
    seen = flat([
        # arrivals over the first half hour, a break, some go before the end
        looks(at("08:15", one), at("12:05", one), steps(
            ("08:15", 2), ("08:30", 13), ("08:35", 19), ("08:45", 25), ("09:00", 29), ("10:00", 4), ("10:20", 30),
            ("11:40", 22))),
        # practice with two teachers
        looks(at("13:45", one), at("17:15", one), steps(("13:45", 5), ("14:00", 28), ("15:30", 30)), "cam2"),
        # the camera is covered from 09:00 to 10:00
        looks(at("08:15", two), at("12:05", two), steps(
            ("08:15", 27), ("09:00", None), ("10:00", 3), ("10:20", 25), day=two)),
        # an empty afternoon: the teachers look in for ten minutes
        looks(at("13:45", two), at("17:15", two), steps(("13:45", 0), ("14:00", 2), ("14:10", 0), day=two), "cam2"),
        # a morning that cannot be judged, an afternoon without video
        looks(at("08:15", three), at("12:05", three), None),
    ])  # fmt: skip
    columns = (
        "expected",
        "present",
        "absent",
        "low",
        "high",
        "ratio",
        "at_start",
        "at_end",
        "lesson_s",
        "judged_s",
        "status",
    )
    table = {
        (one, "am"): (30, 28, 2, 27, 31, 0.9333, 18, 21, 10800, 10800, "final"),
        (one, "pm"): (30, 28, 2, 27, 32, 0.9333, 26, 28, 10800, 10800, "final"),
        (two, "am"): (28, 24, 4, 23, 27, 0.8571, 26, 24, 10800, 7200, "final"),
        (two, "pm"): (28, 0, 28, 0, 2, 0.0, 0, 0, 10800, 10800, "final"),
        (three, "am"): (28, None, None, None, None, None, None, None, 10800, 0, "unjudged"),
        (three, "pm"): (28, None, None, None, None, None, None, None, 10800, 0, "unjudged"),
    }
    halves = {}
    for (day, session), row in table.items():
        mine = [x for x in seen if x.date == day and x.session == session]
        half = halves[day, session] = judge_half_day(cls, day, Session(session), mine, LATER, RULES)
        body = build_attendance_object(half, decide_status(half, None), 1)
        assert tuple(body[c] for c in columns) == row, (day, session)
    shown = [[(f.kind, round(f.seconds / 60)) for f in detect_findings(h, RULES)] for h in halves.values()]
    assert shown == [[], [], [], [("empty", 180)], [], []]

    total = summarize_class(cls, list(halves.values()), LATER, RULES)
    assert {d: (r.present, r.expected, r.half_days, r.unjudged) for d, r in total.by_day.items()} == {
        one: (56, 60, 2, 0),
        two: (24, 56, 2, 0),
        three: (0, 0, 0, 2),
    }
    assert (total.overall.ratio, total.by_day[three].ratio) == (round(80 / 116, 4), None)
    hours = total.hours
    assert [h / 3600 for h in (hours.planned, hours.due, hours.taught, hours.not_taught, hours.unknown, hours.cancelled)] == [
        18, 18, 8, 3, 7, 0,
    ]  # fmt: skip
