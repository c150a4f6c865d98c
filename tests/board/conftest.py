"""One PostgreSQL for all tests of the board, and the two databases."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.support.postgres import PostgresServer
from board.store.database import Database
from tests.support.board_store import BoardStore
from tests.support.postgres import start_postgres

ABOUT_SQL = ("test_backup", "test_database", "test_ingest_rules", "test_queries")
"""Modules whose subject is what a database makes of what it is told: each run has their tests with both databases.

The tests of the others, which go through the same queries, have SQLite at each run and PostgreSQL behind --long.
"""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "database_kind" in metafunc.fixturenames:
        both = metafunc.module.__name__.rpartition(".")[2] in ABOUT_SQL
        later = [] if both else [pytest.mark.long, pytest.mark.minutes(0.3)]
        metafunc.parametrize("database_kind", ["sqlite", pytest.param("postgresql", marks=later)])


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    server = start_postgres()
    yield server
    server.stop()


@pytest.fixture
def database_url(database_kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """The URL of a new, empty database."""
    if database_kind == "sqlite":
        return f"sqlite:///{tmp_path}/board.db"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.make_database()


@pytest.fixture(scope="session")
def make_migrated(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, Path], str]:
    """A function that returns the URL of a new database of a kind, in a folder, with the tables of this version.

    All migrations take longer than most tests do with the tables: they run once, and the others get a copy.
    """
    made: dict[str, str] = {}

    def make(kind: str, folder: Path) -> str:
        server: PostgresServer | None = request.getfixturevalue("postgres") if kind == "postgresql" else None
        if kind not in made:
            url = server.make_database() if server else f"sqlite:///{tmp_path_factory.mktemp('migrated')}/board.db"
            database = Database(url)
            database.migrate()
            database.close()
            made[kind] = url
        if server:
            return server.make_database(made[kind])
        shutil.copy(made[kind].removeprefix("sqlite:///"), folder / "board.db")
        return f"sqlite:///{folder}/board.db"

    return make


@pytest.fixture
def store(database_kind: str, make_migrated: Callable[[str, Path], str], tmp_path: Path) -> Iterator[BoardStore]:
    made = BoardStore(make_migrated(database_kind, tmp_path))
    yield made
    made.database.close()
