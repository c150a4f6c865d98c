"""The judgement where figures could be wrong by little: surplus people, rooms of other boxes, edges, part views."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from agent.attendance.estimate import Estimate, covered, estimate_block, room_estimate
from agent.attendance.judge import Rules, judge
from agent.model import Look, Session
from agent.model_classes import Room
from tests.attendance_made import DAY, PRACTICE, THEORY, a_class, at, flat, lesson, look, looks, steps
from tests.test_attendance_judge import figures

ROOM = Room("R1", "一号", "theory", ("cam1",))
TWO = ("cam1", "cam9")
BLOCK = (at("09:00"), at("09:05"))


def estimate(room: Room, seen: list[Look], share: float = 0.5) -> Estimate | None:
    return room_estimate(room, seen, *BLOCK, reach_s=60, share=share)


def through_the_block(people: int | None, camera: str = "cam1", every: float = 20, **more: Any) -> list[Look]:
    return [look(BLOCK[0] + timedelta(seconds=s * every), people, camera, **more) for s in range(int(300 / every))]


def test_more_people_than_expected_is_no_negative_absence() -> None:
    found = figures(looks(at("08:30"), at("11:50"), 36))
    assert (found["absent"], found["rooms"][0]["absent"]) == (0, 0)
    assert found["present"] == 35 and found["ratio"] == round(35 / 30, 4)


def test_a_room_beside_another_boxs_room_has_no_base() -> None:
    lessons = lesson("08:30", "10:00"), lesson("08:30", "10:00", kind="practice")
    rooms = [THEORY, {**PRACTICE, "cameras": []}]
    found = figures(looks(at("08:30"), at("10:00"), 16), *lessons, rooms=rooms)
    assert [(r["expected"], r["absent"]) for r in found["rooms"]] == [(None, None)]
    assert (found["absent"], found["ratio"]) == (None, None)


def test_rooms_one_after_another_are_not_beside_each_other() -> None:
    lessons = lesson("08:30", "10:00"), lesson("10:00", "11:30", kind="practice")
    seen = flat([looks(at("08:30"), at("10:00"), 31), looks(at("10:00"), at("11:30"), 25, "cam2")])
    assert [(r["room_id"], r["expected"]) for r in figures(seen, *lessons)["rooms"]] == [("R1", 30), ("W1", 30)]


def test_fewer_people_than_staff_is_nobody_and_never_less() -> None:
    assert figures(looks(at("08:30"), at("11:50"), 0), lesson("08:30", "11:50"))["present"] == 0
    lessons = lesson("08:30", "10:00", staff_in_room=3), lesson("08:30", "10:00", kind="practice")
    seen = flat([looks(at("08:30"), at("10:00"), 1), looks(at("08:30"), at("10:00"), 21, "cam2")])
    assert figures(seen, *lessons)["present"] == 20, "what one room lacks is not taken from the other"


def test_the_interval_takes_off_staff_below_and_none_above() -> None:
    found = figures(looks(at("08:30"), at("11:50"), 26), lesson("08:30", "11:50", staff_in_room=2))
    assert (found["present"], found["low"], found["high"]) == (24, 23, 28)


@pytest.mark.parametrize(("interval", "reach"), [(10, 60), (30, 60), (31, 62), (120, 240)])
def test_a_look_speaks_for_a_minute_or_two_intervals(interval: float, reach: float) -> None:
    assert Rules.for_looks_every(interval).reach_s == reach


def test_looks_that_could_not_be_judged_speak_for_no_time() -> None:
    seen = [look(BLOCK[0] + timedelta(seconds=s), 20 if s == 0 else None) for s in range(0, 300, 30)]
    assert estimate(ROOM, seen) is None


def test_exactly_half_a_block_seen_is_enough() -> None:
    seen = [look(BLOCK[0] + timedelta(seconds=s), 20) for s in (30, 90)]
    assert covered(seen, *BLOCK, 60) == 0.4 and estimate(ROOM, seen) is None
    seen.append(look(BLOCK[0] + timedelta(seconds=285), 20))
    assert covered(seen, *BLOCK, 60) == pytest.approx(0.55) and estimate(ROOM, seen) is not None
    seen[-1] = look(BLOCK[0], 20)
    assert covered(seen, *BLOCK, 60) == 0.4, "time for which two looks speak counts once"
    exact = [look(BLOCK[0] + timedelta(seconds=s), 20) for s in (30, 90, 0)]
    assert room_estimate(ROOM, exact, *BLOCK, reach_s=60, share=0.4) is not None


def test_looks_speak_for_no_time_outside_the_block() -> None:
    assert covered([look(BLOCK[1] - timedelta(seconds=1), 20)], *BLOCK, 60) == pytest.approx(31 / 300)
    assert covered([look(BLOCK[0], 20)], *BLOCK, 60) == pytest.approx(30 / 300)
    assert covered([look(BLOCK[0], 20)], BLOCK[0], BLOCK[0], 60) == 0


def test_a_look_at_the_blocks_first_instant_is_its_own_and_one_at_its_end_the_nexts() -> None:
    assert estimate(ROOM, [look(BLOCK[0], 20)], share=0.1) == Estimate(20, 19, 22)
    assert estimate(ROOM, [look(BLOCK[1], 20)], share=0.0) is None


def test_the_spreads_of_part_views_add_as_squares() -> None:
    seen = [*through_the_block(20, low=17, high=21), *through_the_block(25, "cam9", low=21, high=27)]
    assert estimate(Room("R1", "x", "theory", TWO, "part"), seen) == Estimate(45, 40, 48)


def test_part_views_that_see_nobody_are_not_less_than_nobody() -> None:
    seen = [*through_the_block(1, low=0, high=2), *through_the_block(0, "cam9", low=0, high=2)]
    assert estimate(Room("R1", "x", "theory", TWO, "part"), seen) == Estimate(1, 0, 4)


def test_all_part_views_are_needed_and_one_whole_view_is_enough() -> None:
    seen = [*through_the_block(20), *through_the_block(None, "cam9")]
    assert estimate(Room("R1", "x", "theory", TWO, "part"), seen) is None
    assert estimate(Room("R1", "x", "theory", TWO), seen) == Estimate(20, 19, 22)


def test_of_whole_views_the_one_that_sees_most_counts() -> None:
    seen = [*through_the_block(20), *through_the_block(23, "cam9")]
    assert estimate(Room("R1", "x", "theory", TWO), seen) == Estimate(23, 22, 25)


def test_the_interval_of_a_block_holds_its_estimate_and_ranks_as_written() -> None:
    def block(*rows: tuple[int, int, int]) -> Estimate | None:
        return estimate_block([look(BLOCK[0], p, low=low, high=high) for low, p, high in rows])

    assert block((9, 5, 2)) == Estimate(5, 5, 5), "an interval that does not hold its figure is widened"
    ten = [(n, 100 + n, 200 + n) for n in range(10)]
    assert block(*ten) == Estimate(106, 5, 206)
    assert block(*ten[:1]) == Estimate(100, 0, 200)
    assert block(*ten[:2]) == Estimate(101, 1, 201)


def test_the_figures_at_the_edges_wait_for_their_time() -> None:
    seen = looks(at("08:30"), at("11:50"), 26)
    assert figures(seen, now="08:44:59")["at_start"] is None
    found = figures(seen, now="08:45")
    assert (found["at_start"], found["at_end"], found["lesson_s"]) == (25, None, 900)
    assert figures(seen, now="11:49:59")["at_end"] is None
    assert figures(seen, now="11:50")["at_end"] == 25


def test_a_lesson_shorter_than_the_edge_has_its_figure_when_it_is_over() -> None:
    found = figures(looks(at("08:30"), at("08:40"), 26), lesson("08:30", "08:40"), now="08:40")
    assert (found["at_start"], found["at_end"]) == (25, 25)


def test_the_edges_are_quarters_of_an_hour_of_lesson_time_across_a_break() -> None:
    times = steps(("08:30", 11), ("08:40", 0), ("08:50", 21), ("08:55", 31))
    seen = looks(at("08:30"), at("11:50"), times)
    assert figures(seen, lesson("08:30", "08:40"), lesson("08:50", "11:50"))["at_start"] == 10
    times = steps(("08:30", 31), ("11:35", 21), ("11:40", 0), ("11:45", 11))
    seen = looks(at("08:30"), at("11:55"), times)
    assert figures(seen, lesson("08:30", "11:40"), lesson("11:45", "11:55"))["at_end"] == 10


def test_half_of_the_lesson_time_judged_is_enough_and_less_is_not() -> None:
    hour = lesson("08:30", "09:30")
    seen = flat([looks(at("08:30"), at("09:00"), 26), looks(at("09:00"), at("09:30"), None)])
    found = figures(seen, hour)
    assert (found["present"], found["judged_s"], found["lesson_s"]) == (25, 1800, 3600)
    found = figures(flat([looks(at("08:30"), at("08:55"), 26), looks(at("08:55"), at("09:30"), None)]), hour)
    assert (found["present"], found["judged_s"], found["status"]) == (None, 1500, "unjudged")


def test_one_room_that_cannot_be_judged_makes_the_block_unknown() -> None:
    lessons = lesson("08:30", "10:00"), lesson("08:30", "10:00", kind="practice")
    seen = flat([looks(at("08:30"), at("10:00"), 16), looks(at("08:30"), at("10:00"), None, "cam2")])
    assert figures(seen, *lessons)["present"] is None


def test_a_half_day_is_over_at_the_end_of_its_last_lesson() -> None:
    cls = a_class(lesson("08:30", "10:00"))
    for now, over in (("09:59:59", False), ("10:00", True)):
        assert judge(cls, DAY, Session.AM, [], at(now), Rules()).over is over


def test_the_curve_ends_with_the_lesson() -> None:
    curve = judge(a_class(lesson("08:30", "08:42")), DAY, Session.AM, [], at("12:00"), Rules()).curve
    assert [(b.start, b.end) for b in curve] == [
        (at("08:30"), at("08:35")), (at("08:35"), at("08:40")), (at("08:40"), at("08:42")),
    ]  # fmt: skip


def test_the_rules_are_those_of_the_document() -> None:
    """docs/attendance.md: five-minute blocks, quarters of an hour, a half, a fifth, a tenth more."""
    rules = Rules()
    assert (rules.block_s, rules.edge_s, rules.reach_s, rules.over_s) == (300, 900, 60, 600)
    assert {rules.late_s, rules.early_s, rules.empty_s, rules.interrupted_s} == {900}
    shares = rules.block_share, rules.answer_share, rules.begun_ratio, rules.left_ratio, rules.over_ratio
    assert shares == (0.5, 0.5, 0.5, 0.2, 1.1)
