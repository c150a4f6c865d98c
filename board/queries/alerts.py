"""Alerts that boxes raised: open ones, and history; each with what somebody noted about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Join, Select, case, delete, func, insert, literal, literal_column, select, tuple_

from agent.core.clock import format_utc
from board.ingest.fields import clean
from board.queries.scope import is_alert_of_institution
from board.store.database import Database
from board.store.tables import acknowledgements, alerts, boxes, classes

# written out, not bound: only then does the database see that its index of open alerts fits
OPEN = alerts.c.state != literal_column("'cleared'")
GRAVEST_FIRST = case((alerts.c.severity == "critical", 0), (alerts.c.severity == "warning", 1), else_=2)
SILENT_KIND = "link.silent"
"""The one kind that the board raises itself (board/silence.py)."""
_COLUMNS = [column for column in alerts.c if column.name != "body"]
_ORDER = (alerts.c.since.desc(), alerts.c.box_id.desc(), alerts.c.alert_id.desc())
_NOTED = (acknowledgements.c.acknowledged_at, acknowledgements.c.acknowledged_by, acknowledgements.c.note)
AlertRow = dict[str, object]
Place = tuple[str, int, str]


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """Which alerts: empty fields select nothing out. `box`: part of its name; `begin`, `end`: since when, UTC text."""

    box: str = ""
    class_id: str = ""
    kind: str = ""
    begin: str = ""
    end: str = ""
    institution: str = ""
    open_only: bool = False

    def list_conditions(self) -> list[ColumnElement[bool]]:
        """Return the conditions on `alerts` and `boxes`."""
        found: list[ColumnElement[bool]] = [is_alert_of_institution(self.institution)]
        if self.open_only:
            found.append(OPEN)
        if self.box:
            found.append(boxes.c.name.contains(self.box, autoescape=True))
        for column, wanted in ((alerts.c.class_id, self.class_id), (alerts.c.kind, self.kind)):
            if wanted:
                found.append(column == wanted)
        if self.begin:
            found.append(alerts.c.since >= self.begin)
        if self.end:
            found.append(alerts.c.since < self.end)
        return found


def count_open_alerts(database: Database, *, institution: str = "") -> int:
    """Return how many open alerts nobody has acknowledged, of the county or of one institution."""
    query = select(func.count()).select_from(_join()).where(OPEN, acknowledgements.c.alert_id.is_(None))
    with database.read() as connection:
        return connection.execute(query.where(is_alert_of_institution(institution))).scalar() or 0


def list_open_alerts(database: Database, limit: int = 500, *, institution: str = "") -> list[AlertRow]:
    """Return the open alerts, the gravest first, then those that nobody acknowledged, then the newest."""
    query = _build().where(OPEN, is_alert_of_institution(institution))
    noted = case((acknowledgements.c.alert_id.is_(None), 0), else_=1)
    return _run(database, query.order_by(GRAVEST_FIRST, noted, *_ORDER).limit(limit))


def list_alert_history(
    database: Database, wanted: AlertFilter | None = None, *, before: Place | None = None, limit: int = 100
) -> list[AlertRow]:
    """Return alerts, the newest first; with `since`, `box_id`, `alert_id` of the last one as `before` those behind it."""
    query = _build().where(*(wanted or AlertFilter()).list_conditions())
    if before is not None:
        query = query.where(tuple_(alerts.c.since, alerts.c.box_id, alerts.c.alert_id) < tuple_(*map(literal, before)))
    return _run(database, query.order_by(*_ORDER).limit(limit))


def list_box_alerts(database: Database, box_id: int, limit: int = 100, *, institution: str = "") -> list[AlertRow]:
    """Return the open alerts of a box that this institution may see, the gravest first."""
    query = _build().where(OPEN, alerts.c.box_id == box_id, is_alert_of_institution(institution))
    return _run(database, query.order_by(GRAVEST_FIRST, *_ORDER).limit(limit))


def find_alert(database: Database, box_id: int, alert_id: str, *, institution: str = "") -> AlertRow | None:
    """Return an alert; None where there is none that this institution may see."""
    query = _build().where(alerts.c.box_id == box_id, alerts.c.alert_id == alert_id)
    found = _run(database, query.where(is_alert_of_institution(institution)))
    return found[0] if found else None


def note_alert(database: Database, box_id: int, alert_id: str, by: str, note: str, now: datetime) -> None:
    """Note that somebody takes care of an alert; the last note stays. The caller has found the alert."""
    row = {"acknowledged_at": format_utc(now), "acknowledged_by": clean(by, 64), "note": clean(note, 2000)}
    key = {"box_id": box_id, "alert_id": alert_id}
    mine = (acknowledgements.c.box_id == box_id, acknowledgements.c.alert_id == alert_id)
    with database.write() as connection:
        connection.execute(delete(acknowledgements).where(*mine))
        connection.execute(insert(acknowledgements).values(key | row))


def _join() -> Join:
    noted = (acknowledgements.c.box_id == alerts.c.box_id) & (acknowledgements.c.alert_id == alerts.c.alert_id)
    return alerts.join(boxes, boxes.c.id == alerts.c.box_id).outerjoin(acknowledgements, noted)


def _build() -> Select[*tuple[object, ...]]:
    named = (classes.c.institution, classes.c.occupation, classes.c.class_number)
    return select(*_COLUMNS, boxes.c.name.label("box"), *_NOTED, *named).select_from(
        _join().outerjoin(classes, classes.c.class_id == alerts.c.class_id)
    )


def _run(database: Database, query: Select[*tuple[object, ...]]) -> list[AlertRow]:
    with database.read() as connection:
        return [{str(key): value for key, value in row.items()} for row in connection.execute(query).mappings()]
