"""The attendance worker against a real catalog: figures and alerts as time goes by."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from agent.attendance.alerting import HoldTimers, count_at_bench
from agent.attendance.worker import AttendanceOptions, AttendanceWorker
from agent.catalog import Catalog
from agent.contract.envelope import wrap
from agent.core.alert_model import AlertKind
from agent.core.class_model import Bench, TrainingClass
from agent.core.errors import ClassFileError
from agent.core.model import Look, Session
from agent.core.sign_in import SignInCount
from tests.support.attendance_factory import DAY, PRACTICE, THEORY, ZONE, a_class, at, body, lesson, look, looks, steps
from tests.support.clocks import HandClock
from tests.support.contract_check import validate

MORNING = (lesson("08:30", "10:00"), lesson("10:20", "11:50"))


class AttendanceBox:
    """One box: a catalog, a clock, and a camera that is looked at while time passes."""

    def __init__(
        self, folder: Path, *lessons: dict[str, Any], options: AttendanceOptions | None = None, **more: Any
    ) -> None:
        self.catalog = Catalog(folder / "catalog.db", ZONE)
        self.clock = HandClock(at("08:00"))
        self.classes: list[TrainingClass] = [a_class(*(lessons or MORNING), **more)]
        self.options = options or AttendanceOptions()
        self.restart()

    def restart(self) -> None:
        self.watch = AttendanceWorker(self.catalog, lambda: self.classes, self.clock, self.options)

    def until(self, end: str, people: Callable[[Any], int | None], camera: str = "cam1", every: float = 30) -> None:
        """Let time pass in steps of `every` seconds, with a look and a round of the watch at each."""
        while self.clock.now() < at(end):
            seen = people(self.clock.now())
            self.catalog.looks.add(look(self.clock.now(), seen, camera))
            self.clock.go(every)
            self.watch.run_once()

    def figures(self, session: Session = Session.AM) -> dict[str, Any]:
        body = self.catalog.attendance.get("C1", DAY, session)
        assert body is not None
        return body

    def alerts(self) -> list[Any]:
        """The data of the alert messages in the outbox."""
        return [m.data for m in self.catalog.outbox.waiting(limit=1000) if m.type == "alert"]

    def told(self) -> list[tuple[str, str, str]]:
        """Alerts in the outbox: kind, state, local time since."""
        return [(d["kind"].split(".")[1], d["state"], d["since"][11:16]) for d in self.alerts()]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Callable[..., AttendanceBox]]:
    made: list[AttendanceBox] = []

    def make(*lessons: dict[str, Any], **more: Any) -> AttendanceBox:
        made.append(AttendanceBox(tmp_path, *lessons, **more))
        return made[-1]

    yield make
    for one in made:
        _check_against_the_contract(one.catalog)
        one.catalog.close()


def _check_against_the_contract(catalog: Catalog) -> None:
    """Every message that was queued is what the published schemas say."""
    for m in catalog.outbox.waiting(limit=10_000):
        data = {**m.data, "replayed": False} if isinstance(m.data, Mapping) else m.data  # as the bureau link sends it
        payload = wrap(
            event_id=m.event_id,
            source="/training/c/s/b",
            name=m.type,
            subject=m.topic,
            at=m.created_at,
            zone=ZONE,
            data=data,
        )
        validate(f"training/v1/c/s/b/{m.topic}", payload)


def test_a_morning_from_provisional_to_final(site: Callable[..., AttendanceBox]) -> None:
    box = site()
    box.until("08:29", steps(("08:00", 5)))
    assert box.catalog.attendance.of_class("C1") == []
    box.until("09:00", steps(("08:00", 29)))
    running = box.figures()
    assert (running["status"], running["present"], running["at_start"], running["at_end"]) == (
        "provisional",
        28,
        28,
        None,
    )
    box.until("11:52", steps(("08:00", 29)), every=60)
    assert box.figures()["status"] == "provisional"  # its last looks may still be on their way
    box.until("11:54", steps(("08:00", 0)))
    body = box.figures()
    assert (body["status"], body["present"], body["absent"], body["at_end"]) == ("final", 28, 2, 28)
    assert (body["lesson_s"], body["judged_s"]) == (10800, 10800)
    topic = "attendance/C1/2026-11-23/am"
    waiting = [m for m in box.catalog.outbox.waiting() if m.topic == topic]
    assert [(m.retained, m.type, dict(m.data)) for m in waiting[-1:]] == [(True, "attendance", body)]
    before = body["revision"]
    box.until("13:00", steps(("08:00", 0)), every=60)
    assert box.figures()["revision"] == before
    assert box.told() == []


def test_revisions_rise_with_what_changes(site: Callable[..., AttendanceBox]) -> None:
    box = site(options=AttendanceOptions(publish_s=60, refresh_s=600))
    told = []
    while box.clock.now() < at("09:06"):
        before = box.catalog.attendance.get("C1", DAY, Session.AM)
        box.until((box.clock.now() + timedelta(seconds=30)).astimezone(ZONE).strftime("%H:%M:%S"), steps(("08:00", 21)))
        after = box.catalog.attendance.get("C1", DAY, Session.AM)
        if after != before:
            told.append((box.clock.now(), after["revision"], after["present"], after["at_start"]))  # type: ignore[index]
    assert told == [
        (at("08:30"), 1, None, None),
        (at("08:31"), 2, 20, None),  # the first figure
        (at("08:41"), 3, 20, None),  # nothing but the clock
        (at("08:45"), 4, 20, 20),  # fifteen lesson minutes are over
        (at("08:55"), 5, 20, 20),
        (at("09:05"), 6, 20, 20),
    ]


def test_looks_that_come_late_revise_it(site: Callable[..., AttendanceBox]) -> None:
    box = site()
    box.clock.go_to(at("11:55"))
    box.watch.run_once()
    assert (box.figures()["status"], box.figures()["revision"]) == ("unjudged", 1)
    moment = at("08:30")
    while moment < at("11:50"):
        box.catalog.looks.add(look(moment, 26))
        moment += timedelta(seconds=30)
    box.clock.go(301)
    box.watch.run_once()
    assert (box.figures()["status"], box.figures()["present"], box.figures()["revision"]) == ("revised", 25, 2)
    box.restart()
    box.watch.run_once()
    assert box.figures()["revision"] == 2


@pytest.mark.long
def test_a_restart_leaves_half_days_that_lie_far_back_unless_their_class_was_imported_meanwhile(
    site: Callable[..., AttendanceBox],
) -> None:
    """A year of them takes minutes to judge, in which nobody would watch the class under way."""
    box = site()
    box.catalog.classes.put("C1", body(*MORNING), "file", at("08:00"))
    box.until("11:55", steps(("08:00", 26)), every=60)
    assert (box.figures()["status"], box.figures()["revision"]) == ("final", before := box.figures()["revision"])
    for moment in looks(at("08:30"), at("11:50"), 28, every=7):
        box.catalog.looks.add(moment)
    box.clock.go(3 * 86_400)
    box.restart()
    box.watch.run_once()
    assert box.figures()["revision"] == before
    box.catalog.classes.put("C1", body(*MORNING), "file", box.clock.now())
    box.restart()
    box.watch.run_once()
    assert (box.figures()["status"], box.figures()["revision"]) == ("revised", before + 1)


def test_an_amendment_revises_and_a_cancelled_half_day_is_withdrawn(site: Callable[..., AttendanceBox]) -> None:
    box = site()
    box.until("11:55", steps(("08:00", 26)), every=60)
    change = {"approved": "2026-11-23", "first_date": "2026-11-23", "reason": "退班"}
    box.classes = [a_class(*MORNING, amendments=[{**change, "expected": 25}])]
    box.watch.run_once()
    body = box.figures()
    assert (body["status"], body["expected"], body["absent"], body["ratio"]) == ("revised", 25, 0, 1.0)
    away = [{**change, "cancel": [{"date": "2026-11-23", "session": "am"}]}]
    box.classes = [a_class(*MORNING, lesson("14:00", "15:00"), amendments=away)]
    box.watch.run_once()
    gone = box.figures()
    assert (gone["status"], gone["lesson_s"], gone["present"], gone["rooms"]) == ("revised", 0, None, [])
    box.watch.run_once()
    assert box.figures()["revision"] == gone["revision"]


def test_a_shortfall_is_raised_after_its_hold_time_and_cleared(site: Callable[..., AttendanceBox]) -> None:
    box = site(options=AttendanceOptions(window_s=120, hold_s=120))
    box.until("09:00", steps(("08:00", 30)))
    box.until("09:10", steps(("09:00", 18)))
    alert = box.catalog.alerts.open_one(AlertKind.ATTENDANCE_SHORTFALL, "C1/2026-11-23/am")
    assert alert is not None
    assert alert.since == at("09:01:30")  # when most looks of the window showed fewer than 24
    assert (alert.class_id, alert.date, alert.session, alert.camera_id) == ("C1", DAY, Session.AM, "cam1")
    assert alert.message == "电工第3班 2026-11-23上午：到课 17 人，应到 30 人，人数不足"
    assert alert.evidence["look"].startswith("2026-11-23T09:0")
    assert alert.evidence["clip"] == {
        "class_id": "C1",
        "on": "2026-11-23",
        "from": "09:02:30",
        "to": "09:03:30",
        "camera_id": "cam1",
    }
    box.until("09:20", steps(("09:10", 30)))
    assert box.told() == [("shortfall", "raised", "09:01"), ("shortfall", "cleared", "09:01")]


def test_flapping_raises_nothing(site: Callable[..., AttendanceBox]) -> None:
    box = site(options=AttendanceOptions(window_s=60, hold_s=300))
    box.until("09:40", lambda moment: 30 if moment.minute % 6 < 3 else 15)
    assert box.told() == []


def test_what_cannot_be_seen_raises_and_clears_nothing(site: Callable[..., AttendanceBox]) -> None:
    box = site(options=AttendanceOptions(window_s=120, hold_s=120))
    box.until("09:30", steps(("08:00", 15), ("09:10", None)))
    assert [t[:2] for t in box.told()] == [("shortfall", "raised"), ("late_start", "raised")]
    assert len(box.catalog.alerts.opened()) == 2


def test_breaks_raise_nothing_and_the_end_closes_everything(site: Callable[..., AttendanceBox]) -> None:
    box = site()
    box.until("10:20", steps(("08:00", 30), ("10:00", 0)), every=60)
    assert box.told() == []
    box.until("11:49", steps(("10:20", 12)), every=60)
    assert [t[:2] for t in box.told()] == [("shortfall", "raised")]
    box.until("11:51", steps(("10:20", 12)))
    assert [t[:2] for t in box.told()] == [("shortfall", "raised"), ("shortfall", "cleared")]


def test_what_was_seen_before_a_break_does_not_count_for_the_hold_time_after_it(
    site: Callable[..., AttendanceBox],
) -> None:
    box = site(lesson("08:30", "10:00"), lesson("10:20:10", "11:50"))
    people = steps(("08:00", 31), ("09:57", 40), ("10:22", 31))
    box.until("10:20", people)
    box.catalog.looks.add(look(at("10:20:12"), 40))
    box.until("10:40", people)
    assert box.told() == []


def test_alerts_of_a_clock_that_was_ahead_mute_none_of_today(site: Callable[..., AttendanceBox]) -> None:
    box, ahead = (
        site(options=AttendanceOptions(window_s=60, hold_s=60, alerts_per_hour=1)),
        at("09:00") + timedelta(days=1),
    )
    subject = f"C1/{DAY}/am"
    box.catalog.alerts.raise_(AlertKind.ATTENDANCE_OVER, subject, "ahead", ahead, class_id="C1")
    box.until("09:10", steps(("08:00", 30), ("09:00", 19)))
    assert ("shortfall", "raised", "09:01") in box.told(), "not among the alerts of this hour"
    box.catalog.alerts.raise_(AlertKind.ATTENDANCE_SHORTFALL, subject, "ahead", ahead)
    box.until("09:20", steps(("08:00", 18)))
    shortfall = [t[1] for t in box.told() if t[0] == "shortfall"]
    assert shortfall == ["raised", "updated", "updated"], "the second one is today's"


def test_an_empty_room_a_late_start_an_early_end(site: Callable[..., AttendanceBox]) -> None:
    box = site(options=AttendanceOptions(window_s=120, hold_s=120))
    box.until("11:55", steps(("08:00", 1), ("09:00", 31), ("11:00", 2)), every=60)
    assert box.told() == [
        ("shortfall", "raised", "08:35"), ("empty", "raised", "08:35"), ("late_start", "raised", "08:30"),
        ("shortfall", "cleared", "08:35"), ("empty", "cleared", "08:35"), ("late_start", "cleared", "08:30"),
        ("shortfall", "raised", "11:02"), ("early_end", "raised", "11:02"),
        ("early_end", "cleared", "11:02"), ("shortfall", "cleared", "11:02"),
    ]  # fmt: skip


def test_too_many_and_practice_groups(site: Callable[..., AttendanceBox]) -> None:
    bench = {"name": "1号", "polygon": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}
    box = site(
        lesson("08:30", "11:30", kind="practice"),
        options=AttendanceOptions(window_s=120, hold_s=60, settle_s=0),
        rooms=[THEORY, {**PRACTICE, "benches": [bench]}],
        expected=7,
    )

    def heads(left: int, right: int) -> tuple[tuple[float, float, float, float, float], ...]:
        return tuple((100.0 + i, 10, 110 + i, 20, 0.9) for i in range(left)) + tuple(
            (900.0 + i, 10, 910 + i, 20, 0.9) for i in range(right)
        )

    def go(end: str, left: int, right: int) -> None:
        while box.clock.now() < at(end):
            boxes = heads(left, right)
            box.catalog.looks.add(look(box.clock.now(), left + right, "cam2", boxes=boxes, width=1000, height=500))
            box.clock.go(20)
            box.watch.run_once()

    go("08:40", 5, 3)
    assert box.told() == []
    go("08:50", 6, 2)
    alert = box.catalog.alerts.opened()[0]
    assert (alert.kind, alert.subject) == (AlertKind.PRACTICE_GROUP, "C1/2026-11-23/am/W1/1号")
    assert alert.message == "电工第3班 2026-11-23上午：1号有 6 人，每组最多 5 人"
    assert (alert.evidence["bench"], alert.evidence["present"], alert.evidence["expected"]) == ("1号", 6, 5)
    go("09:00", 4, 5)
    assert [t[:2] for t in box.told()] == [("group", "raised"), ("over", "raised"), ("group", "cleared")]


def test_heads_inside_a_polygon() -> None:
    bench = Bench("b", "cam2", ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0)))
    seen = [(0, 0, 20, 20, 0.9), (80, 80, 100, 100, 0.9), (40, 40, 50, 50, 0.9)]
    assert count_at_bench(bench, look(at("09:00"), 3, boxes=tuple(seen), width=100, height=100)) == 2
    assert count_at_bench(bench, look(at("09:00"), 3, boxes=tuple(seen))) == 0


def test_more_alerts_than_the_hour_allows_are_counted(site: Callable[..., AttendanceBox]) -> None:
    box = site(options=AttendanceOptions(window_s=60, hold_s=0, settle_s=0, alerts_per_hour=3))
    box.until("10:00", lambda moment: 31 if moment.minute % 10 < 5 else 20)
    raised = [d for d in box.alerts() if d["state"] == "raised"]
    assert [(d["at"][11:16], d["evidence"].get("held_back")) for d in raised] == [
        ("08:36", None),
        ("08:46", None),
        ("08:56", None),
        ("09:36", 3),
        ("09:46", None),
        ("09:56", None),
    ]
    counted = [e for e in box.catalog.events.between(at("08:00"), at("12:00")) if e.kind == "attendance.held_back"]
    assert [(e.detail["subject"], e.detail["count"]) for e in counted] == [
        ("C1/2026-11-23/am", 1),
        ("C1/2026-11-23/am", 2),
        ("C1/2026-11-23/am", 3),
    ]


def test_an_open_alert_tells_its_new_figure_now_and_then(site: Callable[..., AttendanceBox]) -> None:
    box = site(options=AttendanceOptions(window_s=60, hold_s=60, update_s=600))
    box.until("09:40", steps(("08:00", 30), ("09:00", 19), ("09:15", 17)))
    assert [t[1] for t in box.told()] == ["raised", "updated"]


def test_a_restart_keeps_the_open_alert(site: Callable[..., AttendanceBox]) -> None:
    box = site(options=AttendanceOptions(window_s=60, hold_s=60))
    box.until("09:10", steps(("08:00", 30), ("09:00", 19)))
    box.restart()
    box.until("09:20", steps(("08:00", 19)))
    box.restart()
    box.until("09:30", steps(("08:00", 30)))
    assert [t[1] for t in box.told()] == ["raised", "cleared"]
    assert len({d["alert_id"] for d in box.alerts()}) == 1


def test_the_demos_pace(site: Callable[..., AttendanceBox]) -> None:
    """Looks every 2 s, a lesson of one minute: raised and cleared within seconds, final soon after."""
    options = AttendanceOptions(window_s=8, hold_s=3, settle_s=0, every_s=1, grace_s=3, publish_s=1, refresh_s=10)
    box = site(lesson("09:00", "09:01"), options=options, expected=6)
    people = steps(("09:00:00", 7), ("09:00:20", 3), ("09:00:40", 7))
    box.clock.go_to(at("09:00"))
    box.until("09:01:10", people, every=1)
    assert [t[:2] for t in box.told()] == [("shortfall", "raised"), ("shortfall", "cleared")]
    body = box.figures()
    assert (body["status"], body["present"], body["lesson_s"]) == ("final", 6, 60)


def test_a_class_body_that_cannot_be_read_does_not_end_the_worker(site: Callable[..., AttendanceBox]) -> None:
    box = site(options=AttendanceOptions(every_s=5, back_off_s=60))
    stop, rounds = threading.Event(), []

    def classes() -> list[TrainingClass]:
        rounds.append(box.clock.now())
        if len(rounds) == 1:
            raise ClassFileError("classes.no_rooms")
        if len(rounds) == 3:
            stop.set()
        return box.classes

    AttendanceWorker(box.catalog, classes, box.clock, box.options).run(stop)
    assert [(b - a).total_seconds() for a, b in pairwise(rounds)] == [60, 5]


KEY = (AlertKind.ATTENDANCE_SHORTFALL, "x")


@pytest.mark.parametrize(
    ("holding", "open_at_first", "steps_expected"),
    [
        ([True, True, True, True], False, [None, None, None, "raise"]),
        ([True, True, False, True, True, True, True], False, [None, None, None, None, None, None, "raise"]),
        ([True, True, None, True], False, [None, None, None, None]),
        ([False, False, False, False], True, [None, None, None, "clear"]),
        ([None, None, None, None], True, [None, None, None, None]),
        ([True, True, True, True], True, [None, None, None, None]),
    ],
)
def test_hold_times(holding: list[bool | None], open_at_first: bool, steps_expected: list[str | None]) -> None:
    holds = HoldTimers(30)
    found = [holds.step(KEY, h, open_at_first, 10.0 * i, at("09:00")) for i, h in enumerate(holding)]
    assert found == steps_expected


def test_stale_looks_say_nothing_of_now(site: Callable[..., AttendanceBox]) -> None:
    box = site(options=AttendanceOptions(window_s=60, hold_s=300, stale_s=120))
    box.until("09:00", steps(("08:00", 30)))
    seen: list[Look] = box.catalog.looks.of_half_day("C1", DAY, Session.AM)
    assert seen
    box.until("09:01", steps(("08:00", 5)))
    while box.clock.now() < at("09:30"):  # counting has stopped
        box.clock.go(30)
        box.watch.run_once()
    assert box.told() == []


def test_sign_ins_go_beside_the_figures_and_correct_nothing_of_them(site: Callable[..., AttendanceBox]) -> None:
    box = site()

    def state(signed_in: int, signed_out: int | None) -> None:
        count = SignInCount("C1", DAY, Session.AM, signed_in, signed_out, "typed", "王老师", box.clock.now())
        box.catalog.sign_ins.put(count)

    box.until("09:00", steps(("08:00", 29)))
    assert "signed" not in box.figures(), "nothing was stated"
    state(30, None)
    box.until("09:05", steps(("08:00", 29)))
    assert {k: v for k, v in box.figures()["signed"].items() if k != "at"} == {
        "signed_in": 30, "signed_out": None, "source": "typed",
    }  # fmt: skip
    box.until("11:54", steps(("08:00", 29)), every=60)
    before = box.figures()
    assert (before["status"], before["present"], before["ratio"]) == ("final", 28, 0.9333)
    state(29, 27)
    box.clock.go(60)
    box.watch.run_once()
    after = box.figures()
    assert (after["signed"]["signed_in"], after["signed"]["signed_out"]) == (29, 27)
    assert "王老师" not in str(after), "who entered them stays in the audit"
    assert after["revision"] == before["revision"] + 1
    without = ("signed", "revision")
    assert {k: v for k, v in after.items() if k not in without} == {k: v for k, v in before.items() if k not in without}
    box.restart()
    box.until("13:00", steps(("08:00", 0)), every=60)
    assert box.figures() == after, "once, and still final"
    assert [dict(m.data) for m in box.catalog.outbox.waiting(limit=1000) if m.type == "attendance"][-1] == after
    assert box.told() == [], "no alert looks at them"
