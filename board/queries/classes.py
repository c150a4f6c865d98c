"""Classes: search over all sites, and the half-days of one with what is known of each."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import and_, select

from board.store.database import Database
from board.store.tables import boxes, class_boxes, classes, countersignatures, gaps, half_days, heads, readiness

_LONGEST = 100


@dataclass(frozen=True, slots=True)
class ReportedHalfDay:
    """A half-day of a class at one box. `witness`: signed, due, refused, or "" where it is not closed; `reason` why not."""

    box: str
    date: str
    session: str
    status: str
    expected: int | None
    present: int | None
    low: int | None
    high: int | None
    gaps: int | None
    head: str
    witness: str
    reason: str
    witnessed_at: str | None


def search_classes(
    database: Database, words: str = "", *, on: str | None = None, limit: int = 100
) -> list[dict[str, object]]:
    """Return classes in which all words stand (ID, 电工第1班, institution, place …), the latest first; `on` a day of theirs."""
    query = select(*[column for column in classes.c if column.name not in ("body", "search")])
    for word in words.lower()[:_LONGEST].split():
        query = query.where(classes.c.search.contains(word, autoescape=True))
    if on is not None:
        query = query.where(classes.c.first_day <= on, classes.c.last_day >= on)
    with database.read() as connection:
        found = connection.execute(
            query.order_by(classes.c.last_day.desc().nulls_last(), classes.c.class_id).limit(limit)
        )
        return [{str(key): value for key, value in row.items()} for row in found.mappings()]


def list_half_days(database: Database, class_id: str) -> list[ReportedHalfDay]:
    """Return the half-days of a class, by day and box: several boxes stand side by side."""
    same = [half_days.c[name] for name in ("box_id", "class_id", "date", "session")]
    closed = and_(*(heads.c[column.name] == column for column in same))
    signed = and_(countersignatures.c.box_id == heads.c.box_id, countersignatures.c.class_id == heads.c.class_id,
                  countersignatures.c.sequence == heads.c.sequence)  # fmt: skip
    joined = (
        half_days.join(boxes, boxes.c.id == half_days.c.box_id)
        .outerjoin(gaps, and_(*(gaps.c[column.name] == column for column in same)))
        .outerjoin(heads, closed)
        .outerjoin(countersignatures, signed)
    )
    columns = (half_days, boxes.c.name, gaps.c.count.label("gaps"), heads.c.head, heads.c.state, heads.c.reason,
               countersignatures.c.signed_at)  # fmt: skip
    query = select(*columns).select_from(joined).where(half_days.c.class_id == class_id)
    with database.read() as connection:
        found = connection.execute(
            query.order_by(half_days.c.date, half_days.c.session, boxes.c.name, heads.c.id)
        ).mappings()
        return [
            ReportedHalfDay(
                box=row["name"],
                date=row["date"],
                session=row["session"],
                status=row["status"],
                expected=row["expected"],
                present=row["present"],
                low=row["low"],
                high=row["high"],
                gaps=row["gaps"],
                head=row["head"] or "",
                witness=row["state"] or "",
                reason=row["reason"] or "",
                witnessed_at=row["signed_at"] if row["state"] == "signed" else None,
            )
            for row in found
        ]


def list_class_boxes(database: Database, class_id: str) -> list[dict[str, object]]:
    """Return the boxes that report of a class, with their readiness sheet where there is one."""
    ready = and_(readiness.c.box_id == class_boxes.c.box_id, readiness.c.class_id == class_boxes.c.class_id)
    joined = class_boxes.join(boxes, boxes.c.id == class_boxes.c.box_id).outerjoin(readiness, ready)
    query = select(
        boxes.c.name.label("box"), class_boxes.c.first_seen, readiness.c.ready, readiness.c.at.label("checked_at")
    )
    query = query.select_from(joined).where(class_boxes.c.class_id == class_id).order_by(boxes.c.name)
    with database.read() as connection:
        return [{str(key): value for key, value in row.items()} for row in connection.execute(query).mappings()]
