"""The board's API: answers as its document says, tokens and their scope, paging, what is refused and what is recorded."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import requests

from benchmarks.support.reporting_box import ZONE, ReportingBox
from board.__main__ import main
from board.clips.orders import order_picture
from board.web.api import operations
from tests.support.api_fuzz import MISSING, PROGRAM, run_schemathesis
from tests.support.board_store import BoardStore
from tests.support.board_web import ServedBoard, serving_board
from tests.support.paths import ROOT
from tests.support.web_client import Browser

ONE, TWO = "第一职业培训学校", "第二职业培训学校"
MANY = 7
CALLS = ["/classes", "/classes/C-1", "/classes/C-1/half-days", "/boxes", "/alerts", "/alerts/history", "/alarms?state=all",
         "/settlement", "/clips"]  # fmt: skip

FUZZ = """
[parameters]
"path.class_id" = "C-1"
[checks]
positive_data_acceptance.expected-statuses = ["2xx", 401, 403, 404]
negative_data_rejection.expected-statuses = [400, 401, 403, 404, 405, 406]
"""


class CountyProgram(Browser):
    """A county's own system, with the token of an account."""

    def __init__(self, board: ServedBoard, token: str) -> None:
        super().__init__(f"{board.url}/api/v1", board.certificate)
        self.headers["Authorization"] = f"Bearer {token}"

    def read_all(self, path: str, **asked: str) -> list[dict[str, Any]]:
        """Return the items of all pages of two."""
        found: list[dict[str, Any]] = []
        turn = "before" if path.startswith(("/alerts", "/alarms", "/clips")) else "after"
        for _ in range(20):
            answer = self.open(path, params={"limit": "2", **asked})
            assert answer.status_code == 200, answer.text
            found += answer.json()["items"]
            if answer.json()["next"] is None:
                return found
            asked[turn] = answer.json()["next"]
        raise AssertionError("the pages have no end")


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedBoard]:
    """Classes of two institutions: C-1 at two boxes, D-… at the second; alerts, a fork, an order."""
    folder = tmp_path_factory.mktemp("county")
    store = BoardStore(f"sqlite:///{folder}/board.db")
    store.clock.time = store.clock.time.astimezone(ZONE).replace(hour=14)  # the morning is over
    _fill(store)
    with serving_board(store, folder / "page") as served:
        yield served
    store.database.close()


def _fill(store: BoardStore) -> None:
    one, two = (ReportingBox(f"wenshui/site{n}/box1", f"{n:032x}", store.clock.now(), class_id="C-1") for n in (1, 2))
    store.hear(one.begin(), one.state(), one.heartbeat(), one.approve(institution=ONE), one.attend(1, 21), one.alert())
    store.hear(one.close(1), two.begin(), two.state(), two.heartbeat(), two.attend(1, None, "unjudged"))
    for number in range(MANY):
        two.class_id = f"D-{number}"
        store.hear(two.approve(institution=TWO), two.alert(f"of-{number}", "raised" if number else "cleared"))
        if number < 2:
            store.hear(two.attend(1, 10))
    twin = one.fork()
    store.hear(one.attend(2, 22, "final"), twin.attend(2, 30))
    for _ in range(3):
        given = {"camera": "cam1", "room": "", "class_id": "C-1", "by": "wang", "purpose": "抽查"}
        order_picture(store.database, box="wenshui/site1/box1", now=store.clock.now(), **given)


def make_program(board: ServedBoard, role: str = "leader", institution: str = "") -> CountyProgram:
    name, _ = board.make_account(role, institution)
    return CountyProgram(board, board.server.site.access.make_token(name, role, 30)[0])


@pytest.fixture(scope="module")
def county(board: ServedBoard) -> CountyProgram:
    return make_program(board)


@pytest.fixture(scope="module")
def document(board: ServedBoard) -> dict[str, Any]:
    found: dict[str, Any] = board.browser().open("/api/v1/openapi.json").json()
    return found


def name_month(board: ServedBoard) -> str:
    return board.store.clock.now().astimezone(ZONE).strftime("%Y-%m")


def is_problem(answer: requests.Response, status: int, code: str) -> bool:
    assert answer.headers["Content-Type"] == "application/problem+json"
    return (answer.status_code, answer.json()["code"]) == (status, code)


def test_the_document_is_the_one_in_the_repository_and_every_call_is_tried(document: dict[str, Any]) -> None:
    kept = (ROOT / "docs/board-openapi.json").read_text(encoding="utf-8")
    assert kept == operations.render_openapi(), "run scripts/contract"
    assert document == json.loads(kept)
    shapes = {path.partition("?")[0].replace("C-1", "{class_id}") for path in CALLS}
    assert set(document["paths"]) == shapes
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("path", CALLS)
def test_answers_are_as_the_document_says(
    board: ServedBoard, county: CountyProgram, document: dict[str, Any], path: str
) -> None:
    shape = path.partition("?")[0].replace("C-1", "{class_id}")
    answer = county.open(path, params={"month": name_month(board)} if path == "/settlement" else {})
    assert answer.status_code == 200, answer.text
    content = document["paths"][shape]["get"]["responses"]["200"]["content"]["application/json"]
    schema = {**content["schema"], "components": document["components"]}
    jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(answer.json())
    known = document["components"]["schemas"][content["schema"]["$ref"].rsplit("/", 1)[1]]
    assert set(answer.json()) == set(known["properties"])
    assert answer.json().get("items", ["one"]) != [], "an empty list shows nothing"
    again = county.open(answer.url.removeprefix(county.base), headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_month_is_settled_by_class(board: ServedBoard, county: CountyProgram) -> None:
    month = name_month(board)
    found = {x["class_id"]: x for x in county.read_all("/settlement", month=month)}
    assert list(found) == sorted(found) and set(found) == {"C-1", "D-0", "D-1"}
    (half_day,) = [x for x in found["C-1"]["half_days"] if x["boxes"]]
    assert ([x["present"] for x in half_day["boxes"]], half_day["ratio"]) == ([22, None], None)
    assert "several" in half_day["doubts"]
    assert set(county.open("/settlement?month=2020-01").json()) == {"month", "items", "next"}
    of_one = county.read_all("/settlement", month=month, institution=ONE)
    assert [x["class_id"] for x in of_one] == ["C-1"]


def test_boxes_stand_side_by_side_and_nothing_is_added(county: CountyProgram) -> None:
    (half_day,) = [x for x in county.open("/classes/C-1/half-days").json()["items"] if x["boxes"]]
    told = {box["box"]: box for box in half_day["boxes"]}
    assert [told[f"wenshui/site{n}/box1"]["present"] for n in (1, 2)] == [22, None]
    first = told["wenshui/site1/box1"]
    assert (first["closed"], first["alerts"]) == ("ab" * 32, [{"kind": "camera.offline", "open": True}])
    assert first["gaps"] is None and "present" not in half_day


def test_pages_are_complete_and_without_doubles(county: CountyProgram) -> None:
    classes = [x["class_id"] for x in county.read_all("/classes")]
    assert sorted(classes) == ["C-1", *(f"D-{n}" for n in range(MANY))] and len(set(classes)) == len(classes)
    assert {x["class_id"] for x in county.read_all("/classes", q=TWO)} == set(classes) - {"C-1"}
    assert county.read_all("/classes", state="over") == [] and county.read_all("/classes", on="2020-01-01") == []
    raised = [x["alert_id"] for x in county.read_all("/alerts/history")]
    assert sorted(raised) == ["a1", *(f"of-{n}" for n in range(MANY))]
    assert sorted(x["alert_id"] for x in county.read_all("/alerts")) == sorted(set(raised) - {"of-0"})
    assert [x["alert_id"] for x in county.read_all("/alerts/history", class_id="C-1")] == ["a1"]
    for name, day in (("from", "0001-01-01"), ("until", "9999-12-31")):
        assert len(county.read_all("/alerts/history", **{name: day})) == len(raised)
    assert [x["box"] for x in county.read_all("/boxes")] == ["wenshui/site1/box1", "wenshui/site2/box1"]
    numbers = [x["number"] for x in county.read_all("/alarms", state="all")]
    assert numbers and numbers == sorted(set(numbers), reverse=True)
    orders = [x["clip_id"] for x in county.read_all("/clips")]
    assert len(orders) == len(set(orders)) == 3


def test_an_institutions_token_sees_its_own_alone(board: ServedBoard) -> None:
    school = make_program(board, "institution", ONE)
    assert [x["class_id"] for x in school.read_all("/classes")] == ["C-1"]
    assert [x["alert_id"] for x in school.read_all("/alerts/history")] == ["a1"]
    assert [(x["box"], x["alarms"]) for x in school.read_all("/boxes")] == [("wenshui/site1/box1", None)]
    for path in ("/classes/D-1", "/classes/D-1/half-days"):
        assert is_problem(school.open(path), 404, "api.not_found")
    for path in ("/alarms", "/settlement?month=2026-11", "/clips"):
        assert is_problem(school.open(path), 403, "api.forbidden")
    board.server.site.people.set_institution("the-institution", TWO, board.store.clock.now(), "test")
    assert is_problem(school.open("/classes/C-1"), 404, "api.not_found"), "as the account is now"


def test_tokens_end_and_leave_no_trace_but_their_name(
    board: ServedBoard, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    store, people = board.store, board.server.site.people
    config = tmp_path / "board.toml"
    config.write_text(f'county = "wenshui"\nstate_dir = "{tmp_path}"\ndatabase = "{store.url}"\n', encoding="utf-8")
    board.make_account("auditor")

    def command(*words: str) -> int:
        return main(["account", *words, "--json", "--config", str(config)])

    def make() -> CountyProgram:
        assert command("--token", "the-auditor") == 0
        return CountyProgram(board, json.loads(capsys.readouterr().out.splitlines()[-1])["token"])

    program = make()
    assert program.open("/boxes").status_code == 200 and program.open("/boxes").status_code == 200
    (listed,) = [x for x in people.tokens(store.clock.now()) if x.name == "the-auditor"]
    assert listed.used_at and abs(listed.used_at - store.clock.now()) < timedelta(seconds=1)
    second = make()
    assert is_problem(program.open("/boxes"), 401, "api.unauthorised"), "an older one ends"
    assert command("--revoke", "the-auditor") == 0 and command("--revoke", "the-auditor") == 2
    assert is_problem(second.open("/boxes"), 401, "api.unauthorised")
    third = make()
    assert command("--disable", "the-auditor") == 0 and command("--enable", "the-auditor") == 0
    assert third.open("/boxes").status_code == 401, "it ended with the account"
    assert command("--token", "nobody") == 2 and command("--token", "the-auditor", "--days", "367") == 2
    wrong = CountyProgram(board, "x" * 43).open("/boxes", headers={"Accept-Language": "en"})
    assert "site-agent-board account --token" in wrong.json()["detail"]
    signed_in = board.signed_in("inspector")
    assert signed_in.open("/api/v1/boxes").status_code == 401, "a browser's session is no token"
    mine = [x for x in board.server.site.audit.recent(1000) if x.who.startswith("token:the-auditor")]
    assert [x.action for x in mine] == ["api.boxes"], "asked twice, recorded once"
    written = caplog.text + capsys.readouterr().err + "".join(str(x) for x in board.server.site.audit.recent(1000))
    for known in (program, second, third):
        token = str(known.headers["Authorization"]).removeprefix("Bearer ")
        assert token not in written and token.encode() not in Path(store.url.removeprefix("sqlite:///")).read_bytes()


def test_an_expired_token_is_refused(board: ServedBoard) -> None:
    now, people = board.store.clock.now(), board.server.site.people
    name, _ = board.make_account("clerk")
    people.put_token("o" * 43, name, "clerk", now - timedelta(days=2), now - timedelta(seconds=1), "shell")
    assert is_problem(CountyProgram(board, "o" * 43).open("/classes"), 401, "api.unauthorised")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [("/nothing", 404, "api.not_found"), ("/classes/NO", 404, "api.not_found"), ("/classes/%00", 404, "api.not_found"),
     ("/classes?limit=0", 400, "api.bad_argument"), ("/classes?state=x", 400, "api.bad_argument"),
     ("/classes?limit=1&limit=2", 400, "api.bad_argument"), ("/boxes?after=x", 400, "api.bad_argument"),
     ("/alerts?before=x", 400, "api.bad_argument"), ("/alerts/history?from=2026-02-30", 400, "api.bad_argument"),
     ("/settlement", 400, "api.bad_argument"), ("/classes?q=%00", 400, "api.bad_argument"),
     ("/settlement?month=2026-13", 400, "api.bad_argument")],
)  # fmt: skip
def test_wrong_questions(county: CountyProgram, path: str, status: int, code: str) -> None:
    assert is_problem(county.open(path), status, code)


def test_it_reads_only(county: CountyProgram) -> None:
    assert is_problem(county.post(county.base + "/classes", json={}, timeout=20), 405, "api.method")


@pytest.mark.long
@pytest.mark.minutes(1)
@pytest.mark.timeout(900)
@pytest.mark.skipif(PROGRAM is None, reason=MISSING)
def test_whatever_is_asked(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """No 500, no answer that the document does not know, nothing in the log."""
    store = BoardStore(f"sqlite:///{tmp_path}/board.db")
    _fill(store)
    with closing(store.database), serving_board(store, tmp_path / "page", tls=False) as board:
        name, _ = board.make_account("leader")
        token = board.server.site.access.make_token(name, "leader", 1)[0]
        caplog.set_level(logging.ERROR)
        done = run_schemathesis(FUZZ, board.server.url, token, tmp_path)
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        assert board.server.site.audit.verify() is None
    assert [r.getMessage() for r in caplog.records] == []
