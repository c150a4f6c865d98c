"""Whose box it is: said at enrolment or later; an institution's account sees its own boxes and no other's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.contract.enrolment import parse_enrolment
from benchmarks.support.reporting_box import ReportingBox
from board.__main__ import main
from board.store import tables
from tests.support.board_store import BoardStore
from tests.support.board_web import ServedBoard, serving_board

ONE, TWO = "第一职业培训学校", "第二职业培训学校"


@pytest.fixture
def config(store: BoardStore, tmp_path: Path) -> Path:
    file = tmp_path / "board.toml"
    (tmp_path / "accounts").mkdir()
    file.write_text(
        f'county = "wenshui"\nstate_dir = "{tmp_path}/state"\ndatabase = "{store.url}"\n'
        f'[enrolment]\nfolder = "{tmp_path}/accounts"\n',
        encoding="utf-8",
    )
    return file


@pytest.fixture
def board(store: BoardStore, tmp_path: Path) -> Iterator[ServedBoard]:
    with serving_board(store, tmp_path / "page") as served:
        yield served


def enrol(config: Path, site: str, *more: str) -> int:
    return main(["enrol", "--site", site, "--box", "box1", *more, "--config", str(config)])


def owners(store: BoardStore) -> dict[str, str]:
    return {row["site"]: row["institution"] for row in store.all(tables.boxes)}


def test_it_is_said_at_enrolment_kept_and_changed(
    store: BoardStore, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "one.json"
    assert enrol(config, "site1", "--institution", f" {ONE} ", "--out", str(out)) == 0
    assert parse_enrolment(out.read_bytes()).institution == ONE and owners(store) == {"site1": ONE}
    assert enrol(config, "site1", "--replace", "--out", str(tmp_path / "two.json")) == 0
    assert parse_enrolment((tmp_path / "two.json").read_bytes()).institution == ONE, "another machine, the same owner"
    before = (tmp_path / "accounts/passwords").read_text()
    assert enrol(config, "site1", "--assign", "--institution", TWO) == 0 and owners(store) == {"site1": TWO}
    assert (tmp_path / "accounts/passwords").read_text() == before, "its password stays"
    assert enrol(config, "site1", "--assign") == 0 and owners(store) == {"site1": ""}
    assert enrol(config, "site9", "--assign", "--institution", TWO) == 2
    assert "wenshui/site9/box1" in capsys.readouterr().err
    assert enrol(config, "site2", "--institution", "x" * 201, "--out", str(tmp_path / "three.json")) == 2
    assert owners(store) == {"site1": ""} and not (tmp_path / "three.json").exists()


def test_an_institution_sees_its_boxes_and_no_others(board: ServedBoard, config: Path, tmp_path: Path) -> None:
    """Also where a class of its own is recorded by another's box, and another's class by its own box."""
    store, boxes = board.store, {}
    for number, owner in ((1, ONE), (2, TWO)):
        out = tmp_path / f"{number}.json"
        assert enrol(config, f"site{number}", "--institution", owner, "--out", str(out)) == 0
        boxes[number] = box = ReportingBox(f"wenshui/site{number}/box1", f"{number:032x}", store.clock.now())
        store.hear(box.begin(), box.state(), box.heartbeat(), box.camera())
    own_class, other_class = "C-1", "C-2"
    for class_id, institution, number in ((own_class, ONE, 1), (own_class, ONE, 2), (other_class, TWO, 1)):
        box = boxes[number]
        box.class_id = class_id
        store.hear(
            box.approve(institution=institution), box.attend(1, 20 + number), alert(box, f"{class_id} at {number}")
        )
    browser = board.signed_in("institution", ONE)
    page = browser.open("/boxes").text
    assert "site1/box1" in page and "site2/box1" not in page
    assert browser.open("/boxes/site1/box1").status_code == 200
    assert browser.open("/boxes/site2/box1").status_code == 404
    page = browser.open("/boxes/site1/box1").text
    assert "C-1 at 1" in page and "C-2 at 1" not in page, "another institution's class in its own box"
    page = browser.open("/alerts").text
    assert "C-1 at 1" in page and "C-1 at 2" in page and "C-2 at 1" not in page
    assert browser.open("/classes/C-2").status_code == 404 and browser.open("/classes/C-1").status_code == 200
    assert enrol(config, "site2", "--assign", "--institution", ONE) == 0
    assert browser.open("/boxes/site2/box1").status_code == 200
    assert enrol(config, "site1", "--assign", "--institution", TWO) == 0
    assert browser.open("/boxes/site1/box1").status_code == 404


def alert(box: ReportingBox, message: str) -> tuple[str, bytes]:
    data = json.loads(box.fork().alert(message.replace(" ", "-"))[1])["data"]
    return box.state_that("alert", "alert/camera.offline", data | {"message": message})
