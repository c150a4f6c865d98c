"""Asks boxes for what was ordered, each time with a new one-time address that only the box gets to know."""

from __future__ import annotations

import hashlib
import json
import secrets
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, func, or_, select, update

from agent.contract.topics import ROOT, TYPE
from agent.core.clock import Clock, format_local, format_utc, parse_time
from board.clips.options import FetchOptions
from board.clips.orders import OPEN_STATES
from board.store.database import Database
from board.store.tables import boxes, clips

UPLOAD_PATH = "/uploads"
AGAIN = timedelta(seconds=90)
"""A box from which nothing was heard for so long is asked again: it may have been restarted."""
BUSY_AGAIN = timedelta(seconds=20)
ADDRESS_LASTS = timedelta(hours=2)
MOST_OF_ONE = 4
"""Orders that one box works on at a time; its own limit is higher."""
_TOKEN_BYTES = 32


def hash_token(token: str) -> str:
    """Return what the database keeps of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def ask_boxes(database: Database, clock: Clock, options: FetchOptions) -> list[tuple[str, bytes]]:
    """Return (topic, payload) of the requests that are due, and note that they were sent. Raises StoreError."""
    now = clock.now()
    with database.read() as connection:
        if not _list_due(connection, format_utc(now - AGAIN), format_utc(now - BUSY_AGAIN)):
            return []
    with database.write() as connection:
        due = _list_due(connection, format_utc(now - AGAIN), format_utc(now - BUSY_AGAIN))
        open_ones = select(clips.c.box_id, func.count().label("open"))
        open_ones = open_ones.where(clips.c.state.in_(OPEN_STATES), clips.c.told_at.is_not(None))
        busy = {row.box_id: row.open for row in connection.execute(open_ones.group_by(clips.c.box_id))}
        messages = []
        for row in due:
            if row["told_at"] is None:
                if busy.get(row["box_id"], 0) >= MOST_OF_ONE:
                    continue
                busy[row["box_id"]] = busy.get(row["box_id"], 0) + 1
            token = secrets.token_urlsafe(_TOKEN_BYTES)
            changes = {"token_hash": hash_token(token), "told_at": format_utc(now), "code": "", "reason": ""}
            connection.execute(update(clips).where(clips.c.id == row["id"]).values(**changes))
            until = min(parse_time(row["until"]), now + ADDRESS_LASTS)
            upload = {
                "url": f"{options.address}{UPLOAD_PATH}/{row['id']}",
                "token": token,
                "until": format_local(until, options.zone),
            }
            messages.append(_build_request(row, upload, options, format_local(now, options.zone)))
    return messages


def _list_due(connection: Connection, silent_since: str, busy_since: str) -> list[RowMapping]:
    """Return the orders to send: new ones, and those of which nothing was heard; the eldest first, of boxes that are there."""
    heard = func.coalesce(clips.c.heard_at, clips.c.told_at)
    due = or_(
        clips.c.told_at.is_(None),
        (clips.c.told_at < silent_since) & (heard < silent_since),
        (clips.c.code != "") & (clips.c.told_at < busy_since),
    )
    query = select(clips, boxes.c.name).select_from(clips.join(boxes, boxes.c.id == clips.c.box_id))
    query = query.where(clips.c.state.in_(OPEN_STATES), due, or_(boxes.c.state.is_(None), boxes.c.state == "online"))
    return list(connection.execute(query.order_by(clips.c.asked_at, clips.c.id).limit(100)).mappings())


def _build_request(row: RowMapping, upload: dict[str, str], options: FetchOptions, time: str) -> tuple[str, bytes]:
    data: dict[str, Any] = {"who": row["asked_by"], "why": row["purpose"], "upload": upload}
    data |= {name: row[name] for name in ("class_id", "room_id", "camera_id") if row[name]}
    if row["kind"] == "clip":
        start, end = (parse_time(row[name]).astimezone(options.zone) for name in ("start", "end"))
        data |= {"date": f"{start:%Y-%m-%d}", "from": f"{start:%H:%M:%S}", "to": f"{end:%H:%M:%S}"}
    county = row["name"].partition("/")[0]
    event = {
        "specversion": "1.0",
        "id": row["id"],
        "source": f"/training/{county}",
        "type": TYPE.format(name="request"),
        "time": time,
        "datacontenttype": "application/json",
        "data": data,
    }
    topic = f"{ROOT}/{row['name']}/request/{row['kind']}"
    return topic, json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
