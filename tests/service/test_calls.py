"""Calls of the bureau: the request, the page that strangers see, and looking for the code in what is recorded."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from agent.catalog import Catalog
from agent.core.call_model import OpenCall, build_call_text
from agent.core.clock import format_local
from agent.core.errors import BureauError
from agent.core.model import Segment, Session
from agent.service.call_requests import CallRequests
from agent.service.call_watch import CallWatch
from tests.support.call_clips import make_call_clip
from tests.support.clocks import HandClock
from tests.support.contract_check import validate as validate_message
from tests.support.training_classes import make_training_class

ZONE = ZoneInfo("Asia/Shanghai")
START = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
DAY = date(2026, 11, 23)
CODE, EARLIER = "048213", build_call_text("00000001", "111111")
TEXT = build_call_text("7F3A9C21", CODE)


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with Catalog(tmp_path / "catalog.db", ZONE) as opened:
        opened.drives.put(
            "D1", label="l", institution="s", path=str(tmp_path), created=START, public_key="", seen_at=START
        )
        yield opened


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three seconds each of a room: without a code, with that of an earlier call, and with the right one."""
    folder = tmp_path_factory.mktemp("clips")
    texts = {"none": "", "earlier": EARLIER, "right": TEXT}
    return {name: make_call_clip(folder / f"{name}.mp4", lambda _: texts[name], seconds=3.0) for name in texts}  # noqa: B023


def open_segment(catalog: Catalog, class_id: str = "C1", camera_id: str = "cam1", start: datetime = START) -> Path:
    """Open a segment as a recorder does; return its file, which a test fills."""
    name = f"{camera_id}.mp4"
    given = Segment(0, "D1", name, f".{name}.part", "open", class_id, DAY, Session.AM, "R1", camera_id, start)
    catalog.segments.open(given)
    return Path(catalog.drives.get("D1").path) / given.temporary  # type: ignore[union-attr]


def ask(catalog: Catalog, clock: HandClock, call_id: str = "7F3A9C21", **more: Any) -> dict[str, object]:
    until = format_local(clock.now() + timedelta(minutes=3), ZONE)
    given = {"class_id": "C1", "date": "2026-11-23", "session": "am", "call_id": call_id, "code": CODE, "until": until}
    classes = [make_training_class("C1"), make_training_class("C2")]
    return CallRequests(catalog, clock, lambda: classes).answer(given | more)


def stated(catalog: Catalog) -> list[dict[str, Any]]:
    """Return the calls that the box stated, in order."""
    log = catalog.statements.current()
    found = catalog.statements.of_log(log.log) if log else []
    return [x.data for x in found if x.name == "call" and isinstance(x.data, dict)]


def states(catalog: Catalog) -> list[str]:
    return [str(x["state"]) for x in stated(catalog)]


def test_the_code_is_found_in_the_recording_and_stated_with_its_instant(
    catalog: Catalog, clips: dict[str, Path]
) -> None:
    clock = HandClock(START + timedelta(seconds=5))
    file = open_segment(catalog)
    file.write_bytes(clips["none"].read_bytes())
    watch = CallWatch(catalog, clock)
    assert watch.run_once() == 0, "no call, no look"
    ask(catalog, clock)
    assert watch.run_once() == 1
    clock.go(1)
    assert watch.run_once() == 0, "no new picture, no look"
    catalog.segments.drop(catalog.segments.opened()[0].segment_id)
    file = open_segment(catalog, start=START + timedelta(seconds=4))
    file.write_bytes(clips["earlier"].read_bytes())
    assert watch.run_once() == 1 and states(catalog) == ["open"], "a code of an earlier call is no answer"
    catalog.segments.drop(catalog.segments.opened()[0].segment_id)
    file = open_segment(catalog, start=START + timedelta(seconds=10))
    file.write_bytes(clips["right"].read_bytes())
    clock.go(10)
    watch.run_once()
    opened, answered = stated(catalog)
    assert answered == opened | {
        "state": "answered", "seen_at": "2026-11-23T09:00:12.000+08:00", "room_id": "R1", "camera_id": "cam1",
        "drive_id": "D1", "path": "cam1.mp4", "other": True,
    }  # fmt: skip
    assert CODE not in json.dumps([opened, answered])
    clock.go(1)
    assert watch.run_once() == 0, "answered: no more looks"


def test_a_code_that_nobody_shows_is_unanswered_and_shown_later_it_is_late(
    catalog: Catalog, clips: dict[str, Path]
) -> None:
    clock = HandClock(START)
    file = open_segment(catalog)
    file.write_bytes(clips["none"].read_bytes())
    ask(catalog, clock)
    watch = CallWatch(catalog, clock)
    for _ in range(200):
        watch.run_once()
        clock.go(1)
    assert states(catalog) == ["open", "unanswered"]
    catalog.segments.drop(catalog.segments.opened()[0].segment_id)
    open_segment(catalog, start=clock.now()).write_bytes(clips["right"].read_bytes())
    for _ in range(12):
        watch.run_once()
        clock.go(1)
    assert states(catalog) == ["open", "unanswered", "late"]


def test_after_ten_minutes_nothing_is_looked_for_any_more(catalog: Catalog, clips: dict[str, Path]) -> None:
    clock = HandClock(START)
    file = open_segment(catalog)
    file.write_bytes(clips["none"].read_bytes())
    ask(catalog, clock)
    watch = CallWatch(catalog, clock)
    for _ in range(4):
        watch.run_once()
        clock.go(200)
    catalog.segments.drop(catalog.segments.opened()[0].segment_id)
    open_segment(catalog, start=clock.now()).write_bytes(clips["right"].read_bytes())
    assert watch.run_once() == 0 and states(catalog) == ["open", "unanswered"]
    assert catalog.facts.get("call") is None


def test_a_restart_goes_on_with_the_open_call(catalog: Catalog, clips: dict[str, Path]) -> None:
    clock = HandClock(START)
    open_segment(catalog).write_bytes(clips["right"].read_bytes())
    ask(catalog, clock)
    clock.go(10)
    CallWatch(catalog, clock).run_once()
    assert states(catalog) == ["open", "answered"]


def test_cameras_take_turns_one_look_at_a_time(catalog: Catalog, clips: dict[str, Path]) -> None:
    clock = HandClock(START + timedelta(seconds=5))
    for camera_id, name in (("cam1", "none"), ("cam2", "right")):
        open_segment(catalog, camera_id=camera_id).write_bytes(clips[name].read_bytes())
    ask(catalog, clock)
    watch = CallWatch(catalog, clock)
    assert watch.run_once() == 1 and states(catalog) == ["open"]
    assert watch.run_once() == 1 and states(catalog) == ["open", "answered"]
    assert stated(catalog)[1]["camera_id"] == "cam2"


def test_cameras_of_another_class_do_not_answer(catalog: Catalog, clips: dict[str, Path]) -> None:
    clock = HandClock(START)
    open_segment(catalog).write_bytes(clips["none"].read_bytes())
    open_segment(catalog, "C2", "cam2").write_bytes(clips["right"].read_bytes())
    ask(catalog, clock)
    assert CallWatch(catalog, clock).run_once() == 1 and states(catalog) == ["open"]


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"until": "2026-11-23T08:59:59+08:00"}, "late"),
        ({"class_id": "C7"}, "no_class"),
        ({"class_id": "C2"}, "not_recording"),
    ],
)
def test_a_call_that_cannot_be_shown_is_refused_and_stated(catalog: Catalog, more: dict[str, Any], reason: str) -> None:
    open_segment(catalog)
    with pytest.raises(BureauError) as error:
        ask(catalog, HandClock(START), **more)
    assert error.value.key == f"call.refused_{reason}"
    (refused,) = stated(catalog)
    assert (refused["state"], refused["reason"], refused["seen_at"]) == ("refused", reason, None)
    assert catalog.calls.shown(START) is None


def test_one_call_at_a_time_and_a_repeated_request_changes_nothing(catalog: Catalog) -> None:
    clock = HandClock(START)
    open_segment(catalog)
    first = ask(catalog, clock)
    clock.go(60)
    assert ask(catalog, clock) and states(catalog) == ["open"]
    with pytest.raises(BureauError) as error:
        ask(catalog, clock, "AAAAAAAA")
    assert error.value.key == "call.refused_busy" and states(catalog) == ["open", "refused"]
    shown = catalog.calls.shown(clock.now())
    assert shown and shown.call_id == first["call_id"]
    clock.go(125)
    ask(catalog, clock, "AAAAAAAA")
    assert states(catalog) == ["open", "refused", "open"]


def test_a_code_is_good_for_three_minutes_whatever_is_asked_for(catalog: Catalog) -> None:
    open_segment(catalog)
    ask(catalog, HandClock(START), until="2026-11-23T12:00:00+08:00")
    assert catalog.calls.shown(START + timedelta(seconds=179)) and not catalog.calls.shown(
        START + timedelta(seconds=180)
    )


@pytest.mark.parametrize(
    "wrong", [{"code": "12345"}, {"call_id": "abc"}, {"until": "soon"}, {"class_id": ""}, {"x": 1}, {"session": "noon"}]
)
def test_malformed_requests_are_refused(catalog: Catalog, wrong: dict[str, Any]) -> None:
    open_segment(catalog)
    with pytest.raises(BureauError):
        ask(catalog, HandClock(START), **wrong)
    assert stated(catalog) == []


def test_what_is_stated_fits_the_contract(catalog: Catalog, clips: dict[str, Path]) -> None:
    from agent.contract.envelope import wrap

    clock = HandClock(START)
    open_segment(catalog).write_bytes(clips["right"].read_bytes())
    ask(catalog, clock)
    CallWatch(catalog, clock).run_once()
    log = catalog.statements.current()
    assert log
    calls = [x for x in catalog.statements.of_log(log.log) if x.name == "call"]
    assert len(calls) == 2
    for one in calls:
        message = wrap(
            event_id=one.event_id, source="/training/wenshui/site1/box1", name="call", subject=one.subject, at=START,
            zone=ZONE, data=one.data, statement=one,  # type: ignore[arg-type]
        )  # fmt: skip
        validate_message(f"training/v1/wenshui/site1/box1/{one.subject}", message)


def test_the_page_shows_the_code_to_strangers_while_it_is_good_and_nothing_else(tmp_path: Path) -> None:
    from tests.support.clip_factory import make_box
    from tests.support.web_client import serving_box

    box = make_box(tmp_path)
    clock = HandClock(datetime.now(UTC))
    with serving_box(box, tls=False, clock=clock) as served:
        stranger = served.browser()
        page = stranger.open("/call")
        assert page.status_code == 200 and "现在没有验证码" in page.text and page.headers["Cache-Control"] == "no-store"
        now = clock.now()
        call = OpenCall(
            "7F3A9C21", CODE, "SECRET-CLASS", "2026-11-23", "am", now, now + timedelta(minutes=3), ("101", "010", "000")
        )
        box.catalog.calls.begin(call, now)
        page = stranger.open("/call")
        assert "048 213" in page.text and 'viewBox="0 0 11 11"' in page.text
        assert re.findall(r"M(\d+) (\d+)h1v1h-1z", page.text) == [("4", "4"), ("6", "4"), ("5", "5")]
        assert "SECRET-CLASS" not in page.text and "7F3A9C21" not in page.text
        clock.go(181)
        assert "048 213" not in stranger.open("/call").text
        assert stranger.open("/").url.endswith("/sign-in?next=/"), "the rest asks for an account"
