"""The audit only grows, and shows where somebody went round it."""

from __future__ import annotations

import sqlite3
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from agent.catalog import Catalog
from agent.catalog.changes import RowChange
from agent.core.audit_chain import compute_row_hash
from agent.core.model import Session
from agent.drive import journal, layout, verify
from agent.drive.journal_writer import Journal
from agent.drive.seal import Sealer
from tests.support.drive_factory import DriveSite, at, site

NOW = datetime(2025, 3, 10, 1, 0, tzinfo=UTC)


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    made = Catalog(tmp_path / "catalog.db", ZoneInfo("Asia/Shanghai"))
    for i in range(5):
        made.audit.add(NOW + timedelta(seconds=i), "检查员", "view", f"C{i}", {"page": i, "why": "随机检查"})
    return made


def tamper(catalog: Catalog, statement: str) -> None:
    """As somebody with the file in hand would: the guards taken off first."""
    with sqlite3.connect(catalog.store.path) as other:
        other.execute("drop trigger audit_no_update")
        other.execute("drop trigger audit_no_delete")
        other.execute(statement)


def test_entries_come_back_and_the_chain_holds(catalog: Catalog) -> None:
    assert catalog.audit.verify() is None
    assert [e.object for e in catalog.audit.recent(2)] == ["C4", "C3"]
    assert [e.object for e in catalog.audit.recent(2, before=4)] == ["C2", "C1"]
    assert catalog.audit.of_object("C1")[0].detail == {"page": 1, "why": "随机检查"}
    assert catalog.audit.head() == catalog.audit.recent(1)[0].hash


@pytest.mark.parametrize("statement", ["update audit set who = 'x'", "delete from audit where id = 5"])
def test_the_database_refuses_to_change_or_delete(catalog: Catalog, statement: str) -> None:
    with pytest.raises(sqlite3.DatabaseError, match="append-only"), catalog.store.write() as db:
        db.execute(statement)
    assert catalog.audit.verify() is None


@pytest.mark.parametrize(
    ("statement", "first_bad"),
    [
        ("update audit set who = 'x' where id = 3", 3),
        ("update audit set at = '2025-03-10T02:00:00.000Z' where id = 2", 2),
        ("delete from audit where id = 3", 4),
        ("delete from audit where id = 1", 2),
        ("update audit set id = 9 where id = 5", 9),
        ("insert into audit values (6, '2025-03-10T02:00:00.000Z', 'x', 'view', '', '{}', '', '')", 6),
    ],
)
def test_tampering_shows_where_it_begins(catalog: Catalog, statement: str, first_bad: int) -> None:
    tamper(catalog, statement)
    assert catalog.audit.verify() == first_bad


def test_a_lost_tail_shows_against_a_head_kept_elsewhere(catalog: Catalog) -> None:
    kept = catalog.audit.head()
    tamper(catalog, "delete from audit where id = 5")
    assert catalog.audit.verify() is None
    assert catalog.audit.head() != kept


def test_threads_and_processes_share_one_chain(catalog: Catalog) -> None:
    others = [catalog, Catalog(catalog.store.path, catalog.zone)]

    def work(which: Catalog) -> None:
        for _ in range(40):
            which.audit.add(NOW, "t", "view")

    threads = [threading.Thread(target=work, args=(others[i % 2],)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert catalog.audit.verify() is None
    assert len(catalog.audit.recent(1000)) == 165


def test_what_was_checked_once_is_not_read_again(catalog: Catalog) -> None:
    assert catalog.audit.verify() is None
    tamper(catalog, "update audit set who = 'x' where id = 3")
    assert catalog.audit.verify_new() is None
    assert catalog.audit.verify() == 3
    assert catalog.audit.verify_new() == 3, "what was found broken stays broken"


def test_a_new_entry_on_a_broken_end_shows(catalog: Catalog) -> None:
    assert catalog.audit.verify_new() is None
    tamper(catalog, "insert into audit values (6, '2025-03-10T02:00:00.000Z', 'x', 'view', '', '{}', '', '')")
    assert catalog.audit.verify_new() == 6


# ------------------------------------------------------------------ the audit as a drive carries it


@pytest.fixture
def box(tmp_path: Path) -> DriveSite:
    """A class over and sealed, looked at before and after a journal was written."""
    made = site(tmp_path)
    made.half_day(made.classes[0], Session.AM)
    made.half_day(made.classes[0], Session.PM)
    for action in ("view.class", "watch", "clip"):
        made.catalog.audit.add(made.clock.now(), "检查员@10.0.0.9", action, "C1", {"why": "抽查"})
    made.catalog.audit.add(made.clock.now(), "检查员@10.0.0.9", "view.class", "C2")
    Journal(made.catalog, made.clock, made.catalog.zone).flush(made.drive)
    made.clock.time = at("20:00")
    made.closer().run_once()
    Sealer(made.drive, made.clock, made.catalog, made.classes, made.key_dir).one_class("C1")
    Journal(made.catalog, made.clock, made.catalog.zone).flush(made.drive)
    return made


def problems(box: DriveSite) -> set[tuple[str, str]]:
    return {(p.kind, p.path) for p in verify.verify_drive(box.drive).problems}


def test_a_drive_carries_the_audit_and_verify_checks_it(box: DriveSite) -> None:
    report = verify.verify_drive(box.drive)
    assert report.ok, report.problems
    assert report.audited == len(box.catalog.audit.recent(1000)) >= 5


def test_the_class_takes_its_part_of_the_audit_along(box: DriveSite) -> None:
    folder = box.drive.find_class("C1")
    assert folder
    rows = [
        c.row for c in journal.parse_rows((box.drive.root / folder / layout.RECORD).read_bytes()) if c.table == "audit"
    ]
    assert [r["action"] for r in rows] == ["view.class", "watch", "clip"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"watch", b"nothing"),
        ("检查员".encode(), "别人".encode()),
        (b'"id":2,', b'"id":7,'),
        (b'"previous":"', b'"previous":"0'),
    ],
)
def test_verify_shows_a_changed_entry_on_the_drive(box: DriveSite, old: bytes, new: bytes) -> None:
    (file,) = (box.drive.root / journal.JOURNAL_FOLDER).glob("*.jsonl")
    lines = file.read_bytes().split(b"\n")
    number = next(i for i, line in enumerate(lines) if b'"table":"audit"' in line and b"watch" in line)
    assert old in lines[number]
    lines[number] = lines[number].replace(old, new)
    file.write_bytes(b"\n".join(lines))
    # the statements name the journal's hash, and so show the change too
    assert {kind for kind, _ in problems(box)} - {"statement_differs"} == {"audit_broken"}


def test_verify_shows_an_entry_that_was_made_up(box: DriveSite) -> None:
    """With a right hash of its own, it still does not fit between its neighbours."""
    row = {
        "id": 2,
        "at": "2025-03-10T01:00:00.000Z",
        "who": "x",
        "action": "view",
        "object": "C1",
        "detail": "{}",
        "previous": "0" * 64,
    }
    row["hash"] = compute_row_hash(row)
    with (box.drive.root / journal.JOURNAL_FOLDER / "2026-11-23.jsonl").open("ab") as file:
        file.write(journal.format_rows([RowChange("audit", row)]))
    assert ("audit_broken", f"{journal.JOURNAL_FOLDER}/2026-11-23.jsonl") in problems(box)


def test_a_drive_that_was_away_has_a_hole_and_is_well(box: DriveSite) -> None:
    (file,) = (box.drive.root / journal.JOURNAL_FOLDER).glob("*.jsonl")
    kept = [line for line in file.read_bytes().split(b"\n") if b'"table":"audit"' not in line or b'"id":3,' not in line]
    file.write_bytes(b"\n".join(kept))
    assert not {p.kind for p in verify.verify_drive(box.drive).problems} & {"audit_broken"}, "only its journal was cut"
