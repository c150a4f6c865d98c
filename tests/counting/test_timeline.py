"""Things and liveness across the catalog: stored, loaded after a restart, counted out of earlier looks, withdrawn."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from agent.attendance.estimate import estimate_block
from agent.catalog import Catalog
from agent.catalog.places import StoredPlace
from agent.core.alert_model import AlertKind
from agent.core.headcounts import PlacedLook, combine_placed
from agent.core.model import Look, PlaceSighting, Segment, Session
from agent.counting import declared_things, timeline
from agent.counting.detector import Heads
from agent.counting.estimate import IntervalParameters
from agent.counting.fault_alerts import LivenessAlerts
from agent.counting.liveness import LIVENESS_HOLD, LivenessFinding
from agent.counting.look import LookResult
from agent.counting.look_row import build_look
from agent.counting.quality import QualityVerdict
from agent.counting.timeline import CameraTimeline, FileTimeline, TimedLook
from tests.support.drawn_room import DrawnHead, DrawnRoom

START = datetime(2026, 9, 1, 0, 30, tzinfo=UTC)
STEP = timedelta(seconds=20)
DAY = date(2026, 9, 1)
THING, PERSON = DrawnHead(300, 180), DrawnHead(120, 100, 2)
SEGMENT = Segment(1, "D1", "a.mp4", ".a.part", "open", "C1", DAY, Session.AM, "R1", "cam1", START)


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with Catalog(tmp_path / "catalog.db", ZoneInfo("Asia/Shanghai")) as opened:
        yield opened


def moving(k: int) -> DrawnHead:
    return dataclasses.replace(PERSON, x=PERSON.x + 3 * (k % 4), y=PERSON.y + 2 * (k % 3))


def take(
    catalog: Catalog, kept: CameraTimeline, room: DrawnRoom, first: int, looks: int, thing: DrawnHead = THING
) -> None:
    """Take looks at a thing and a person who moves, and store their rows as the worker does."""
    for k in range(first, first + looks):
        heads = [thing, moving(k)]
        at = START + k * STEP
        timed = kept.feed(room.picture(heads), [h.box for h in heads], at)
        catalog.looks.add(
            Look("cam1", "R1", "C1", DAY, Session.AM, at, 2, 1, 3, True, boxes=tuple(h.box for h in heads), width=640,
                 height=360, quality={"sure": 0.75}, sightings=timed.sightings)
        )  # fmt: skip


def stored_looks(catalog: Catalog) -> list[Look]:
    return catalog.looks.of_half_day("C1", DAY, Session.AM)


def test_a_thing_is_counted_out_of_all_looks_since_it_lay_there(catalog: Catalog) -> None:
    kept, room = CameraTimeline(catalog, "cam1", START), DrawnRoom()
    take(catalog, kept, room, 0, 25)
    assert estimate_block(stored_looks(catalog)[:15]) is not None
    assert estimate_block(stored_looks(catalog)[:15]).people == 2  # type: ignore[union-attr]
    take(catalog, kept, room, 25, 10)
    looks = stored_looks(catalog)
    assert estimate_block(looks[:15]).people == 1, "now, and for the looks before"  # type: ignore[union-attr]
    assert estimate_block(looks[20:]).people == 1  # type: ignore[union-attr]
    assert {x.people for x in looks} == {2}, "a look keeps its raw figure"
    assert [len(x.counted_boxes) for x in looks[2:]] == [1] * 33
    last = catalog.looks.last("cam1", START + timedelta(hours=1))
    assert last is not None and last.sightings is not None and [s.thing for s in last.sightings] == [True, False]


def test_things_outlive_a_restart_and_are_asked_anew_when_their_place_changes(catalog: Catalog) -> None:
    room = DrawnRoom()
    take(catalog, CameraTimeline(catalog, "cam1", START), room, 0, 35)
    again = CameraTimeline(catalog, "cam1", START + 1000 * STEP)
    take(catalog, again, room, 1000, 10)
    assert [s.thing for s in stored_looks(catalog)[-1].sightings or ()] == [True, False]
    take(catalog, again, room, 1010, 10, DrawnHead(300, 180, 7))
    (thing,) = catalog.places.of_camera("cam1", START)
    assert thing.end == START + 1010 * STEP
    assert [x.sightings[0].thing for x in stored_looks(catalog)[-11:] if x.sightings] == [True] + [False] * 10
    take(catalog, CameraTimeline(catalog, "cam1", START + 1020 * STEP), room, 1020, 3)
    assert [s.thing for s in stored_looks(catalog)[-1].sightings or ()] == [True, False], "known again at once"


def test_an_operator_has_the_last_word(catalog: Catalog) -> None:
    kept, room = CameraTimeline(catalog, "cam1", START), DrawnRoom()
    take(catalog, kept, room, 0, 35)
    (thing,) = catalog.places.of_camera("cam1", START)
    assert catalog.places.overrule("cam1", thing.place, thing.start, "person", "operator1", START)
    assert not catalog.places.overrule("cam1", 1, START, "person", "operator1", START)
    assert estimate_block(stored_looks(catalog)[:15]).people == 2  # type: ignore[union-attr]
    take(catalog, kept, room, 35, 35)
    assert not any(s.thing for x in stored_looks(catalog) for s in x.sightings or ())
    (kept_thing,) = catalog.places.of_camera("cam1", START)
    assert (kept_thing.verdict, kept_thing.verdict_by, kept_thing.verdict_at) == ("person", "operator1", START)
    assert catalog.places.overrule("cam1", thing.place, thing.start, "", "operator1", START)
    assert stored_looks(catalog)[10].sightings[0].thing  # type: ignore[index]


def test_what_an_operator_declares_is_a_thing_at_the_next_look(catalog: Catalog) -> None:
    kept, room = CameraTimeline(catalog, "cam1", START), DrawnRoom()
    take(catalog, kept, room, 0, 6)
    assert (
        declared_things.declare_thing(
            catalog, stored_looks(catalog)[4], 1, room.picture([THING, moving(4)]), "op", START
        )
        is None
    )
    made = declared_things.declare_thing(
        catalog, stored_looks(catalog)[4], 0, room.picture([THING, moving(4)]), "op", START
    )
    assert made is not None and made.start == START + STEP, "since the second look, the first that can be compared"
    take(catalog, kept, room, 6, 6)
    assert [[s.thing for s in x.sightings or ()] for x in stored_looks(catalog)[1:]] == [[True, False]] * 11
    assert [p.thing is not None for p in kept.places.places] == [True, False], (
        "known to the worker, not by its row alone"
    )
    assert catalog.places.overrule("cam1", made.place, made.start, "", "op", START + STEP)
    take(catalog, kept, room, 12, 40)
    looks = stored_looks(catalog)
    assert not any(s.thing for x in looks for s in x.sightings or ()), "withdrawn: a person again, now and before"
    restarted = CameraTimeline(catalog, "cam1", START + 100 * STEP)
    assert [p.thing.overruled for p in restarted.places.places if p.thing] == [True]


def test_a_wrong_appearance_is_passed_over(catalog: Catalog) -> None:
    for number, text in enumerate(["", "{}", "[]", '{"size": [3, 3], "luma": "AAAA"}', '{"size": [0, 3], "luma": ""}',
                                   '{"size": ["3", 3], "luma": "AAAA"}', '{"size": [1], "luma": "AAAA"}']):  # fmt: skip
        catalog.places.put(StoredPlace("cam1", number, START, None, START, (0.1, 0.1, 0.2, 0.2), text))
    assert CameraTimeline(catalog, "cam1", START).places.places == []
    crop = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert np.array_equal(timeline.parse_appearance(timeline.dump_appearance(crop)), crop)  # type: ignore[arg-type]


def test_a_photograph_is_found(catalog: Catalog) -> None:
    room, kept = DrawnRoom(), FileTimeline()
    people = [DrawnHead(60.0 + 80 * n, 100 + 30 * (n % 2), n) for n in range(7)]
    found = []
    for k in range(45):
        finding = kept.feed(room.picture(people), [p.box for p in people], START + k * STEP).finding
        found.append(finding.reason if finding else None)
    assert found[29] is None and set(found[33:]) == {"lifeless"}


def test_things_known_before_are_no_photograph(catalog: Catalog) -> None:
    """An empty room in the morning: its things were covered for a while, and are seen again together."""
    room, kept = DrawnRoom(), FileTimeline()
    things = [DrawnHead(60.0 + 80 * n, 250, n) for n in range(7)]
    covered = [dataclasses.replace(t, look=20 + n) for n, t in enumerate(things)]
    found = []
    for k in range(70):
        heads = [*(covered if 40 <= k < 50 else things), *([moving(k)] if k < 50 else [])]
        found.append(kept.feed(room.picture(heads), [h.box for h in heads], START + k * STEP).finding)
    assert found == [None] * 70
    assert sum(p.thing is not None for p in kept.places.places) == 7


def test_a_room_full_of_things_with_somebody_in_it_is_no_photograph(catalog: Catalog) -> None:
    room, kept = DrawnRoom(), FileTimeline()
    things = [DrawnHead(60.0 + 80 * n, 250, n) for n in range(7)]
    for k in range(45):
        heads = [*things, moving(k)]
        assert kept.feed(room.picture(heads), [h.box for h in heads], START + k * STEP).finding is None


def add_looks(catalog: Catalog, looks: int) -> None:
    for k in range(looks):
        catalog.looks.add(
            Look("cam1", "R1", "C1", DAY, Session.AM, START + k * STEP, 2, 1, 3, k != 3, None if k != 3 else "dark")
        )


def test_a_finding_withdraws_the_looks_since_it_began(catalog: Catalog) -> None:
    add_looks(catalog, 10)
    alerts = LivenessAlerts(catalog, "cam1")
    since = START + 2 * STEP
    finding = LivenessFinding("replayed", since.timestamp(), 0.9, {"lag_s": 86400.0})
    now = START + 10 * STEP
    assert alerts.feed(None, now, SEGMENT) is None
    assert alerts.feed(finding, now, SEGMENT) == finding
    looks = stored_looks(catalog)
    assert [x.reason for x in looks] == [None, None, "replayed", "dark", *["replayed"] * 6]
    assert [x.judged for x in looks] == [True, True] + [False] * 8
    (alert,) = catalog.alerts.opened()
    assert (alert.kind, alert.since, alert.camera_id, alert.class_id) == (
        AlertKind.PICTURE_REPLAYED,
        since,
        "cam1",
        "C1",
    )
    assert dict(alert.evidence) == {"lag_s": 86400.0, "confidence": 0.9, "looks_withdrawn": 7}
    assert alerts.feed(None, now + STEP, SEGMENT) == finding, "it lasts for a while"
    assert alerts.feed(finding, now + 2 * STEP, SEGMENT) == finding
    assert alerts.feed(None, now + 2 * STEP + LIVENESS_HOLD, SEGMENT) is None
    assert catalog.alerts.opened() == []


def test_an_alert_that_an_earlier_run_left_open_is_cleared(catalog: Catalog) -> None:
    LivenessAlerts(catalog, "cam1").feed(LivenessFinding("lifeless", START.timestamp(), 0.9, {}), START, SEGMENT)
    assert [a.kind for a in catalog.alerts.opened()] == [AlertKind.PICTURE_LIFELESS]
    LivenessAlerts(catalog, "cam1").feed(None, START + STEP, SEGMENT)
    assert catalog.alerts.opened() == []


def test_earlier_half_days_are_the_history(catalog: Catalog) -> None:
    room = DrawnRoom()
    take(catalog, CameraTimeline(catalog, "cam1", START), room, 0, 5)
    history = timeline.load_history(catalog, "cam1", START + timedelta(days=2))
    assert history.times.tolist() == [(START + k * STEP).timestamp() for k in range(5)]
    assert len(timeline.load_history(catalog, "cam1", START + timedelta(days=60)).times) == 0


def test_things_and_sightings_come_back_from_the_journal(catalog: Catalog, tmp_path: Path) -> None:
    take(catalog, CameraTimeline(catalog, "cam1", START), DrawnRoom(), 0, 35)
    with Catalog(tmp_path / "other.db", ZoneInfo("Asia/Shanghai")) as other:
        for change in catalog.changes.everything():
            assert other.changes.put(change)
        assert stored_looks(other) == stored_looks(catalog)
        assert other.places.of_camera("cam1", START) == catalog.places.of_camera("cam1", START)
        assert combine_placed([PlacedLook.of(x) for x in stored_looks(other)])[0] == 1


def test_sightings_of_another_form_are_none(catalog: Catalog) -> None:
    add_looks(catalog, 1)
    with catalog.store.write() as db:
        db.execute("update looks set sightings = '[[1], 2]'")
    assert stored_looks(catalog)[0].sightings is None
    with catalog.store.write() as db:
        db.execute("update looks set sightings = '[[1, 0.5, 1]]'")
    assert stored_looks(catalog)[0].sightings == (PlaceSighting(1, 0.5, True, False),)


def test_a_look_at_a_dead_picture_keeps_its_figures_and_is_not_judged(catalog: Catalog) -> None:
    class StubDetector:
        version, doubt = "w1", IntervalParameters(sure=0.7)

        def heads(self, picture: object) -> Heads:
            raise AssertionError

    seen = LookResult(8, 7, 9, True, None, (), 640, 360, {"light": 200.0}, ())
    heard = QualityVerdict(None, {"level_dbfs": -20.0})
    finding = LivenessFinding("lifeless", START.timestamp(), 0.9, {})
    row = build_look(SEGMENT, START, seen, heard, TimedLook((PlaceSighting(3, 0.9, True),), finding), StubDetector())
    assert (row.people, row.low, row.high, row.judged, row.reason) == (8, 7, 9, False, "lifeless")
    assert row.quality == {"light": 200.0, "sound.level_dbfs": -20.0, "sure": 0.7}
    assert row.sightings == (PlaceSighting(3, 0.9, True),)
    alive = build_look(SEGMENT, START, seen, heard, None, StubDetector())
    assert (alive.judged, alive.reason, alive.sightings) == (True, None, None)
