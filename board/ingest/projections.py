"""What the tables keep of a message, one function a kind. Pure: they fill rows.

A statement comes once or more, and in order for its topic only; every row is therefore put so that the newest stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from agent.core.call_model import CALL_STATES
from agent.core.statement_model import is_hash
from board.ingest.fields import (
    Data,
    Malformed,
    dump,
    need_half_day,
    need_id,
    need_time,
    read_id,
    read_number,
    read_text,
    read_time,
    read_whole,
)
from board.ingest.rows import Rows
from board.store import tables

_MOST_ITEMS, _MOST_PEOPLE = 200, 100_000
OWN_ALERT = "board:"
"""What the IDs of the board's own alerts begin with; none of a box may."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a message comes from: box and statement log in the database, number, time in the envelope and of arrival.

    `classes`: those that the box is known to report of.
    """

    box_id: int
    log_id: int | None
    number: int
    time: str
    received_at: str
    classes: set[str]


def add_class(rows: Rows, origin: Origin, class_id: str) -> None:
    """Note that a box reports of a class."""
    if class_id in origin.classes:
        return
    origin.classes.add(class_id)
    rows.add(tables.classes, {"class_id": class_id, "search": class_id.lower()})
    rows.add(tables.class_boxes, {"class_id": class_id, "box_id": origin.box_id, "first_seen": origin.received_at})


def _put_attendance(rows: Rows, origin: Origin, data: Data) -> None:
    half_day, revision = need_half_day(data), read_whole(data, "revision")
    if revision is None:
        raise Malformed("revision")
    status, key = read_text(data, "status", 16), {"box_id": origin.box_id, **half_day, "revision": revision}
    counts = {name: read_whole(data, name) for name in ("expected", "present", "low", "high", "at_start", "at_end")}
    if any(value is not None and value > _MOST_PEOPLE for value in counts.values()):
        raise Malformed("present")
    add_class(rows, origin, half_day["class_id"])
    rows.add(
        tables.attendance,
        key
        | {"status": status, "at": origin.time, "body": dump(data)}
        | {name: counts[name] for name in ("present", "low", "high")},
    )
    more: dict[str, object] = {name: read_number(data, name) for name in ("lesson_s", "judged_s")}
    more |= _read_signed(data.get("signed"))
    rows.add(tables.half_days, key | {"status": status, "at": origin.time, "first_at": origin.time} | counts | more)


def _read_signed(signed: object) -> dict[str, int | None]:
    """Return what the institution states of sign-ins."""
    given = signed if isinstance(signed, Mapping) else {}
    found = {name: read_whole(given, name) for name in ("signed_in", "signed_out")}
    return {name: count if count is not None and count <= _MOST_PEOPLE else None for name, count in found.items()}


def _put_alert(rows: Rows, origin: Origin, data: Data) -> None:
    alert_id, kind = read_text(data, "alert_id", 64), read_text(data, "kind", 40)
    state = data.get("state")
    if not alert_id or alert_id.startswith(OWN_ALERT) or not kind or state not in ("raised", "updated", "cleared"):
        raise Malformed("alert_id")
    class_id = read_id(data, "class_id")
    if class_id:
        add_class(rows, origin, class_id)
    rows.add(
        tables.alerts,
        {
            "box_id": origin.box_id,
            "alert_id": alert_id,
            "kind": kind,
            "state": state,
            "severity": read_text(data, "severity", 8),
            "since": need_time(data, "since"),
            "at": need_time(data, "at"),
            "class_id": class_id,
            "date": read_text(data, "date", 10) or None,
            "session": read_text(data, "session", 8) or None,
            "camera_id": read_id(data, "camera_id"),
            "message": read_text(data, "message", 1000),
            "body": dump(data),
        },
    )


def _put_camera(rows: Rows, origin: Origin, data: Data) -> None:
    camera_id = need_id(data, "camera_id")
    row = {"box_id": origin.box_id, "camera_id": camera_id}
    rows.add(
        tables.cameras,
        row
        | {
            "at": origin.time,
            "verdict": read_text(data, "verdict", 16),
            "up": data.get("up") is True,
            "gone": False,
            "body": dump(data),
        },
    )
    names = {name: read_text(data, name, 128) for name in ("serial", "manufacturer", "model", "firmware")}
    if names["serial"] or names["model"]:
        rows.add(tables.identities, row | names | {"first_seen": origin.time, "last_seen": origin.time})


def _put_segments(rows: Rows, origin: Origin, data: Data) -> None:
    """Store a batch of finished segments: of each half-day `items` below a `folder`; a malformed one is an alarm."""
    half_days, drive_id = data.get("half_days"), read_text(data, "drive_id", 64)
    if not isinstance(half_days, list):
        raise Malformed("half_days")
    for half_day in half_days[:_MOST_ITEMS]:
        if not isinstance(half_day, Mapping):
            raise Malformed("half_days")
        _put_half_day_segments(rows, origin, half_day, drive_id)


def _put_half_day_segments(rows: Rows, origin: Origin, data: Data, drive_id: str) -> None:
    items = data.get("items")
    if not isinstance(items, list):
        raise Malformed("items")
    half_day, folder = need_half_day(data), read_text(data, "folder", 400)
    add_class(rows, origin, half_day["class_id"])
    for item in items[:_MOST_ITEMS]:
        if not isinstance(item, Mapping) or not is_hash(item.get("sha256")):
            raise Malformed("sha256")
        path = read_text(item, "path", 400)
        rows.add(
            tables.segments,
            {
                "box_id": origin.box_id,
                "log_id": origin.log_id,
                "number": origin.number,
                **half_day,
                "room_id": need_id(item, "room_id"),
                "camera_id": need_id(item, "camera_id"),
                "drive_id": drive_id,
                "path": f"{folder}/{path}" if folder else path,
                "start": need_time(item, "start"),
                "end": need_time(item, "end"),
                "bytes": read_whole(item, "bytes") or 0,
                "sha256": item["sha256"],
                "serial": read_text(item, "serial", 128),
                "clock": read_text(item, "clock", 16),
                "recovered": int(item.get("recovered") is True),
            },
        )


def _put_gaps(rows: Rows, origin: Origin, data: Data) -> None:
    items = data.get("items")
    if not isinstance(items, list):
        raise Malformed("items")
    half_day = need_half_day(data)
    add_class(rows, origin, half_day["class_id"])
    body = {"at": origin.time, "count": len(items), "body": dump(items)}
    rows.add(tables.gaps, {"box_id": origin.box_id, **half_day} | body)


def _put_call(rows: Rows, origin: Origin, data: Data) -> None:
    state = data.get("state")
    if state not in CALL_STATES:
        raise Malformed("state")
    half_day = need_half_day(data)
    add_class(rows, origin, half_day["class_id"])
    rows.add(
        tables.call_answers,
        {
            "box_id": origin.box_id,
            "call_id": need_id(data, "call_id"),
            "number": origin.number,
            "at": origin.time,
            "state": state,
            "seen_at": read_time(data, "seen_at"),
            "room_id": read_id(data, "room_id"),
            "camera_id": read_id(data, "camera_id"),
            "reason": read_text(data, "reason", 40),
            "body": dump(data),
        },
    )


def _put_readiness(rows: Rows, origin: Origin, data: Data) -> None:
    class_id = need_id(data, "class_id")
    add_class(rows, origin, class_id)
    body = {"at": need_time(data, "at"), "ready": data.get("ready") is True, "body": dump(data)}
    rows.add(tables.readiness, {"box_id": origin.box_id, "class_id": class_id} | body)


STATED: Mapping[str, Callable[[Rows, Origin, Data], None]] = {
    "attendance": _put_attendance,
    "alert": _put_alert,
    "camera": _put_camera,
    "segment": _put_segments,
    "gaps": _put_gaps,
    "call": _put_call,
}
"""By the name of a statement; the others are kept as they came and have no table of their own."""
UNSTATED: Mapping[str, Callable[[Rows, Origin, Data], None]] = {"readiness": _put_readiness}
"""By the first level of the topic."""


def put_heartbeat(rows: Rows, origin: Origin, event_id: str, data: Data) -> None:
    """Add a heartbeat."""
    listed, drive, doctor = data.get("cameras"), data.get("drive"), data.get("doctor")
    cameras = [item for item in listed if isinstance(item, Mapping)] if isinstance(listed, list) else []
    rows.add(
        tables.heartbeats,
        {
            "box_id": origin.box_id,
            "event_id": event_id,
            "received_at": origin.received_at,
            "time": origin.time,
            "seq": read_whole(data, "seq"),
            "cameras_up": sum(item.get("up") is True for item in cameras),
            "recorded_s": sum(read_number(item, "recorded_s") or 0.0 for item in cameras),
            "days_left": read_number(drive, "days_left") if isinstance(drive, Mapping) else None,
            "clock": read_text(data, "clock", 16),
            "outbox": read_whole(data, "outbox"),
            "worst": read_text(doctor, "worst", 16) if isinstance(doctor, Mapping) else "",
        },
    )


def read_event_time(event: Data, received_at: str) -> str:
    """Return the time in the envelope; that of arrival where it is none."""
    return read_time(event, "time") or received_at
