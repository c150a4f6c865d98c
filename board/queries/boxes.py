"""Boxes with their state by the contract's rule (docs/reference/mqtt.md)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection, Select, func, select

from agent.core.clock import format_utc, parse_time
from board.ingest.judge import SILENT_S
from board.queries.alarms import OPEN_ALARM
from board.queries.alerts import OPEN
from board.queries.scope import is_alert_of_institution, is_box_of_institution
from board.queries.self_check import read_self_check
from board.store.database import Database
from board.store.tables import alarms, alerts, boxes

# those that a list needs: a row of boxes has keys and places in logs too
_LISTED = [boxes.c[name] for name in ("id", "name", "institution", "state", "beat_at", "beat", "last_seen", "version",
                                      "revoked_at", "self_check")]  # fmt: skip
Presence = Literal["online", "offline", "stopped", "silent", "never", "revoked"]


@dataclass(frozen=True, slots=True)
class BoxState:
    """A box. `days_left`: of its drive; `worst`: of its own examination; `alarms`: about its evidence.

    `certificate_until`: when the first of its certificates ends.
    """

    name: str
    presence: Presence
    last_seen: datetime | None
    version: str
    cameras: int
    cameras_up: int
    days_left: float | None
    clock: str
    worst: str
    outbox: int | None
    alerts: int
    alarms: int
    institution: str = ""
    certificate_until: datetime | None = None

    def as_json(self) -> dict[str, object]:
        """Return it for --json."""
        times = {name: getattr(self, name) for name in ("last_seen", "certificate_until")}
        return asdict(self) | {name: format_utc(at) if at else None for name, at in times.items()}


def judge_presence(state: str | None, beat_at: datetime | None, now: datetime, *, revoked: bool) -> Presence:
    """Return whether a box is there: no live heartbeat for three minutes means that it is not, whatever `state` says."""
    if revoked:
        return "revoked"
    if state in ("offline", "stopped"):
        return "offline" if state == "offline" else "stopped"
    if state is None and beat_at is None:
        return "never"
    if beat_at is None or (now - beat_at).total_seconds() > SILENT_S:
        return "silent"
    return "online"


def list_boxes(database: Database, now: datetime, *, institution: str = "") -> list[BoxState]:
    """Return every box that is enrolled or was heard, by name; of one institution where it is given."""
    with database.read() as connection:
        of_box = select(alerts.c.box_id, func.count()).select_from(alerts.join(boxes, boxes.c.id == alerts.c.box_id))
        mine = is_alert_of_institution(institution)
        raised = _count(connection, of_box.where(OPEN, mine).group_by(alerts.c.box_id))
        wrong = _count(connection, select(alarms.c.box_id, func.count()).where(OPEN_ALARM).group_by(alarms.c.box_id))
        query = select(*_LISTED).where(is_box_of_institution(institution)).order_by(boxes.c.name)
        rows = connection.execute(query).mappings().all()
    found = []
    for row in rows:
        beat = json.loads(row["beat"]) if row["beat"] else {}
        listed = beat.get("cameras")
        cameras = [c for c in listed if isinstance(c, dict)] if isinstance(listed, list) else []
        drive, doctor = beat.get("drive"), beat.get("doctor")
        beat_at = parse_time(row["beat_at"]) if row["beat_at"] else None
        days = drive.get("days_left") if isinstance(drive, dict) else None
        found.append(
            BoxState(
                name=row["name"],
                presence=judge_presence(row["state"], beat_at, now, revoked=row["revoked_at"] is not None),
                last_seen=parse_time(row["last_seen"]) if row["last_seen"] else None,
                version=row["version"] or "",
                cameras=len(cameras),
                cameras_up=sum(camera.get("up") is True for camera in cameras),
                days_left=days if isinstance(days, int | float) else None,
                clock=str(beat.get("clock", "")),
                worst=str(doctor.get("worst", "")) if isinstance(doctor, dict) else "",
                outbox=beat.get("outbox") if isinstance(beat.get("outbox"), int) else None,
                alerts=raised.get(row["id"], 0),
                alarms=wrong.get(row["id"], 0),
                institution=row["institution"],
                certificate_until=read_self_check(row["self_check"]).first_end,
            )
        )
    return found


def _count(connection: Connection, query: Select[int, int]) -> dict[int, int]:
    return {row[0]: row[1] for row in connection.execute(query)}
