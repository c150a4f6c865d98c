"""Narrowing of queries to the classes of one institution."""

from __future__ import annotations

from sqlalchemy import ColumnElement, or_, select, true

from board.store.tables import alerts, boxes, classes


def is_of_institution(institution: str) -> ColumnElement[bool]:
    """Return the condition on `classes` for an institution; empty: all."""
    return classes.c.institution == institution if institution else true()


def is_alert_of_institution(institution: str) -> ColumnElement[bool]:
    """Return the condition on `alerts` and `boxes`: its class is the institution's, or it has none and its box is."""
    if not institution:
        return true()
    own = select(classes.c.class_id).where(classes.c.institution == institution)
    return or_(alerts.c.class_id.in_(own), alerts.c.class_id.is_(None) & (boxes.c.institution == institution))
