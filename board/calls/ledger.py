"""Calls with what boxes stated of them: waiting, open, answered, late, unanswered; and what a person saw by eye."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Select, and_, select, update

from agent.core.call_model import LATE_FOR, judge_sighting
from agent.core.clock import format_utc, parse_time
from agent.core.errors import InputError
from board.accounts.audit import BoardAudit
from board.ingest.fields import clean
from board.store.database import Database
from board.store.tables import boxes, call_answers, calls, classes

CallStage = Literal["waiting", "asked", "open", "answered", "late", "unanswered", "refused", "unsent"]
"""waiting for its minute; sent to the box; shown there; and how it ended. unsent: the board had no broker to send it by."""
UNSENT_AFTER = timedelta(minutes=10)
_ANSWER_TAKES = timedelta(seconds=30)
Row = dict[str, Any]


def judge_call(row: Mapping[str, Any], now: datetime) -> CallStage:
    """Return how a call stands; what a person saw in a picture counts as the box's own word does, the better one holds."""
    if row["sent_at"] is None:
        late = now > parse_time(row["due_at"]) + UNSENT_AFTER
        return "unsent" if late else "waiting"
    until = parse_time(row["until"])
    said = str(row["answer"] or "")
    by_eye = judge_sighting(parse_time(row["seen_at"]), until) if row["seen_at"] else ""
    if "answered" in (said, by_eye):
        return "answered"
    if "late" in (said, by_eye):
        return "late"
    if said == "refused":
        return "refused"
    if said == "unanswered" or now > until + (LATE_FOR if said == "open" else _ANSWER_TAKES):
        return "unanswered"
    return "open" if said == "open" else "asked"


def list_calls(
    database: Database,
    now: datetime,
    *,
    class_id: str = "",
    day: str = "",
    session: str = "",
    days: tuple[str, str] | None = None,
    limit: int = 100,
) -> list[Row]:
    """Return calls with their `stage`, the newest first: all, of a class, of one of its half-days, of some days."""
    query = _build() if days is None else _build().where(calls.c.date.between(*days))
    for column, wanted in ((calls.c.class_id, class_id), (calls.c.date, day), (calls.c.session, session)):
        if wanted:
            query = query.where(column == wanted)
    return _run(database, query.order_by(calls.c.asked_at.desc(), calls.c.id).limit(limit), now)


def find_call(database: Database, call_id: str, now: datetime) -> Row | None:
    """Return a call with its `stage`; None where there is none."""
    found = _run(database, _build().where(calls.c.id == call_id), now)
    return found[0] if found else None


def confirm_call(
    database: Database, call_id: str, seen_at: datetime, note: str, by: str, who: str, now: datetime
) -> None:
    """Note that a person saw the digits in a picture of an instant. Raises InputError for one when they were not known."""
    with database.write() as connection:
        row = connection.execute(select(calls).where(calls.c.id == call_id)).mappings().one()
        if row["sent_at"] is None or not parse_time(row["sent_at"]) <= seen_at <= now:
            raise InputError("call.bad_moment")
        values = {"seen_at": format_utc(seen_at), "seen_by": clean(by, 64), "note": clean(note, 2000)}
        connection.execute(update(calls).where(calls.c.id == call_id).values(values))
        detail = {"call": call_id, "seen_at": format_utc(seen_at), "note": note}
        BoardAudit(database).add_in(connection, now, who, "call.confirm", row["class_id"], detail)


def _build() -> Select[*tuple[object, ...]]:
    answered = and_(call_answers.c.box_id == calls.c.box_id, call_answers.c.call_id == calls.c.id)
    joined = (
        calls.join(boxes, boxes.c.id == calls.c.box_id)
        .outerjoin(call_answers, answered)
        .outerjoin(classes, classes.c.class_id == calls.c.class_id)
    )
    said = (call_answers.c.state.label("answer"), call_answers.c.seen_at.label("read_at"), call_answers.c.room_id,
            call_answers.c.camera_id, call_answers.c.reason)  # fmt: skip
    named = [classes.c[name] for name in ("institution", "occupation", "class_number", "body")]
    return select(calls, boxes.c.name.label("box"), *said, *named).select_from(joined)


def _run(database: Database, query: Select[*tuple[object, ...]], now: datetime) -> list[Row]:
    with database.read() as connection:
        rows = [dict(row) for row in connection.execute(query).mappings()]
    return [row | {"stage": judge_call(row, now)} for row in rows]
