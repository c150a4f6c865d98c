"""The rows that a batch of messages adds, table by table, and how each is put into the database."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache

from sqlalchemy import ColumnElement, Connection, Dialect, Executable, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from board.store import tables

Row = Mapping[str, object]


_Insert = sqlite.Insert | postgresql.Insert
_DIALECTS: Mapping[str, Dialect] = {
    "sqlite": sqlite.dialect(paramstyle="named"),
    "postgresql": PGDialect_psycopg(paramstyle="pyformat"),  # type: ignore[no-untyped-call]
}


def _newer(column: str) -> Callable[[Table, _Insert], ColumnElement[bool]]:
    """Return the condition that a row replaces a known one where it is newer by `column`."""
    return lambda table, insert: insert.excluded[column] >= table.c[column]


_ONLY_NEW: Mapping[Table, tuple[str, ...]] = {
    tables.statements: ("log_id", "number", "hash"),
    tables.heads: ("box_id", "class_id", "sequence", "head"),
    tables.segments: ("log_id", "number", "path", "sha256"),
    tables.attendance: ("box_id", "class_id", "date", "session", "revision"),
    tables.heartbeats: ("box_id", "event_id"),
    tables.classes: ("class_id",),
    tables.class_boxes: ("class_id", "box_id"),
    tables.alarms: ("box_id", "kind", "log", "number", "detail"),
    tables.countersignatures: ("box_id", "class_id", "sequence"),
}
"""Tables of what happened: a row that is known stays as it is."""
_NEWEST: Mapping[Table, tuple[tuple[str, ...], Callable[[Table, _Insert], ColumnElement[bool]], tuple[str, ...]]] = {
    tables.half_days: (("box_id", "class_id", "date", "session"), _newer("revision"), ("first_at",)),
    tables.gaps: (("box_id", "class_id", "date", "session"), _newer("at"), ()),
    tables.alerts: (("box_id", "alert_id"), _newer("at"), ()),
    tables.cameras: (("box_id", "camera_id"), _newer("at"), ()),
    tables.readiness: (("box_id", "class_id"), _newer("at"), ()),
    tables.call_answers: (("box_id", "call_id"), _newer("at"), ()),
    tables.identities: (
        ("box_id", "camera_id", "serial", "manufacturer", "model", "firmware"),
        _newer("last_seen"),
        ("first_seen",),
    ),
}
"""Tables of how something is: key, when a row replaces the known one, and columns that keep their first value."""
_ORDER = (tables.classes, tables.class_boxes, *(table for table in _ONLY_NEW if table.name not in ("classes", "class_boxes")),
          *_NEWEST)  # fmt: skip


@cache
def build_put(table: Table, dialect: str, columns: tuple[str, ...]) -> str:
    """Return the statement that puts a row into a table, in the driver's own words: it runs for each row of each batch."""
    insert = sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
    put: Executable
    if table in _ONLY_NEW:
        put = insert.on_conflict_do_nothing(index_elements=_ONLY_NEW[table])
    else:
        key, condition, kept = _NEWEST[table]
        fresh = {c.name: insert.excluded[c.name] for c in table.c if c.name not in (*key, *kept, "id")}
        put = insert.on_conflict_do_update(index_elements=key, set_=fresh, where=condition(table, insert))
    return str(put.compile(dialect=_DIALECTS[dialect], column_keys=columns))


@dataclass(slots=True)
class Rows:
    """What a batch adds."""

    by_table: dict[Table, list[Row]] = field(default_factory=dict)

    def add(self, table: Table, row: Row) -> None:
        """Add a row; all rows of a table have the same columns."""
        self.by_table.setdefault(table, []).append(row)

    def put(self, connection: Connection) -> None:
        """Put all into the database, parents before children, each table's in order."""
        for table in (tables.classes, tables.class_boxes):
            # in one order in all workers, so that none waits for another that waits for it
            self.by_table.get(table, []).sort(key=lambda row: str(row["class_id"]))
        for table in _ORDER:
            if rows := self.by_table.get(table):
                put = build_put(table, connection.dialect.name, tuple(rows[0]))
                connection.exec_driver_sql(put, [dict(row) for row in rows])
        self.by_table.clear()
