"""Spot checks by chance: the draw, who can repeat it, the plan by the hour, the queue and what was found."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, update

from agent.core.clock import format_utc
from agent.core.errors import InputError
from agent.inspection import sampling
from agent.inspection.cut import ClipSpan
from benchmarks.support.reporting_box import ZONE, ReportingBox
from board.queries.course_plan import read_approved_class
from board.spot_checks import ledger
from board.spot_checks.coverage import load_coverage
from board.spot_checks.drawing import SpotDrawer, SpotOrder, build_recipe
from board.spot_checks.plan import SpotPlan, save_plan
from board.spot_checks.worker import SpotCheckWorker
from board.store.tables import audit, boxes, classes, clip_files, clips, spot_draws, spot_moments
from tests.support.board_store import BoardStore
from tests.support.board_web import ServedBoard, serving_board
from tests.support.web_client import csrf_of

OTHER = "wenshui/site2/box1"


def list_orders(store: BoardStore) -> list[dict[str, Any]]:
    """The clips that were ordered, in the order of their moments, each with the name of its box."""
    names = {row["id"]: row["name"] for row in store.all(boxes)}
    found = [row | {"box": names[row["box_id"]]} for row in store.all(clips)]
    return sorted(found, key=lambda row: int(row["purpose"].partition(":")[2]))


def let_it_come(store: BoardStore) -> str:
    """Let all clips be there; return the address of the first one's video."""
    for row in store.all(clips):
        file = {"clip_id": row["id"], "name": "a.mp4", "bytes": 1, "sha256": "", "received": 1, "whole": True}
        with store.database.write() as connection:
            connection.execute(insert(clip_files).values(file))
            connection.execute(update(clips).where(clips.c.id == row["id"]).values(state="ready"))
    return f"/clips/{list_orders(store)[0]['id']}/files/a.mp4"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[BoardStore]:
    made = BoardStore(f"sqlite:///{tmp_path}/board.db")
    today = datetime.now(ZONE)
    made.clock.time = today.replace(hour=11, minute=0, second=0, microsecond=250_000)
    yield made
    made.database.close()


def lessons(day: str, *spans: tuple[str, str]) -> list[dict[str, object]]:
    return [
        {"date": day, "start": a, "end": b, "kind": "theory", "room_id": "r1", "content": "安全用电"} for a, b in spans
    ]


def report(store: BoardStore) -> ReportingBox:
    """Let two sites with rooms of one name have a class each today, the first with figures, a gap and a head."""
    box = ReportingBox(now=store.clock.now())
    two = ReportingBox(name=OTHER, log="5e" * 16, class_id="C-2", now=store.clock.now())
    day = box.day()
    plan = lessons(day, ("08:00", "09:30"), ("09:40", "10:30"), ("14:00", "17:00"))
    gap = {"camera_id": "cam1", "room_id": "r1", "start": f"{day}T08:10:00+08:00", "end": f"{day}T08:11:00+08:00",
           "seconds": 60.0, "reason": "camera_offline", "event": 1}  # fmt: skip
    store.hear(
        box.approve(lessons=plan), box.begin(), box.attend(1, 28), box.state_that(
            "gaps", f"gaps/{box.place()}", {**box.half_day(), "items": [gap]}
        ), recorded(box, "cam2", "08:00", "10:30"), box.close(1),
        two.approve(lessons=lessons(day, ("08:30", "10:00")), institution="别的学校"), two.begin(),
    )  # fmt: skip
    return box


def recorded(box: ReportingBox, camera_id: str, start: str, end: str) -> tuple[str, bytes]:
    day = box.day()
    item = {
        "room_id": "r1", "camera_id": camera_id, "path": "r1/080000.mp4", "start": f"{day}T{start}:00+08:00",
        "end": f"{day}T{end}:00+08:00", "bytes": 1, "sha256": "c" * 64, "serial": "S-1", "clock": "trusted",
    }  # fmt: skip
    half_day = {**box.half_day(), "folder": "x", "items": [item]}
    return box.state_that("segment", "segment", {"drive_id": "d", "half_days": [half_day]})


def draw(store: BoardStore, count: int = 4, seconds: int = 60, **more: Any) -> int:
    return SpotDrawer(store.database, ZONE).draw(SpotOrder(count, seconds, "zhang", **more), store.clock.now())


def test_a_class_is_drawn_as_the_box_draws_it(store: BoardStore) -> None:
    report(store)
    number = draw(store, class_id="C-1", seed="42")
    (row,) = [x for x in store.all(classes) if x["class_id"] == "C-1"]
    approved = read_approved_class(row["body"], ZONE)
    assert approved
    within = ClipSpan(approved.lessons[0].start, store.clock.now())
    population = sampling.select_population(approved.lessons, 60, within)
    wanted = [x.span.start for x in sampling.draw_moments(population, "C-1", 4, 60, "42")]
    found = ledger.load_draw(store.database, number)
    assert found
    assert [datetime.fromisoformat(x["start"]) for x in found[1]] == wanted


def repeat_draw(recipe: dict[str, Any]) -> list[tuple[str, str, datetime]]:
    """Draw again, as a stranger writes it from docs/board.md alone."""
    seconds = recipe["seconds"]
    offers: list[tuple[dict[str, str], datetime, int]] = []
    for lesson in recipe["population"]:
        start, end = (datetime.fromisoformat(lesson[name]) for name in ("start", "end"))
        offers.append((lesson, start, int((end - start).total_seconds()) - seconds + 1))
    total, found, k = sum(offer for *_, offer in offers), [], 0
    while len(found) < recipe["count"]:
        text = f"{recipe['seed']}\n{recipe['scope']}\n{k}"
        left = int(hashlib.sha256(text.encode()).hexdigest(), 16) % total
        k += 1
        place = 0
        while left >= offers[place][2]:
            left -= offers[place][2]
            place += 1
        lesson, start, _ = offers[place]
        at = (lesson["class_id"], lesson["room_id"], start + timedelta(seconds=left))
        if all(at[:2] != other[:2] or abs(at[2] - other[2]) >= timedelta(seconds=seconds) for other in found):
            found.append(at)
    return found


@pytest.mark.parametrize("seed", ["", "抽查 2026-11", "7"])
def test_a_stranger_draws_the_same_moments_from_what_is_published(store: BoardStore, seed: str) -> None:
    report(store)
    number = draw(store, 12, 300, seed=seed)
    store.hear(ReportingBox(now=store.clock.now()).approve(lessons=lessons("2099-01-01", ("08:00", "09:00"))))
    found = ledger.load_draw(store.database, number)
    assert found
    recipe = json.loads(json.dumps(build_recipe(*found)))
    made = [(x["class_id"], x["room_id"], datetime.fromisoformat(x["start"])) for x in recipe["moments"]]
    assert repeat_draw(recipe) == made
    assert {x[0] for x in made} == {"C-1", "C-2"}, "all sites take part"
    assert all(x[2] + timedelta(seconds=300) <= store.clock.now() for x in made), "only what is over is drawn"
    assert recipe["scope"] == store.clock.now().astimezone(ZONE).date().isoformat()


def test_a_seed_of_the_board_names_the_newest_head_and_nobody_could_know_it(store: BoardStore) -> None:
    report(store)
    seeds = {row["seed"] for _ in range(2) if draw(store) for row in store.all(spot_draws)}
    assert len(seeds) == 2
    assert all(seed.startswith("ab" * 32 + ":") and len(seed) == 64 + 1 + 32 for seed in seeds)


def test_a_draw_that_cannot_be_made_leaves_nothing(store: BoardStore) -> None:
    report(store)
    before = len(store.all(audit))
    for wrong in ({"count": 0}, {"seconds": 601}, {"count": 51}, {"count": 50, "seconds": 600}, {"class_id": "C-7"}):
        with pytest.raises(InputError):
            draw(store, **wrong)
    assert store.all(spot_draws) == store.all(spot_moments) == [] and len(store.all(audit)) == before


def test_clips_are_ordered_of_the_box_and_camera_that_stated_the_recording(store: BoardStore) -> None:
    report(store)
    draw(store, 8, 60)
    worker = SpotCheckWorker(store.database, store.clock, ZONE)
    worker.step()
    worker.step()
    orders = list_orders(store)
    assert len(orders) == 8, "each once"
    for asked in orders:
        mine = asked["class_id"] == "C-1"
        assert (asked["box"], asked["camera_id"]) == (("wenshui/site1/box1", "cam2") if mine else (OTHER, ""))
    for row, asked in zip(store.all(spot_moments), orders, strict=True):
        assert (row["state"], row["clip"], asked["purpose"]) == ("ordered", asked["id"], f"spot:{row['id']}")
        assert (asked["start"], asked["end"]) == (row["start"], row["end"])


def test_a_box_that_was_revoked_since_is_not_asked_each_second(store: BoardStore) -> None:
    report(store)
    draw(store, 1, 60, class_id="C-1")
    at = format_utc(store.clock.now())
    with store.database.write() as connection:
        connection.execute(update(boxes).values(revoked_at=at))
    SpotCheckWorker(store.database, store.clock, ZONE).step()
    assert [row["state"] for row in store.all(spot_moments)] == ["none"] and store.all(clips) == []


def test_a_moment_that_no_box_can_have_is_given_up_after_half_an_hour(store: BoardStore) -> None:
    box = ReportingBox(now=store.clock.now())
    # approved for two boxes, of which none has recorded it: nobody knows which one to ask
    for name in ("wenshui/site1/box1", OTHER):
        one = ReportingBox(name=name, now=store.clock.now())
        store.hear(one.approve(lessons=lessons(box.day(), ("10:00", "10:59"))))
    draw(store, 1)
    worker = SpotCheckWorker(store.database, store.clock, ZONE)
    worker.step()
    states = [store.all(spot_moments)[0]["state"]]
    store.clock.step(3600)
    worker.step()
    states.append(store.all(spot_moments)[0]["state"])
    assert (states, store.all(clips)) == (["due", "none"], [])


def test_the_plan_draws_once_in_each_of_its_hours(store: BoardStore) -> None:
    report(store)
    worker = SpotCheckWorker(store.database, store.clock, ZONE)
    worker.step()
    assert store.all(spot_draws) == [], "off until somebody sets it"
    save_plan(store.database, SpotPlan(True, 2, 60, 11, 12), "zhang", "zhang@-", store.clock.now())
    for _ in range(4):
        worker.step()
    SpotCheckWorker(store.database, store.clock, ZONE).step()  # started anew within the hour
    for hours in (1, 1, 1):  # 12, 13, 14 o'clock
        store.clock.step(hours * 3600)
        worker.step()
    slots = [row["slot"] for row in store.all(spot_draws)]
    day = store.clock.now().astimezone(ZONE).date()
    assert slots == [f"{day}T11", f"{day}T12"]
    assert [row["who"] for row in store.all(audit) if row["action"] == "spot.draw"] == ["plan", "plan"]


def test_the_plan_tries_again_before_an_hour_ends_in_which_too_little_was_over(store: BoardStore) -> None:
    report(store)
    store.clock.time = store.clock.time.astimezone(ZONE).replace(hour=8, minute=1)
    save_plan(store.database, SpotPlan(True, 2, 60, 8, 8), "zhang", "zhang@-", store.clock.now())
    worker = SpotCheckWorker(store.database, store.clock, ZONE)
    worker.step()
    assert store.all(spot_draws) == []
    store.clock.step(55 * 60)
    worker.step()
    assert len(store.all(spot_draws)) == 1


def test_hours_and_counts_of_a_plan_are_checked(store: BoardStore) -> None:
    for wrong in (
        SpotPlan(count=0),
        SpotPlan(seconds=0),
        SpotPlan(first_hour=12, last_hour=11),
        SpotPlan(last_hour=24),
    ):
        with pytest.raises(InputError):
            save_plan(store.database, wrong, "z", "z", store.clock.now())


@pytest.fixture
def board(store: BoardStore, tmp_path: Path) -> Iterator[ServedBoard]:
    report(store)
    with serving_board(store, tmp_path / "page", tls=False) as served:
        yield served


def test_an_inspector_draws_looks_judges_and_prints(board: ServedBoard) -> None:
    store = board.store
    browser = board.signed_in("inspector")
    page = browser.open("/spot-checks?class=C-1").text
    asked = {"csrf": csrf_of(page), "class": "C-1", "count": "2", "seconds": "30", "seed": "17"}
    drawn = browser.submit("/spot-checks/draw", asked)
    assert "人工给定" in drawn.text and "17" in drawn.text and "无人查看" in drawn.text
    recipe = browser.open("/spot-checks/draws/1.json").json()
    assert len(repeat_draw(recipe)) == 2 == len(recipe["moments"])
    SpotCheckWorker(store.database, store.clock, ZONE).step()

    page = browser.open("/spot-checks/1").text
    for word in ("某职业培训学校", "28（该半天视频估计，27–29）", "不完整，该半天录像缺失 1 段：cam1 08:10:00–08:11:00",
                 "计划：理论，安全用电", 'value="30"', "the-inspector"):  # fmt: skip
        assert word in page, word
    assert ledger.count_shelves(store.database)["unseen"] == 2, "the video is not there yet: nobody has looked"
    film = let_it_come(store)
    assert f'src="{film}"' in browser.open("/spot-checks/1").text
    assert ledger.count_shelves(store.database) == {"open": 2, "judged": 0, "unseen": 1}

    fields = {"csrf": csrf_of(page), "present": "19", "problems": "三人<迟到>", "institution": "某职业培训学校"}
    refused = browser.submit("/spot-checks/1", fields)
    assert refused.status_code == 400 and "三人&lt;迟到&gt;" in refused.text
    printed = browser.submit("/spot-checks/1", {**fields, "result": "deviates", "then": "print"})
    assert printed.url.endswith("/spot-checks/1/form")
    for word in ("三人&lt;迟到&gt;", "实到人数：19", "与上报不符", "随机种子 17", "检查人员改过", "表 11"):
        assert word in printed.text, word
    assert "三人&lt;迟到&gt;" in browser.open("/spot-checks/1").text, "what was typed is kept"
    assert "与上报不符" in browser.open("/spot-checks?shelf=judged").text
    row = store.all(spot_moments)[0]
    assert "与上报不符" in browser.open(f"/classes/C-1/{row['date']}/am").text
    for action in ("spot.draw", "spot.judge", "view.spot.moment", "print.form11", "export.spot"):
        assert action in board.actions(), action


def test_coverage_counts_half_days_by_institution(board: ServedBoard) -> None:
    store = board.store
    draw(store, 3, 60, class_id="C-1", seed="5")
    ledger.note_opened(store.database, 1, "li", store.clock.now())
    ledger.judge_moment(store.database, 1, "conforms", {}, "li", "li@-", store.clock.now())
    today = store.clock.now().astimezone(ZONE).date()
    one, other = load_coverage(store.database, today, today, store.clock.now(), ZONE)[::-1]
    assert (one.institution, len(one.held), len(one.drawn), len(one.judged)) == ("某职业培训学校", 1, 1, 1)
    assert (one.moments, one.opened, one.waiting, dict(one.results)) == (3, 1, 2, {"conforms": 1})
    assert (other.institution, len(other.held), len(other.drawn), other.moments) == ("别的学校", 1, 0, 0)
    page = board.signed_in("leader").open("/spot-checks/coverage").text
    assert "别的学校" in page and "100 %" in page
    assert load_coverage(store.database, date(2020, 1, 1), date(2020, 1, 31), store.clock.now(), ZONE) == []


def test_who_may_what(board: ServedBoard) -> None:
    school = board.signed_in("institution", "某职业培训学校")
    own = ("/spot-checks", "/spot-checks/coverage", "/spot-checks/1", "/spot-checks/draws/1.json", "/calls", "/calls/A",
           "/settlement", "/settlement.xlsx", "/settlement/C-1")  # fmt: skip
    for path in own:
        assert school.open(path).status_code == 403, path
    assert "/spot-checks" not in school.open("/").text
    leader = board.signed_in("leader")
    page = leader.open("/spot-checks").text
    assert '/spot-checks/draw"' not in page
    asked = {"csrf": csrf_of(leader.open("/password").text), "count": "1", "seconds": "60"}
    assert leader.submit("/spot-checks/draw", asked).status_code == 403
    assert leader.submit("/spot-checks/plan", {**asked, "first_hour": "1", "last_hour": "2"}).status_code == 403
    clerk = board.signed_in("clerk")
    plan = {"csrf": csrf_of(clerk.open("/spot-checks").text), "enabled": "1", "count": "4", "seconds": "90",
            "first_hour": "9", "last_hour": "16"}  # fmt: skip
    assert "每小时抽取 4 段，各 90 秒" in clerk.submit("/spot-checks/plan", plan).text
    for path in ("/spot-checks/99", "/spot-checks/draws/99", "/spot-checks/1/form"):
        assert clerk.open(path).status_code == 404, path
