"""The database: migrations, locks, errors."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text

from agent.core.errors import InputError
from board.errors import StoreError
from board.store.database import Database
from board.store.tables import metadata
from tests.support.board_store import BoardStore


def test_the_migrations_make_the_tables_of_the_code(store: BoardStore) -> None:
    with store.database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    assert store.database.is_current()
    store.database.migrate()


def test_a_newer_database_is_refused(store: BoardStore) -> None:
    with store.database.write() as connection:
        connection.execute(text("update alembic_version set version_num = '9999'"))
    with pytest.raises(StoreError, match="9999"):
        store.database.migrate()


def test_one_process_leads_until_it_ends(database_url: str) -> None:
    one, two = Database(database_url), Database(database_url)
    assert one.try_lead() and one.try_lead() and not two.try_lead()
    one.close()
    assert two.try_lead()
    two.close()


@pytest.mark.parametrize("url", ["", "mysql://x/y", "sqlite://", "sqlite:///:memory:", "board.db"])
def test_another_database_is_refused(url: str) -> None:
    with pytest.raises(InputError):
        Database(url)


def test_a_database_that_is_away_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        Database(f"postgresql://board@/x?host={tmp_path}").migrate()


def test_what_was_committed_survives_a_rollback_of_the_next(store: BoardStore) -> None:
    from board.store.boxes import insert_boxes
    from board.store.tables import boxes

    with store.database.write() as connection:
        insert_boxes(connection, ["a/b/c"], None)
    with pytest.raises(StoreError), store.database.write() as connection:
        insert_boxes(connection, ["a/b/d"], None)
        connection.execute(text("select * from no_such_table"))
    assert [row["name"] for row in store.all(boxes)] == ["a/b/c"]


def test_processes_that_open_an_old_database_at_once_all_find_it_new(database_url: str) -> None:
    program = "import sys; from board.store.database import Database; d = Database(sys.argv[1]); d.migrate(); d.close()"
    children = [
        subprocess.Popen([sys.executable, "-c", program, database_url], stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    said = [child.communicate(timeout=120)[1] for child in children]
    assert [child.returncode for child in children] == [0, 0, 0, 0], said
