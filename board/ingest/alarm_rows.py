"""Alarms: what is wrong with a box's evidence, with what shows it."""

from __future__ import annotations

from typing import Literal

from agent.core.statement_model import Statement
from agent.core.statement_rule import FaultKind, LogFault
from board.ingest.fields import clean, dump, read_place
from board.ingest.message import Arrival
from board.ingest.rows import Row

AlarmKind = FaultKind | Literal["second_head", "sequence_back", "foreign_key", "malformed", "unsigned_class"]
_LONGEST_PAYLOAD = 16_384


def make_alarm(
    box_id: int,
    kind: AlarmKind,
    at: str,
    *,
    log: str = "",
    number: int = 0,
    detail: str = "",
    evidence: object = None,
    about: object = None,
) -> Row:
    """Return the row of an alarm; one of the same box, kind, place and detail is raised once.

    `about`: data of the message that shows it, which may name a class and a half-day.
    """
    return {
        "box_id": box_id,
        "kind": kind,
        "log": log,
        "number": number,
        "detail": clean(detail, 200),
        "evidence": dump(evidence or {}),
        "raised_at": at,
        **read_place(about),
    }


def make_fault_alarm(box_id: int, fault: LogFault, at: str, evidence: object, about: object = None) -> Row:
    """Return the alarm for a fault that the rule for receivers found."""
    return make_alarm(
        box_id, fault.kind, at, log=fault.log, number=fault.number, detail=fault.detail, evidence=evidence, about=about
    )


def describe_arrival(arrival: Arrival, statement: Statement | None, known: object) -> dict[str, object]:
    """Return the evidence of a fault: the message as it came, and what was known before."""
    return {
        "topic": arrival.address,
        "event_id": statement.event_id if statement else None,
        "came": {"number": statement.number, "previous": statement.previous, "hash": statement.hash}
        if statement
        else None,
        "known": known,
        "message": arrival.payload[:_LONGEST_PAYLOAD].decode("utf-8", "replace"),
    }
