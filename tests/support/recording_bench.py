"""A recorder against a virtual camera, in real time: real RTSP, files and SQLite. And what the tests read back."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import av
import numpy as np

from agent.catalog import Catalog
from agent.core.camera_model import Camera, Verdict
from agent.core.class_model import Room, TrainingClass
from agent.core.clock import Clock, SystemClock
from agent.core.errors import DriveError
from agent.core.model import Segment, Session
from agent.core.schedule import Placement
from agent.drive import Drive
from agent.drive.creation import init_drive
from agent.recording.inputs import RecorderEvents, RecorderInputs
from agent.recording.options import RecordingOptions, StreamSource
from agent.recording.recorder import Recorder
from simulator.clips import make_clip, read_index
from simulator.rtsp import RtspServer
from tests.support.training_classes import make_training_class

ZONE = ZoneInfo("Asia/Shanghai")
CAMERA = "C1"
FRAMES = 200
"""Pictures in one round of a clip: 8 s at 25 a second."""
UNCUT = 1e7
"""Length of segments where the clock shall cut none: with 300 s each test that meets a twelfth of an hour had one too many."""


def training_class(class_id: str = "K1") -> TrainingClass:
    today = datetime.now(ZONE).date()
    rooms = (Room("R1", "一号教室", "theory", (CAMERA,)),)
    return make_training_class(class_id, first_day=today, last_day=today, rooms=rooms)


def placement(cls: TrainingClass, start: datetime, seconds: float = 3600) -> Placement:
    return Placement(cls.class_id, cls.first_day, Session.AM, "R1", CAMERA, start, start + timedelta(seconds=seconds))


class RecordingBench:
    """One camera, one drive, one catalog. `plan` and `source` may be replaced while it runs."""

    def __init__(
        self, tmp: Path, source: StreamSource, options: RecordingOptions | None = None, clock: Clock | None = None
    ) -> None:
        self.clock = clock or SystemClock()
        self.root = tmp / "drive"
        if not self.root.exists():
            self.root.mkdir()
        self.drive = init_drive(self.root, label="测试盘", institution="某校", clock=SystemClock())
        self.catalog = Catalog(tmp / "catalog.db", ZONE)
        self.catalog.cameras.put(Camera(CAMERA, "127.0.0.1", verdict=Verdict.ADMITTED), datetime.now(UTC))
        self.source = source
        cls = training_class()
        self.plan: tuple[TrainingClass, Placement] | None = (cls, placement(cls, self.clock.now()))
        self.options = options or RecordingOptions(segment_seconds=2)
        self.complaints: list[DriveError] = []
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._stop = threading.Event()
        inputs = RecorderInputs(lambda: self.source, self.plan_at, self.open_drive)
        events = RecorderEvents(complain=lambda _, error: self.complaints.append(error))
        self.recorder = Recorder(CAMERA, inputs, self.catalog, self.clock, self.options, events)
        self._thread = threading.Thread(target=self.recorder.run, args=[self._stop])
        self._thread.start()

    def plan_at(self, moment: datetime) -> tuple[TrainingClass, Placement] | None:
        return self.plan if self.plan and moment < self.plan[1].end else None

    def open_drive(self) -> Drive:
        return Drive.open(self.root, expect=self.drive.drive_id)

    def stop(self) -> float:
        """Stop and wait; returns the seconds it took."""
        begun = time.monotonic()
        self._stop.set()
        if self._thread:
            self._thread.join(20)
            assert not self._thread.is_alive()
        self._thread = None
        return time.monotonic() - begun

    def segments(self) -> list[Segment]:
        return self.catalog.segments.of_class("K1")

    def path(self, segment: Segment) -> Path:
        return self.root / segment.path

    def events(self, kind: str) -> list[Any]:
        day = timedelta(days=2)
        now = datetime.now(UTC)
        return [e for e in self.catalog.events.between(now - day, now + day) if e.kind == kind]

    def leftovers(self) -> list[Path]:
        return [p for p in self.root.rglob("*") if p.name.endswith(".part")]


@contextmanager
def recording(rig: RecordingBench) -> Iterator[RecordingBench]:
    """Records from the first picture until the end of the block."""
    rig.start()
    try:
        wait_for(lambda: rig.catalog.segments.opened(), "nothing is recorded")
        yield rig
    finally:
        rig.stop()


def wait_for(condition: Callable[[], object], why: str, seconds: float = 15.0) -> float:
    """Wait until `condition` holds; returns the seconds it took."""
    begun = time.monotonic()
    while not condition():
        if time.monotonic() - begun > seconds:
            raise AssertionError(why)
        time.sleep(0.02)
    return time.monotonic() - begun


@contextmanager
def camera(clip: Path, **settings: Any) -> Iterator[RtspServer]:
    server = RtspServer({"main": clip}, **settings)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@cache
def clip(folder: Path, codec: str, audio: str | None, size: tuple[int, int] = (640, 360)) -> Path:
    """An 8 s clip, made once a test run."""
    name = f"{codec}-{audio}-{size[0]}.{'mp4' if audio in ('aac', None) else 'mov'}"
    return make_clip(folder / name, 8, size, codec=codec, audio=audio, key_seconds=1)  # type: ignore[arg-type]


def indexes(path: Path) -> list[int | None]:
    """The bar codes of all pictures of a file, decoded, in order."""
    with av.open(str(path)) as container:
        return [read_index(frame.to_ndarray(format="gray")) for frame in container.decode(video=0)]


def breaks(numbers: list[int | None], period: int = FRAMES) -> list[tuple[int | None, int | None]]:
    """Neighbours that do not follow one another."""
    pairs = itertools.pairwise(numbers)
    return [(a, b) for a, b in pairs if a is None or b is None or (b - a) % period != 1]


def sound_packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(p) for p in container.demux(audio=0) if p.size]


def flashes(path: Path) -> list[float]:
    """Seconds at which the white square appears."""
    found: list[float] = []
    before = True
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            luma = frame.to_ndarray(format="gray")
            white = luma[-20:-4, 4:20].mean() > 200
            if white and not before:
                found.append(float(frame.pts * frame.time_base))
            before = bool(white)
    return found


def beeps(path: Path) -> list[float]:
    """Seconds at which the 2 kHz beep begins, to about 4 ms."""
    chunks: list[np.ndarray] = []
    start = rate = None
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            if start is None:
                start, rate = float(frame.pts * frame.time_base), frame.sample_rate
            gap = round((float(frame.pts * frame.time_base) - start) * rate) - sum(c.size for c in chunks)
            if gap > 0:
                chunks.append(np.zeros(gap, np.float32))
            chunks.append(frame.to_ndarray().reshape(-1))
    assert start is not None and rate is not None
    samples = np.concatenate(chunks)
    step = rate // 250
    t = np.arange(step * 4) / rate
    wave = np.exp(-2j * np.pi * 2000 * t)
    level = np.array([abs(np.dot(samples[i : i + t.size], wave)) for i in range(0, samples.size - t.size, step)])
    loud = level > level.max() * 0.5
    onsets = [i for i in range(1, loud.size) if loud[i] and not loud[i - 1]]
    return [start + (i * step + t.size // 2) / rate for i in onsets]
