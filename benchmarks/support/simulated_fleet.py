"""Thousands of simulated boxes in one thread, with the agent's real envelopes."""

from __future__ import annotations

import heapq
import itertools
import random
import selectors
import socket
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from agent.contract.envelope import wrap
from agent.core.statement_model import EVENT_TYPE, Statement
from benchmarks.support.mqtt import CONNACK, PUBACK, connect_packet, packets, publish_packet

HOST = "127.0.0.1"
ZONE = ZoneInfo("Asia/Shanghai")
_SEGMENT_TOPIC = "segment"


@dataclass(slots=True, eq=False)
class SimulatedBox:
    """One box: its connection, and its messages without acknowledgement by packet identifier (`flight`)."""

    number: int
    waits: Iterator[float]
    sock: socket.socket | None = None
    online: bool = False
    buffer: bytearray = field(default_factory=bytearray)
    flight: dict[int, tuple[str, bytes]] = field(default_factory=dict)
    sequence: int = 0

    @property
    def prefix(self) -> str:
        return f"training/v1/bench/site{self.number // 4}/box{self.number}"


def heartbeat(cameras: int) -> bytes:
    """Return a real heartbeat with `%b` in place of ID and time of sending."""
    data = {
        "seq": 1234,
        "boot_id": "6f0b6c5e-7d0e-4c8b-9a55-0d2f6a1c9e11",
        "uptime_s": 74040.5,
        "cameras": [
            {"camera_id": f"cam{n}", "up": True, "recorded_s": 60.0, "clock_offset_s": 0.41} for n in range(cameras)
        ],
        "drive": {"drive_id": "d-7f3a", "state": "attached", "free_bytes": 1500000000000, "days_left": 41.5},
        "clock": "trusted",
        "outbox": 0,
        "sent": "SENT",
        "doctor": {"at": "2026-11-23T08:26:02.114+08:00", "worst": "ok", "errors": 0, "warnings": 0, "checks": []},
    }
    whole = wrap(
        event_id="ID",
        source="/training/bench/site/box",
        name="heartbeat",
        subject="heartbeat",
        at=datetime.now(UTC),
        zone=ZONE,
        data=data,
    )
    return whole.replace(b"%", b"%%").replace(b'"ID"', b'"%b"').replace(b'"SENT"', b"%b")


def segment_statement(cameras: int) -> bytes:
    """Return a real statement of a minute's finished segments with `%b` in place of ID and time of sending."""
    folder = "C-1_职业技能提升_第1班_20261123_20261210_文水县某街1号/2026-11-23/上午"
    items = [
        {
            "room_id": "r1", "camera_id": f"cam{n}", "path": f"r1_cam{n}/083000.mp4",
            "start": "2026-11-23T08:30:00.000+08:00", "end": "2026-11-23T08:35:00.040+08:00", "bytes": 150000000,
            "sha256": "1c" * 32, "serial": f"S-{n}", "clock": "trusted",
        }
        for n in range(cameras)
    ]  # fmt: skip
    half_day = {"class_id": "C-1", "date": "2026-11-23", "session": "am", "folder": folder, "items": items}
    data = {"drive_id": "d-7f3a", "half_days": [half_day], "sent": "SENT"}
    type_, at = EVENT_TYPE.format(name="segment"), "2026-11-23T08:35:00.040+08:00"
    statement = Statement("4f" * 16, 123456, "2d" * 32, "3e" * 32, "ID", _SEGMENT_TOPIC, type_, at, data)
    whole = wrap(
        event_id="ID", source="/training/bench/site/box", name="segment", subject=_SEGMENT_TOPIC, at=datetime.now(UTC),
        zone=ZONE, data=data, statement=statement,
    )  # fmt: skip
    return whole.replace(b"%", b"%%").replace(b'"ID"', b'"%b"').replace(b'"SENT"', b"%b")


class SimulatedFleet:
    """All boxes in one thread with one selector. `waits` makes a box's pauses (s) between attempts to connect.

    With `statements` every second message is a statement of four segments; else all are heartbeats.
    `make_message` makes (topic, event ID, payload) of a box's next message instead.
    """

    def __init__(
        self,
        count: int,
        port: int,
        waits: Callable[[], Iterator[float]],
        *,
        statements: bool = True,
        make_message: Callable[[SimulatedBox], tuple[str, str, bytes]] | None = None,
    ) -> None:
        self.make_message = make_message or self.fill_template
        self.port = port
        self.make_waits = waits
        self.boxes = [SimulatedBox(n, waits()) for n in range(count)]
        self.selector = selectors.DefaultSelector()
        self.timers: list[tuple[float, int, Callable[[SimulatedBox], None], SimulatedBox]] = []
        self.tie = itertools.count()
        segments = [(_SEGMENT_TOPIC, segment_statement(4))] if statements else []
        self.templates = [("heartbeat", heartbeat(4)), *segments]
        self.interval: float | None = None
        self.closed_loop = False
        self.sent: set[str] = set()
        self.acknowledged = 0
        self.online = 0
        self.attempts: list[float] = []
        self.failures = 0
        self.returned: list[float] = []

    def later(self, seconds: float, action: Callable[[SimulatedBox], None], box: SimulatedBox) -> None:
        heapq.heappush(self.timers, (time.monotonic() + seconds, next(self.tie), action, box))

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> float:
        begun = time.monotonic()
        while (now := time.monotonic()) < begun + seconds and not until():
            while self.timers and self.timers[0][0] <= now:
                _, _, action, box = heapq.heappop(self.timers)
                action(box)
            pause = min(0.05, max(0.0, self.timers[0][0] - now)) if self.timers else 0.05
            for key, mask in self.selector.select(pause):
                self.on_event(key.data, mask)
        return time.monotonic() - begun

    def connect(self, box: SimulatedBox) -> None:
        self.attempts.append(time.monotonic())
        box.sock = socket.socket()
        box.sock.setblocking(False)
        box.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        box.sock.connect_ex((HOST, self.port))
        self.selector.register(box.sock, selectors.EVENT_WRITE, box)

    def on_event(self, box: SimulatedBox, mask: int) -> None:
        assert box.sock is not None
        try:
            if mask & selectors.EVENT_WRITE:
                if box.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    raise ConnectionRefusedError
                self.selector.modify(box.sock, selectors.EVENT_READ, box)
                will = (f"{box.prefix}/state", state(box, "offline"))
                box.sock.sendall(connect_packet(f"site-agent-bench-site{box.number // 4}-box{box.number}", will))
                return
            data = box.sock.recv(65536)
            if not data:
                raise ConnectionResetError
            box.buffer += data
            for kind, body in packets(box.buffer):
                self.on_packet(box, kind, body)
        except OSError:
            self.lose(box)

    def on_packet(self, box: SimulatedBox, kind: int, body: bytes) -> None:
        assert box.sock is not None
        if kind == CONNACK:
            box.online, box.waits = True, self.make_waits()
            self.online += 1
            self.returned.append(time.monotonic())
            box.sock.sendall(publish_packet(f"{box.prefix}/state", 65535, state(box, "online"), retain=True))
            for mid, (topic, payload) in list(box.flight.items()):
                box.sock.sendall(publish_packet(topic, mid, payload, retain=False))
        elif kind == PUBACK and box.flight.pop(struct.unpack("!H", body)[0], None) is not None:
            self.acknowledged += 1
            if self.closed_loop and not box.flight:
                self.report(box)

    def lose(self, box: SimulatedBox) -> None:
        assert box.sock is not None
        self.selector.unregister(box.sock)
        box.sock.close()
        self.online -= box.online
        self.failures += not box.online
        box.sock, box.online = None, False
        box.buffer.clear()
        self.later(next(box.waits), self.connect, box)

    def report(self, box: SimulatedBox) -> None:
        """Make one message; while there is no connection, it is kept in the box."""
        box.sequence += 1
        topic, event_id, payload = self.make_message(box)
        mid = box.sequence % 60000 + 1
        self.sent.add(event_id)
        box.flight[mid] = (topic, payload)
        if box.online and box.sock is not None:
            try:
                box.sock.sendall(publish_packet(topic, mid, payload, retain=False))
            except OSError:
                self.lose(box)

    def fill_template(self, box: SimulatedBox) -> tuple[str, str, bytes]:
        """Return a message of a box, with its ID and the time of sending."""
        event_id = f"{box.number}-{box.sequence}"
        name, template = self.templates[box.sequence % len(self.templates)]
        return f"{box.prefix}/{name}", event_id, template % (event_id.encode(), b"%.6f" % time.monotonic())

    def beat(self, box: SimulatedBox) -> None:
        if self.interval is not None:
            self.report(box)
            self.later(self.interval, self.beat, box)

    def start_beating(self, interval: float) -> None:
        self.interval = interval
        for box in self.boxes:
            self.later(random.uniform(0, interval), self.beat, box)

    def drain(self, seconds: float = 60) -> float:
        self.interval, self.closed_loop = None, False
        return self.run(seconds, lambda: not any(box.flight for box in self.boxes))


def state(box: SimulatedBox, word: str) -> bytes:
    data = {
        "state": word,
        "boot_id": "6f0b6c5e-7d0e-4c8b-9a55-0d2f6a1c9e11",
        "version": "0.1.0",
        "since": datetime.now(UTC).isoformat(),
    }
    return wrap(
        event_id=f"state-{box.number}",
        source=f"/training/bench/site{box.number // 4}/box{box.number}",
        name="state",
        subject="state",
        at=datetime.now(UTC),
        zone=ZONE,
        data=data,
    )
