"""What a witness needs of a closed half-day's statement, and the text that it signs for it. Pure (docs/proof.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from agent.core.model import Session, is_id
from agent.core.statement_model import LogPosition, Statement, is_hash, is_number
from agent.core.witness_text import WitnessText


@dataclass(frozen=True, slots=True)
class StatedHead:
    """A closed half-day as a box stated it at `place`; `date`, `session` and `key` are the box's words, unchecked."""

    class_id: str
    date: str
    session: str
    sequence: int
    head: str
    key: str
    place: LogPosition


def read_stated_head(statement: Statement) -> StatedHead | None:
    """Return the head that a statement of kind `chain` states; None for another kind, or one without sequence or head."""
    data = statement.data
    if statement.name != "chain" or not isinstance(data, Mapping):
        return None
    sequence, head = data.get("sequence"), data.get("head")
    if not is_number(sequence) or not is_hash(head):
        return None
    key = " ".join(str(data.get("key", "")).split())
    class_id, day, session = (str(data.get(name)) for name in ("class_id", "date", "session"))
    return StatedHead(class_id, day, session, int(str(sequence)), str(head), key, statement.position)


def is_covered(head: StatedHead, whole: LogPosition | None) -> bool:
    """Return whether every statement up to the head has come: the condition for signing it."""
    return whole is not None and head.place.log == whole.log and head.place.number <= whole.number


def compose_witness_text(
    box: str, head: StatedHead, whole: LogPosition, time: datetime, name: str
) -> WitnessText | None:
    """Return what a witness of that name signs; None where date, session or class ID of the head are none.

    `box` is county/site/box; `whole` the place in its log up to which every statement has come.
    """
    try:
        day, session = date.fromisoformat(head.date), Session(head.session)
    except ValueError:
        return None
    if not is_id(head.class_id):
        return None
    return WitnessText(
        box=box,
        class_id=head.class_id,
        date=day,
        session=session,
        sequence=head.sequence,
        head=head.head,
        key=head.key,
        position=whole,
        time=time,
        witness=name,
    )
