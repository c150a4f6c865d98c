"""A camera's looks on the page: things in grey boxes, an operator's word on them, and calibration by three marked looks."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.catalog import calibrations
from agent.core import clock as clocks
from agent.core.model import Look
from agent.counting import calibrate
from agent.counting.timeline import CameraTimeline
from tests.support.looks_box import AT, PAGE, serving_looks
from tests.support.web_client import Browser, Served


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving_looks(tmp_path) as found:
        yield found


def look_at(served: Served, number: int = 2) -> Look:
    found = served.box.catalog.looks.last("cam2", AT[number])
    assert found
    return found


def stamp(number: int = 2) -> str:
    return clocks.format_utc(AT[number])


def things_of(served: Served) -> list[bool]:
    return [s.thing for s in look_at(served).sightings or ()]


def rects(page: str, kind: str) -> int:
    return len(re.findall(rf'<rect [^>]*class="{kind}[ "]', page))


def test_an_english_reader_is_told_of_the_calibration_in_english(served: Served) -> None:
    browser = served.signed_in("operator")
    browser.open("/language/en?back=/")
    for path in ("/cameras/cam1", "/cameras/cam1/calibration"):
        page = browser.open(path).text
        assert "not calibrated" in page and "未校准" not in page, path


def test_a_look_shows_people_and_things_over_the_recorded_picture(served: Served) -> None:
    browser = served.signed_in("inspector")
    page = browser.open(PAGE).text
    assert (rects(page, "person"), rects(page, "thing")) == (7, 1)
    assert "这是人" not in page, "an inspector overrules nothing"
    source = re.search(r'src="(/cameras/[^"]+)"', page)
    assert source
    picture = browser.open(html.unescape(source[1]))
    assert (picture.status_code, picture.headers["Content-Type"]) == (200, "image/jpeg")
    assert picture.content[:2] == b"\xff\xd8"
    earlier = browser.open(PAGE, params={"day": "2025-03-10", "time": AT[1].astimezone().strftime("%H:%M:%S")})
    assert earlier.status_code == 200
    assert browser.open(PAGE, params={"at": "1999-01-01T00:00:00Z"}).status_code == 200, "before the first look: none"
    assert "view.look" in served.actions()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/cameras/cam9", 404), (PAGE + "?at=x", 400), (PAGE + "?at=0001-01-01T00:00:00%2B14:00", 400), (PAGE + "?box=x", 400),
        (PAGE + "?tap.x=1e999&tap.y=1", 400), (PAGE + "?tap.x=nan&tap.y=2", 400), (PAGE + "?tap.x=5", 400),
        (PAGE + "?day=2025-13-01", 400), (PAGE + "/look.jpg", 400), (PAGE + "/look.jpg?at=2025-03-10T01:00:03Z", 404),
        (PAGE + "?box=99999", 200), ("/cameras/..%2Fx", 404),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(served: Served, path: str, status: int) -> None:
    assert served.signed_in("operator").open(path).status_code == status


def test_an_operator_overrules_a_thing_and_takes_it_back(served: Served) -> None:
    operator = served.signed_in("operator")
    known = {"csrf": operator.token(), "at": stamp(), "place": "8", "start": stamp(0)}
    assert things_of(served)[7]
    page = operator.submit(PAGE + "/places", {**known, "verdict": "person"})
    assert rects(page.text, "overruled") == 1 and "the-operator 于" in page.text
    assert not things_of(served)[7]
    page = operator.submit(PAGE + "/places", {**known, "verdict": ""})
    assert "撤销认定" in page.text and things_of(served)[7]
    said = served.box.catalog.audit.of_object("cam2", "place.overrule")
    assert [(e.who.partition("@")[0], e.detail["verdict"]) for e in said] == [
        ("the-operator", "person"), ("the-operator", "withdrawn")
    ]  # fmt: skip
    for wrong in ({"verdict": "x"}, {"place": "-1"}, {"start": "x"}, {"at": "x"}):
        assert operator.submit(PAGE + "/places", {**known, "verdict": "person", **wrong}).status_code == 400
    assert operator.submit(PAGE + "/places", {**known, "verdict": "person", "place": "77"}).status_code == 404
    inspector = served.signed_in("inspector")
    answer = inspector.submit(PAGE + "/places", {**known, "verdict": "person", "csrf": inspector.token()})
    assert answer.status_code == 403 and things_of(served)[7]


def test_a_counted_box_is_declared_a_thing_and_counted_again(served: Served) -> None:
    operator = served.signed_in("operator")
    tapped = operator.open(PAGE, params={"at": stamp(), "shown": "960", "tap.x": str(26 * 3), "tap.y": str(70 * 3)})
    assert 'id="chosen"' in tapped.text and "这是静物，不计人数" in tapped.text
    fields = {"csrf": operator.token(), "at": stamp(), "verdict": "thing"}
    page = operator.submit(PAGE + "/places", {**fields, "box": "0"})
    assert rects(page.text, "thing") == 2
    assert things_of(served) == [True, *[False] * 6, True]
    (made,) = [p for p in served.box.catalog.places.of_camera("cam2", AT[0]) if p.place == 1]
    assert (made.found_by, made.start) == ("the-operator", AT[0]), "since the first look in which it is unchanged"
    assert len(CameraTimeline(served.box.catalog, "cam2", AT[2]).places.places) == 1, "the appearance is kept"
    page = operator.submit(PAGE + "/places", {**fields, "box": "3"})
    assert page.status_code == 409 and "在变化" in page.text, "something moves there"
    withdrawn = {"csrf": fields["csrf"], "at": stamp(), "place": "1", "start": stamp(0), "verdict": ""}
    operator.submit(PAGE + "/places", withdrawn)
    assert things_of(served) == [False] * 7 + [True]


def tap(browser: Browser, token: str, number: int, **fields: str) -> str:
    sent = {"csrf": token, "at": stamp(number), "shown": "960", **fields}
    answer = browser.submit(PAGE + "/calibration", {k.replace("_", "."): x for k, x in sent.items()})
    assert answer.status_code == 200
    return answer.text


def test_three_marked_looks_give_recall_things_and_places(served: Served) -> None:
    operator = served.signed_in("operator")
    token = operator.token()
    page = tap(operator, token, 0, action="start")
    assert "第 1 张，共 3 张" in html.unescape(page)
    for number in range(3):
        page = tap(operator, token, number, tap_x=str(26 * 3), tap_y=str(70 * 3))  # the thing in place 1
        assert rects(page, "person wrong") == 1
        page = tap(operator, token, number, tap_x="300", tap_y="450")  # nobody marked there yet
        page = tap(operator, token, number, action="more")
        assert "共 8 人（方框 8 个，有误 1 个，漏掉 2 人）" in page
        page = tap(operator, token, number, tap_x="302", tap_y="452")  # the same again takes it away
        page = tap(operator, token, number, box="7")  # the grey one is a person
        assert "共 8 人（方框 8 个，有误 2 个，漏掉 1 人）" in page
        page = tap(operator, token, number, action="done")
    assert "核对人数后保存" in page
    page = tap(operator, token, 0, action="save")
    assert "已校准（找回率 0.88" in page, "seven of eight people have a box, and the thing has none any more"
    assert things_of(served) == [True] + [False] * 7
    stored = calibrate.Calibration.of(served.box.catalog.facts.get(calibrations.make_calibration_key("cam2")), "w1")
    assert stored is not None and (stored.counts, stored.people) == (3, 24)
    (entry,) = served.box.catalog.audit.of_object("cam2", "camera.calibrate")
    assert entry.who.startswith("the-operator@") and [x["people"] for x in entry.detail["looks"]] == [8, 8, 8]
    assert len(served.box.catalog.audit.of_object("cam2", "place.overrule")) == 2, "each place once"


def test_too_few_people_keep_the_things_and_no_recall(served: Served) -> None:
    operator = served.signed_in("operator")
    token = operator.token()
    tap(operator, token, 0, action="start")
    for number in range(3):
        for box in range(7 if number else 8):
            tap(operator, token, number, box=str(box))
        tap(operator, token, number, action="done")
    answer = operator.submit(PAGE + "/calibration", {"csrf": token, "action": "save"})
    assert answer.status_code == 409 and "静物的认定已保存" in answer.text
    assert served.box.catalog.facts.get(calibrations.make_calibration_key("cam2")) is None
    assert things_of(served)[0]


def test_marking_is_for_operators_and_bad_taps_are_refused(served: Served) -> None:
    inspector = served.signed_in("inspector")
    assert inspector.open(PAGE + "/calibration").status_code == 403
    operator = served.signed_in("operator")
    token = operator.token()
    fields = {"csrf": token, "at": stamp(0), "shown": "960"}
    gone = operator.submit(PAGE + "/calibration", {**fields, "action": "done"})
    assert gone.status_code == 409 and "重新开始" in gone.text
    tap(operator, token, 0, action="start")
    for wrong in ({"tap.x": "9999", "tap.y": "1"}, {"tap.x": "-1", "tap.y": "1"}, {"box": "88"}, {}, {"action": "save"},
                  {"at": "x", "action": "done"}):  # fmt: skip
        assert operator.submit(PAGE + "/calibration", {**fields, **wrong}).status_code == 400, wrong
    served.box.catalog.facts.put("calibration_marks.cam2", '[{"at": 3}]')
    assert "最近半天的三张抽帧" in operator.open(PAGE + "/calibration").text, "marks of another version are passed over"


def test_without_the_video_nothing_can_be_marked(served: Served) -> None:
    operator = served.signed_in("operator")
    with served.box.catalog.store.write() as db:
        db.execute("update segments set drive_id = 'elsewhere'")
    answer = operator.submit(PAGE + "/calibration", {"csrf": operator.token(), "action": "start"})
    assert answer.status_code == 409 and "录像不在本机" in answer.text
    assert operator.open(f"{PAGE}/look.jpg", params={"at": stamp()}).status_code == 404
