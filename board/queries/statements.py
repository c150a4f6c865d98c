"""All statements received of a box, as the list that `drive verify --against` and `clip --verify --against` read."""

from __future__ import annotations

import json
from collections.abc import Iterator

from sqlalchemy import select

from board.store.database import Database
from board.store.tables import boxes, logs, statements

_AT_ONCE = 500


def list_statement_lines(database: Database, box: str) -> Iterator[bytes]:
    """Yield each statement of a box (county/site/box) as it came, one line each, by log and number. Raises StoreError.

    Two contents of one number are both there: whoever reads the list sees the fork.
    """
    query = (
        select(statements.c.body)
        .join(logs, statements.c.log_id == logs.c.id)
        .join(boxes, logs.c.box_id == boxes.c.id)
        .where(boxes.c.name == box)
        .order_by(logs.c.id, statements.c.number, statements.c.id)
        .execution_options(yield_per=_AT_ONCE)
    )
    with database.snapshot() as connection:
        for body in connection.execute(query).scalars():
            yield _put_on_one_line(body)


def _put_on_one_line(body: bytes) -> bytes:
    """Return JSON without line breaks: a box may format its messages as it likes, and its hash does not cover that."""
    if b"\n" in body or b"\r" in body:
        body = json.dumps(json.loads(body), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    return body + b"\n"
