"""Classes approved at the board: what was understood is shown, the bureau's key signs, a real box takes what was sent."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import update

from agent.attendance.approved import accept_approval
from agent.cameras.model_list import WatchedModelList
from agent.cameras.received_list import ReceivedModelList
from agent.catalog import Catalog
from agent.class_files.classes import load_training_class
from agent.core.clock import SystemClock
from agent.core.openssh import ensure_key_file
from benchmarks.support.reporting_box import ZONE
from board.approvals.approve import ApprovalDesk, list_approvals, list_waiting, mark_sent
from board.approvals.drafts import load_draft, take_class_file
from board.approvals.model_lists import issue_model_list, list_unsent, take_model_list
from board.ingest.batch import BatchWriter
from board.settings import BoardSettings
from board.store import tables
from board.store.boxes import insert_boxes
from board.store.database import Database
from tests.board.test_ingest_broker import rows
from tests.support.board_process import BoardProcess
from tests.support.board_store import BoardStore
from tests.support.board_web import ServedBoard, serving_board
from tests.support.broker import Broker, eventually, needs_mosquitto
from tests.support.bureau_factory import BureauBox, options
from tests.support.paths import ROOT
from tests.support.web_client import Browser

BOX, OTHER_BOX = "wenshui/site1/box1", "wenshui/site2/box1"
WORKBOOK = ROOT / "config" / "class.example.xlsx"
CLASS_FILE = ROOT / "config" / "class.example.toml"


@pytest.fixture
def board(store: BoardStore, tmp_path: Path) -> Iterator[ServedBoard]:
    with store.database.write() as connection:
        insert_boxes(connection, [BOX, OTHER_BOX], None)
    with serving_board(store, tmp_path / "page") as served:
        ensure_key_file(served.server.site.options.signing_key_file, "bureau")
        yield served


def upload(browser: Browser, path: Path, data: bytes | None = None) -> requests.Response:
    fields = {"csrf": browser.token()}
    file = (path.name, path.read_bytes() if data is None else data)
    return browser.post(f"{browser.base}/approvals", fields, files={"file": file}, timeout=20)


def decide(browser: Browser, page: requests.Response, **fields: str) -> requests.Response:
    path = page.url.removeprefix(browser.base)
    return browser.submit(path, {"csrf": browser.token(), "do": "approve"} | fields)


def write_class(**changes: object) -> bytes:
    """The example as TOML with other values; lists and tables stay."""
    text = CLASS_FILE.read_text(encoding="utf-8")
    for key, value in changes.items():
        line = next(line for line in text.splitlines() if line.startswith(f"{key} ="))
        text = text.replace(line, f"{key} = {json.dumps(value, ensure_ascii=False)}")
    tomllib.loads(text)
    return text.encode()


def test_a_workbook_is_shown_as_understood_and_approved(board: ServedBoard) -> None:
    clerk = board.signed_in("clerk")
    page = upload(clerk, WORKBOOK)
    cls = load_training_class(WORKBOOK, ZONE)
    assert page.status_code == 200 and cls.class_id in page.text and str(cls.expected) in page.text
    assert all(lesson.content in page.text for lesson in cls.lessons)
    assert list_waiting(board.store.database) == [], "nothing is sent before it is approved"
    assert decide(clerk, page).status_code == 400, "no box is ticked"
    done = decide(clerk, page, **{f"box.{BOX}": "1"})
    assert done.status_code == 200 and "site1/box1" in done.text
    (sent,) = list_waiting(board.store.database)
    assert (sent.box, sent.class_id) == (BOX, cls.class_id)
    assert decide(clerk, page, **{f"box.{BOX}": "1"}).status_code == 400, "it is decided once"
    mark_sent(board.store.database, sent.number, sent.box_id, board.store.clock.now())
    path = page.url.removeprefix(clerk.base)
    clerk.submit(f"{path}/boxes", {"csrf": clerk.token(), f"box.{BOX}": "1", f"box.{OTHER_BOX}": "1"})
    assert [row.box for row in list_waiting(board.store.database)] == [OTHER_BOX], "each box is sent it once"
    assert {"approval.upload", "approval.approve", "approval.send"} <= set(board.actions())


def test_each_fault_of_a_file_is_named_and_nothing_is_kept(board: ServedBoard) -> None:
    clerk = board.signed_in("clerk")
    bad = upload(clerk, CLASS_FILE, write_class(expected=0, class_id="no good"))
    assert bad.status_code == 400 and "expected" in bad.text and "class_id" in bad.text
    for name, data in (("class.pdf", b"%PDF"), ("class.xlsx", b"no workbook"), ("class.toml", b"\xff\xfe")):
        assert upload(clerk, Path(name), data).status_code == 400
    assert board.store.all(tables.class_drafts) == []


def test_who_may_approve(board: ServedBoard) -> None:
    clerk = board.signed_in("clerk")
    path = upload(clerk, CLASS_FILE).url.removeprefix(clerk.base)
    for role, status in (("inspector", 200), ("leader", 200), ("institution", 403)):
        browser = board.signed_in(role, "某职业培训学校" if role == "institution" else "")
        page = browser.open(path)
        assert page.status_code == status, role
        assert '<form class="card"' not in page.text, role
        fields = {"csrf": browser.token(), "do": "approve", f"box.{BOX}": "1"}
        assert browser.submit(path, fields).status_code == 403, role
    assert board.store.all(tables.class_approvals) == []


def take(database: Database, key: Path, data: bytes, now: datetime) -> int:
    """Take a class file and approve it for BOX; return the approval's number."""
    draft = load_draft(database, take_class_file(database, "班级.toml", data, ZONE, "clerk", now), ZONE)
    assert draft
    return ApprovalDesk(database, key, "wenshui", ZONE).approve(draft, (BOX,), "", "clerk", now)


def hear(store: BoardStore) -> None:
    """Let the board hear what it has sent, as its subscription does."""
    for row in list_waiting(store.database):
        store.hear((f"training/v1/{row.box}/classes/{row.class_id}", row.payload.encode()))
        mark_sent(store.database, row.number, row.box_id, store.clock.now())


def test_the_board_hears_its_own_approval_as_signed(board: ServedBoard, tmp_path: Path) -> None:
    store, settings = board.store, BoardSettings(county="wenshui", state_dir=tmp_path / "state")
    settings.signing_key_file.parent.mkdir(parents=True)
    ensure_key_file(settings.signing_key_file, "bureau")
    store.writer = BatchWriter(store.database, store.clock, find_signing_key=settings.load_signing_key)
    take(store.database, settings.signing_key_file, write_class(), store.clock.now())
    hear(store)
    assert store.alarms() == []
    assert [row["expected"] for row in store.all(tables.classes)] == [40]
    ensure_key_file(tmp_path / "other", "somebody else's")
    take(store.database, tmp_path / "other", write_class(expected=99), store.clock.now())
    hear(store)
    assert store.alarms() == [("unsigned_class", 0)]


def test_an_open_class_changes_by_amendment_with_a_reason(board: ServedBoard) -> None:
    store = board.store
    cls = load_training_class(CLASS_FILE, ZONE)
    key = board.server.site.options.signing_key_file
    take(store.database, key, write_class(), store.clock.now())
    hear(store)
    store.clock.time = cls.lessons[0].start + timedelta(hours=1)
    clerk = board.signed_in("clerk")  # the session before has ended by then
    silent = upload(clerk, CLASS_FILE, write_class(expected=60))
    assert "变更" in silent.text and "60" in silent.text
    refused = decide(clerk, silent, reason="多了学员", **{f"box.{BOX}": "1"})
    assert refused.status_code == 400 and list_waiting(store.database) == []
    body = (
        write_class()
        + (
            f"\n[[amendments]]\napproved = {cls.first_day}\n"
            f'first_date = {cls.last_day}\nfirst_session = "am"\nreason = "两人退出"\nexpected = 38\n'
        ).encode()
    )
    amended = upload(clerk, CLASS_FILE, body)
    assert "两人退出" in amended.text
    assert decide(clerk, amended, **{f"box.{OTHER_BOX}": "1"}).status_code == 400, "a change needs a reason"
    assert decide(clerk, amended, reason="退班申请 12 号", **{f"box.{OTHER_BOX}": "1"}).status_code == 200
    assert {row.box for row in list_waiting(store.database)} == {BOX, OTHER_BOX}, "who has the old one gets the new one"
    assert list_approvals(store.database)[0]["reason"] == "退班申请 12 号"


def test_rooms_and_teachers_that_are_taken_are_told(board: ServedBoard) -> None:
    store, clerk = board.store, board.signed_in("clerk")
    take(store.database, board.server.site.options.signing_key_file, write_class(), store.clock.now())
    hear(store)
    other = upload(clerk, CLASS_FILE, write_class(class_id="WS2026-DG-004", class_number=4))
    assert "教室：理论教室" in other.text and "WS2026-DG-003" in other.text and "教师：" in other.text
    elsewhere = write_class(class_id="WS2026-DG-005", class_number=5, place="县城西街 9 号", institution="别的学校")
    assert "时间冲突" not in upload(clerk, CLASS_FILE, elsewhere).text


@needs_mosquitto
def test_a_real_box_takes_what_was_approved(tmp_path: Path) -> None:
    """Real broker, the board as a process, the box's link with the bureau's key; the box was away when it was approved."""
    url = f"sqlite:///{tmp_path}/board.db"
    key = tmp_path / "board/state/keys/bureau_ed25519"
    key.parent.mkdir(parents=True)
    public = ensure_key_file(key, "bureau")
    database = Database(url)
    with Broker(tmp_path / "mqtt") as broker, BoardProcess(tmp_path / "board", broker, url):
        with database.write() as connection:
            insert_boxes(connection, [BOX], None)
        at = SystemClock().now()
        take(database, key, write_class(), at)
        eventually(lambda: all(row["sent_at"] for row in rows(database, tables.class_deliveries)), 30)
        catalog: list[Catalog] = []

        def accept(body: Any) -> Any:
            return accept_approval(catalog[0], body, SystemClock().now())

        received = ReceivedModelList(tmp_path / "no-list.toml", public, tmp_path / "received.toml")
        watched = WatchedModelList(tmp_path / "no-list.toml", public, received=tmp_path / "received.toml")
        given = options(broker.port, signing_key=public)
        box = BureauBox(tmp_path, given, accept_class=accept, keep_models=received.keep)
        catalog.append(box.catalog)
        with box:
            (taken,) = eventually(lambda: box.catalog.classes.all(), 30)
            assert (taken.class_id, taken.source) == ("WS2026-DG-003", "bureau") and taken.body["expected"] == 40
            with database.write() as connection:
                connection.execute(update(tables.boxes).values(account="site1.box1"))
            issue_model_list(database, take_model_list(database, "list.toml", MODELS.encode(), "clerk", at), key, at)
            assert eventually(lambda: watched.current().approved.models, 30)[0].model == "VC-7"
            eventually(lambda: rows(database, tables.model_list_deliveries), 30)
            assert rows(database, tables.alarms) == [], "the board hears what it sends itself"
    database.close()


MODELS = """issuer = "市局"
issued = 2026-11-20
[[camera]]
manufacturer = "Example"
model = "VC-7"
firmware_min = "1.2"
"""


def put_models(browser: Browser, text: str) -> requests.Response:
    fields = {"csrf": browser.token()}
    return browser.post(f"{browser.base}/models", fields, files={"file": ("list.toml", text.encode())}, timeout=20)


def test_a_list_of_models_is_shown_signed_and_sent_to_every_enrolled_box(board: ServedBoard) -> None:
    database, clerk = board.store.database, board.signed_in("clerk")
    with database.write() as connection:
        connection.execute(update(tables.boxes).where(tables.boxes.c.name == BOX).values(account="site1.box1"))
    page = put_models(clerk, MODELS)
    assert "VC-7" in page.text and "1.2" in page.text and list_unsent(database) == []
    issued = clerk.submit("/models/issue", {"csrf": clerk.token(), "number": "1"})
    assert issued.status_code == 200 and "0 / 1" in issued.text
    assert [row.box for row in list_unsent(database)] == [BOX]
    with database.write() as connection:
        connection.execute(update(tables.boxes).where(tables.boxes.c.name == OTHER_BOX).values(account="site2.box1"))
    assert [row.box for row in list_unsent(database)] == [BOX, OTHER_BOX], "a box that is enrolled later is sent it too"
    for bad in ("no toml", MODELS.replace("issued", "# issued"), MODELS.replace("VC-7", "")):
        assert put_models(clerk, bad).status_code == 400
    put_models(clerk, MODELS.replace("2026-11-20", "2026-11-19"))
    assert clerk.submit("/models/issue", {"csrf": clerk.token(), "number": "2"}).status_code == 400, "it is older"
    assert put_models(board.signed_in("inspector"), MODELS).status_code == 403
    assert {"models.upload", "models.issue"} <= set(board.actions())
