"""Class files that were uploaded: read as the box reads them, kept until they are approved or dropped."""

from __future__ import annotations

import hashlib
import json
import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from sqlalchemy import Row, insert, select, update

from agent.class_files.classes import load_class_with_notes, parse_class, serialize_class
from agent.class_files.fields import sanitize_value
from agent.core.class_model import TrainingClass
from agent.core.clock import format_utc
from agent.core.errors import InputError
from board.store.database import Database
from board.store.tables import class_drafts

SUFFIXES = (".xlsx", ".toml")
_LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class ClassDraft:
    """A class as it was read from a file. `notes`: what a person should know before approving it."""

    draft_id: str
    cls: TrainingClass
    body: Mapping[str, object]
    notes: list[str]
    file_name: str
    taken_by: str
    taken_at: str
    state: str


def take_class_file(database: Database, name: str, data: bytes, zone: ZoneInfo, by: str, now: datetime) -> str:
    """Read a class file and keep what was understood; return the draft's ID.

    Raises ClassFileError, ClassFileProblems with each fault named by its place; InputError for another kind of file.
    """
    suffix = Path(name).suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError("approvals.suffix", file=sanitize_value(name)[:_LONGEST_NAME])
    shown = sanitize_value(Path(name).stem).replace("/", "_")[:_LONGEST_NAME] or "class"
    with tempfile.TemporaryDirectory(prefix="site-agent-board-") as folder:
        path = Path(folder) / f"{shown}{suffix}"
        path.write_bytes(data)
        loaded = load_class_with_notes(path, zone)
    draft_id = secrets.token_hex(8)
    row = {
        "draft_id": draft_id,
        "class_id": loaded.cls.class_id,
        "body": json.dumps(serialize_class(loaded.cls, zone), ensure_ascii=False),
        "notes": json.dumps(loaded.notes, ensure_ascii=False),
        "file_name": path.name,
        "sha256": hashlib.sha256(data).hexdigest(),
        "taken_by": by,
        "taken_at": format_utc(now),
        "state": "draft",
    }
    with database.write() as connection:
        connection.execute(insert(class_drafts).values(row))
    return draft_id


def load_draft(database: Database, draft_id: str, zone: ZoneInfo) -> ClassDraft | None:
    """Return a draft; None where there is none."""
    with database.read() as connection:
        row = connection.execute(select(class_drafts).where(class_drafts.c.draft_id == draft_id[:32])).first()
    return _read(row, zone) if row else None


def list_drafts(database: Database, zone: ZoneInfo, limit: int = 50) -> list[ClassDraft]:
    """Return the drafts that wait for somebody, the newest first."""
    query = select(class_drafts).where(class_drafts.c.state == "draft").order_by(class_drafts.c.taken_at.desc())
    with database.read() as connection:
        return [_read(row, zone) for row in connection.execute(query.limit(limit))]


def drop_draft(database: Database, draft_id: str) -> None:
    """Take a draft off the list; it is kept, and is never approved."""
    with database.write() as connection:
        waiting = (class_drafts.c.draft_id == draft_id) & (class_drafts.c.state == "draft")
        connection.execute(update(class_drafts).where(waiting).values(state="dropped"))


def _read(row: Row[tuple[object, ...]], zone: ZoneInfo) -> ClassDraft:
    body = json.loads(row.body)
    return ClassDraft(
        row.draft_id, parse_class(body, zone, row.file_name), body, json.loads(row.notes), row.file_name,
        row.taken_by, row.taken_at, row.state,
    )  # fmt: skip
