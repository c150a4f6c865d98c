"""What is open, nobody has taken care of, and nobody was told of."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, String, case, cast, exists, func, select

from agent import i18n
from board.notify.message import NewsItem
from board.notify.options import NotifyOptions
from board.queries.alarms import MINOR, OPEN_ALARM, judge_alarm_severity
from board.queries.alerts import OPEN
from board.store.database import Database
from board.store.tables import acknowledgements, alarms, alerts, boxes, classes, notice_items

_AT_ONCE = 1000
_RANKS = {"critical": 0, "warning": 1}


def list_news(database: Database, options: NotifyOptions, severities: Sequence[str]) -> list[NewsItem]:
    """Return alerts and alarms to tell of, the oldest first; what is beyond the bound comes with the next message."""
    with database.read() as connection:
        found = _list_alarms(connection, options, severities) + _list_alerts(connection, options, severities)
    return sorted(found, key=lambda item: item.since)


def _list_alerts(connection: Connection, options: NotifyOptions, severities: Sequence[str]) -> list[NewsItem]:
    noted = exists().where(
        acknowledgements.c.box_id == alerts.c.box_id, acknowledgements.c.alert_id == alerts.c.alert_id
    )
    # one that was told of as graver, or as grave, is no news
    told = exists().where(
        notice_items.c.source == "alert",
        notice_items.c.box_id == alerts.c.box_id,
        notice_items.c.item == alerts.c.alert_id,
        _rank(notice_items.c.severity) <= _rank(alerts.c.severity),
    )
    query = (
        select(alerts, boxes.c.name.label("box"), classes.c.institution, classes.c.occupation, classes.c.class_number)
        .select_from(
            alerts.join(boxes, boxes.c.id == alerts.c.box_id).outerjoin(
                classes, classes.c.class_id == alerts.c.class_id
            )
        )
        .where(OPEN, alerts.c.severity.in_(severities), ~noted, ~told)
        # an expression: by the column itself SQLite would go through the index of all alerts that ever were
        .order_by(func.coalesce(alerts.c.since, ""))
        .limit(_AT_ONCE)
    )
    return [
        NewsItem(
            "alert",
            row["box_id"],
            row["alert_id"],
            row["kind"],
            row["severity"],
            row["since"],
            row["box"],
            _name_class(row["institution"], row["occupation"], row["class_number"], options),
            row["message"],
        )
        for row in connection.execute(query).mappings()
    ]


def _list_alarms(connection: Connection, options: NotifyOptions, severities: Sequence[str]) -> list[NewsItem]:
    told = exists().where(
        notice_items.c.source == "alarm",
        notice_items.c.box_id == alarms.c.box_id,
        notice_items.c.item == cast(alarms.c.id, String(64)),
    )
    query = (
        select(alarms, boxes.c.name.label("box"), boxes.c.institution)
        .select_from(alarms.join(boxes, boxes.c.id == alarms.c.box_id))
        .where(OPEN_ALARM, ~told)
        .order_by(alarms.c.id + 0)  # an expression, as above
    )
    if "critical" not in severities:
        query = query.where(alarms.c.kind.in_(MINOR))
    if "warning" not in severities:
        query = query.where(alarms.c.kind.not_in(MINOR))
    found = []
    for row in connection.execute(query.limit(_AT_ONCE)).mappings():
        key = f"board.alarm.{row['kind']}"
        text = i18n.translate_to(options.language, key, number=row["number"], detail=row["detail"] or "-")
        found.append(
            NewsItem("alarm", row["box_id"], str(row["id"]), row["kind"], judge_alarm_severity(row["kind"]),
                     row["raised_at"], row["box"], row["institution"], text)
        )  # fmt: skip
    return found


def _rank(column: ColumnElement[str]) -> ColumnElement[int]:
    return case(_RANKS, value=column, else_=len(_RANKS))


def _name_class(institution: str | None, occupation: str | None, number: int | None, options: NotifyOptions) -> str:
    if not occupation:
        return institution or ""
    name = i18n.translate_to(options.language, "watchlist.class_name", occupation=occupation, number=number)
    return f"{institution} {name}" if institution else name
