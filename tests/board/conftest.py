"""One PostgreSQL for all tests of the board, and the two databases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.support.postgres import PROGRAMS, PostgresServer
from tests.support.board_store import BoardStore
from tests.support.postgres import start_postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    server = start_postgres()
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a new database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/board.db"
    if PROGRAMS is None:
        pytest.skip("needs PostgreSQL (apt install postgresql)")
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.make_database()


@pytest.fixture
def store(database_url: str) -> Iterator[BoardStore]:
    made = BoardStore(database_url)
    yield made
    made.database.close()
