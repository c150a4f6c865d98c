"""The audit chain: what a forger can do to the table, and which entry then no longer fits."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.catalog import Catalog
from agent.core.audit_chain import GENESIS, compute_entry_hash
from tests.support.attendance_factory import ZONE, at


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with Catalog(tmp_path / "c.db", ZONE) as opened:
        yield opened


def forge(path: Path, *statements: str) -> None:
    """Change the table past its own triggers, as whoever owns the disk can."""
    with sqlite3.connect(path) as db:
        rows = db.execute("select name from sqlite_master where type = 'trigger' and tbl_name = 'audit'").fetchall()
        assert rows
        for (name,) in rows:
            db.execute(f"drop trigger {name}")
        for statement in statements:
            db.execute(statement)
    db.close()


def test_a_forger_who_computes_the_entrys_own_hash_anew_is_seen_at_the_next_entry(
    tmp_path: Path, catalog: Catalog
) -> None:
    entries = [catalog.audit.add(at("09:00"), "w", "view", f"C{number}") for number in range(5)]
    third = entries[2]
    forged = compute_entry_hash(third.previous, 3, "2026-11-23T01:00:00.000Z", "other", "view", "C2", "{}")
    forge(tmp_path / "c.db", f"update audit set who = 'other', hash = '{forged}' where id = 3")
    row = catalog.store.row("select at, detail from audit where id = 3")
    assert row and forged == compute_entry_hash(third.previous, 3, row["at"], "other", "view", "C2", row["detail"])
    assert catalog.audit.verify() == 4


def test_an_entry_taken_out_with_its_number_closed_up_is_seen(tmp_path: Path, catalog: Catalog) -> None:
    for number in range(4):
        catalog.audit.add(at("09:00"), "w", "view", f"C{number}")
    forge(tmp_path / "c.db", "delete from audit where id = 2", "update audit set id = id - 1 where id > 2")
    assert catalog.audit.verify() == 2


def test_a_number_left_out_is_seen_though_hashes_fit(tmp_path: Path, catalog: Catalog) -> None:
    """Numbers in front of the newest entry would let another one be said to have been there."""
    for number in range(3):
        catalog.audit.add(at("09:00"), "w", "view", f"C{number}")
    last = catalog.store.row("select previous, at from audit where id = 3")
    assert last
    digest = compute_entry_hash(last["previous"], 7, last["at"], "w", "view", "C2", "{}")
    forge(tmp_path / "c.db", f"update audit set id = 7, hash = '{digest}' where id = 3")
    assert catalog.audit.verify() == 7


def test_the_second_thousand_is_checked_too(tmp_path: Path, catalog: Catalog) -> None:
    with catalog.store.write():
        for _ in range(1100):
            catalog.audit.add(at("09:00"), "w", "view")
    assert catalog.audit.verify() is None
    forge(tmp_path / "c.db", "update audit set who = 'x' where id = 1050")
    assert catalog.audit.verify() == 1050


def test_a_whole_check_reads_again_what_an_earlier_one_found_sound(tmp_path: Path, catalog: Catalog) -> None:
    for number in range(4):
        catalog.audit.add(at("09:00"), "w", "view", f"C{number}")
    assert catalog.audit.verify() is None
    forge(tmp_path / "c.db", "update audit set who = 'x' where id = 2")
    assert catalog.audit.verify_new() is None, "already checked, not read again"
    assert catalog.audit.verify() == 2


def test_the_head_is_the_newest_entrys_and_zeros_at_first(catalog: Catalog) -> None:
    assert catalog.audit.head() == GENESIS == "0" * 64
    first = catalog.audit.add(at("09:00"), "w", "view", "C1", {"n": 1})
    second = catalog.audit.add(at("09:01"), "w", "clip", "C1")
    assert (first.previous, second.previous, catalog.audit.head()) == (GENESIS, first.hash, second.hash)


def test_entries_are_paged_newest_first_and_told_of_one_object_oldest_first(catalog: Catalog) -> None:
    for number in range(1, 6):
        catalog.audit.add(at("09:00"), "w", "view" if number % 2 else "clip", "C1" if number < 5 else "C2")
    assert [x.entry_id for x in catalog.audit.recent(2)] == [5, 4]
    assert [x.entry_id for x in catalog.audit.recent(2, before=4)] == [3, 2]
    assert [x.entry_id for x in catalog.audit.of_object("C1")] == [1, 2, 3, 4]
    assert [x.entry_id for x in catalog.audit.of_object("C1", "clip")] == [2, 4]


def test_an_entrys_hash_is_the_published_one(catalog: Catalog) -> None:
    """SHA-256 over the previous hash, a line feed and the compact JSON list of the fields, Chinese as it is (UTF-8)."""
    first = catalog.audit.add(at("09:00"), "王", "view", "C1", {"说明": "抽查", "n": 1})
    second = catalog.audit.add(at("09:01"), "李", "clip", "C1")
    stored = [(row["at"], row["detail"]) for row in catalog.store.rows("select at, detail from audit order by id")]
    for number, (entry, (moment, detail)) in enumerate(zip((first, second), stored, strict=True), 1):
        assert json.loads(detail) == dict(entry.detail)
        text = json.dumps(detail, ensure_ascii=False)
        fields = f'[{number},"{moment}","{entry.who}","{entry.action}","C1",{text}]'
        assert entry.hash == hashlib.sha256(f"{entry.previous}\n{fields}".encode()).hexdigest()
    assert "抽查" in stored[0][1] and second.previous == first.hash
