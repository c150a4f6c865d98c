"""Narrowing of queries to the classes of one institution."""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, or_, select, true

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
    """Return the condition on `boxes`: it is the institution's, or every approved class that it ever had is."""
    if not institution:
        return true()
    had = class_boxes.join(classes, classes.c.class_id == class_boxes.c.class_id)
    own = select(class_boxes.c.box_id).select_from(had).where(classes.c.institution == institution)
    others = select(class_boxes.c.box_id).select_from(had).where(classes.c.institution.not_in(["", institution]))
    only_own = and_(boxes.c.institution == "", boxes.c.id.in_(own), boxes.c.id.not_in(others))
    return or_(boxes.c.institution == institution, only_own)
