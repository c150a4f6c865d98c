"""Makes a call: for now, or for a minute by chance in what is left of a half-day."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, insert, select

from agent.core.call_model import CALL_LASTS
from agent.core.clock import format_utc, get_local_day
from agent.core.errors import InputError
from agent.core.intervals import Interval
from board.accounts.audit import BoardAudit
from board.queries.course_plan import read_approved_class
from board.store.database import Database
from board.store.tables import boxes, calls, class_boxes, classes

_LETTERS = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""Without I and O: an ID is read out now and then."""


@dataclass(frozen=True, slots=True)
class CallOrder:
    """What is asked for. `box` is county/site/box, or "" where the class has one box; `chosen` says how the minute is found."""

    class_id: str
    chosen: Literal["now", "random"]
    by: str
    box: str = ""
    who: str = ""


class CallMaker:
    """Makes calls; `pick` returns a random whole number below its argument."""

    def __init__(self, database: Database, zone: ZoneInfo, pick: Callable[[int], int] = secrets.randbelow) -> None:
        self._database = database
        self._audit = BoardAudit(database)
        self._zone = zone
        self._pick = pick

    def make(self, order: CallOrder, now: datetime) -> str:
        """Make a call and return its ID. Raises InputError where no lesson is on (or none is to come today), StoreError."""
        with self._database.write() as connection:
            session, left = self._find_lessons(connection, order, now)
            due = now if order.chosen == "now" else _pick_minute(left, self._pick)
            box_id = _find_box(connection, order)
            made = {
                "id": "".join(_LETTERS[self._pick(len(_LETTERS))] for _ in range(8)),
                "box_id": box_id,
                "class_id": order.class_id,
                "date": get_local_day(now, self._zone).isoformat(),
                "session": session,
                "code": f"{self._pick(10**6):06}",
                "asked_at": format_utc(now),
                "asked_by": order.by[:64],
                "chosen": order.chosen,
                "due_at": format_utc(due),
            }
            connection.execute(insert(calls).values(made))
            # neither the digits nor the minute: whoever reads the audit could warn the class
            detail = {"call": made["id"], "chosen": order.chosen}
            self._audit.add_in(connection, now, order.who or order.by, "call.ask", order.class_id, detail)
        return str(made["id"])

    def _find_lessons(self, connection: Connection, order: CallOrder, now: datetime) -> tuple[str, list[Interval]]:
        """Return half-day and lesson time that is left of it: the one that is on, by chance also the next one today.

        Raises InputError.
        """
        body = connection.execute(select(classes.c.body).where(classes.c.class_id == order.class_id)).scalar()
        approved = read_approved_class(str(body), self._zone) if body else None
        today = get_local_day(now, self._zone)
        for day, session in approved.half_days() if approved else []:
            if day != today or approved is None:
                continue
            lessons = approved.lessons_of(day, session)
            left = [(max(now, x.start), x.end - CALL_LASTS) for x in lessons if x.end - CALL_LASTS > now]
            if order.chosen == "now" and lessons[0].start <= now < max(x.end for x in lessons):
                return session.value, left
            if order.chosen == "random" and left:
                return session.value, left
        raise InputError("call.no_lesson", class_id=order.class_id)


def _pick_minute(left: Sequence[Interval], pick: Callable[[int], int]) -> datetime:
    """Return an instant of lesson time, each second as likely."""
    offers = [max(1, int((end - start).total_seconds())) for start, end in left]
    number = pick(sum(offers))
    for (start, _), offer in zip(left, offers, strict=True):
        if number < offer:
            return start + timedelta(seconds=number)
        number -= offer
    raise AssertionError("a number below the total lies in one of the lessons")


def _find_box(connection: Connection, order: CallOrder) -> int:
    """Return the class's box that was named, or its only one. Raises InputError."""
    query = select(boxes.c.id, boxes.c.name).join(class_boxes, class_boxes.c.box_id == boxes.c.id)
    mine = connection.execute(query.where(class_boxes.c.class_id == order.class_id, boxes.c.revoked_at.is_(None))).all()
    found = [row.id for row in mine if order.box in ("", row.name)]
    if len(found) != 1:
        raise InputError("call.which_box" if found else "call.no_box", class_id=order.class_id)
    return int(found[0])
