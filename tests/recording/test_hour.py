"""Picture and sound in step over an hour: real packets of a clip, fed to the recorder faster than they would come.

The clip's white square and its beep begin every second together, so each file says by itself how far they are apart.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import av
import pytest

from agent.catalog import Catalog
from agent.core.model import Segment
from agent.drive.creation import init_drive
from agent.recording.context import Connection, Storage
from agent.recording.finisher import Finisher
from agent.recording.identity import RecordedUnit
from agent.recording.options import RecordingOptions
from agent.recording.segmenter import Segmenter
from agent.recording.syncer import Syncer
from agent.rtsp.connection import RtspConnection
from simulator.clips import make_clip
from tests.support.clocks import PacketClock
from tests.support.media_units import ClipUnits
from tests.support.recording_bench import CAMERA, ZONE, beeps, flashes, placement, training_class

ROUND_S = 8
STEP_S = 0.04


def packets(container: av.container.InputContainer, seconds: float) -> Iterator[tuple[float, av.Packet[Any]]]:
    """The clip over and over, as one stream: (second, packet) in order of time."""
    streams = [container.streams.video[0], container.streams.audio[0]]
    start = 0.0
    while start < seconds:
        container.seek(0)
        found = []
        for packet in container.demux(streams):
            if packet.size and packet.pts is not None and packet.dts is not None:
                at = float(packet.pts * packet.time_base)
                late = round(start / float(packet.time_base))
                packet.pts, packet.dts = packet.pts + late, packet.dts + late
                if at < ROUND_S:
                    found.append((start + at, packet))
        yield from sorted(found, key=lambda item: item[0])
        start += ROUND_S


def recorded(tmp_path: Path, audio: str, seconds: float, lost: float) -> tuple[Path, list[Segment]]:
    """The drive's folder and its segments; of sound packets the share `lost` does not come."""
    film = make_clip(tmp_path / f"film.{'mp4' if audio == 'aac' else 'mov'}", ROUND_S, (320, 180), audio=audio)  # type: ignore[arg-type]
    clock, chance = PacketClock(), random.Random(1)
    (tmp_path / "drive").mkdir()
    drive = init_drive(tmp_path / "drive", label="测试盘", institution="某校", clock=clock)
    cls = training_class()
    plan = cls, placement(cls, clock.now(), 2 * seconds)
    with Catalog(tmp_path / "catalog.db", ZONE) as catalog, av.open(str(film)) as container:
        units, sound = ClipUnits(container), container.streams.audio[0]
        stream = cast(RtspConnection, SimpleNamespace(video=units.video, audio=units.audio))
        finisher = Finisher(CAMERA, catalog, clock)
        finisher.start()
        try:
            # nothing is to be saved from a power cut here
            options = RecordingOptions(max_loss=10 * seconds, fragment_seconds=2)
            with Syncer(CAMERA, clock) as syncer:
                segmenter = Segmenter(
                    Connection(CAMERA, stream, RecordedUnit(catalog, CAMERA, "", clock.now())),
                    Storage(drive, catalog, finisher, syncer),
                    lambda _: plan,
                    clock,
                    options,
                )
                ticked = 0.0
                for at, packet in packets(container, seconds):
                    clock.passed = at
                    if packet.stream_index == sound.index and chance.random() < lost:
                        continue
                    segmenter.feed(units.make(packet), clock.monotonic())
                    if at - ticked > 0.3:
                        ticked = at
                        segmenter.tick(clock.monotonic())
                segmenter.close()
        finally:
            finisher.close()
        return drive.root, catalog.segments.of_class(cls.class_id)


def apart(path: Path) -> list[float]:
    """How far each beep lies from the nearest white square, in seconds; later sound is positive."""
    seen = flashes(path)
    return [min((b - f for f in seen), key=abs) for b in beeps(path) if seen[0] - 0.5 < b < seen[-1] + 0.5]


@pytest.mark.long
@pytest.mark.parametrize(
    ("seconds", "lost"),
    [(330, 0.0), *(pytest.param(3600, x, marks=[pytest.mark.long, pytest.mark.minutes(3)]) for x in (0.0, 0.02))],
)
@pytest.mark.parametrize("audio", ["aac", "alaw"])
@pytest.mark.timeout(600)
def test_picture_and_sound_stay_in_step(audio: str, seconds: float, lost: float, tmp_path: Path) -> None:
    root, segments = recorded(tmp_path, audio, seconds, lost)
    assert len(segments) == -(-seconds // 300)
    assert [a.end for a in segments[:-1]] == [b.start for b in segments[1:]]
    first, last = apart(root / segments[0].path), apart(root / segments[-1].path)
    off = f"off by {worst(first, lost):.3f} s in the first file, {worst(last, lost):.3f} s in the last"
    print(f"{audio}, {seconds} s, {lost:.0%} of the sound lost: {off}")
    assert len(last) > (segments[-1].end - segments[-1].start).total_seconds() * 0.9  # type: ignore[operator]
    assert worst(first, lost) <= STEP_S and worst(last, lost) <= STEP_S


def worst(found: list[float], lost: float) -> float:
    """The worst of all; where packets are lost the worst of nine in ten, for the begin of some beeps is among them."""
    return sorted(map(abs, found))[round((len(found) - 1) * (0.9 if lost else 1.0))]
