"""What the pages say of notifications."""

from __future__ import annotations

import json

from sqlalchemy import select

from board.store.database import Database
from board.store.facts import read_fact
from board.store.tables import deliveries, notices

NOTIFY_FACT = "notify"
"""How the process that sends is set up: {"kinds": [...], "problem": ""}; addresses never stand in it."""
_SHOWN = 20


def read_notify_state(database: Database) -> dict[str, object]:
    """Return kinds of addresses and the problem, if there is one; empty where nothing is set."""
    found: object = json.loads(read_fact(database, NOTIFY_FACT) or "{}")
    return found if isinstance(found, dict) else {}


def list_undelivered(database: Database) -> list[dict[str, object]]:
    """Return notifications that did not arrive: tried again later (`due`), or given up (`failed`), the newest first."""
    query = (
        select(deliveries, notices.c.title, notices.c.made_at)
        .select_from(deliveries.join(notices, notices.c.id == deliveries.c.notice_id))
        .where(deliveries.c.state != "sent", deliveries.c.tries > 0)
        .order_by(deliveries.c.notice_id.desc(), deliveries.c.place)
    )
    with database.read() as connection:
        found = connection.execute(query.limit(_SHOWN)).mappings().all()
    return [{str(key): value for key, value in row.items()} for row in found]
