"""Finished segments are stated in batches: nothing is lost between, nothing is stated twice, a message stays small."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from agent.catalog import Catalog
from agent.catalog.changes import RowChange
from agent.contract.envelope import wrap
from agent.core.model import Look, Segment, Session
from agent.core.stated_segment import MOST_IN_BATCH, StatedSegment, list_stated_looks, list_stated_segments
from agent.core.statement_model import Statement
from agent.service.run_history import RunHistory
from tests.support.clocks import HandClock
from tests.support.contract_check import validate
from tests.support.statement_lists import PREFIX

ZONE = ZoneInfo("Asia/Shanghai")
BEGIN = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
FOLDER = "C-1_班/2026-11-23/上午"


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with Catalog(tmp_path / "catalog.db", ZONE) as made:
        yield made


def finish(
    catalog: Catalog, camera: str, number: int = 0, class_id: str = "C-1", drive_id: str = "d-1", **more: object
) -> int:
    path = f"{FOLDER.replace('C-1', class_id)}/r1_{camera}/{90000 + number}.mp4"
    start = BEGIN + timedelta(minutes=5 * number)
    given = {"trust": "trusted", "serial": f"S-{camera}", **more}
    segment = Segment(
        0, drive_id, path, f"{path}.part", "open", class_id, date(2026, 11, 23), Session.AM, "r1", camera, start,
        **given,  # type: ignore[arg-type]
    )  # fmt: skip
    row = catalog.segments.open(segment)
    catalog.segments.finish(row, end=start + timedelta(minutes=5), size=150_000_000 + number, sha256=f"{number:064x}")
    return row


def stated(catalog: Catalog) -> list[Statement]:
    newest = catalog.statements.current()
    return [s for s in catalog.statements.of_log(newest.log) if s.name == "segment"] if newest else []


def told(catalog: Catalog) -> list[StatedSegment]:
    return [item for statement in stated(catalog) for item in list_stated_segments(statement)]


def test_segments_of_a_minute_are_one_small_statement_with_all_that_receivers_need(catalog: Catalog) -> None:
    since = BEGIN - timedelta(hours=1)
    rows = [finish(catalog, f"cam{n}", unchecked_since=since if n == 3 else None) for n in range(8)]
    assert stated(catalog) == [], "the batch comes with the minute"
    assert catalog.segments.state(BEGIN + timedelta(minutes=6)) == 8
    (statement,) = stated(catalog)
    data = statement.data
    assert isinstance(data, dict) and data["drive_id"] == "d-1"
    (half_day,) = data["half_days"]
    assert half_day["folder"] == FOLDER and len(half_day["items"]) == 8
    assert "unchecked_since" not in half_day["items"][2]
    assert half_day["items"][3] == {
        "room_id": "r1",
        "camera_id": "cam3",
        "path": "r1_cam3/90000.mp4",
        "start": "2026-11-23T09:00:00.000+08:00",
        "end": "2026-11-23T09:05:00.000+08:00",
        "bytes": 150_000_000,
        "sha256": "0" * 64,
        "serial": "S-cam3",
        "unchecked_since": "2026-11-23T08:00:00.000+08:00",
        "clock": "trusted",
    }
    assert [item.path for item in told(catalog)] == [f"{FOLDER}/r1_cam{n}/90000.mp4" for n in range(8)]
    place = f"{statement.log}:{statement.number}:{statement.hash}"
    assert {catalog.segments.get(row).statement for row in rows} == {place}  # type: ignore[union-attr]
    assert catalog.segments.state(BEGIN + timedelta(minutes=7)) == 0 and len(stated(catalog)) == 1, "once"
    (message,) = [m for m in catalog.outbox.waiting() if m.type == "segment"]
    payload = wrap(
        event_id=message.event_id, source="/training/wenshui/site1/box1", name="segment", subject=message.topic,
        at=message.created_at, zone=ZONE, data=message.data, statement=message.statement,
    )  # fmt: skip
    validate(f"{PREFIX}/{message.topic}", payload)
    assert len(payload) / 8 < 450, "bytes a segment"


def test_half_days_and_drives_are_told_apart_and_a_batch_is_bounded(catalog: Catalog) -> None:
    for number in range(MOST_IN_BATCH - 1):
        finish(catalog, "cam1", number)
    finish(catalog, "cam2", class_id="C-2")
    finish(catalog, "cam3")
    finish(catalog, "cam4", drive_id="d-2")
    assert catalog.segments.state(BEGIN) == MOST_IN_BATCH + 2
    found = [[(x.drive_id, x.class_id, x.path) for x in list_stated_segments(s)] for s in stated(catalog)]
    assert [len(x) for x in found] == [MOST_IN_BATCH, 1, 1]
    assert found[0][-1] == ("d-1", "C-2", "C-2_班/2026-11-23/上午/r1_cam2/90000.mp4")
    assert found[1] == [("d-1", "C-1", f"{FOLDER}/r1_cam3/90000.mp4")]
    assert found[2] == [("d-2", "C-1", f"{FOLDER}/r1_cam4/90000.mp4")]


def test_the_record_of_a_half_day_has_the_batches_that_name_it(catalog: Catalog) -> None:
    """Also where another class comes first in them, or a revision of the half-day's own was stated between."""
    finish(catalog, "cam1", class_id="C-2")
    finish(catalog, "cam2")
    catalog.segments.state(BEGIN)
    finish(catalog, "cam1", 1, class_id="C-2")
    catalog.segments.state(BEGIN)
    for class_id in ("C-3", "C-1"):
        catalog.looks.add(Look("cam2", "r1", class_id, date(2026, 11, 23), Session.AM, BEGIN, 1, 1, 1, True))
        catalog.looks.state(BEGIN)
    rows = catalog.changes.of_half_day("C-1", date(2026, 11, 23), Session.AM, "d-1")
    told = [(change.row["type"], change.row["number"]) for change in rows if change.table == "statements"]
    assert told == [("segment", 2)], "the second look is of the same camera and instant, so it was not stored"
    rows = catalog.changes.of_half_day("C-3", date(2026, 11, 23), Session.AM, "d-1")
    assert [(x.row["type"], x.row["number"]) for x in rows if x.table == "statements"] == [("looks", 4)]


def test_what_another_run_recorded_is_told_as_recovered(catalog: Catalog, tmp_path: Path) -> None:
    """The mark is not in the database, where whoever owns the box could take it away."""
    finish(catalog, "cam1")
    row = finish(catalog, "cam2", 1)
    catalog.segments.finish(row, end=BEGIN, size=1, sha256="2b" * 32, recovered=True)
    with Catalog(catalog.store.path, ZONE) as page:
        assert page.segments.state_own(BEGIN) == 0, "another process leaves them to the one that recorded them"
    catalog.segments.state(BEGIN)
    finish(catalog, "cam3", 2)
    with Catalog(catalog.store.path, ZONE) as later:
        finish(later, "cam4", 3)
        later.segments.state(BEGIN)
    found = {item.path.split("/")[3]: item.recovered for item in told(catalog)}
    assert found == {"r1_cam1": False, "r1_cam2": True, "r1_cam3": True, "r1_cam4": False}
    finish(catalog, "cam5", 4)
    assert catalog.segments.state_own(BEGIN) == 1


def test_a_kill_before_the_batch_loses_nothing(tmp_path: Path) -> None:
    """Nothing is closed in good order: what the transaction of the fact left is all there is."""
    killed = Catalog(tmp_path / "catalog.db", ZONE)
    finish(killed, "cam1")
    killed.store.db.close()
    with Catalog(tmp_path / "catalog.db", ZONE) as catalog:
        clock = HandClock(BEGIN + timedelta(minutes=10))
        RunHistory(catalog, clock, machine_boot="boot").begin("0.3.0")
        newest = catalog.statements.current()
        assert newest
        names = [s.name for s in catalog.statements.of_log(newest.log)]
        assert names.index("segment") < names.index("agent"), "before the new run says that it started"
        assert [item.sha256 for item in told(catalog)] == ["0" * 64]


def test_the_end_of_a_run_states_what_its_recorders_finished_last(catalog: Catalog) -> None:
    history = RunHistory(catalog, HandClock(BEGIN), machine_boot="boot")
    history.begin("0.3.0")
    finish(catalog, "cam1")
    history.end()
    newest = catalog.statements.current()
    assert newest and [s.name for s in catalog.statements.of_log(newest.log)][-2:] == ["segment", "agent"]


def test_rows_from_a_journal_that_were_not_stated_are_stated(catalog: Catalog, tmp_path: Path) -> None:
    """The catalog is lost in the minute; the drive's journal holds the finished row and no statement of it."""
    finish(catalog, "cam1", 1)
    catalog.segments.state(BEGIN)
    finish(catalog, "cam1", 2)
    with Catalog(tmp_path / "rebuilt.db", ZONE) as rebuilt:
        for change in catalog.changes.everything():
            assert rebuilt.changes.put(RowChange(change.table, dict(change.row)))
        row = dict(catalog.store.rows("select * from segments")[0])
        of_before = {name: row[name] for name in row if name not in ("id", "stated", "statement")} | {
            "path": "a/b/c.mp4"
        }
        assert rebuilt.changes.put(RowChange("segments", of_before)), "a row of a version without statements"
        rebuilt.statements.resume()
        assert rebuilt.segments.state(BEGIN) == 1
        assert [item.path.rpartition("/")[2] for item in told(rebuilt)] == ["90001.mp4", "90002.mp4"]


def test_a_malformed_batch_states_nothing(catalog: Catalog) -> None:
    items = ({"items": 3}, {"items": [None, {"path": 7}, {}]}, {"folder": 1, "items": {}}, None, {})
    for data in (None, [], {"half_days": 3}, {"half_days": {}}, *({"half_days": [x]} for x in items)):
        statement = Statement(
            "4f" * 16, 1, "0" * 64, "0" * 64, "id", "segment/x", "cn.training.site-agent.segment.v1", "", data
        )
        assert list(list_stated_segments(statement)) == []
        looks = replace(statement, type="cn.training.site-agent.looks.v1")
        assert list(list_stated_looks(looks)) == []
