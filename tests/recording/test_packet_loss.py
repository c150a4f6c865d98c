"""Lost packets: counted over all connections of a camera, logged once a minute with what to do."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from agent.recording.camera_watch import CameraWatch
from agent.recording.context import Connection
from agent.recording.failures import FailureReporter
from agent.recording.identity import RecordedUnit, UnitQuestion
from agent.recording.inputs import RecorderInputs
from agent.recording.options import RecordingOptions, StreamSource
from agent.recording.outage import SilenceWatch
from agent.rtsp.connection import RtspConnection
from simulator.firmware import FIRMWARE
from simulator.quirk_server import QuirkServer
from tests.support.clocks import HandClock
from tests.support.recording_bench import CAMERA, RecordingBench, clip, recording, wait_for


@dataclass
class CountedStream:
    """What a connection says of its packets."""

    lost: int = 0
    damaged: int = 0
    signed: bool = False


class LossWatch:
    """A camera's watch, whose connections lose what a test says, by a clock that it moves."""

    def __init__(self, rig: RecordingBench) -> None:
        self.clock = HandClock()
        inputs = RecorderInputs(lambda: rig.source, rig.plan_at, rig.open_drive)
        failures = FailureReporter(CAMERA, rig.catalog, self.clock, rig.plan_at, RecordingOptions())
        silence = SilenceWatch(CAMERA, rig.catalog, 30)
        self.watch = CameraWatch(inputs, UnitQuestion(CAMERA, None), failures, silence, self.clock)
        self.unit = RecordedUnit(rig.catalog, CAMERA, "", self.clock.now())
        self.connect()

    def connect(self) -> None:
        self.stream = CountedStream()
        self.watch.begin()

    def check(self, lost: int = 0, damaged: int = 0, after: float = 1.0) -> None:
        self.clock.go(after)
        self.stream.lost += lost
        self.stream.damaged += damaged
        connection = Connection(CAMERA, cast(RtspConnection, self.stream), self.unit)
        self.watch.check_packets(connection, self.clock.monotonic())


@pytest.fixture
def losses(tmp_path: Path) -> LossWatch:
    return LossWatch(RecordingBench(tmp_path, StreamSource("rtsp://127.0.0.1/main")))


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name == "agent.recording.camera_watch"]


def test_the_first_loss_is_told_at_once_later_ones_once_a_minute(
    losses: LossWatch, caplog: pytest.LogCaptureFixture
) -> None:
    losses.check()
    assert lines(caplog) == []
    losses.check(lost=3, damaged=1)
    assert len(lines(caplog)) == 1 and CAMERA in lines(caplog)[0] and "3" in lines(caplog)[0]
    for _ in range(59):
        losses.check(lost=2, damaged=1)
    assert len(lines(caplog)) == 1
    losses.check(lost=2, damaged=1)
    assert len(lines(caplog)) == 2 and "120" in lines(caplog)[1] and "60" in lines(caplog)[1]
    losses.check(after=600)
    assert len(lines(caplog)) == 2 and losses.watch.lost == 123


def test_a_new_connection_counts_from_nought_and_the_sum_goes_on(
    losses: LossWatch, caplog: pytest.LogCaptureFixture
) -> None:
    losses.check(lost=5)
    losses.connect()
    losses.check(lost=7, after=60)
    assert losses.watch.lost == 12
    assert len(lines(caplog)) == 2 and "7" in lines(caplog)[1]


def test_what_is_left_out_without_a_lost_packet_is_no_trouble_of_the_network(
    losses: LossWatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The first picture of a connection often begins in its middle."""
    losses.check(damaged=1)
    assert lines(caplog) == []


def test_a_recorder_counts_what_its_camera_loses(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    with QuirkServer(clip(tmp_path_factory.getbasetemp(), "h264", "aac"), FIRMWARE["loses-every-100th"]) as server:
        rig = RecordingBench(tmp_path, StreamSource(server.url()), RecordingOptions(segment_seconds=2))
        with recording(rig):
            wait_for(lambda: rig.recorder.lost >= 2 and len(rig.segments()) >= 2, "nothing is lost")
    assert len(lines(caplog)) == 1 and CAMERA in lines(caplog)[0]
