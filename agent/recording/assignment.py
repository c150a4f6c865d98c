"""What a camera records for at an instant: the class, and where and when it is taught."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import TypeAlias

from agent.core.class_model import TrainingClass
from agent.core.model import Session
from agent.core.schedule import Placement

Assignment = tuple[TrainingClass, Placement]

AssignmentLookup: TypeAlias = Callable[[datetime], Assignment | None]
"""The assignment of one camera at an instant; None outside the plan."""


def assignment_key(assignment: Assignment) -> tuple[str, date, Session, str]:
    """Return what one segment may not mix: class, day, half-day and room."""
    place = assignment[1]
    return place.class_id, place.date, place.session, place.room_id
