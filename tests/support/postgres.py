"""The PostgreSQL of Debian for tests; it ends with the test process."""

from __future__ import annotations

import pytest

from benchmarks.support.postgres import PROGRAMS, PostgresServer
from tests.support import processes


def start_postgres() -> PostgresServer:
    """Start one, or skip the test."""
    if PROGRAMS is None:
        pytest.skip("needs PostgreSQL (apt install postgresql)")
    # no test cuts the power of the server
    return PostgresServer(processes.start, "fsync=off", "synchronous_commit=off", "full_page_writes=off")
