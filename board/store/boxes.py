"""Boxes: made when first heard or enrolled, and what people change of them."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from board.store.tables import boxes


def insert_boxes(connection: Connection, names: Iterable[str], at: str | None) -> None:
    """Make a row for each box (county/site/box) that has none; `at` is when it was first heard, None for never."""
    make = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    rows = []
    for name in sorted(names):
        county, site, box = name.split("/")
        rows.append({"name": name, "county": county, "site": site, "box": box, "first_seen": at})
    connection.execute(make(boxes).on_conflict_do_nothing(), rows)
