"""A recorder in a process of its own, to be killed: python -m tests.support.recording_child URL FOLDER [SEGMENT_SECONDS]."""

from __future__ import annotations

import sys
import threading
from datetime import timedelta
from pathlib import Path

from agent.catalog import Catalog
from agent.core.clock import SystemClock
from agent.drive import Drive
from agent.recording.inputs import RecorderInputs
from agent.recording.options import RecordingOptions, StreamSource
from agent.recording.recorder import Recorder
from tests.support.recording_bench import CAMERA, ZONE, placement, training_class


def main(url: str, folder: Path, segment_seconds: float) -> None:
    clock = SystemClock()
    cls = training_class()
    plan = cls, placement(cls, clock.now() - timedelta(seconds=1))
    drive = Drive.open(folder / "drive")
    inputs = RecorderInputs(lambda: StreamSource.of(url), lambda _: plan, lambda: drive)
    options = RecordingOptions(segment_seconds=segment_seconds, reserve_bytes=1 << 20)
    Recorder(CAMERA, inputs, Catalog(folder / "catalog.db", ZONE), clock, options).run(threading.Event())


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]))
