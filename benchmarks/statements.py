"""What the statement log costs on the wire and in the catalog: the messages of one day of a box, counted.

`scripts/bench statements [--cameras 4] [--hours 8] [--classes 1]` writes a day into a real catalog (segments, looks,
attendance, camera changes, alerts, papers, heartbeats), wraps every message as the link does once a minute and adds up its
bytes by kind, with the MQTT header. Topics are counted as sent to a broker that allows `--aliases` topic aliases (Mosquitto
unless told otherwise: 10; 0 for MQTT 3.1.1). With several classes the cameras are shared out among them, all at the same time.
The rival is the same day without statements, as version 0.2.0 sent it. Exit status 1 above the limit of 3 MB a day.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from agent.bureau.heartbeat import Heartbeat
from agent.bureau.options import BureauOptions
from agent.catalog import Catalog
from agent.catalog.health import Examination, HealthFinding
from agent.contract.box import DriveBeat
from agent.contract.envelope import wrap
from agent.core.alert_model import AlertKind
from agent.core.camera_model import Camera, Verdict
from agent.core.clock import SystemClock
from agent.core.model import Look, Segment, Session
from agent.mqtt.topic_aliases import TopicAliases
from benchmarks.support.results import add_json_option, write_result

ZONE = ZoneInfo("Asia/Shanghai")
BEGIN = datetime(2026, 11, 23, 0, 0, tzinfo=UTC)
LIMIT = 3_000_000
_BEFORE = {"heartbeat", "attendance", "alert", "alerts.open", "camera", "chain", "state"}
_STATEMENT_ATTRIBUTES = 330
_ALIASES = 10
_SEGMENT_S, _LOOK_S, _PAPERS_S = 300, 20, 600


@dataclass
class WireCount:
    """Messages and bytes by kind, and bytes of the same day without statements."""

    messages: Counter[str] = field(default_factory=Counter)
    size: Counter[str] = field(default_factory=Counter)
    before: int = 0
    aliases: TopicAliases = field(default_factory=lambda: TopicAliases(_ALIASES))

    def send(self, catalog: Catalog) -> None:
        """Count what waits, and acknowledge it."""
        for m in catalog.outbox.waiting(limit=1000):
            payload = wrap(
                event_id=m.event_id, source="/training/wenshui/site1/box1", name=m.type, subject=m.topic,
                at=m.created_at, zone=ZONE, data=m.data, statement=m.statement,
            )  # fmt: skip
            topic = f"training/v1/wenshui/site1/box1/{m.topic}"
            alias, is_known = self.aliases.find(topic)
            # fixed header, lengths and message ID; then a property for the alias
            whole = len(payload) + 8 + (0 if is_known else len(topic.encode())) + (3 if alias else 0)
            self.messages[m.type] += 1
            self.size[m.type] += whole
            if m.type in _BEFORE:
                self.before += whole - (_STATEMENT_ATTRIBUTES if m.statement else 0)
            catalog.outbox.done(m.seq)


class _DayClock(SystemClock):
    """The day that is written, `seconds` from its begin."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0

    def now(self) -> datetime:
        return BEGIN + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds


def run_day(catalog: Catalog, cameras: int, hours: float, classes: int, aliases: int = _ALIASES) -> WireCount:
    """Write and send the day of a box: each camera records and is looked at for `hours`, heartbeats go on all day."""
    options, wire, clock = BureauOptions("wenshui", "site1", "box1"), WireCount(), _DayClock()
    wire.aliases.most = aliases
    drive: DriveBeat = {"drive_id": "d-7f3a", "state": "attached", "free_bytes": 1_500_000_000_000, "days_left": 41.5}
    boot = "6f0b6c5e-7d0e-4c8b-9a55-0d2f6a1c9e11"
    heart = Heartbeat(catalog, clock, options, boot_id=boot, facts=lambda: {"drive": drive})
    catalog.health.put(Examination(BEGIN, (HealthFinding("drive.smart.sda", "warning", "-"),)))
    for number in range(cameras):
        catalog.cameras.put(
            Camera(f"cam{number}", "192.168.1.10", verdict=Verdict.ADMITTED, serial=f"S-{number}"), BEGIN
        )
    for second in range(0, 86400, 10):
        at, taught = BEGIN + timedelta(seconds=second), second < hours * 3600
        for number in range(cameras) if taught else ():
            class_id = f"C-{number % classes + 1}"
            if second % _SEGMENT_S == 0:
                _record(catalog, f"cam{number}", class_id, at)
            if second % _LOOK_S == 0:
                catalog.looks.add(
                    Look(f"cam{number}", "r1", class_id, date(2026, 11, 23), Session.AM, at, 28, 26, 30, True)
                )
        for number in range(classes) if taught else ():
            if second % 300 == 0:
                _attend(catalog, f"C-{number + 1}", second // 300 + 1, at)
            if second % _PAPERS_S == 0:
                _write_papers(catalog, f"C-{number + 1}", second, at)
        if taught and second % 3600 == 0:
            _fail(catalog, second, at)
        if second % 60 == 0:
            clock.seconds = second
            catalog.state_batches(at)
            heart.beat()
            wire.send(catalog)
    return wire


def _fail(catalog: Catalog, second: int, at: datetime) -> None:
    """Raise and clear an alert, and state the journal."""
    catalog.alerts.raise_(AlertKind.CAMERA_OFFLINE, "cam0", f"摄像机 cam0 掉线 {second}", at, camera_id="cam0")
    catalog.alerts.clear(AlertKind.CAMERA_OFFLINE, "cam0", at)
    journal = {"drive_id": "d-7f3a", "name": "2026-11-23.jsonl", "bytes": second, "sha256": "3e" * 32, "audit": None}
    catalog.outbox.put("journal", "journal", journal, at)


def _write_papers(catalog: Catalog, class_id: str, second: int, at: datetime) -> None:
    items = dict.fromkeys(("标签.txt", "清单.csv", "到课人数.csv", "目录.html"), f"{second:064x}")
    data = {"class_id": class_id, "drive_id": "d-7f3a", "items": items}
    catalog.outbox.put(f"papers/{class_id}", "papers", data, at)


def _record(catalog: Catalog, camera: str, class_id: str, at: datetime) -> None:
    folder = f"{class_id}_职业技能提升_第1班_20261123_20261210_文水县某街1号/2026-11-23/上午"
    path = f"{folder}/r1_{camera}/{at:%H%M%S}.mp4"
    segment = Segment(
        0, "d-7f3a", path, f"{path}.part", "open", class_id, date(2026, 11, 23), Session.AM, "r1", camera, at,
        trust="trusted", serial=f"DS-2CD{camera}20240611AAWR",
    )  # fmt: skip
    number = catalog.segments.open(segment)
    catalog.segments.finish(number, end=at + timedelta(seconds=_SEGMENT_S), size=150_000_000, sha256="1c" * 32)


def _attend(catalog: Catalog, class_id: str, revision: int, at: datetime) -> None:
    figures = {
        "expected": 30, "present": 28, "absent": 2, "low": 27, "high": 29, "ratio": 0.933, "at_start": 27, "at_end": None,
        "lesson_s": 2700, "judged_s": 2400,
    }  # fmt: skip
    rooms = [{"room_id": "r1", **figures}]
    body = {
        "class_id": class_id, "date": "2026-11-23", "session": "am", **figures, "status": "provisional",
        "revision": revision, "rooms": rooms,
    }  # fmt: skip
    catalog.attendance.put(body, at)  # type: ignore[arg-type]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, default=4)
    parser.add_argument("--hours", type=float, default=8.0, help="of recording and lessons")
    parser.add_argument("--classes", type=int, default=1, help="classes at the same time, which share the cameras")
    parser.add_argument("--aliases", type=int, default=_ALIASES, help="topic aliases that the broker allows")
    add_json_option(parser)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Catalog(Path(folder) / "catalog.db", ZONE) as catalog:
        with catalog.store.write():
            wire = run_day(catalog, args.cameras, args.hours, args.classes, args.aliases)
        newest = catalog.statements.current()
        row = catalog.store.row("select sum(length(data) + 400) as n from statements")
    total = sum(wire.size.values())
    print(f"{'':16}{'messages':>10}{'kB':>10}")
    for kind, count in sorted(wire.messages.items(), key=lambda item: -wire.size[item[0]]):
        print(f"{kind:16}{count:10}{wire.size[kind] / 1000:10.0f}")
    statements = newest.number if newest else 0
    kept = int(row["n"] or 0) if row else 0
    print(
        f"{'all':16}{sum(wire.messages.values()):10}{total / 1000:10.0f}   without statements {wire.before / 1000:.0f} kB"
    )
    print(f"{statements} statements, {kept / 1e6:.1f} MB a day in the catalog")
    metrics: dict[str, float] = {"wire_bytes": total, "wire_bytes_before": wire.before, "statements": statements}
    write_result(args.json, "statements", "0.2.0", args, metrics)
    return 0 if total <= LIMIT else 1


if __name__ == "__main__":
    raise SystemExit(main())
