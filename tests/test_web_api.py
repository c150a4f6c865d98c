"""The API for the bureau's programs: what it answers, what it refuses, and that its OpenAPI document tells the truth."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import requests

from agent.clock import SystemClock
from agent.inspection import manifest
from agent.web import openapi, operations
from agent.web.live_view import Now
from tests.clipping import make_box
from tests.webbing import HALF, ID, Browser, Served, serving

ROOT = Path(__file__).parent.parent
CLIP = {"date": "2025-03-10", "from": "09:00:03", "to": "09:00:14"}
HALF_DAY = f"/classes/{ID}/half-days/2025-03-10/am"
LISTS = [
    "/classes", f"/classes/{ID}", f"/classes/{ID}/attendance", HALF_DAY, HALF_DAY + "/looks", f"/classes/{ID}/gaps",
    f"/classes/{ID}/segments", f"/classes/{ID}/alerts", f"/classes/{ID}/audit", "/cameras", "/alerts", "/audit", "/health",
]  # fmt: skip


class Program(Browser):
    """Speaks to the API with a token."""

    def __init__(self, served: Served, token: str | None) -> None:
        super().__init__(served.page.url.rstrip("/") + "/api/v1/", served.certificate)
        if token:
            self.headers["Authorization"] = f"Bearer {token}"

    def send_json(self, path: str, body: object, **options: Any) -> requests.Response:
        return self.post(self.base + path, json=body, timeout=20, **options)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("api")) as found:
        yield found


@pytest.fixture
def program(served: Served) -> Program:
    return Program(served, served.page.site.access.make_token("bureau", "bureau", 30)[0])


@pytest.fixture(scope="module")
def document(served: Served) -> dict[str, Any]:
    """As it is served: nobody needs a token to read it."""
    found: dict[str, Any] = Program(served, None).open("/openapi.json").json()
    return found


def conforms(document: dict[str, Any], name: str, body: object) -> None:
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(body)


def is_problem(answer: requests.Response, status: int, code: str) -> bool:
    body = answer.json()
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert body["type"].endswith(f"/{code}")
    return (answer.status_code, body["status"], body["code"]) == (status, status, code)


def test_the_document_in_the_repository_is_the_one_served(served: Served, document: dict[str, Any]) -> None:
    kept = (ROOT / "docs" / "openapi.json").read_text(encoding="utf-8")
    made = openapi.text(operations.all_of(Now(served.box.catalog)))
    assert kept == made, "run scripts/contract"
    assert document == json.loads(made)


@pytest.mark.parametrize("path", LISTS)
def test_answers_are_as_the_document_says(program: Program, document: dict[str, Any], path: str) -> None:
    answer = program.open(path)
    assert answer.status_code == 200, answer.text
    shape = path.replace(ID, "{class_id}").replace("2025-03-10/am", "{date}/{session}")
    content = document["paths"][shape]["get"]["responses"]["200"]["content"]
    conforms(document, content["application/json"]["schema"]["$ref"].rsplit("/", 1)[1], answer.json())
    again = program.open(path, headers={"If-None-Match": answer.headers["ETag"]})
    if not path.endswith("audit"):  # asking is in it
        assert (again.status_code, again.content) == (304, b"")


def test_what_it_says_is_what_the_page_says(program: Program) -> None:
    (cls,) = program.open("/classes", params={"q": ID.lower()}).json()["items"]
    assert (cls["class_id"], cls["expected"], cls["state"]) == (ID, 20, "over")
    half = program.open(HALF_DAY).json()
    assert (half["expected"], half["present"], half["status"]) == (20, None, "unjudged")
    assert half["curve"][6]["present"] == 17
    segments = program.open(f"/classes/{ID}/segments", params={"limit": 1}).json()
    assert [s["camera_id"] for s in segments["items"]] == ["cam1"]
    rest = program.open(f"/classes/{ID}/segments", params={"limit": 1, "after": segments["next"]}).json()
    assert rest["items"][0]["segment_id"] > segments["items"][0]["segment_id"]
    assert rest["next"] is None
    assert {g["camera_id"] for g in program.open(f"/classes/{ID}/gaps").json()["items"]} == {"cam1", "cam2"}
    assert {
        g["camera_id"] for g in program.open(f"/classes/{ID}/gaps", params={"camera_id": "cam2"}).json()["items"]
    } == {"cam2"}
    (camera,) = program.open("/cameras").json()["items"]
    assert (
        program.get(program.base.removesuffix("/api/v1") + camera["picture"], timeout=20).content[:3] == b"\xff\xd8\xff"
    )


def test_a_clip_is_cut_fetched_by_ranges_and_holds(
    program: Program, served: Served, document: dict[str, Any], tmp_path: Path
) -> None:
    made = program.send_json(f"/classes/{ID}/clips", CLIP | {"camera_id": "cam1", "why": "抽查"})
    assert made.status_code == 201, made.text
    body = made.json()
    conforms(document, "Clip", body)
    assert made.headers["Location"] == body["href"]
    root = program.base.removesuffix("/api/v1")
    assert program.get(root + body["href"], timeout=20).json() == body
    (file,) = body["files"]
    whole = program.get(root + file["href"], timeout=20)
    assert hashlib.sha256(whole.content).hexdigest() == file["manifest"]["clip"]["sha256"]
    part = program.get(root + file["href"], headers={"Range": "bytes=100-199"}, timeout=20)
    assert (part.status_code, part.content) == (206, whole.content[100:200])
    same = program.get(root + file["href"], headers={"If-None-Match": whole.headers["ETag"]}, timeout=20)
    assert same.status_code == 304
    beyond = program.get(root + file["href"], headers={"Range": "bytes=99999999-"}, timeout=20)
    assert is_problem(beyond, 416, "api.range")
    assert beyond.headers["Content-Range"] == f"bytes */{len(whole.content)}"
    clip = tmp_path / file["manifest"]["clip"]["file"]
    clip.write_bytes(whole.content)
    paper = manifest.path_for(clip)
    paper.write_bytes(program.get(root + file["manifest_href"], timeout=20).content)
    manifest.signature_for(paper).write_bytes(program.get(root + file["signature_href"], timeout=20).content)
    assert manifest.check(clip, served.box.drive.public_key).anchored
    entry = served.box.catalog.audit.of_object(ID, "clip")[-1]
    assert (entry.who.split("@")[0], entry.detail["why"]) == ("token:bureau", "抽查")


def test_a_draw_stands_in_the_audit_before_anybody_sees_it(
    program: Program, served: Served, document: dict[str, Any]
) -> None:
    made = program.send_json(f"/classes/{ID}/draws", {"count": 3, "seconds": 60, "seed": "局里的种子"})
    assert made.status_code == 201, made.text
    conforms(document, "Draw", made.json())
    entry = served.box.catalog.audit.of_object(ID, "clip.draw")[-1]
    assert [m["start"] for m in entry.detail["moments"]] == [m["start"] for m in made.json()["moments"]]
    assert is_problem(program.send_json(f"/classes/{ID}/draws", {"count": 3, "seconds": 60}), 422, "clip.no_seed")


def test_the_audit_can_be_checked_by_who_reads_it(program: Program) -> None:
    body = program.open("/audit", params={"limit": 1000}).json()
    assert body["broken_at"] is None
    previous = "0" * 64
    for entry in reversed(body["items"]):
        fields = [entry[x] for x in ("id", "at", "who", "action", "object", "detail")]
        text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
        assert entry["previous"] == previous
        previous = hashlib.sha256(f"{previous}\n{text}".encode()).hexdigest()
        assert entry["hash"] == previous


@pytest.mark.parametrize("path", [*LISTS, "/clips/" + "0" * 24, "/cameras/cam1/now.jpg"])
def test_without_a_good_token_nothing_is_said(served: Served, path: str) -> None:
    signed_in = served.signed_in("bureau")
    cookie = requests.utils.dict_from_cookiejar(signed_in.cookies)
    for program in (Program(served, None), Program(served, "x" * 43), Program(served, "x")):
        program.cookies.update(cookie)  # a browser's session is no token
        answer = program.open(path)
        assert is_problem(answer, 401, "api.unauthorised")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_tokens_end(served: Served) -> None:
    now = SystemClock().now()
    accounts = served.box.catalog.accounts
    accounts.put_token("o" * 43, "old", "bureau", now - timedelta(days=2), now - timedelta(seconds=1), "shell")
    assert is_problem(Program(served, "o" * 43).open("/classes"), 401, "api.unauthorised")
    token, _ = served.page.site.access.make_token("soon", "inspector", 1)
    program = Program(served, token)
    assert program.open("/classes").status_code == 200
    assert is_problem(program.open("/audit"), 403, "api.forbidden")
    other, _ = served.page.site.access.make_token("soon", "inspector", 1)
    assert program.open("/classes").status_code == 401, "one of the same name takes its place"
    assert accounts.drop_token("soon", now, "shell")
    assert Program(served, other).open("/classes").status_code == 401
    assert token not in served.box.catalog.store.path.read_bytes().decode("latin-1")


def test_tokens_by_the_command_line(tmp_path: Path) -> None:
    box = make_box(tmp_path)
    made = box.command("serve", "--token", "局平台", "--days", "30", "--role", "bureau", "--json")
    assert made.returncode == 0, made.stderr
    token = json.loads(made.stdout)["token"]
    found = box.catalog.accounts.token(token, SystemClock().now())
    assert found is not None
    assert (found.name, found.role) == ("局平台", "bureau")
    assert box.command("serve", "--revoke", "局平台").returncode == 0
    assert box.catalog.accounts.token(token, SystemClock().now()) is None
    for arguments in (
        ("--token", "x", "--days", "0"),
        ("--token", "x", "--days", "4000"),
        ("--token", "a b"),
        ("--revoke", "局平台"),
    ):
        bad = box.command("serve", *arguments)
        assert (bad.returncode, len(bad.stderr.splitlines())) == (2, 1)
    assert [e.action for e in box.catalog.audit.recent()] == ["token.revoke", "token"]
    box.catalog.close()


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [("/nothing", 404, "api.not_found"), ("/classes/NO", 404, "api.not_found"), ("/classes/..%2f..%2fx", 404, "api.not_found"),
     ("/classes/%00", 404, "api.not_found"), (f"/classes/{ID}/half-days/2025-03-12/am", 404, "api.not_found"),
     (f"/classes/{ID}/half-days/20250310/am", 404, "api.not_found"), ("/classes?limit=0", 400, "api.bad_argument"),
     ("/classes?limit=" + "9" * 400, 400, "api.bad_argument"), ("/classes?q=" + "x" * 201, 400, "api.bad_argument"),
     ("/classes?nonsense=1", 400, "api.bad_argument"), ("/classes?limit=1&limit=2", 400, "api.bad_argument"),
     (f"/classes/{ID}/gaps?date=2025-02-30", 400, "api.bad_argument"), ("/audit?before=-1", 400, "api.bad_argument"),
     ("/audit?before=" + "9" * 30, 400, "api.bad_argument"), ("/clips/" + "0" * 24, 404, "api.not_found"),
     ("/clips/" + "0" * 24 + "/files/..%2f..%2fcatalog.db", 404, "api.not_found"),
     ("/cameras/..%2fx/now.jpg", 404, "api.not_found")],
)  # fmt: skip
def test_wrong_questions(program: Program, path: str, status: int, code: str) -> None:
    assert is_problem(program.open(path), status, code)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [({}, 400, "api.bad_argument"), ([], 400, "api.bad_body"), (CLIP | {"from": "25:00"}, 400, "api.bad_argument"),
     (CLIP | {"why": "x" * 201}, 400, "api.bad_argument"), (CLIP | {"why": None, "x": 1}, 400, "api.bad_argument"),
     (CLIP | {"why": "\ud800"}, 400, "api.bad_body"), (CLIP | {"camera_id": "../x"}, 400, "api.bad_argument"),
     (CLIP | {"to": "12:00"}, 422, "web.long_clip"), (CLIP | {"to": "08:00"}, 422, "clip.backwards"),
     (CLIP | {"date": "9999-12-31"}, 422, "clip.bad_date"), (CLIP | {"date": "0001-01-01"}, 422, "clip.bad_date"),
     (CLIP | {"date": "2025-03-11"}, 422, "clip.no_video"), (CLIP | {"why": "x" * 70_000}, 413, "api.too_large")],
)  # fmt: skip
def test_wrong_clips(program: Program, served: Served, body: object, status: int, code: str) -> None:
    before = len(served.box.catalog.audit.of_object(ID, "clip"))
    assert is_problem(program.send_json(f"/classes/{ID}/clips", body), status, code)
    assert len(served.box.catalog.audit.of_object(ID, "clip")) == before


def test_wrong_methods_and_media(program: Program) -> None:
    answer = program.delete(program.base + f"/classes/{ID}", timeout=20)
    assert is_problem(answer, 405, "api.method")
    assert "GET" in answer.headers["Allow"]
    url = program.base + f"/classes/{ID}/clips"
    assert is_problem(program.post(url, data=CLIP, timeout=20), 415, "api.media_type")
    kind = {"Content-Type": "application/json"}
    for raw in (b"{", b"\xff", b"[" * 50_000, b'"x"', b'{"date": NaN}'):
        assert program.post(url, data=raw, headers=kind, timeout=20).status_code == 400


def test_words_follow_the_caller(program: Program) -> None:
    answer = program.open("/classes/NO", headers={"Accept-Language": "en-GB,zh;q=0.5"})
    assert answer.json()["detail"].startswith("there is no such class")
    assert program.open("/classes/NO").json()["detail"].startswith("没有这个班级")


def test_the_page_has_no_token_and_the_api_no_cookie(program: Program, served: Served) -> None:
    answer = program.get(served.page.url.rstrip("/") + HALF, timeout=20, allow_redirects=False)
    assert answer.status_code == 303
