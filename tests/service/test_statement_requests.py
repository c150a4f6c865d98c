"""The bureau asks for statements that did not come: bounded, repeatable, from catalog and drive, or refused with a reason."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from agent.bureau import validation
from agent.core.alert_model import AlertKind
from agent.core.errors import BureauError
from agent.core.statement_model import parse_statement
from agent.core.statement_rule import LogObserver
from agent.drive.journal_search import find_statements
from agent.drive.journal_writer import Journal
from agent.service.statement_requests import MOST_BYTES, MOST_STATEMENTS, StatementRequests
from tests.support.contract_check import validate
from tests.support.drive_factory import DAY, DriveSite, at, new_drive, site_with_morning
from tests.support.statement_lists import PREFIX, Bureau

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs openssh-client")
SOURCE = "/training/wenshui/site1/box1"


@pytest.fixture
def box(tmp_path: Path) -> DriveSite:
    """A closed half-day and 260 alerts; everything is on the drive and acknowledged."""
    made = site_with_morning(tmp_path)
    for number in range(130):
        made.catalog.alerts.raise_(AlertKind.CAMERA_OFFLINE, f"cam{number}", "掉线", made.clock.time, camera_id="cam1")
        made.catalog.alerts.clear(AlertKind.CAMERA_OFFLINE, f"cam{number}", made.clock.time)
    Journal(made.catalog, made.clock, made.catalog.zone).flush(made.drive)
    return made


def requests(box: DriveSite, *drives: object) -> StatementRequests:
    return StatementRequests(box.catalog, lambda: drives or (box.drive,), SOURCE)  # type: ignore[arg-type,return-value]


def newest(box: DriveSite) -> int:
    found = box.catalog.statements.current()
    assert found is not None
    return found.number


def collect(answers: StatementRequests, first: int, last: int) -> list[dict[str, Any]]:
    """Ask again and again as a receiver does, until all have come."""
    found: list[dict[str, Any]] = []
    following: int | None = first
    while following is not None:
        answer = answers.answer({"from": following, "to": last})
        assert 0 < len(answer["statements"]) <= MOST_STATEMENTS
        assert len(json.dumps(answer, ensure_ascii=False)) <= MOST_BYTES + 2048
        found += answer["statements"]
        following = answer["next"]
    return found


def test_answers_are_bounded_and_make_the_whole_log(box: DriveSite) -> None:
    answers = requests(box)
    events = collect(answers, 1, 1 << 30)
    observer = LogObserver()
    for event in events:
        validate(f"{PREFIX}/{event['subject']}", json.dumps(event).encode())
        statement = parse_statement(event)
        assert statement and observer.take(statement, 0.0) == []
    assert observer.whole == box.catalog.statements.current() and len(events) == newest(box)
    before = box.catalog.outbox.size()
    assert collect(answers, 1, 1 << 30) == events and box.catalog.outbox.size() == before, "asked twice, the same"
    assert [e["statementnumber"] for e in collect(answers, 5, 9)] == [5, 6, 7, 8, 9]


def test_what_the_catalog_pruned_comes_from_the_drives_journal(box: DriveSite) -> None:
    Bureau(box.folder / "bureau").hear(box.catalog)
    whole = collect(requests(box), 1, newest(box))
    assert box.catalog.statements.prune(at("23:00", DAY)) > 200
    assert collect(requests(box), 1, newest(box)) == whole


def test_what_is_nowhere_is_refused_with_the_reason(box: DriveSite, tmp_path: Path) -> None:
    Bureau(tmp_path / "bureau").hear(box.catalog)
    box.catalog.statements.prune(at("23:00", DAY))
    other = new_drive(tmp_path / "other", box.clock, box.key_dir, "二号盘")
    with pytest.raises(BureauError) as gone:
        requests(box, other).answer({"from": 20, "to": 30})
    assert gone.value.key == "answers.statement_gone"
    with pytest.raises(BureauError) as ahead:
        requests(box).answer({"from": newest(box) + 1, "to": newest(box) + 9})
    assert ahead.value.key == "answers.no_statement"
    with pytest.raises(BureauError) as backwards:
        requests(box).answer({"from": 9, "to": 5})
    assert backwards.value.key == "answers.no_statement"
    with pytest.raises(BureauError) as unknown:
        requests(box).answer({"from": 1, "to": 5, "log": "ab" * 16})
    assert unknown.value.key == "answers.no_log"


def test_what_no_drive_holds_yet_does_not_leave(box: DriveSite) -> None:
    known = newest(box)
    box.catalog.alerts.raise_(AlertKind.CAMERA_OFFLINE, "cam9", "掉线", at("09:40"), camera_id="cam9")
    assert newest(box) == known + 1
    assert collect(requests(box), known, known + 5)[-1]["statementnumber"] == known
    with pytest.raises(BureauError):
        requests(box).answer({"from": known + 1, "to": known + 5})


def test_a_journal_that_was_tampered_with_gives_only_what_is_sound(box: DriveSite) -> None:
    current = box.catalog.statements.current()
    assert current
    (day,) = (box.drive.root / ".site-agent/journal").glob("*.jsonl")
    lines = day.read_bytes().splitlines(True)
    forged = [x.replace("掉线".encode(), "在线".encode()) if b'"number":30,' in x else x for x in lines]
    assert forged != lines
    day.write_bytes(b"".join([*forged, b'{"table":"statements","row":{"log":"x","number":"7"}}\n', b'{"table":']))
    assert [s.number for s in find_statements(box.drive, current.log, 28, 33)] == [28, 29, 31, 32, 33]


@pytest.mark.parametrize(
    "asked",
    [
        {}, {"from": 1}, {"from": 0, "to": 3}, {"from": True, "to": 3}, {"from": "1", "to": 3}, {"from": 1, "to": 1 << 40},
        {"from": 1.5, "to": 2}, {"from": 1, "to": 2, "log": "x"}, {"from": 1, "to": 2, "class_id": "C-1"},
        {"from": None, "to": []},
    ],
)  # fmt: skip
def test_wrong_parameters_are_refused(box: DriveSite, asked: dict[str, object]) -> None:
    with pytest.raises(BureauError):
        validation.check_request("statements", asked)
    with pytest.raises(BureauError):
        requests(box).answer(asked)
