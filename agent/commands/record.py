"""`site-agent record`: records streams to a drive without settings, for trying out cameras and for benchmarks.

All video goes to one class named BENCH; times are in the time zone of China.
"""

from __future__ import annotations

import argparse
import math
import signal
import tempfile
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar
from zoneinfo import ZoneInfo

from agent import i18n
from agent.catalog import Catalog
from agent.commands.common import emit_json, print_message
from agent.commands.common import open_drive as the_drive
from agent.core import clock as clocks
from agent.core.class_model import Room, TrainingClass
from agent.core.clock import SystemClock
from agent.core.errors import DriveError, InputError
from agent.core.model import Segment, Session
from agent.core.schedule import Placement
from agent.credentials import attempts
from agent.drive import Drive
from agent.recording.inputs import RecorderEvents, RecorderInputs
from agent.recording.memory import limit_heap
from agent.recording.options import RecordingOptions, StreamSource
from agent.recording.recorder import Recorder

T = TypeVar("T")
CLASS_ID = "BENCH"
ROOM_ID = "R1"
_ZONE = ZoneInfo("Asia/Shanghai")


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("record", help=i18n.translate("help.record"))
    parser.add_argument("url", nargs="+", metavar="URL", help=i18n.translate("help.url"))
    parser.add_argument("--drive", type=Path, required=True, metavar="DIR", help=i18n.translate("help.drive_dir"))
    parser.add_argument(
        "--seconds", type=float, required=True, metavar="N", help=i18n.translate("recording.help_seconds")
    )
    parser.add_argument(
        "--segment-seconds",
        type=float,
        default=RecordingOptions().segment_seconds,
        metavar="N",
        help=i18n.translate("recording.help_segment"),
    )
    parser.add_argument("--allow-basic", action="store_true", help=i18n.translate("recording.help_allow_basic"))
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Record every URL for --seconds or until interrupted; exit status 1 where a camera gave no video."""
    sources = [_parse_source(url, args.allow_basic) for url in args.url]
    _check_positive("--seconds", args.seconds)
    _check_positive("--segment-seconds", args.segment_seconds)
    drive = the_drive(args.drive)
    drive.probe()
    limit_heap()
    stop = threading.Event()
    before = {s: signal.signal(s, lambda *_: stop.set()) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        with (
            tempfile.TemporaryDirectory(prefix="site-agent-") as folder,
            Catalog(Path(folder, "catalog.db"), _ZONE) as db,
        ):
            silent, trouble = _record(args, sources, drive, db, stop)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for camera_id in silent:
        # a drive error explains missing video: do not blame the camera
        print_message(str(trouble) if trouble else i18n.translate("recording.nothing", camera_id=camera_id))
    return 1 if silent else 0


def _record(
    args: argparse.Namespace, sources: list[StreamSource], drive: Drive, catalog: Catalog, stop: threading.Event
) -> tuple[list[str], DriveError | None]:
    """Record all sources; return the cameras without any video, and the last error of the drive."""
    clock = SystemClock()
    budget = attempts.open_user_budget(clock) if any(source.username for source in sources) else None
    recorded: set[str] = set()
    troubles: list[DriveError] = []

    def finished(segment: Segment) -> None:
        recorded.add(segment.camera_id)
        _report_segment(args, drive, segment)

    cls = _bench_class(clock.now(), len(sources))
    cameras = {f"cam{number}": source for number, source in enumerate(sources, 1)}
    events = RecorderEvents(finished, complain=lambda _, error: troubles.append(error))
    threads = []
    for camera_id, source in cameras.items():
        plan = cls, _placement(cls, camera_id, clock.now())
        inputs = RecorderInputs(_constant(source), _constant(plan), _constant(drive), budget=budget)
        options = RecordingOptions(segment_seconds=args.segment_seconds)
        recorder = Recorder(camera_id, inputs, catalog, clock, options, events)
        threads.append(threading.Thread(target=recorder.run, args=[stop], name=camera_id))
    for thread in threads:
        thread.start()
    clock.wait(stop, args.seconds)
    stop.set()
    for thread in threads:
        thread.join()
    silent = [camera_id for camera_id in cameras if camera_id not in recorded]
    return silent, troubles[-1] if troubles else None


def _constant(value: T) -> Callable[..., T]:
    return lambda *_: value


def _parse_source(url: str, allow_basic: bool) -> StreamSource:
    try:
        return StreamSource.of(url, allow_basic=allow_basic)
    except ValueError:
        raise InputError("recording.bad_url", url=url.rpartition("@")[2]) from None


def _check_positive(option: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise InputError("recording.not_positive", option=option, value=value)


def _bench_class(now: datetime, cameras: int) -> TrainingClass:
    day = clocks.get_local_day(now, _ZONE)
    room = Room(ROOM_ID, ROOM_ID, "theory", tuple(f"cam{n}" for n in range(1, cameras + 1)))
    return TrainingClass(
        class_id=CLASS_ID,
        project="BENCH",
        occupation="BENCH",
        class_number=1,
        institution="BENCH",
        place="BENCH",
        first_day=day,
        last_day=day,
        expected=0,
        rooms=(room,),
    )


def _placement(cls: TrainingClass, camera_id: str, now: datetime) -> Placement:
    session = Session.of(now.astimezone(_ZONE))
    return Placement(cls.class_id, cls.first_day, session, ROOM_ID, camera_id, now, now + timedelta(days=3650))


def _report_segment(args: argparse.Namespace, drive: Drive, segment: Segment) -> None:
    assert segment.end is not None
    item = {
        "camera_id": segment.camera_id,
        "path": str(drive.root / segment.path),
        "start": clocks.format_local(segment.start, _ZONE),
        "end": clocks.format_local(segment.end, _ZONE),
        "bytes": segment.bytes,
        "sha256": segment.sha256,
    }
    emit_json(args, item)
    seconds = (segment.end - segment.start).total_seconds()
    print_message(
        i18n.translate("recording.segment", camera_id=segment.camera_id, path=segment.path, seconds=f"{seconds:.1f}")
    )
