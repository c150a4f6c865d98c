"""What the board refuses of a push: stolen and used addresses, other boxes, altered, truncated and longer files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.contract.clips import UPLOAD_NAMESPACE
from agent.core.clock import format_local, parse_time
from agent.core.openssh import NAMESPACE, ensure_key_file, sign_with
from benchmarks.support.reporting_box import ZONE, ReportingBox
from board.clips.asking import ask_boxes
from board.clips.keeping import ClipKeeper
from board.clips.options import FetchOptions
from board.clips.orders import OrderedClip, load_clip, order_clip
from tests.support.board_store import BoardStore
from tests.support.board_web import ServedBoard, serving_board
from tests.support.web_client import Browser, csrf_of

VIDEO = bytes(range(256)) * 2000


@dataclass
class ScriptedBox:
    """Pushes what a test says; the board's side is the real one."""

    store: BoardStore
    pages: ServedBoard
    folder: Path
    reporting: ReportingBox
    options: FetchOptions
    key: Path = field(init=False)
    public: str = field(init=False)
    clip_id: str = ""
    upload: dict[str, str] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.key = self.folder / "keys" / "box"
        self.public = ensure_key_file(self.key, "box")
        self.reporting.key = self.public
        self.client: Browser = self.pages.browser()

    def state_recording(self) -> dict[str, Any]:
        """State a recording and return it as a source of a clip."""
        message = self.reporting.segment()
        self.store.hear(message)
        event = json.loads(message[1])
        (half_day,) = event["data"]["half_days"]
        (item,) = half_day["items"]
        position = self.reporting.position
        place = {"log": position.log, "number": position.number, "hash": position.hash}
        path = f"{half_day['folder']}/{item['path']}"
        kept = {name: item[name] for name in ("sha256", "start", "end")}
        return {"drive_id": event["data"]["drive_id"], "path": path, **kept, "statement": place}

    def order(self) -> None:
        now = self.store.clock.now()
        start = now - timedelta(hours=1)
        self.clip_id = order_clip(
            self.store.database, class_id="C-1", box=self.reporting.name, start=start, end=start + timedelta(minutes=1),
            by="wang", purpose="", now=now,
        )  # fmt: skip
        ((topic, payload),) = ask_boxes(self.store.database, self.store.clock, self.options)
        assert topic == f"{self.reporting.prefix}/request/clip"
        request = json.loads(payload)
        assert request["id"] == self.clip_id
        self.upload = request["data"]["upload"]

    def make_files(self, sources: list[dict[str, Any]], *, signer: Path | None = None, **changes: Any) -> None:
        order = self.load()
        assert order.start and order.end
        asked = {"start": format_local(order.start, ZONE), "end": format_local(order.end, ZONE)}
        body = {
            "format": 1, "kind": "site-agent.clip", "class_id": "C-1", "camera_id": "cam1", "box": "box1", "asked": asked,
            "clip": {"file": "c.mp4", "sha256": hashlib.sha256(VIDEO).hexdigest(), "bytes": len(VIDEO)},
            "sources": sources, **changes,
        }  # fmt: skip
        raw = json.dumps(body).encode()
        signature = sign_with(raw, signer or self.key, NAMESPACE)
        self.files = {"c.json": raw, "c.json.sig": signature, "c.mp4": VIDEO}

    def announce(self, name: str | None = None, **file: Any) -> None:
        """Answer over MQTT; `name` and `file` change what is said of one."""
        said = [{"name": n, "bytes": len(d), "sha256": hashlib.sha256(d).hexdigest()} for n, d in self.files.items()]
        said = [x | file if x["name"] == name else x for x in said]
        upload = {"state": "uploading", "progress": 0, "files": said, "key": self.public}
        data = {"request": "clip", "request_id": self.clip_id, "ok": True, "result": {"upload": upload}}
        self.store.hear(self.reporting._wrap("response", "response/clip", data, None))

    def address(self, name: str = "") -> str:
        return f"{self.pages.url}/uploads/{self.clip_id}" + (f"/{name}" if name else "")

    def open(self, *, signer: Path | None = None, token: str = "") -> tuple[int, str]:
        """Open the address; return the status and the key."""
        text = f"{self.clip_id}\n{hashlib.sha256(self.upload['token'].encode()).hexdigest()}\n".encode()
        proof = sign_with(text, signer or self.key, UPLOAD_NAMESPACE).decode()
        headers = {"Authorization": f"Bearer {token or self.upload['token']}"}
        answer = self.client.post(self.address(), json={"proof": proof}, headers=headers, timeout=20)
        return answer.status_code, answer.json()["key"] if answer.ok else answer.text

    def append(self, key: str, name: str, data: bytes, offset: int = 0) -> tuple[int, str | None]:
        headers = {"Authorization": f"Bearer {key}", "Upload-Offset": str(offset)}
        answer = self.client.patch(self.address(name), data=data, headers=headers, timeout=20)
        return answer.status_code, answer.headers.get("Upload-Offset")

    def offset(self, key: str, name: str) -> tuple[int, str | None]:
        answer = self.client.head(self.address(name), headers={"Authorization": f"Bearer {key}"}, timeout=20)
        return answer.status_code, answer.headers.get("Upload-Offset")

    def push(self, key: str) -> None:
        for name, data in self.files.items():
            assert self.append(key, name, data) == (204, str(len(data)))

    def judge(self) -> OrderedClip:
        ClipKeeper(self.store.database, self.store.clock, self.options).judge_arrived()
        return self.load()

    def load(self) -> OrderedClip:
        found = load_clip(self.store.database, self.clip_id)
        assert found
        return found


@pytest.fixture
def box(tmp_path: Path) -> Iterator[ScriptedBox]:
    store = BoardStore(f"sqlite:///{tmp_path}/board.db")
    options = FetchOptions(folder=tmp_path / "clips", most_bytes=2_000_000)
    with serving_board(store, tmp_path / "page", fetch=options) as pages:
        reporting = ReportingBox(now=store.clock.now() - timedelta(hours=1))
        made = ScriptedBox(store, pages, tmp_path, reporting, options)
        store.hear(reporting.begin())
        yield made
    store.database.close()


def test_a_true_clip_is_taken_and_its_address_is_used_up(box: ScriptedBox) -> None:
    source = box.state_recording()
    box.order()
    assert box.open()[0] == 425  # the answer has not come yet: the box tries again
    box.make_files([source])
    box.announce()
    status, key = box.open()
    assert status == 200
    box.push(key)
    assert box.offset(key, "c.mp4") == (200, str(len(VIDEO)))  # as a box asks whose connection broke at the end
    ready = box.judge()
    assert (ready.state, ready.checks["sources"], ready.checks["pinned"]) == ("ready", {"found": 1}, False)
    assert box.open()[0] == 403 and box.offset(key, "c.mp4")[0] == 401 and box.append(key, "c.mp4", b"x")[0] == 401
    assert "fetch.open" in box.pages.actions() and "fetch.refused" in box.pages.actions()


def test_a_stolen_address_is_of_no_use(box: ScriptedBox, tmp_path: Path) -> None:
    box.order()
    box.make_files([])
    box.announce()
    foreign = tmp_path / "keys" / "foreign"
    ensure_key_file(foreign, "box")
    assert box.open(signer=foreign)[0] == 403
    assert box.open(token="A" * 43)[0] == 403
    # not with the token itself either: only the key that opening gives is good for pushing
    assert box.append(box.upload["token"], "c.mp4", VIDEO)[0] == 401
    assert box.load().state == "uploading" and box.open()[0] == 200
    # nor the address of another order
    first, token = box.clip_id, box.upload["token"]
    box.order()
    other = box.clip_id
    box.clip_id, box.upload["token"] = other, token
    assert box.open()[0] == 403 and first != other


def test_an_address_expires(box: ScriptedBox) -> None:
    box.order()
    box.make_files([])
    box.announce()
    until = parse_time(box.upload["until"])
    box.store.clock.step((until - box.store.clock.now()).total_seconds() + 1)
    assert box.open()[0] == 403
    box.store.clock.step(86400)
    keeper = ClipKeeper(box.store.database, box.store.clock, box.options)
    keeper.end_expired()
    assert box.load().state == "expired"


def test_another_box_cannot_answer_an_order(box: ScriptedBox) -> None:
    box.order()
    box.make_files([])
    own, other = box.reporting, ReportingBox("wenshui/site2/box9", log="5a" * 16, now=box.reporting.now)
    box.store.hear(other.begin())
    box.reporting = other
    box.announce()
    box.reporting = own
    assert box.load().state == "asked" and box.load().files == ()


def test_a_box_whose_key_is_another_than_the_known_one_is_refused(box: ScriptedBox, tmp_path: Path) -> None:
    box.store.hear(box.reporting.close(1))
    box.order()
    box.make_files([])
    box.public = ensure_key_file(tmp_path / "keys" / "foreign", "box")
    box.announce()
    assert (box.load().state, box.load().code) == ("refused", "board.clip_other_key")


def test_altered_and_longer_files_are_refused_and_truncated_ones_go_on(box: ScriptedBox) -> None:
    box.order()
    box.make_files([])
    box.announce()
    _, key = box.open()
    altered = VIDEO[:-1] + b"!"
    assert box.append(key, "c.mp4", altered) == (422, "0") and box.offset(key, "c.mp4") == (200, "0")
    assert box.append(key, "c.mp4", VIDEO + b"more")[0] == 413
    assert box.append(key, "c.mp4", VIDEO[:1000]) == (204, "1000")
    assert box.append(key, "c.mp4", VIDEO, 0) == (409, "1000")
    assert box.append(key, "d.mp4", VIDEO)[0] == 404
    for name in ("c.json", "c.json.sig"):
        box.append(key, name, box.files[name])
    assert box.judge().state == "uploading"  # truncated: nothing is judged, nothing can be downloaded
    assert box.append(key, "c.mp4", VIDEO[1000:], 1000) == (204, str(len(VIDEO)))
    assert box.judge().state == "ready"


def test_too_much_is_refused_before_any_of_it_comes(box: ScriptedBox) -> None:
    box.order()
    box.make_files([])
    box.announce("c.mp4", bytes=3_000_000)
    assert box.open()[0] == 413


@pytest.mark.parametrize("fault", ["signer", "class", "file", "span", "source", "statement", "hole"])
def test_papers_that_do_not_fit_are_refused(box: ScriptedBox, tmp_path: Path, fault: str) -> None:
    source = box.state_recording()
    box.order()
    foreign = tmp_path / "keys" / "foreign"
    ensure_key_file(foreign, "box")
    changes: dict[str, Any] = {
        "class": {"class_id": "C-2"},
        "file": {"clip": {"file": "c.mp4", "sha256": "0" * 64, "bytes": len(VIDEO)}},
        "span": {"asked": {"start": "2025-03-10T09:00:00+08:00", "end": "2025-03-10T09:01:00+08:00"}},
    }.get(fault, {})
    if fault == "source":  # another content than the one that was stated
        source["sha256"] = "f" * 64
    if fault == "statement":
        source["statement"]["hash"] = "e" * 64
    if fault == "hole":  # a number of which the board has the statement, and that is about another file
        source["path"] = "C-1_电工/上午/r1_cam1/made_later.mp4"
    box.make_files([source], signer=foreign if fault == "signer" else None, **changes)
    box.announce()
    box.push(box.open()[1])
    refused = box.judge()
    code = {"signer": "board.clip_bad_signature", "class": "board.clip_other", "file": "board.clip_other"}
    code |= {"span": "board.clip_other"}
    assert (refused.state, refused.code) == ("refused", code.get(fault, "board.clip_told_otherwise"))
    assert refused.reason and "c.mp4" in refused.reason


def test_a_statement_that_is_on_its_way_is_waited_for(box: ScriptedBox) -> None:
    first = box.state_recording()
    box.reporting.segment()
    position = box.reporting.position
    ended = format_local(box.store.clock.now() + timedelta(seconds=1), ZONE)  # the board has heard of the box by then
    late = first | {"path": "C-1_电工/上午/r1_cam1/later.mp4", "end": ended}
    late["statement"] = {"log": position.log, "number": position.number, "hash": position.hash}
    box.order()
    box.make_files([first, late])
    box.announce()
    box.push(box.open()[1])
    assert box.judge().state == "uploading"
    box.store.clock.step(61)
    ready = box.judge()
    assert (ready.state, ready.checks["sources"]) == ("ready", {"found": 1, "untold": 1})


def test_a_busy_box_is_asked_again_and_a_silent_one_too(box: ScriptedBox) -> None:
    box.order()
    ask = lambda: ask_boxes(box.store.database, box.store.clock, box.options)  # noqa: E731
    assert ask() == []
    error = {"code": "upload.busy", "message": "已有 6 个"}
    data = {"request": "clip", "request_id": box.clip_id, "ok": False, "error": error}
    box.store.hear(box.reporting._wrap("response", "response/clip", data, None))
    assert (box.load().state, box.load().reason) == ("asked", "已有 6 个") and ask() == []
    box.store.clock.step(21)
    old = box.upload["token"]
    ((_, payload),) = ask()
    assert json.loads(payload)["data"]["upload"]["token"] != old
    box.store.clock.step(91)
    assert len(ask()) == 1


def test_the_page_asks_shows_the_progress_and_gives_the_papers(box: ScriptedBox) -> None:
    box.store.hear(box.reporting.attend(1), box.reporting.camera())
    source = box.state_recording()
    inspector = box.pages.signed_in("inspector")
    day = source["path"] and box.reporting.day()
    half_day = inspector.open(f"/classes/C-1/{day}/am").text
    assert 'action="/clips"' in half_day and "<option>cam1</option>" in half_day
    asked = {"csrf": csrf_of(half_day), "class_id": "C-1", "box": box.reporting.name, "on": day, "from": "00:00:05"}
    made = inspector.submit("/clips", {**asked, "to": "00:00:15", "camera": "cam1", "purpose": "抽查"})
    assert made.status_code == 200 and "/clips/" in made.url, made.text[:2000]
    assert "等待终端" in made.text and "抽查" in made.text
    wrong = inspector.submit("/clips", {**asked, "to": "00:00:01"})
    assert wrong.status_code == 400 and "结束时间要晚于开始时间" in wrong.text
    box.clip_id = made.url.rsplit("/", 1)[1]
    ((_, payload),) = ask_boxes(box.store.database, box.store.clock, box.options)
    box.upload = json.loads(payload)["data"]["upload"]
    box.make_files([source])
    box.announce()
    _, key = box.open()
    for name in ("c.json", "c.json.sig"):
        box.append(key, name, box.files[name])
    half = len(VIDEO) // 2 + 20_000
    box.append(key, "c.mp4", VIDEO[:half])
    page, film = inspector.open(f"/clips/{box.clip_id}"), f"/clips/{box.clip_id}/files/c.mp4"
    assert "<video" in page.text and "正在传来" in page.text
    # what is here is sent at once, as a part of the whole
    part = inspector.open(film, headers={"Range": "bytes=1000-1999"})
    assert (part.status_code, part.content) == (206, VIDEO[1000:2000])
    assert part.headers["Content-Range"] == f"bytes 1000-1999/{len(VIDEO)}"
    assert inspector.open(f"{film}?download=1").status_code == 404  # not before it was checked
    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(inspector.open, film)
        box.append(key, "c.mp4", VIDEO[half:], half)
        assert reader.result(30).content == VIDEO
    assert box.judge().state == "ready"
    page = inspector.open(f"/clips/{box.clip_id}")
    assert "1 个录像文件与录制时上报的声明一致" in page.text and 'id="state"' in page.text
    assert inspector.open(f"/clips/{box.clip_id}/files/c.json?download=1").content == box.files["c.json"]
    inspector.submit(f"/clips/{box.clip_id}/keep", {"csrf": csrf_of(page.text), "kept": "1"})
    assert box.load().kept
    assert box.clip_id in inspector.open("/clips").text
    assert box.pages.actions().count("clip.download") == 1


def test_who_may_not_see_video(box: ScriptedBox) -> None:
    box.order()
    school, leader = box.pages.signed_in("institution", "某校"), box.pages.signed_in("leader")
    assert school.open("/clips").status_code == 403 and school.open(f"/clips/{box.clip_id}").status_code == 403
    page = leader.open(f"/clips/{box.clip_id}")
    asked = {"csrf": csrf_of(page.text), "class_id": "C-1", "box": box.reporting.name, "camera": "cam1"}
    assert page.status_code == 200 and leader.submit("/clips/picture", asked).status_code == 403
    assert box.pages.browser().open(f"/clips/{box.clip_id}").url.endswith("sign-in?next=/clips/" + box.clip_id)
