"""Lists of approved camera models: uploaded, shown as understood, signed, sent to every box that is enrolled."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Row, func, insert, select, update

from agent.class_files.fields import sanitize_value
from agent.core.camera_models import ModelList, parse_model_list
from agent.core.clock import format_utc
from agent.core.errors import InputError, SettingsError
from agent.core.openssh import NAMESPACE, sign_with
from board.store.database import Database
from board.store.tables import boxes, model_list_deliveries, model_lists

_LARGEST = 200_000
_SENT_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class UploadedModelList:
    """A list that was uploaded. `issued_at`: when it was signed and sent; None before."""

    number: int
    models: ModelList
    file_name: str
    taken_by: str
    taken_at: str
    issued_at: str | None


def take_model_list(database: Database, name: str, data: bytes, by: str, now: datetime) -> int:
    """Read a list and keep it; return its number. Raises SettingsError, InputError."""
    shown = sanitize_value(Path(name).name)[:100] or "camera-models.toml"
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise SettingsError("settings.not_utf8", file=shown) from None
    if len(data) > _LARGEST:
        raise InputError("approvals.list_too_large", file=shown, most=_LARGEST // 1000)
    if parse_model_list(text, shown).issued is None:
        raise SettingsError("cameras.list_missing", file=shown, key="issued")
    with database.write() as connection:
        number = (connection.execute(select(func.max(model_lists.c.number))).scalar() or 0) + 1
        row = {
            "number": number, "body": text, "signature": "", "file_name": shown, "taken_by": by,
            "taken_at": format_utc(now),
        }  # fmt: skip
        connection.execute(insert(model_lists).values(row))
    return number


def load_model_lists(database: Database, limit: int = 20) -> list[UploadedModelList]:
    """Return the lists, the newest first."""
    with database.read() as connection:
        rows = connection.execute(select(model_lists).order_by(model_lists.c.number.desc()).limit(limit)).all()
    return [
        UploadedModelList(
            row.number,
            parse_model_list(row.body, row.file_name),
            row.file_name,
            row.taken_by,
            row.taken_at,
            row.issued_at,
        )
        for row in rows
    ]


def issue_model_list(database: Database, number: int, key_file: Path, now: datetime) -> None:
    """Sign a list; from now on each enrolled box is sent it. Raises InputError.

    Boxes take none that is older than their own, so neither is one issued here that is older than the one before.
    """
    if not key_file.exists():
        raise InputError("approvals.no_key", file=key_file)
    with database.write() as connection:
        row = connection.execute(select(model_lists).where(model_lists.c.number == number)).first()
        last = connection.execute(
            select(model_lists)
            .where(model_lists.c.issued_at.is_not(None))
            .order_by(model_lists.c.number.desc())
            .limit(1)
        ).first()
        if row is None or row.issued_at is not None or (last is not None and last.number > number):
            raise InputError("approvals.not_waiting")
        found, before = parse_model_list(row.body, row.file_name), last and parse_model_list(last.body, last.file_name)
        if before and found.issued and before.issued and found.issued < before.issued:
            raise InputError("approvals.list_older", issued=found.issued, before=before.issued)
        signature = sign_with(row.body.encode(), key_file, NAMESPACE).decode()
        change = update(model_lists).where(model_lists.c.number == number)
        connection.execute(change.values(signature=signature, issued_at=format_utc(now)))


def count_deliveries(database: Database, number: int) -> tuple[int, int]:
    """Return how many boxes were sent a list, of how many that are enrolled."""
    own = (model_list_deliveries.c.number == number) & (model_list_deliveries.c.box_id == boxes.c.id)
    query = select(func.count(model_list_deliveries.c.box_id), func.count()).select_from(
        boxes.outerjoin(model_list_deliveries, own)
    )
    with database.read() as connection:
        sent, known = connection.execute(query.where(boxes.c.revoked_at.is_(None), boxes.c.account.is_not(None))).one()
    return sent, known


def list_unsent(database: Database) -> Sequence[Row[int, int, str, str, str]]:
    """Return (number, box_id, box, body, signature): the newest list for each enrolled box that has not been sent it."""
    newest = select(func.max(model_lists.c.number)).where(model_lists.c.issued_at.is_not(None)).scalar_subquery()
    had = select(model_list_deliveries.c.box_id).where(
        model_list_deliveries.c.number == model_lists.c.number, model_list_deliveries.c.box_id == boxes.c.id
    )
    query = select(
        model_lists.c.number,
        boxes.c.id.label("box_id"),
        boxes.c.name.label("box"),
        model_lists.c.body,
        model_lists.c.signature,
    )
    query = query.select_from(boxes.join(model_lists, model_lists.c.number == newest))
    query = query.where(boxes.c.account.is_not(None), boxes.c.revoked_at.is_(None), ~had.exists())
    with database.read() as connection:
        return connection.execute(query.order_by(boxes.c.name).limit(_SENT_AT_ONCE)).all()


def mark_list_sent(database: Database, number: int, box_id: int, now: datetime) -> None:
    """Note that the broker has a list for a box."""
    row = {"number": number, "box_id": box_id, "sent_at": format_utc(now)}
    with database.write() as connection:
        connection.execute(insert(model_list_deliveries).values(row))


def encode_model_list(body: str, signature: str) -> bytes:
    """Return the message, as docs/reference/mqtt.md has it."""
    return json.dumps({"models": body, "models_signature": signature}, ensure_ascii=False).encode()
