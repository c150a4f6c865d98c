"""Daily copies of the catalog, and what comes back from them."""

from __future__ import annotations

import resource
import signal
import sqlite3
import threading
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from agent.catalog import Catalog, copies
from agent.core.errors import CatalogError

ZONE = ZoneInfo("Asia/Shanghai")
NOW = datetime(2026, 11, 23, 1, tzinfo=UTC)


def test_a_copy_is_whole_private_and_the_oldest_goes(tmp_path: Path) -> None:
    with Catalog(tmp_path / "catalog.db", ZONE) as catalog:
        catalog.facts.put("name", "value")
        for number in range(copies.COPIES_KEPT + 2):
            last = copies.make_copy(catalog.store, tmp_path / "copies", date(2026, 11, 1) + timedelta(days=number))
    assert len(list((tmp_path / "copies").iterdir())) == copies.COPIES_KEPT
    assert copies.find_newest_copy(tmp_path / "copies", date(2026, 12, 1)) == last
    assert last.stat().st_mode & 0o777 == 0o600
    connection = sqlite3.connect(last)
    assert connection.execute("select value from facts where name = 'name'").fetchone() == ("value",)
    connection.close()


def test_what_only_the_box_knew_comes_back_and_nothing_is_overwritten(tmp_path: Path) -> None:
    with Catalog(tmp_path / "old.db", ZONE) as old:
        old.facts.put("kept", "old")
        old.facts.put("other", "old")
        old.outbox.put("alert/camera.offline", "alert", {"n": 1}, NOW)
        old.outbox.put("attendance/A/2026-11-23/am", "attendance", {"n": 1}, NOW, retained=True)
        copy = copies.make_copy(old.store, tmp_path / "copies", date(2026, 11, 23))
    with Catalog(tmp_path / "new.db", ZONE) as new:
        new.facts.put("kept", "new")
        assert copies.restore_from_copy(new.store, copy) >= 2
        assert (new.facts.get("kept"), new.facts.get("other")) == ("new", "old")
        waiting = new.outbox.waiting()
        assert [m.topic for m in waiting] == ["log", "alert/camera.offline"]
        assert all(m.statement and m.statement.is_sound() for m in waiting), "what waits keeps its place in the log"
        assert copies.restore_from_copy(new.store, copy) == 0


def test_a_copy_that_cannot_be_made_or_read_says_so(tmp_path: Path) -> None:
    (tmp_path / "copies").write_text("a file")
    with Catalog(tmp_path / "catalog.db", ZONE) as catalog:
        with pytest.raises(CatalogError, match="copies"):
            copies.make_copy(catalog.store, tmp_path / "copies", date(2026, 11, 23))
        (tmp_path / "junk.db").write_bytes(b"x" * 4096)
        with pytest.raises(CatalogError):
            copies.restore_from_copy(catalog.store, tmp_path / "junk.db")
        catalog.facts.put("still", "works")


def test_nobody_waits_for_a_copy(tmp_path: Path) -> None:
    """A database of years takes minutes: recorders and the watchdog's feeder use the catalog meanwhile."""
    with Catalog(tmp_path / "catalog.db", ZONE) as catalog:
        catalog.facts.put("name", "value")
        copying = threading.Thread(target=copies.make_copy, args=(catalog.store, tmp_path / "copies", NOW.date()))
        with catalog.store.write():
            copying.start()
            copying.join(10)
            assert not copying.is_alive(), "the copy waits for a writer, so writers wait for the copy"
    assert copies.build_copy_path(tmp_path / "copies", NOW.date()).exists()


def test_half_a_copy_stays_neither_after_a_power_cut_nor_on_a_full_disk(tmp_path: Path) -> None:
    folder = tmp_path / "copies"
    folder.mkdir()
    for name in ("catalog-20261101.part", "catalog-20261101.part-journal"):
        (folder / name).write_bytes(b"x")
    with Catalog(tmp_path / "catalog.db", ZONE) as catalog:
        last = copies.make_copy(catalog.store, folder, NOW.date())
        assert list(folder.iterdir()) == [last]
        catalog.facts.put("much", "x" * 3_000_000)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
        try:
            with pytest.raises(CatalogError, match="copies"):
                copies.make_copy(catalog.store, folder, NOW.date() + timedelta(days=1))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            signal.signal(signal.SIGXFSZ, before)
        assert list(folder.iterdir()) == [last]


def test_copies_of_days_to_come_push_out_none_of_today(tmp_path: Path) -> None:
    with Catalog(tmp_path / "catalog.db", ZONE) as catalog:
        for number in range(copies.COPIES_KEPT + 1):
            copies.make_copy(catalog.store, tmp_path / "copies", date(2099, 1, 1) + timedelta(days=number))
        assert copies.make_copy(catalog.store, tmp_path / "copies", NOW.date()).exists()
    assert len(list((tmp_path / "copies").iterdir())) == copies.COPIES_KEPT
    assert copies.find_newest_copy(tmp_path / "copies", NOW.date()) == copies.build_copy_path(
        tmp_path / "copies", NOW.date()
    )


def test_a_copy_holds_all_tables_but_looks_as_of_one_instant(tmp_path: Path) -> None:
    with Catalog(tmp_path / "catalog.db", ZONE) as catalog:
        catalog.events.add("kept", NOW)
        copy = copies.make_copy(catalog.store, tmp_path / "copies", NOW.date())
        question = "select name from sqlite_master where type = 'table' and name not like 'sqlite_%'"
        whole = {row["name"] for row in catalog.store.rows(question)}
    with closing(sqlite3.connect(copy)) as connection:
        there = {name for (name,) in connection.execute(question)}
        assert [kind for (kind,) in connection.execute("select kind from events")] == ["kept"]
    assert whole - there == {"looks"}
