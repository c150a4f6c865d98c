"""Approves a class: signs it with the bureau's key and has it sent to boxes, retained."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row, func, insert, select, update

from agent.contract.topics import TYPE
from agent.core.clock import format_local, format_utc
from agent.core.errors import InputError
from agent.core.openssh import NAMESPACE, sign_with
from board.approvals.drafts import ClassDraft
from board.store.database import Database
from board.store.tables import boxes, class_approvals, class_deliveries, class_drafts


class ApprovalDesk:
    """Approves with the bureau's key. `county`: its ID; `key_file`: the private key that boxes check signatures with."""

    def __init__(self, database: Database, key_file: Path, county: str, zone: ZoneInfo) -> None:
        self._database = database
        self._key_file = key_file
        self._county = county
        self._zone = zone

    def approve(self, draft: ClassDraft, box_names: Iterable[str], reason: str, by: str, now: datetime) -> int:
        """Approve a draft for these boxes; return the approval's number. Raises InputError."""
        if not self._key_file.exists():
            raise InputError("approvals.no_key", file=self._key_file)
        payload = self._sign(draft, now)
        with self._database.write() as connection:
            waiting = (class_drafts.c.draft_id == draft.draft_id) & (class_drafts.c.state == "draft")
            if not connection.execute(update(class_drafts).where(waiting).values(state="approved")).rowcount:
                raise InputError("approvals.not_waiting")
            newest = connection.execute(select(func.max(class_approvals.c.number))).scalar() or 0
            row = {
                "number": newest + 1,
                "draft_id": draft.draft_id,
                "class_id": draft.cls.class_id,
                "payload": payload,
                "reason": reason,
                "approved_by": by,
                "approved_at": format_utc(now),
            }
            connection.execute(insert(class_approvals).values(row))
            before = self._list_box_ids(connection, draft.cls.class_id)
            chosen = _find_boxes(connection, box_names)
            # a box that has an earlier approval must not go on with it
            _queue(connection, newest + 1, {*before, *chosen}, now)
        return newest + 1

    def send_to(self, number: int, box_names: Iterable[str], now: datetime) -> None:
        """Send an approval to further boxes."""
        with self._database.write() as connection:
            chosen = _find_boxes(connection, box_names)
            had = select(class_deliveries.c.box_id).where(class_deliveries.c.number == number)
            _queue(connection, number, chosen - set(connection.execute(had).scalars()), now)

    def _list_box_ids(self, connection: Connection, class_id: str) -> set[int]:
        """Return the boxes that were sent an approval of this class before, and are still enrolled."""
        query = select(class_deliveries.c.box_id).join(
            class_approvals, class_approvals.c.number == class_deliveries.c.number
        )
        query = query.join(boxes, boxes.c.id == class_deliveries.c.box_id)
        query = query.where(class_approvals.c.class_id == class_id, boxes.c.revoked_at.is_(None))
        return set(connection.execute(query).scalars())

    def _sign(self, draft: ClassDraft, now: datetime) -> str:
        body = json.dumps(draft.body, ensure_ascii=False, separators=(",", ":")).encode()
        event = {
            "specversion": "1.0",
            "id": draft.draft_id,
            "source": f"/training/{self._county}",
            "type": TYPE.format(name="class"),
            "time": format_local(now, self._zone),
            "datacontenttype": "application/json",
            "data_base64": base64.b64encode(body).decode(),
            "signature": sign_with(body, self._key_file, NAMESPACE).decode(),
        }
        return json.dumps(event, ensure_ascii=False, separators=(",", ":"))


def list_approvals(database: Database, class_id: str = "", limit: int = 50) -> list[dict[str, Any]]:
    """Return approvals, the newest first, with the boxes they were sent to (`sent`: name to time, None while it waits)."""
    query = select(
        class_approvals.c.number, class_approvals.c.draft_id, class_approvals.c.class_id, class_approvals.c.reason,
        class_approvals.c.approved_by, class_approvals.c.approved_at, class_drafts.c.file_name,
    )  # fmt: skip
    query = query.join(class_drafts, class_drafts.c.draft_id == class_approvals.c.draft_id)
    if class_id:
        query = query.where(class_approvals.c.class_id == class_id)
    with database.read() as connection:
        rows = connection.execute(query.order_by(class_approvals.c.number.desc()).limit(limit)).mappings().all()
        sent = select(class_deliveries.c.number, class_deliveries.c.sent_at, boxes.c.name)
        sent = sent.join(boxes, boxes.c.id == class_deliveries.c.box_id).order_by(boxes.c.name)
        told = connection.execute(sent.where(class_deliveries.c.number.in_([row["number"] for row in rows]))).all()
    return [
        dict(row) | {"sent": {one.name: one.sent_at for one in told if one.number == row["number"]}} for row in rows
    ]


def list_waiting(database: Database) -> Sequence[Row[int, int, str, str, str]]:
    """Return (number, box_id, box, class_id, payload) of what boxes are still to be sent.

    Of two approvals of one class only the newest is sent: it replaces the one before.
    """
    newer = class_approvals.alias("newer")
    later = select(newer.c.number).where(
        newer.c.class_id == class_approvals.c.class_id, newer.c.number > class_approvals.c.number
    )
    query = select(
        class_deliveries.c.number,
        class_deliveries.c.box_id,
        boxes.c.name.label("box"),
        class_approvals.c.class_id,
        class_approvals.c.payload,
    )
    query = query.join(class_approvals, class_approvals.c.number == class_deliveries.c.number)
    query = query.join(boxes, boxes.c.id == class_deliveries.c.box_id)
    query = query.where(class_deliveries.c.sent_at.is_(None), ~later.exists()).order_by(class_deliveries.c.number)
    with database.read() as connection:
        return connection.execute(query).all()


def mark_sent(database: Database, number: int, box_id: int, now: datetime) -> None:
    """Note that the broker has an approval for a box."""
    own = (class_deliveries.c.number == number) & (class_deliveries.c.box_id == box_id)
    with database.write() as connection:
        connection.execute(update(class_deliveries).where(own).values(sent_at=format_utc(now)))


def _find_boxes(connection: Connection, names: Iterable[str]) -> set[int]:
    query = select(boxes.c.id).where(boxes.c.name.in_(list(names)), boxes.c.revoked_at.is_(None))
    return set(connection.execute(query).scalars())


def _queue(connection: Connection, number: int, box_ids: Iterable[int], now: datetime) -> None:
    rows = [{"number": number, "box_id": box_id, "queued_at": format_utc(now)} for box_id in sorted(box_ids)]
    if rows:
        connection.execute(insert(class_deliveries), rows)
