"""Facts about the database itself, by name."""

from __future__ import annotations

from sqlalchemy import delete, insert, select

from board.store.database import Database
from board.store.tables import facts

RESYNC = "resync"
"""Whether what the broker keeps has been read since the database was made or restored."""
DONE = "done"


def read_fact(database: Database, name: str) -> str | None:
    """Return a fact; None where it is not known."""
    with database.read() as connection:
        found = connection.execute(select(facts.c.value).where(facts.c.name == name)).scalar()
    return None if found is None else str(found)


def write_fact(database: Database, name: str, value: str) -> None:
    """Set a fact."""
    with database.write() as connection:
        connection.execute(delete(facts).where(facts.c.name == name))
        connection.execute(insert(facts).values(name=name, value=value))
