"""The PostgreSQL of Debian for tests; it ends with the test process."""

from __future__ import annotations

import pytest

from benchmarks.support.postgres import PROGRAMS, PostgresServer
from tests.support import processes


def start_postgres() -> PostgresServer:
    """Start one, or skip the test."""
    if PROGRAMS is None:
        pytest.skip("needs PostgreSQL (apt install postgresql)")
    return PostgresServer(processes.start)
