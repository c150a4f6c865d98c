"""A box as the bureau hears it: real envelopes of a real statement log, without a box behind it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from agent.contract.envelope import wrap
from agent.core.clock import format_local
from agent.core.statement_model import EVENT_TYPE, GENESIS_HASH, LogPosition, Statement, compute_statement_hash

ZONE = ZoneInfo("Asia/Shanghai")
Message = tuple[str, bytes]


@dataclass(slots=True)
class ReportingBox:
    """Makes messages one after another; `now` is its clock, and steps on by a second with each."""

    name: str = "wenshui/site1/box1"
    log: str = "4f" * 16
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    key: str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJveA"
    class_id: str = "C-1"
    number: int = 0
    last_hash: str = GENESIS_HASH
    beats: int = 0

    @property
    def prefix(self) -> str:
        return f"training/v1/{self.name}"

    @property
    def position(self) -> LogPosition:
        return LogPosition(self.log, self.number, self.last_hash)

    def fork(self) -> ReportingBox:
        """Return a copy as it is now: a clone, or this box put back later."""
        return replace(self)

    def day(self) -> str:
        return self.now.astimezone(ZONE).date().isoformat()

    def time(self) -> str:
        return format_local(self.now, ZONE)

    def state_that(self, name: str, subject: str, data: Mapping[str, object]) -> Message:
        """Return the next statement."""
        self.now += timedelta(seconds=1)
        self.number += 1
        whole = Statement(
            self.log, self.number, self.last_hash, "", str(uuid.uuid4()), subject, EVENT_TYPE.format(name=name),
            self.time(), data,
        )  # fmt: skip
        whole = replace(whole, hash=compute_statement_hash(whole))
        self.last_hash = whole.hash
        return self._wrap(name, subject, data, whole)

    def _wrap(
        self,
        name: str,
        subject: str,
        data: Mapping[str, object],
        statement: Statement | None,
        *,
        replayed: bool = False,
    ) -> Message:
        event_id = statement.event_id if statement else str(uuid.uuid4())
        payload = wrap(
            event_id=event_id, source=f"/training/{self.name}", name=name, subject=subject, at=self.now, zone=ZONE, data=data,
            statement=statement, replayed=replayed,
        )  # fmt: skip
        return f"{self.prefix}/{subject}", payload

    def begin(self, cause: str = "first") -> Message:
        return self.state_that("log", "log", {"cause": cause, "before": None})

    def half_day(self) -> dict[str, object]:
        return {"class_id": self.class_id, "date": self.day(), "session": "am"}

    def place(self) -> str:
        return f"{self.class_id}/{self.day()}/am"

    def segment(self, camera_id: str = "cam1") -> Message:
        item = {
            "room_id": "r1", "camera_id": camera_id, "path": f"r1_{camera_id}/083000.mp4", "start": self.time(),
            "end": self.time(), "bytes": 150_000_000, "sha256": f"{self.number:064x}", "serial": "S-1",
            "clock": "trusted",
        }  # fmt: skip
        half_day = {**self.half_day(), "folder": f"{self.class_id}_电工/上午", "items": [item]}
        return self.state_that("segment", "segment", {"drive_id": "d-7f3a", "half_days": [half_day]})

    def attend(self, revision: int, present: int | None = 28, status: str = "provisional") -> Message:
        counts = {
            "expected": 30, "present": present, "absent": None if present is None else 30 - present, "ratio": None,
            "low": present and present - 1, "high": present and present + 1, "at_start": present, "at_end": None,
            "lesson_s": 2700, "judged_s": 2400,
        }  # fmt: skip
        rooms = [{"room_id": "r1", **counts}]
        data = {**self.half_day(), **counts, "status": status, "revision": revision, "rooms": rooms, "replayed": False}
        return self.state_that("attendance", f"attendance/{self.place()}", data)

    def alert(self, alert_id: str = "a1", state: str = "raised", kind: str = "camera.offline") -> Message:
        data = {
            "alert_id": alert_id, "kind": kind, "state": state, "severity": "critical", "since": self.time(), "at": self.time(),
            "class_id": self.class_id, "date": self.day(), "session": "am", "camera_id": "cam1", "message": "摄像机 cam1 掉线",
            "first_message": "", "latest_message": "", "evidence": {}, "replayed": False,
        }  # fmt: skip
        return self.state_that("alert", f"alert/{kind}", data)

    def camera(self, serial: str = "S-1") -> Message:
        data = {"camera_id": "cam1", "serial": serial, "manufacturer": "某厂", "model": "IPC-1", "verdict": "admitted",
                "reasons": [], "up": True}  # fmt: skip
        return self.state_that("camera", "camera/cam1", data)

    def close(self, sequence: int, head: str = "ab" * 32) -> Message:
        data = {**self.half_day(), "sequence": sequence, "head": head, "key": self.key}
        return self.state_that("chain", f"chain/{self.class_id}", data)

    def heartbeat(self, *, replayed: bool = False, **more: object) -> Message:
        self.now += timedelta(seconds=1)
        self.beats += 1
        data = {
            "seq": self.beats, "boot_id": "b", "uptime_s": 60.5, "clock": "trusted", "outbox": 0,
            "cameras": [{"camera_id": f"cam{n}", "up": True, "recorded_s": 60.0, "clock_offset_s": 0.4} for n in range(4)],
            "drive": {"drive_id": "d-7f3a", "state": "attached", "free_bytes": 1_500_000_000_000, "days_left": 41.5},
            "doctor": {"at": self.time(), "worst": "ok", "errors": 0, "warnings": 0, "checks": []},
            "statements": self.position.as_data() if self.number else None,
        } | more  # fmt: skip
        return self._wrap("heartbeat", "heartbeat", data, None, replayed=replayed)

    def state(self, word: str = "online") -> Message:
        data = {"state": word, "boot_id": "b", "version": "0.3.0", "since": self.time()}
        return self._wrap("state", "state", data, None)

    def answer(self, request: str, result: Mapping[str, object]) -> Message:
        """Return the answer to a request of the bureau."""
        data = {"request": request, "request_id": None, "ok": True, "result": result}
        topic, payload = self._wrap("response", f"request/{request}", data, None)
        return topic.replace("/request/", "/response/"), payload

    def approve(self, **more: object) -> Message:
        """Return what the bureau publishes for the class."""
        body = {
            "class_id": self.class_id, "project": "职业技能提升", "occupation": "电工", "class_number": 1,
            "institution": "某职业培训学校", "place": "文水县某街 1 号", "first_day": self.day(),
            "last_day": (self.now + timedelta(days=15)).astimezone(ZONE).date().isoformat(), "expected": 30,
            "rooms": [{"room_id": "r1", "kind": "theory"}],
        } | more  # fmt: skip
        return f"{self.prefix}/classes/{self.class_id}", json.dumps(body, ensure_ascii=False).encode()
