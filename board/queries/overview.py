"""The county now: classes of the day with their figures, and what is open."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection, and_, func, select

from board.queries.alerts import OPEN
from board.queries.scope import is_of_institution
from board.store.database import Database
from board.store.tables import alerts, attendance, boxes, classes, half_days


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One revision of a half-day's attendance."""

    at: str
    present: int | None
    low: int | None
    high: int | None


@dataclass(frozen=True, slots=True)
class OpenAlerts:
    """How many alerts of a kind and severity are open."""

    kind: str
    severity: str
    count: int


@dataclass(frozen=True, slots=True)
class ClassCard:
    """A half-day of a class as one box reports it: figures of several boxes are never added."""

    class_id: str
    box: str
    session: str
    institution: str
    occupation: str
    class_number: int | None
    place: str
    expected: int | None
    present: int | None
    low: int | None
    high: int | None
    status: str
    since: str
    at: str
    alerts: tuple[OpenAlerts, ...]
    curve: tuple[CurvePoint, ...]

    @property
    def open_alerts(self) -> int:
        return sum(group.count for group in self.alerts)


def load_overview(database: Database, day: date, *, running: bool = False, institution: str = "") -> list[ClassCard]:
    """Return the half-days of a day, the latest first; with `running` only those that are not over."""
    with database.read() as connection:
        joined = half_days.join(boxes, boxes.c.id == half_days.c.box_id).outerjoin(
            classes, classes.c.class_id == half_days.c.class_id
        )
        columns = (half_days, boxes.c.name, classes.c.institution, classes.c.occupation, classes.c.class_number,
                   classes.c.place, classes.c.expected.label("approved"))  # fmt: skip
        query = (
            select(*columns)
            .select_from(joined)
            .where(half_days.c.date == day.isoformat(), is_of_institution(institution))
        )
        if running:
            query = query.where(half_days.c.status == "provisional")
        found = connection.execute(query.order_by(half_days.c.first_at.desc(), half_days.c.class_id)).mappings().all()
        curves = _load_curves(connection, day.isoformat(), {row["class_id"] for row in found})
        counts = _list_alerts(connection, {row["class_id"] for row in found})
    return [
        ClassCard(
            class_id=row["class_id"],
            box=row["name"],
            session=row["session"],
            institution=row["institution"] or "",
            occupation=row["occupation"] or "",
            class_number=row["class_number"],
            place=row["place"] or "",
            expected=row["expected"] if row["expected"] is not None else row["approved"],
            present=row["present"],
            low=row["low"],
            high=row["high"],
            status=row["status"],
            since=row["first_at"],
            at=row["at"],
            alerts=tuple(counts[row["class_id"], row["box_id"]]),
            curve=tuple(curves[row["box_id"], row["class_id"], row["session"]]),
        )
        for row in found
    ]


def _load_curves(
    connection: Connection, day: str, class_ids: Iterable[str]
) -> dict[tuple[int, str, str], list[CurvePoint]]:
    """Return the revisions of a day by box, class and session."""
    curves: dict[tuple[int, str, str], list[CurvePoint]] = defaultdict(list)
    of_day = and_(
        attendance.c.box_id == half_days.c.box_id,
        attendance.c.class_id == half_days.c.class_id,
        attendance.c.date == half_days.c.date,
        attendance.c.session == half_days.c.session,
    )
    query = (
        select(attendance.c.box_id, attendance.c.class_id, attendance.c.session, attendance.c.at, attendance.c.present,
               attendance.c.low, attendance.c.high)
        .select_from(half_days.join(attendance, of_day))
        .where(half_days.c.date == day, half_days.c.class_id.in_(sorted(class_ids)))
        .order_by(attendance.c.revision)
    )  # fmt: skip
    for row in connection.execute(query):
        curves[row.box_id, row.class_id, row.session].append(CurvePoint(row.at, row.present, row.low, row.high))
    return curves


def _list_alerts(connection: Connection, class_ids: Iterable[str]) -> dict[tuple[str | None, int], list[OpenAlerts]]:
    """Return the open alerts of classes by class and box, critical ones first."""
    columns = (alerts.c.class_id, alerts.c.box_id, alerts.c.kind, alerts.c.severity)
    query = select(*columns, func.count().label("many")).where(OPEN, alerts.c.class_id.in_(sorted(class_ids)))
    found: dict[tuple[str | None, int], list[OpenAlerts]] = defaultdict(list)
    for row in connection.execute(query.group_by(*columns)):
        found[row.class_id, row.box_id].append(OpenAlerts(row.kind, row.severity, row.many))
    for groups in found.values():
        groups.sort(key=lambda group: (group.severity != "critical", group.kind))
    return found
