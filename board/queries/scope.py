"""Narrowing of queries to the classes of one institution."""

from __future__ import annotations

from sqlalchemy import ColumnElement, exists, or_, select, true

from board.store.tables import alerts, boxes, class_boxes, classes


def is_of_institution(institution: str) -> ColumnElement[bool]:
    """Return the condition on `classes` for an institution; empty: all."""
    return classes.c.institution == institution if institution else true()


def is_alert_of_institution(institution: str) -> ColumnElement[bool]:
    """Return the condition on `alerts` and `boxes`: its class is the institution's, or it has none and its box is."""
    if not institution:
        return true()
    own = select(classes.c.class_id).where(classes.c.institution == institution)
    return or_(alerts.c.class_id.in_(own), alerts.c.class_id.is_(None) & is_box_of_institution(institution))


def is_box_of_institution(institution: str) -> ColumnElement[bool]:
    """Return the condition on `boxes`: its institution, or where none is named that of a class that it reports."""
    if not institution:
        return true()
    reported = class_boxes.join(classes, classes.c.class_id == class_boxes.c.class_id)
    serves = (
        exists().select_from(reported).where(class_boxes.c.box_id == boxes.c.id, classes.c.institution == institution)
    )
    return or_(boxes.c.institution == institution, (boxes.c.institution == "") & serves)
