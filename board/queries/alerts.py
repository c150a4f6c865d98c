"""Alerts that boxes raised: open ones, and history."""

from __future__ import annotations

from sqlalchemy import Select, func, literal, literal_column, select, tuple_

from board.queries.scope import is_alert_of_institution
from board.store.database import Database
from board.store.tables import alerts, boxes

# written out, not bound: only then does the database see that its index of open alerts fits
OPEN = alerts.c.state != literal_column("'cleared'")
_COLUMNS = [column for column in alerts.c if column.name != "body"]
_ORDER = (alerts.c.since.desc(), alerts.c.box_id.desc(), alerts.c.alert_id.desc())


def count_open_alerts(database: Database, *, institution: str = "") -> int:
    """Return how many alerts are open, of the county or of one institution."""
    query = select(func.count()).select_from(alerts.join(boxes, boxes.c.id == alerts.c.box_id))
    with database.read() as connection:
        return connection.execute(query.where(OPEN, is_alert_of_institution(institution))).scalar() or 0


def list_open_alerts(database: Database, limit: int = 500) -> list[dict[str, object]]:
    """Return the open alerts, the newest first, with their box."""
    return _run(database, _build().where(OPEN).order_by(*_ORDER).limit(limit))


def list_alert_history(
    database: Database, *, before: tuple[str, int, str] | None = None, class_id: str | None = None, limit: int = 100
) -> list[dict[str, object]]:
    """Return alerts, the newest first; with `since`, `box_id`, `alert_id` of the last one as `before` those behind it."""
    query = _build()
    if before is not None:
        query = query.where(tuple_(alerts.c.since, alerts.c.box_id, alerts.c.alert_id) < tuple_(*map(literal, before)))
    if class_id is not None:
        query = query.where(alerts.c.class_id == class_id)
    return _run(database, query.order_by(*_ORDER).limit(limit))


def _build() -> Select[*tuple[object, ...]]:
    return select(*_COLUMNS, boxes.c.name.label("box")).select_from(alerts.join(boxes, boxes.c.id == alerts.c.box_id))


def _run(database: Database, query: Select[*tuple[object, ...]]) -> list[dict[str, object]]:
    with database.read() as connection:
        return [{str(key): value for key, value in row.items()} for row in connection.execute(query).mappings()]
