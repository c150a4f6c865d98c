"""Clips cut out of what the real recorder wrote, live from the virtual camera."""

from __future__ import annotations

import time
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import av
import pytest

from agent.inspection.clip import ClipOptions, ClipRequest, ClipService
from agent.inspection.cut import ClipSpan
from agent.recording.options import StreamSource
from tests.support.clip_factory import beeps, frames
from tests.support.recording_bench import FRAMES, RecordingBench, camera, clip, recording


@pytest.mark.long
@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_a_clip_across_recorded_segments_is_whole_and_in_step(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, codec: str
) -> None:
    with camera(clip(tmp_path_factory.getbasetemp(), codec, "aac", (320, 192))) as server:
        rig = RecordingBench(tmp_path, StreamSource(server.url("main")))
        with recording(rig):
            time.sleep(9)
    rows = rig.catalog.segments.of_class("K1")
    assert len(rows) >= 4
    assert rig.plan
    cls = rig.plan[0]
    clips = ClipService(rig.catalog, rig.clock, ClipOptions((rig.root,)), lambda: [cls])
    span = ClipSpan(rows[0].start + timedelta(seconds=0.5), rows[-1].end - timedelta(seconds=0.5))  # type: ignore[operator]
    (plan,) = clips.plan(ClipRequest(cls, span, "tester"))
    made = clips.save(plan, tmp_path / "out")
    assert made["gaps"] == []
    shown = frames(made["path"])
    indices = [index for _, index in shown]
    assert all((b - a) % FRAMES == 1 for a, b in pairwise(indices) if a is not None and b is not None)
    assert abs(len(shown) / 25 - span.seconds) < 2.5
    assert all(0.02 < b - a < 0.06 for (a, _), (b, _) in pairwise(shown))
    seconds = [at for at, index in shown if index is not None and index % 25 == 0]
    heard = [at for at in beeps(made["path"])[1:] if at < shown[-1][0]]
    assert len(heard) >= 5
    assert all(min(abs(at - second) for second in seconds) < 0.07 for at in heard)
    with av.open(made["path"]) as opened:
        ticks = [p.dts for p in opened.demux(audio=0) if p.size]
        steps = {b - a for a, b in pairwise(ticks)}
        assert max(steps) - min(steps) <= 3 * opened.streams.audio[0].rate // 1000, "sound runs on across every join"
