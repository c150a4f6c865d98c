"""The heartbeat: every minute into the outbox, deleted there when it comes too late to matter."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from typing_extensions import TypedDict

from agent.bureau.options import BureauOptions
from agent.catalog import Catalog
from agent.contract.box import CameraBeat, DriveBeat, HeartbeatBody
from agent.contract.health import CertificateBody, ExaminationBody, SelfCheckBody
from agent.contract.statements import NewestBody, PositionBody
from agent.core.camera_model import Camera
from agent.core.clock import Clock, format_local, parse_time
from agent.core.model import Segment
from agent.core.periodic import run_every
from agent.core.statement_model import LogPosition

MINUTE = timedelta(seconds=60)
_NEWEST_EVERY, _SELF_CHECK_EVERY = 5, 60
_MOST_CERTIFICATES = 20


class HeartbeatFacts(TypedDict, total=False):
    """What only the composition root knows; what it leaves out comes from the catalog. `recorded_s` is by camera ID."""

    drive: DriveBeat | None
    recorded_s: Mapping[str, float]


class Heartbeat:
    """Writes heartbeats into the outbox."""

    def __init__(
        self,
        catalog: Catalog,
        clock: Clock,
        options: BureauOptions,
        *,
        boot_id: str,
        facts: Callable[[], HeartbeatFacts],
    ) -> None:
        self._catalog = catalog
        self._clock = clock
        self._options = options
        self._boot_id = boot_id
        self._facts = facts
        self._started = clock.monotonic()
        self._seq = 0
        self._told: list[tuple[str, str]] | None = None
        self._told_at = 0

    def run(self, stop: threading.Event) -> None:
        run_every(self._clock, stop, self._options.heartbeat_s, self.beat)

    def beat(self) -> None:
        """Put one heartbeat into the outbox."""
        now = self._clock.now()
        expires = now + timedelta(seconds=self._options.heartbeat_keep_s)
        with self._catalog.store.write():
            self._catalog.outbox.expire(now)
            self._seq += 1
            self._catalog.outbox.put("heartbeat", "heartbeat", self.data(now), now, expires_at=expires)
            if self._seq % _NEWEST_EVERY == 1:
                put_newest(self._catalog, now)

    def data(self, now: datetime) -> HeartbeatBody:
        """Return the message's data."""
        facts = self._facts()
        recorded = facts.get("recorded_s", {})
        body: HeartbeatBody = {
            "seq": self._seq,
            "boot_id": self._boot_id,
            "uptime_s": round(self._clock.monotonic() - self._started, 3),
            "cameras": [self._camera(camera, recorded, now) for camera in self._catalog.cameras.all()],
            "drive": facts.get("drive"),
            "clock": self._clock.trust(),
            "outbox": self._catalog.outbox.size(),
            "doctor": self._doctor(),
        }
        if self._seq % _NEWEST_EVERY == 1:
            body["statements"] = build_position(self._catalog.statements.current())
        if (found := self._find_self_check()) is not None:
            body["self_check"] = found
        return body

    def _camera(self, camera: Camera, recorded: Mapping[str, float], now: datetime) -> CameraBeat:
        seconds = recorded[camera.camera_id] if camera.camera_id in recorded else self._recorded(camera, now)
        return {
            "camera_id": camera.camera_id,
            "up": camera.up,
            "clock_offset_s": camera.clock_offset_s,
            "recorded_s": round(seconds, 3),
        }

    def _doctor(self) -> ExaminationBody | None:
        """Return the last examination in short; None before the first."""
        last = self._catalog.health.last()
        return {"at": format_local(last.at, self._catalog.zone), **last.short()} if last else None

    def _find_self_check(self) -> SelfCheckBody | None:
        """Return findings and certificates of the last examination; None where they need not be told again.

        Each hour, and at once where other checks need somebody: the texts would cost more than the rest of a heartbeat.
        """
        last = self._catalog.health.last()
        if last is None:
            return None
        faults = last.list_faults()
        told: list[tuple[str, str]] = [(f.check, f.severity) for f in faults]
        if told == self._told and self._seq - self._told_at < _SELF_CHECK_EVERY:
            return None
        self._told, self._told_at = told, self._seq
        zone = self._catalog.zone
        certificates: list[CertificateBody] = [
            {"purpose": f.check.partition(".")[2], "until": format_local(parse_time(f.until), zone)}
            for f in last.findings
            if f.until
        ]
        return {"findings": [f.as_data() for f in faults], "certificates": certificates[:_MOST_CERTIFICATES]}

    def _recorded(self, camera: Camera, now: datetime) -> float:
        segments = self._catalog.segments.between(camera.camera_id, now - MINUTE, now, finished=False)
        return sum_recorded_seconds(segments, now, open_until=now if camera.up else None)


def build_position(position: LogPosition | None) -> PositionBody | None:
    """Return a place in the statement log as the contract has it."""
    return {"log": position.log, "number": position.number, "hash": position.hash} if position else None


def put_newest(catalog: Catalog, now: datetime) -> None:
    """Queue the retained message that names the newest statement, if it changed."""
    newest = build_position(catalog.statements.current())
    if newest is not None:
        data: NewestBody = {"newest": newest, "delivered": catalog.statements.delivered()}
        catalog.outbox.put("statements", "statements", data, now, retained=True)


def sum_recorded_seconds(segments: list[Segment], now: datetime, *, open_until: datetime | None) -> float:
    """Sum the seconds of the last minute that segments cover. An open one counts to `open_until`; None: not at all."""
    total, reached = 0.0, now - MINUTE
    for segment in sorted(segments, key=lambda s: s.start):
        end = segment.end or open_until
        if end is not None and min(end, now) > max(segment.start, reached):
            total += (min(end, now) - max(segment.start, reached)).total_seconds()
            reached = min(end, now)
    return min(total, MINUTE.total_seconds())
