"""The county now: classes of the day with their figures, and what is open."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection, and_, select

from board.queries.alerts import OPEN
from board.queries.scope import is_of_institution
from board.store.database import Database
from board.store.tables import alerts, attendance, boxes, classes, half_days

CardKey = tuple[str, str, str]
"""Box, class and session."""


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
        counts = _list_alerts(connection)
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
            alerts=tuple(counts.get((row["class_id"], row["box_id"]), ())),
        )
        for row in found
    ]


def load_curves(database: Database, day: date, class_ids: Iterable[str]) -> Mapping[CardKey, list[CurvePoint]]:
    """Return the revisions of a day of these classes, by box, class and session.

    Apart from the cards: of a county's classes a page shows some, and these are most of the rows.
    """
    curves: dict[CardKey, list[CurvePoint]] = defaultdict(list)
    of_day = and_(
        attendance.c.box_id == half_days.c.box_id,
        attendance.c.class_id == half_days.c.class_id,
        attendance.c.date == half_days.c.date,
        attendance.c.session == half_days.c.session,
    )
    query = (
        select(boxes.c.name, attendance.c.class_id, attendance.c.session, attendance.c.at, attendance.c.present,
               attendance.c.low, attendance.c.high)
        .select_from(half_days.join(attendance, of_day).join(boxes, boxes.c.id == half_days.c.box_id))
        .where(half_days.c.date == day.isoformat(), half_days.c.class_id.in_(sorted(class_ids)))
        .order_by(attendance.c.revision)
    )  # fmt: skip
    with database.read() as connection:
        for name, class_id, session, *point in connection.execute(query):
            curves[name, class_id, session].append(CurvePoint(*point))
    return curves


def _list_alerts(connection: Connection) -> dict[tuple[str | None, int], list[OpenAlerts]]:
    """Return the open alerts of all classes by class and box, critical ones first."""
    # counted here: grouped by class, SQLite would go through the index of all alerts that ever were
    query = select(alerts.c.class_id, alerts.c.box_id, alerts.c.kind, alerts.c.severity).where(OPEN)
    counts = Counter((row.class_id, row.box_id, row.kind, row.severity) for row in connection.execute(query))
    found: dict[tuple[str | None, int], list[OpenAlerts]] = defaultdict(list)
    for (class_id, box_id, kind, severity), many in counts.items():
        found[class_id, box_id].append(OpenAlerts(kind, severity, many))
    for groups in found.values():
        groups.sort(key=lambda group: (group.severity != "critical", group.kind))
    return found
