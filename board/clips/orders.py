"""Orders of clips and pictures: made here by pages and commands, carried out by the process that receives."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal, cast

from sqlalchemy import Connection, RowMapping, Select, and_, insert, or_, select

from agent.core.clock import format_utc, parse_time
from agent.core.errors import InputError
from agent.core.model import is_id
from board.accounts.audit import BoardAudit
from board.store.database import Database
from board.store.tables import boxes, class_boxes, clip_files, clips, segments

FetchState = Literal["asked", "cutting", "uploading", "ready", "refused", "failed", "expired"]
OPEN_STATES: tuple[FetchState, ...] = ("asked", "cutting", "uploading")
ORDER_LASTS = timedelta(hours=24)
"""So long an order waits for a box that is away."""
LONGEST = timedelta(hours=1)
_ID_BYTES = 16


@dataclass(frozen=True, slots=True)
class SentFile:
    """A file that a box sends; `received` bytes of it are here, and all of it where `whole`."""

    name: str
    bytes: int
    sha256: str
    received: int
    whole: bool


@dataclass(frozen=True, slots=True)
class OrderedClip:
    """An order and how far it is. `box` is county/site/box; `camera_id` "" stands for every camera of the room.

    `code` and `reason` say why it ended without video; `checks` what was checked of what came. `progress` is from 0 to 1.
    """

    clip_id: str
    kind: Literal["clip", "picture"]
    box: str
    class_id: str
    room_id: str
    camera_id: str
    start: datetime | None
    end: datetime | None
    by: str
    purpose: str
    asked_at: datetime
    state: FetchState
    code: str
    reason: str
    progress: float
    done_at: datetime | None
    checks: Mapping[str, Any]
    kept: bool
    gone: bool
    files: tuple[SentFile, ...]

    @property
    def is_open(self) -> bool:
        """Return whether it is still on its way."""
        return self.state in OPEN_STATES

    @property
    def videos(self) -> list[SentFile]:
        """Return the files to look at."""
        return [file for file in self.files if file.name.endswith((".mp4", ".jpg"))]


def make_clip_folder_path(state_dir: Path, clip_id: str) -> Path:
    """Return the folder in which the files of an order lie."""
    return state_dir / "clips" / clip_id


def order_clip(
    database: Database,
    *,
    class_id: str,
    box: str,
    start: datetime,
    end: datetime,
    camera: str = "",
    by: str,
    purpose: str,
    now: datetime,
) -> str:
    """Order the video of a class from a box (county/site/box); return the order's ID. Raises InputError, StoreError."""
    if not is_id(class_id) or (camera and not is_id(camera)):
        raise InputError("board.clip_bad_id", value=repr(camera or class_id)[1:-1][:64])
    if end <= start:
        raise InputError("board.clip_backwards")
    if end - start > LONGEST:
        raise InputError("board.clip_too_long", minutes=int(LONGEST.total_seconds() // 60))
    if start >= now:
        raise InputError("board.clip_ahead")
    span = {"start": format_utc(start), "end": format_utc(end)}
    return _order(database, box, by, purpose, now, {"kind": "clip", "class_id": class_id, "camera_id": camera, **span})


def order_picture(
    database: Database,
    *,
    box: str,
    camera: str = "",
    room: str = "",
    class_id: str = "",
    by: str,
    purpose: str,
    now: datetime,
) -> str:
    """Order the newest picture of a camera or of a room's cameras; return the order's ID. Raises InputError, StoreError."""
    for value in (camera, room, class_id):
        if value and not is_id(value):
            raise InputError("board.clip_bad_id", value=repr(value)[1:-1][:64])
    if not camera and not room:
        raise InputError("board.picture_of_what")
    wanted = {"kind": "picture", "class_id": class_id, "room_id": room, "camera_id": camera}
    return _order(database, box, by, purpose, now, wanted)


def _order(database: Database, box: str, by: str, purpose: str, now: datetime, wanted: Mapping[str, object]) -> str:
    clip_id = secrets.token_hex(_ID_BYTES)
    with database.write() as connection:
        row = connection.execute(select(boxes.c.id, boxes.c.revoked_at).where(boxes.c.name == box)).first()
        if row is None or row.revoked_at is not None:
            raise InputError("board.unknown_box", box=box)
        made = {"id": clip_id, "box_id": row.id, "asked_by": by[:120], "purpose": purpose[:500], "state": "asked"}
        made |= {"asked_at": format_utc(now), "until": format_utc(now + ORDER_LASTS)}
        connection.execute(insert(clips).values(**made, **wanted))
        detail = {name: value for name, value in wanted.items() if value and name != "class_id"}
        BoardAudit(database).add_in(
            connection, now, by, "fetch.order", str(wanted["class_id"]) or box, {**detail, "box": box, "id": clip_id}
        )
    return clip_id


def load_clip(database: Database, clip_id: str) -> OrderedClip | None:
    """Return an order; None where there is none. Raises StoreError."""
    with database.read() as connection:
        found = _load(connection, _build_query().where(clips.c.id == clip_id))
    return found[0] if found else None


def list_clips(
    database: Database, *, class_id: str = "", by: str = "", before: str = "", limit: int = 50
) -> list[OrderedClip]:
    """Return orders, the newest first: of a class, of who asked; `before` (an order's ID) turns the page. Raises StoreError."""
    query = _build_query().order_by(clips.c.asked_at.desc(), clips.c.id.desc()).limit(limit)
    query = query.where(clips.c.class_id == class_id) if class_id else query
    query = query.where(clips.c.asked_by == by) if by else query
    with database.read() as connection:
        if before:
            last = connection.execute(select(clips.c.asked_at).where(clips.c.id == before)).scalar()
            older = and_(clips.c.asked_at == last, clips.c.id < before)
            query = query.where(or_(clips.c.asked_at < last, older)) if last else query
        return _load(connection, query)


def find_boxes_of(database: Database, class_id: str, start: datetime, end: datetime, camera: str = "") -> list[str]:
    """Return the boxes to ask for a class's video of some time: those that stated recordings of it, else all of the class."""
    overlap = [segments.c.class_id == class_id, segments.c.start < format_utc(end), segments.c.end > format_utc(start)]
    overlap += [segments.c.camera_id == camera] if camera else []
    of_class = boxes.join(class_boxes, class_boxes.c.box_id == boxes.c.id)
    with database.read() as connection:
        recorded = select(boxes.c.name).where(boxes.c.id.in_(select(segments.c.box_id).where(*overlap)))
        found = connection.execute(recorded.order_by(boxes.c.name)).scalars().all()
        if not found:
            query = select(boxes.c.name).select_from(of_class).where(class_boxes.c.class_id == class_id)
            found = connection.execute(query.order_by(boxes.c.name)).scalars().all()
    return [str(name) for name in found]


def _build_query() -> Select[Any]:
    return select(clips, boxes.c.name.label("box")).select_from(clips.join(boxes, boxes.c.id == clips.c.box_id))


def _load(connection: Connection, query: Select[Any]) -> list[OrderedClip]:
    rows = connection.execute(query).mappings().all()
    files: dict[str, list[SentFile]] = {}
    found = select(clip_files).where(clip_files.c.clip_id.in_([row["id"] for row in rows])).order_by(clip_files.c.name)
    for file in connection.execute(found).mappings():
        sent = SentFile(file["name"], file["bytes"], file["sha256"], file["received"], file["whole"])
        files.setdefault(file["clip_id"], []).append(sent)
    return [_to_order(row, files.get(row["id"], ())) for row in rows]


def _to_order(row: RowMapping, files: Iterable[SentFile]) -> OrderedClip:
    def time(name: str) -> datetime | None:
        return parse_time(row[name]) if row[name] else None

    return OrderedClip(
        row["id"],
        row["kind"],
        row["box"],
        row["class_id"],
        row["room_id"],
        row["camera_id"],
        time("start"),
        time("end"),
        row["asked_by"],
        row["purpose"],
        parse_time(row["asked_at"]),
        cast(FetchState, row["state"]),
        row["code"],
        row["reason"],
        row["progress"],
        time("done_at"),
        json.loads(row["checks"]),
        row["kept"],
        row["gone_at"] is not None,
        tuple(files),
    )
