"""Heads of closed half-days: one for each box, class and sequence, by the box's one key."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, insert, select

from agent.contract.statements import build_witness_body
from agent.core.clock import format_utc
from agent.core.errors import DriveError
from agent.core.openssh import WITNESS_NAMESPACE, strip_key_comment, verify_signed
from agent.core.witness_rule import StatedHead
from agent.core.witness_text import MAX_WITNESS, WitnessText, parse_witness_text
from board.ingest.fields import clean, need_half_day
from board.ingest.memory import BoxMemory
from board.store.tables import countersignatures, heads

HeadState = Literal["due", "signed", "refused"]


@dataclass(frozen=True, slots=True)
class HeadVerdict:
    """What becomes of a head. `alarm` is raised for it, `known` is one that has come before."""

    state: HeadState
    reason: str = ""
    alarm: Literal["second_head", "sequence_back", "foreign_key"] | None = None
    detail: str = ""
    known: bool = False


def judge_head(connection: Connection, memory: BoxMemory, stated: StatedHead, reason: str) -> HeadVerdict:
    """Compare a head with those that are known; pin the box's key at the first. `reason`: why it cannot be signed anyway."""
    place = (heads.c.box_id == memory.box_id, heads.c.class_id == stated.class_id[:32])
    same = connection.execute(select(heads.c.head).where(*place, heads.c.sequence == stated.sequence)).scalars().all()
    if stated.head in same:
        return HeadVerdict("due", known=True)
    detail = f"{clean(stated.class_id, 32)} {stated.sequence}"
    if same:
        return HeadVerdict("refused", "second_head", "second_head", detail)
    newest = connection.execute(
        select(heads.c.log, heads.c.number).where(*place, heads.c.sequence > stated.sequence).limit(1)
    ).first()
    if newest and (newest.log != stated.place.log or newest.number < stated.place.number):
        return HeadVerdict("refused", "sequence_back", "sequence_back", detail)
    key, pinned = strip_key_comment(clean(stated.key, 1000)), memory.recall("key")
    if pinned and key != pinned:
        return HeadVerdict("refused", "foreign_key", "foreign_key", hashlib.sha256(key.encode()).hexdigest())
    return HeadVerdict("refused" if reason else "due", reason)


def put_head(connection: Connection, memory: BoxMemory, stated: StatedHead, verdict: HeadVerdict, at: str) -> None:
    """Store a head that is new. Raises Malformed."""
    half_day = need_half_day({"class_id": stated.class_id, "date": stated.date, "session": stated.session})
    key = strip_key_comment(clean(stated.key, 1000))
    if key and not memory.recall("key") and verdict.alarm is None:
        memory.changes |= {"key": key, "key_since": at}
    connection.execute(
        insert(heads).values(
            box_id=memory.box_id,
            **half_day,
            sequence=stated.sequence,
            head=stated.head,
            key=key,
            log=stated.place.log,
            number=stated.place.number,
            hash=stated.place.hash,
            received_at=at,
            state=verdict.state,
            reason=verdict.reason,
        )
    )


def restore_countersignature(
    connection: Connection, memory: BoxMemory, body: Mapping[str, object], public: str, at: str
) -> None:
    """Take back a countersignature of our own that stands at the broker and that a restored database does not have."""
    raw, signature = body.get("text"), body.get("signature")
    if not isinstance(raw, str) or not isinstance(signature, str) or not public or len(signature) > 8192:
        return
    try:
        text = parse_witness_text(raw[: MAX_WITNESS + 1])
    except ValueError:
        return
    table = countersignatures
    known = select(table.c.id).where(
        table.c.box_id == memory.box_id, table.c.class_id == text.class_id, table.c.sequence == text.sequence
    )
    if text.box != memory.name or connection.execute(known).first() or not _is_ours(raw, signature, public):
        return
    connection.execute(
        insert(table).values(make_countersignature(memory.box_id, text, raw, signature, published_at=at))
    )


def _is_ours(raw: str, signature: str, public: str) -> bool:
    try:
        return verify_signed(raw.encode(), signature.encode(), public, WITNESS_NAMESPACE)
    except (DriveError, UnicodeEncodeError):
        return False


def make_countersignature(
    box_id: int, text: WitnessText, raw: str, signature: str, *, published_at: str | None
) -> dict[str, object]:
    """Return the row of a countersignature."""
    return {
        **build_witness_body(text, raw, signature),
        "box_id": box_id,
        "signed_at": format_utc(text.time),
        "published_at": published_at,
    }
