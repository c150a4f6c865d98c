"""Drawn moments: what waits for an inspector, what was found, and what nobody looked at."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, func, select, update

from agent.core.clock import format_utc
from board.accounts.audit import BoardAudit
from board.ingest.fields import clean
from board.store.database import Database
from board.store.tables import boxes, classes, spot_draws, spot_moments

Shelf = Literal["open", "judged", "unseen"]
SHELVES: tuple[Shelf, ...] = ("open", "judged", "unseen")
"""Not judged yet; judged; drawn and never looked at."""
RESULTS = ("conforms", "deviates", "unclear")
Row = dict[str, Any]
_CONDITIONS: Mapping[Shelf, ColumnElement[bool]] = {
    "open": spot_moments.c.judged_at.is_(None),
    "judged": spot_moments.c.judged_at.is_not(None),
    "unseen": spot_moments.c.opened_at.is_(None),
}


def list_moments(
    database: Database, shelf: Shelf, *, limit: int = 200, before: int | None = None, class_id: str = ""
) -> list[Row]:
    """Return moments of a shelf with class, box and draw; those that wait longest first, judged ones the newest first."""
    query = _build().where(_CONDITIONS[shelf])
    if class_id:
        query = query.where(spot_moments.c.class_id == class_id)
    if before is not None:
        query = query.where(spot_moments.c.id < before)
    order = (spot_moments.c.id.desc(),) if shelf == "judged" else (spot_moments.c.start, spot_moments.c.id)
    return _run(database, query.order_by(*order).limit(limit))


def count_shelves(database: Database) -> dict[Shelf, int]:
    """Return how many moments each shelf holds."""
    with database.read() as connection:
        return {
            shelf: connection.execute(select(func.count()).select_from(spot_moments).where(condition)).scalar() or 0
            for shelf, condition in _CONDITIONS.items()
        }


def find_moment(database: Database, number: int) -> Row | None:
    """Return a moment, its form read; None where there is none."""
    found = _run(database, _build().where(spot_moments.c.id == number))
    return found[0] | {"form": json.loads(found[0]["form"] or "{}")} if found else None


def list_half_day_checks(database: Database, class_id: str, day: str = "", session: str = "") -> list[Row]:
    """Return the moments of a class, or of one half-day, in order of time."""
    query = _build().where(spot_moments.c.class_id == class_id)
    if day:
        query = query.where(spot_moments.c.date == day, spot_moments.c.session == session)
    return _run(database, query.order_by(spot_moments.c.start))


def list_draws(database: Database, limit: int = 30) -> list[Row]:
    """Return the newest draws, without what they were drawn from."""
    columns = [column for column in spot_draws.c if column.name != "population"]
    with database.read() as connection:
        query = select(*columns).order_by(spot_draws.c.id.desc()).limit(limit)
        return [dict(row) for row in connection.execute(query).mappings()]


def load_draw(database: Database, number: int) -> tuple[Row, list[Row]] | None:
    """Return a draw and its moments in the order drawn; None where there is none."""
    with database.read() as connection:
        draw = connection.execute(select(spot_draws).where(spot_draws.c.id == number)).mappings().first()
    if draw is None:
        return None
    query = _build().where(spot_moments.c.draw_id == number)
    return dict(draw), _run(database, query.order_by(spot_moments.c.draw))


def note_opened(database: Database, number: int, by: str, now: datetime) -> None:
    """Note who looked at a moment first."""
    mine = (spot_moments.c.id == number, spot_moments.c.opened_at.is_(None))
    with database.write() as connection:
        row = {"opened_at": format_utc(now), "opened_by": clean(by, 64)}
        connection.execute(update(spot_moments).where(*mine).values(row))


def judge_moment(
    database: Database, number: int, result: str, form: Mapping[str, str], by: str, who: str, now: datetime
) -> None:
    """Keep what an inspector found; a later word replaces an earlier one, which stays in the audit (`who` acted).

    `result` is one of RESULTS.
    """
    row = {"judged_at": format_utc(now), "judged_by": clean(by, 64), "result": result,
           "form": clean(json.dumps(form, ensure_ascii=False), 1 << 16)}  # fmt: skip
    with database.write() as connection:
        connection.execute(update(spot_moments).where(spot_moments.c.id == number).values(row))
        class_id = connection.execute(select(spot_moments.c.class_id).where(spot_moments.c.id == number)).scalar_one()
        detail = {"moment": number, "result": result, "form": dict(form)}
        BoardAudit(database).add_in(connection, now, who, "spot.judge", class_id, detail)


def _build() -> Select[*tuple[object, ...]]:
    joined = (
        spot_moments.join(spot_draws, spot_draws.c.id == spot_moments.c.draw_id)
        .outerjoin(classes, classes.c.class_id == spot_moments.c.class_id)
        .outerjoin(boxes, boxes.c.id == spot_moments.c.box_id)
    )
    named = [classes.c[name] for name in ("institution", "occupation", "class_number", "place")]
    drawn = (spot_draws.c.seed, spot_draws.c.kind, spot_draws.c.made_at, spot_draws.c.made_by)
    return select(spot_moments, *named, *drawn, boxes.c.name.label("box")).select_from(joined)


def _run(database: Database, query: Select[*tuple[object, ...]]) -> list[Row]:
    with database.read() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]
