"""The tables of a new catalog, and migrations of an old one."""

from __future__ import annotations

import runpy
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from agent.catalog import Catalog, changes, new_catalog, schema
from agent.catalog.sqlite_library import Database

ROOT = Path(__file__).parent.parent.parent
ZONE = ZoneInfo("Asia/Shanghai")


def read_master(path: Path) -> list[tuple[str, ...]]:
    """Return all that SQLite knows of tables, indexes and triggers, in the order in which they were made."""
    with closing(sqlite3.connect(path)) as db:
        return db.execute("select type, name, tbl_name, sql from sqlite_master order by rowid").fetchall()


def read_records(path: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute("select id, migration_set, name from _sqlite_migrations order by id").fetchall()


def migrate(path: Path, stop_before: str | None = None) -> None:
    """Build a catalog as versions before `schema.sql` did."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        schema.migrations.apply(Database(db, execute_plugins=False), stop_before=stop_before)


def test_the_file_is_what_the_migrations_build() -> None:
    built = runpy.run_path(str(ROOT / "scripts" / "schema.py"))["build_schema"]()
    assert new_catalog.SCHEMA_FILE.read_text(encoding="utf-8") == built, "call scripts/schema"


def test_a_new_catalog_is_as_if_migrated(tmp_path: Path) -> None:
    Catalog(tmp_path / "new.db", ZONE).close()
    migrate(tmp_path / "old.db")
    assert read_master(tmp_path / "new.db") == read_master(tmp_path / "old.db")
    assert read_records(tmp_path / "new.db") == read_records(tmp_path / "old.db")
    with closing(sqlite3.connect(tmp_path / "new.db")) as db:
        assert schema.migrations.pending(Database(db, execute_plugins=False)) == []
        (text,) = db.execute("select applied_at from _sqlite_migrations").fetchone()
    assert abs((datetime.now(UTC) - datetime.fromisoformat(text)).total_seconds()) < 60
    assert len(text) == len(str(datetime.now(UTC).replace(microsecond=1)))


@pytest.mark.parametrize("since", ["m001_first", "m002_changes", "m009_deliveries", "m016_declared_things"])
def test_an_old_catalog_is_migrated(tmp_path: Path, since: str) -> None:
    migrate(tmp_path / "old.db", since)
    migrate(tmp_path / "whole.db")
    Catalog(tmp_path / "old.db", ZONE).close()
    assert read_master(tmp_path / "old.db") == read_master(tmp_path / "whole.db")
    assert read_records(tmp_path / "old.db") == read_records(tmp_path / "whole.db")


def test_a_later_migration_runs_on_a_new_catalog(tmp_path: Path) -> None:
    Catalog(tmp_path / "new.db", ZONE).close()
    with closing(sqlite3.connect(tmp_path / "new.db", isolation_level=None)) as db:
        db.execute("alter table places drop column found_by")
        db.execute("delete from _sqlite_migrations where name = 'm016_declared_things'")
    with Catalog(tmp_path / "new.db", ZONE) as catalog:
        assert "found_by" in {row["name"] for row in catalog.store.rows("pragma table_info(places)")}
    assert [name for _, _, name in read_records(tmp_path / "new.db")][-1] == "m016_declared_things"


def test_a_failed_migration_leaves_the_catalog_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    migrate(tmp_path / "old.db", "m012_places")
    before = read_master(tmp_path / "old.db")
    monkeypatch.setattr(schema, "_STATEMENTS", "create table logs (log text);\ncreate table logs (log text)")
    with pytest.raises(Exception, match="logs already exists"):
        Catalog(tmp_path / "old.db", ZONE)
    assert read_master(tmp_path / "old.db") == before


def test_many_that_open_a_new_catalog_together_share_it(tmp_path: Path) -> None:
    ready, failures = threading.Barrier(6), list[BaseException]()

    def open_one() -> None:
        ready.wait(30)
        try:
            Catalog(tmp_path / "new.db", ZONE).close()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=open_one) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert len(read_records(tmp_path / "new.db")) == len(schema.migrations._migrations)


def test_sqlite_utils_is_loaded_for_a_migration_alone(tmp_path: Path) -> None:
    migrate(tmp_path / "old.db", "m016_declared_things")
    code = (
        "import sys; from pathlib import Path; from zoneinfo import ZoneInfo; from agent.catalog import Catalog\n"
        "Catalog(Path(sys.argv[1]), ZoneInfo('UTC')).close(); print('sqlite_utils' in sys.modules)"
    )

    def is_loaded(name: str) -> str:
        command = [sys.executable, "-c", code, str(tmp_path / name)]
        return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout.strip()

    assert [is_loaded("new.db"), is_loaded("new.db"), is_loaded("old.db"), is_loaded("old.db")] == [
        "False",
        "False",
        "True",
        "False",
    ]


def test_every_journaled_table_has_its_triggers(tmp_path: Path) -> None:
    with Catalog(tmp_path / "c.db", ZONE) as catalog:
        logged = catalog.store.rows(
            "select tbl_name as t from sqlite_master where type = 'trigger' and name like '%_insert'"
        )
    assert {row["t"] for row in logged} == set(changes.JOURNALED)


def test_a_nested_write_that_fails_leaves_the_outer_one(tmp_path: Path) -> None:
    with Catalog(tmp_path / "c.db", ZONE) as catalog:
        with catalog.store.write():
            catalog.facts.put("outer", "1")
            with pytest.raises(KeyError), catalog.store.write():
                catalog.facts.put("inner", "1")
                with catalog.store.write():
                    catalog.facts.put("innermost", "1")
                raise KeyError
            catalog.facts.put("after", "1")
        kept = {row["name"] for row in catalog.store.rows("select name from facts")}
        with pytest.raises(KeyError), catalog.store.write():
            catalog.facts.put("gone", "1")
            raise KeyError
        assert kept == {"outer", "after"} == {row["name"] for row in catalog.store.rows("select name from facts")}


def test_the_audit_cannot_be_replaced_either(tmp_path: Path) -> None:
    with Catalog(tmp_path / "c.db", ZONE) as catalog:
        catalog.audit.add(datetime.now(UTC), "who", "login", "what", {})
        with pytest.raises(sqlite3.DatabaseError, match="append-only"), catalog.store.write() as db:
            db.execute(
                "insert or replace into audit select id, at, 'other', action, object, detail, previous, hash from audit"
            )


def test_a_process_that_loaded_all_imports_nothing_later(tmp_path: Path) -> None:
    """Its descriptors may run out, and then an import fails as if the module were missing."""
    code = (
        "import sys; from pathlib import Path; from zoneinfo import ZoneInfo; from agent.catalog import Catalog\n"
        "catalog = Catalog(Path(sys.argv[1]), ZoneInfo('UTC')); before = set(sys.modules); catalog.load_all()\n"
        "groups = [name for name in dir(Catalog) if type(vars(Catalog).get(name)).__name__ == 'cached_property']\n"
        "loaded = set(sys.modules); [getattr(catalog, name) for name in groups]\n"
        "print(len(groups) > 20, len(loaded - before) > 10, set(sys.modules) == loaded)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "c.db")]
    assert subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout == "True True True\n"
