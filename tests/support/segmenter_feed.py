"""A segmenter fed with the units of a clip faster than they would come, on a clock that goes as the packets say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import av

from agent.catalog import Catalog
from agent.core.model import Segment
from agent.drive.creation import init_drive
from agent.recording.assignment import Assignment
from agent.recording.context import Connection, Storage
from agent.recording.finisher import Finisher
from agent.recording.identity import RecordedUnit
from agent.recording.open_segment import PictureHole
from agent.recording.options import RecordingOptions
from agent.recording.segmenter import Segmenter
from agent.recording.syncer import Syncer
from agent.rtsp.connection import RtspConnection
from agent.rtsp.media_unit import MediaUnit
from simulator.clips import make_clip
from tests.support.clocks import PacketClock
from tests.support.media_units import ClipUnits
from tests.support.recording_bench import CAMERA, UNCUT, ZONE, placement, training_class

ROUND_S = 8.0
BEGUN = datetime(2026, 11, 23, 1, tzinfo=UTC)


class CountingSyncer:
    """Counts what it is asked; `busy`: a sync is still under way."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.busy = False

    def ask(self, _drive: object, writers: list[object]) -> bool:
        self.asked.append(len(writers))
        return not self.busy


class SegmenterFeed:
    """One connection. `play` feeds the clip; afterwards `close` ends it, and `segments` are its rows."""

    def __init__(
        self,
        tmp: Path,
        clip: Path,
        options: RecordingOptions | None = None,
        plan: Callable[[datetime], Assignment | None] | None = None,
        begun: datetime = BEGUN,
    ) -> None:
        self.clock = PacketClock(begun)
        (tmp / "drive").mkdir()
        self.drive = init_drive(tmp / "drive", label="测试盘", institution="某校", clock=self.clock)
        self.catalog = Catalog(tmp / "catalog.db", ZONE)
        self.container = av.open(str(clip))
        self._units = ClipUnits(self.container)
        self.video, self.audio = self._units.video, self._units.audio
        cls = training_class()
        always = cls, placement(cls, self.clock.now(), 36000)
        self.finisher = Finisher(CAMERA, self.catalog, self.clock)
        self.finisher.start()
        self.syncer = CountingSyncer()
        self.segmenter = Segmenter(
            Connection(
                CAMERA,
                cast(RtspConnection, SimpleNamespace(video=self.video, audio=self.audio)),
                RecordedUnit(self.catalog, CAMERA, "", self.clock.now()),
            ),
            Storage(self.drive, self.catalog, self.finisher, cast(Syncer, self.syncer)),
            plan or (lambda _: always),
            self.clock,
            options or RecordingOptions(segment_seconds=UNCUT, max_loss=1e9, reserve_bytes=0),
        )
        self.holes: list[PictureHole] = []
        self.played = 0.0

    def play(self, seconds: float, change: Callable[[float, MediaUnit], float | None] = lambda at, _: at) -> None:
        """Go on for `seconds`. `change` may alter a unit; it returns when the unit arrives, None where it is lost."""
        until = self.played + seconds
        for at, packet in self._packets(self.played, until):
            arrival = change(at, packet)
            if arrival is None:
                continue
            self.clock.passed = max(self.clock.passed, arrival)
            self.segmenter.feed(packet, 1000.0 + arrival)
            if self.segmenter.hole:
                self.holes.append(self.segmenter.hole)
            if self.segmenter.over:
                break
        self.played = until

    def _packets(self, since: float, until: float) -> Iterator[tuple[float, MediaUnit]]:
        """The clip over and over, as one stream: (second, unit) in order of decoding."""
        start = since // ROUND_S * ROUND_S
        while start < until:
            self.container.seek(0)
            found = []
            for packet in self.container.demux(*self._units.streams):
                if packet.size and packet.pts is not None and packet.dts is not None:
                    at = float(packet.dts * packet.time_base)
                    unit = self._units.make(packet, round(start / packet.time_base))
                    if at < ROUND_S - 1e-9 and (since <= start + at < until or start + at < 0):
                        found.append((start + at, unit))
            yield from sorted(found, key=lambda item: item[0])
            start += ROUND_S

    def is_video(self, unit: MediaUnit) -> bool:
        return unit.is_video

    def get_rate(self, unit: MediaUnit) -> int:
        """Return the ticks of the unit's track in a second."""
        return self.video.clock_rate if unit.is_video or self.audio is None else self.audio.clock_rate

    def shift(self, unit: MediaUnit, seconds: float) -> None:
        """Put the stamps of a unit ahead."""
        steps = round(seconds * self.get_rate(unit))
        unit.pts, unit.dts = unit.pts + steps, unit.dts + steps

    def close(self) -> list[Segment]:
        """End the connection; the rows of all segments in order of time."""
        self.segmenter.close()
        self.finisher.close()
        self.container.close()
        found = [s for class_id in ("K1", "K2") for s in self.catalog.segments.of_class(class_id)]
        return sorted(found, key=lambda s: s.segment_id)

    def path(self, segment: Segment) -> Path:
        return self.drive.root / segment.path


def seconds(moment: datetime | None, begun: datetime = BEGUN) -> float:
    """Seconds since the clock began, to a tenth of a millisecond."""
    assert moment is not None
    return round((moment - begun).total_seconds(), 4)


def spans(segments: list[Segment]) -> list[tuple[float, float]]:
    return [(seconds(s.start), seconds(s.end)) for s in segments]


def clip_with_b_frames(folder: Path) -> Path:
    """The usual clip, coded so that pictures are stored in another order than they are shown."""
    path = folder / "b-frames.mp4"
    if path.exists():
        return path
    plain = make_clip(folder / "plain.mp4", ROUND_S, (320, 180), audio=None, key_seconds=1)
    options = {"bf": "2", "g": "25", "keyint_min": "25", "sc_threshold": "0", "preset": "veryfast", "crf": "18"}
    with av.open(str(plain)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream("libx264", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        stream.time_base = Fraction(1, 12800)
        for frame in source.decode(video=0):
            frame.pict_type = av.video.frame.PictureType.NONE
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return path
