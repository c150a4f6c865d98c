"""Records cameras into a box whose page runs in another process: the recorders of the agent over one catalog and drive.

Usage: python -m benchmarks.support.recording_process FOLDER PORT CAMERAS. Records until its input ends.
"""

from __future__ import annotations

import sys
import threading
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from agent.catalog import Catalog
from agent.core.class_model import Room, TrainingClass
from agent.core.clock import SystemClock
from agent.core.model import Session
from agent.core.schedule import Placement
from agent.drive import Drive
from agent.recording.inputs import RecorderEvents, RecorderInputs
from agent.recording.memory import limit_heap
from agent.recording.options import RecordingOptions, StreamSource
from agent.recording.recorder import Recorder

CLASS_ID = "REC"
_ZONE = ZoneInfo("Asia/Shanghai")


def main() -> None:
    folder, port, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    limit_heap()
    cameras = tuple(f"rec{n}" for n in range(count))
    now = datetime.now(_ZONE)
    cls = TrainingClass(
        CLASS_ID, "", "", 1, "", "", now.date(), now.date(), 0, rooms=(Room("R1", "", "theory", cameras),)
    )
    stop = threading.Event()
    with Catalog(folder / "state" / "catalog.db", _ZONE) as catalog:
        threads = []
        for number, camera in enumerate(cameras):
            plan = cls, Placement(CLASS_ID, now.date(), Session.AM, "R1", camera, now, now + timedelta(hours=2))
            source = StreamSource(f"rtsp://127.0.0.1:{port}/cam{number}")
            inputs = RecorderInputs(
                lambda source=source: source,  # type: ignore[misc]
                lambda _, plan=plan: plan,  # type: ignore[misc]
                lambda: Drive.open(folder / "drive"),
            )
            recorder = Recorder(
                camera, inputs, catalog, SystemClock(), RecordingOptions(segment_seconds=30), RecorderEvents()
            )
            threads.append(threading.Thread(target=recorder.run, args=[stop]))
            threads[-1].start()
        sys.stdin.read()
        stop.set()
        for thread in threads:
            thread.join(20)


if __name__ == "__main__":
    main()
