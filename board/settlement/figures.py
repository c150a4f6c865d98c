"""Loads a settlement: what was approved, reported, found missing, checked and called in some days."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Table, and_, func, or_, select

from agent.core.class_model import TrainingClass
from agent.core.intervals import merge_intervals
from agent.core.model import Session
from board.calls.ledger import list_calls
from board.queries.course_plan import read_approved_class
from board.queries.scope import is_of_institution
from board.settlement.model import BoxReport, SettledClass, SettledHalfDay
from board.store.database import Database
from board.store.tables import alerts, boxes, classes, gaps, half_days, heads, spot_moments

Place = tuple[str, str, str]
_WORST = ("refused", "due", "signed")


@dataclass(frozen=True, slots=True)
class SettlementOrder:
    """Which classes and days. Empty texts: all."""

    first: date
    last: date
    institution: str = ""
    class_id: str = ""


def load_settlement(database: Database, order: SettlementOrder, now: datetime, zone: ZoneInfo) -> list[SettledClass]:
    """Return the classes that have half-days in these days, by institution and ID."""
    with database.read() as connection:
        rows = _load_classes(connection, order)
        reported = _load_reports(connection, order)
    found = []
    for row in rows:
        mine = {place[1:]: reports for place, reports in reported.items() if place[0] == row["class_id"]}
        settled = _settle_class(row, mine, order, now, zone)
        if settled.half_days or settled.to_come:
            found.append(settled)
    _add_counts(database, order, now, {(c.class_id, h.date, h.session): h for c in found for h in c.half_days})
    return sorted(found, key=lambda c: (c.institution == "", c.institution, c.class_id))


def _load_classes(connection: Connection, order: SettlementOrder) -> list[Mapping[str, Any]]:
    first, last = order.first.isoformat(), order.last.isoformat()
    reported = select(half_days.c.class_id).where(half_days.c.date >= first, half_days.c.date <= last)
    planned = and_(classes.c.first_day <= last, classes.c.last_day >= first)
    query = select(classes).where(or_(planned, classes.c.class_id.in_(reported)), is_of_institution(order.institution))
    if order.class_id:
        query = query.where(classes.c.class_id == order.class_id)
    return [dict(row) for row in connection.execute(query).mappings()]


def _settle_class(
    row: Mapping[str, Any],
    reported: Mapping[tuple[str, str], list[BoxReport]],
    order: SettlementOrder,
    now: datetime,
    zone: ZoneInfo,
) -> SettledClass:
    named = {name: row[name] for name in ("class_id", "institution", "occupation", "class_number", "place")}
    settled = SettledClass(**named)
    approved = read_approved_class(row["body"], zone)
    planned = approved.half_days() if approved else []
    places = {(day.isoformat(), session.value) for day, session in planned if order.first <= day <= order.last}
    for day, session in sorted({*places, *reported}, key=lambda p: (p[0], Session(p[1]).order)):
        reports = reported.get((day, session), [])
        expected, planned_s, over = _read_plan(approved, day, session, reports, now)
        if over:
            settled.half_days.append(SettledHalfDay(day, session, expected, planned_s, reports))
        else:
            settled.to_come += 1
    return settled


def _read_plan(
    approved: TrainingClass | None, day: str, session: str, reports: list[BoxReport], now: datetime
) -> tuple[int | None, float, bool]:
    """Return base, lesson time and whether the half-day is over; without a plan, lesson time is as boxes reported it."""
    lessons = approved.lessons_of(date.fromisoformat(day), Session(session)) if approved else []
    if approved is None or not lessons:
        over = bool(reports) and all(x.status != "provisional" for x in reports)
        base = approved.expected_on(date.fromisoformat(day), Session(session)) if approved else None
        return base or None, max((x.lesson_s for x in reports), default=0.0), over
    spans = merge_intervals((x.start, x.end) for x in lessons)
    seconds = sum((end - start).total_seconds() for start, end in spans)
    base = approved.expected_on(date.fromisoformat(day), Session(session))
    return base or None, seconds, spans[-1][1] <= now


def _load_reports(connection: Connection, order: SettlementOrder) -> dict[Place, list[BoxReport]]:
    """Return what boxes reported, by class, date and session, each box by itself."""
    names = {row.id: row.name for row in connection.execute(select(boxes.c.id, boxes.c.name))}
    ledgers = {_key(row): row for row in _read(connection, gaps, order)}
    closed: dict[tuple[object, ...], str] = {}
    for row in _read(connection, heads, order):
        known = closed.get(_key(row), "signed")
        closed[_key(row)] = min(known, row["state"], key=_WORST.index)
    found: dict[Place, list[BoxReport]] = {}
    for row in sorted(_read(connection, half_days, order), key=lambda x: str(names[x["box_id"]])):
        ledger = ledgers.get(_key(row))
        listed = json.loads(ledger["body"]) if ledger else []
        seconds = [x.get("seconds") for x in listed if isinstance(x, dict)]
        report = BoxReport(
            box=names[row["box_id"]],
            present=row["present"],
            low=row["low"],
            high=row["high"],
            status=row["status"],
            lesson_s=row["lesson_s"] or 0.0,
            judged_s=row["judged_s"] or 0.0,
            gaps=ledger["count"] if ledger else None,
            gap_s=sum(float(x) for x in seconds if isinstance(x, int | float)),
            witness=closed.get(_key(row), ""),
        )
        found.setdefault((row["class_id"], row["date"], row["session"]), []).append(report)
    return found


def _read(connection: Connection, table: Table, order: SettlementOrder) -> list[Mapping[str, Any]]:
    query = select(table).where(table.c.date >= order.first.isoformat(), table.c.date <= order.last.isoformat())
    if order.class_id:
        query = query.where(table.c.class_id == order.class_id)
    return [dict(row) for row in connection.execute(query).mappings()]


def _key(row: Mapping[str, Any]) -> tuple[object, ...]:
    return row["box_id"], row["class_id"], row["date"], row["session"]


def _add_counts(
    database: Database, order: SettlementOrder, now: datetime, places: Mapping[Place, SettledHalfDay]
) -> None:
    """Add alerts by kind, spot checks by finding ("" for what waits) and calls by how they ended."""
    span = (order.first.isoformat(), order.last.isoformat())
    with database.read() as connection:
        for table, column, into in ((alerts, "kind", "alerts"), (spot_moments, "result", "checks")):
            columns = [table.c[name] for name in ("class_id", "date", "session", column)]
            query = select(*columns, func.count().label("many")).where(table.c.date.between(*span))
            for row in connection.execute(query.group_by(*columns)).mappings():
                half_day = places.get((row["class_id"], row["date"], row["session"]))
                if half_day is not None:
                    getattr(half_day, into)[row[column]] += row["many"]
    for call in list_calls(database, now, class_id=order.class_id, days=span, limit=100_000):
        half_day = places.get((call["class_id"], call["date"], call["session"]))
        if half_day is not None:
            half_day.calls[call["stage"]] += 1
