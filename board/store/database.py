"""The database: opened, migrated, and its transactions."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import alembic.command
import alembic.config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DataError, IntegrityError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from agent.core.errors import InputError
from board.errors import RowRefused, StoreError

BUSY_S = 30
MIGRATIONS = Path(__file__).parent / "migrations"
_WRITER, _MIGRATION = 0x626F617264, 0x626F617265
"""Keys of PostgreSQL's advisory locks: the leading worker's, and that of a migration."""


class Database:
    """A database by its URL. For several threads; each transaction has a connection of its own."""

    def __init__(self, url: str) -> None:
        self.url = parse_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        if self.is_sqlite:
            Path(str(self.url.database)).parent.mkdir(parents=True, exist_ok=True)
        self.engine: Engine = create_engine(self.url, pool_pre_ping=not self.is_sqlite, pool_size=8)
        self._lead: Connection | None = None
        self._lock: int | None = None
        if self.is_sqlite:
            event.listen(self.engine, "connect", _set_up_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Run the body in one transaction, durable when it ends. Raises StoreError; then nothing was changed."""
        with (
            _translated(),
            self.engine.connect().execution_options(site_agent_write=True) as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Run queries that see one state. Raises StoreError."""
        with _translated(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """Run queries that all see the same state, however long they take. Raises StoreError."""
        level = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        with _translated(), self.engine.connect().execution_options(**level) as connection, connection.begin():
            yield connection

    def migrate(self) -> None:
        """Bring the tables up to this version. Raises StoreError, also for a database of a newer version."""
        with _translated(), self._alone():
            if not self.is_current():
                alembic.command.upgrade(self._build_config(), "head")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Run the body in one process at a time: board, pages and commands may all find an old database at once."""
        if self.is_sqlite:
            descriptor = os.open(f"{self.url.database}.migration", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                yield
            finally:
                os.close(descriptor)
            return
        with self.engine.connect() as connection:
            connection.execute(text("select pg_advisory_lock(:key)"), {"key": _MIGRATION})
            connection.commit()
            try:
                yield
            finally:
                connection.execute(text("select pg_advisory_unlock(:key)"), {"key": _MIGRATION})
                connection.commit()

    def is_current(self) -> bool:
        """Return whether the tables are those of this version. Raises StoreError for those of a newer one."""
        script = ScriptDirectory.from_config(self._build_config())
        with _translated(), self.engine.connect() as connection:
            at = MigrationContext.configure(connection).get_current_revision()
        if at is not None and at not in {revision.revision for revision in script.walk_revisions()}:
            raise StoreError("board.newer_database", revision=at)
        return at == script.get_current_head()

    def _build_config(self) -> alembic.config.Config:
        config = alembic.config.Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["engine"] = self.engine
        return config

    def try_lead(self) -> bool:
        """Return whether this process leads: one does what must be done once (holes, witness, thinning).

        Held until `close`, or until the process ends. With SQLite only the leading process may run at all.
        """
        if self.is_sqlite:
            return self._try_file_lock()
        with _translated():
            if self._lead is not None:
                try:
                    self._lead.execute(text("select 1"))
                    self._lead.commit()
                except SQLAlchemyError:
                    self._lead.invalidate()
                    self._lead = None
                else:
                    return True
            connection = self.engine.connect()
            if connection.execute(text("select pg_try_advisory_lock(:key)"), {"key": _WRITER}).scalar():
                connection.commit()
                self._lead = connection
                return True
            connection.close()
            return False

    def _try_file_lock(self) -> bool:
        if self._lock is None:
            descriptor = os.open(f"{self.url.database}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(descriptor)
                return False
            self._lock = descriptor
        return True

    def close(self) -> None:
        """Close all connections and give up the lead."""
        if self._lead is not None:
            self._lead.invalidate()
            self._lead = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        self.engine.dispose()


def parse_url(url: str) -> URL:
    """Return the URL with the driver that this program uses. Raises InputError for another database."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise InputError("board.bad_database") from None
    backend = parsed.get_backend_name()
    if backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if backend != "sqlite" or not parsed.database or parsed.database == ":memory:":
        raise InputError("board.bad_database")
    return parsed


def _set_up_sqlite(connection: object, _: ConnectionPoolEntry) -> None:
    import sqlite3

    assert isinstance(connection, sqlite3.Connection)
    connection.isolation_level = None  # transactions are begun by `_begin_sqlite`, not by the driver
    cursor = connection.cursor()
    # synchronous=full: what is committed is acknowledged to the broker and must survive a power cut
    for pragma in (f"busy_timeout={BUSY_S * 1000}", "journal_mode=wal", "synchronous=full", "foreign_keys=on",
                   "cache_size=-65536", "temp_store=memory"):  # fmt: skip
        cursor.execute(f"pragma {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # a transaction that reads first and writes then would fail where another has written between
    connection.exec_driver_sql(
        "begin immediate" if connection.get_execution_options().get("site_agent_write") else "begin"
    )


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        detail = str(getattr(error, "orig", None) or error).strip().splitlines()
        kind = RowRefused if isinstance(error, DataError | IntegrityError) else StoreError
        raise kind("board.store", detail=detail[0] if detail else type(error).__name__) from error
