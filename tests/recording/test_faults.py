"""Cameras that misbehave: what is lost, what is told, how soon recording goes on."""

from __future__ import annotations

import itertools
import logging
import socketserver
import sqlite3
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from agent.catalog import Catalog
from agent.core.alert_model import AlertKind
from agent.core.clock import SystemClock
from agent.credentials.attempts import MAX_ATTEMPTS
from agent.media import containers
from agent.recording.options import RecordingOptions, StreamSource
from agent.recording.outage import Outage
from agent.rtsp.connection import RtspConnection
from agent.rtsp.target import StreamTarget
from simulator import rtp, rtsp
from simulator.rtsp import RtspServer
from simulator.source import SourceSample, SourceTrack
from simulator.stream import RtpStream
from tests.support.clocks import SteppedClock
from tests.support.recording_bench import (
    CAMERA,
    UNCUT,
    RecordingBench,
    breaks,
    camera,
    clip,
    indexes,
    placement,
    recording,
    training_class,
    wait_for,
)

QUICK = RecordingOptions(segment_seconds=2, stall_seconds=2.5, offline_seconds=2, timeout=1.25, refused_pause=0.5)


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


def gap(rig: RecordingBench) -> float:
    """Seconds without video between the first segment and the last."""
    rows = rig.segments()
    return sum((b.start - a.end).total_seconds() for a, b in itertools.pairwise(rows) if a.end)


def all_indexes(rig: RecordingBench) -> list[int | None]:
    return [n for s in rig.segments() for n in indexes(rig.path(s))]


@pytest.mark.long
def test_frozen_camera_is_a_stall(clips: Path, tmp_path: Path) -> None:
    with (
        camera(clip(clips, "h264", "aac")) as server,
        recording(RecordingBench(tmp_path, StreamSource(server.url("main")), QUICK)) as rig,
    ):
        time.sleep(1)
        server.faults("main").frozen = True
        frozen = time.monotonic()
        wait_for(lambda: rig.events("stream.stalled"), "no stall noticed")
        assert time.monotonic() - frozen < 4
        wait_for(lambda: rig.catalog.alerts.open_one(AlertKind.CAMERA_OFFLINE, CAMERA), "no alert")
        assert rig.catalog.cameras.asked() == [CAMERA]
        camera_row = rig.catalog.cameras.get(CAMERA)
        assert camera_row is not None and not camera_row.up
        wait_for(rig.segments, "the segment before the stall is not finished", 2)
        server.faults("main").frozen = False
        assert wait_for(lambda: rig.catalog.segments.opened(), "does not come back") < 8
        wait_for(lambda: not rig.catalog.alerts.open_one(AlertKind.CAMERA_OFFLINE, CAMERA), "alert stays")
    (event,) = rig.events("stream.stalled")
    assert event.until is not None
    # the event lies over the gap: from the last picture to the first
    ends = [s.end for s in rig.segments()]
    assert min(abs(event.at - e) for e in ends if e) < timedelta(seconds=0.1)


@pytest.mark.long
def test_camera_that_sends_only_sound_is_a_stall(clips: Path, tmp_path: Path) -> None:
    with (
        camera(clip(clips, "h264", "aac")) as server,
        recording(RecordingBench(tmp_path, StreamSource(server.url("main")), QUICK)) as rig,
    ):
        time.sleep(1)
        server.faults("main").send_video = False
        wait_for(lambda: rig.events("stream.stalled"), "no stall noticed")
        wait_for(lambda: not rig.catalog.segments.opened(), "the segment before the stall stays open")
        server.faults("main").send_video = True
        wait_for(lambda: rig.catalog.segments.opened(), "does not come back")
        wait_for(lambda: rig.events("stream.stalled")[0].until, "the stall does not end")
    (event,) = rig.events("stream.stalled")
    last = max(s.end for s in rig.segments() if s.end and s.start < event.at)
    first = min(s.start for s in rig.segments() if s.start > event.at)
    assert abs(event.at - last) < timedelta(seconds=0.1)
    assert event.until and abs(event.until - first) < timedelta(seconds=1), "a new segment ended it"


@pytest.mark.long
def test_rebooted_camera_comes_back(clips: Path, tmp_path: Path) -> None:
    with (
        camera(clip(clips, "hevc", "alaw")) as server,
        recording(RecordingBench(tmp_path, StreamSource(server.url("main")), QUICK)) as rig,
    ):
        time.sleep(1)
        server.unlisten()
        wait_for(lambda: rig.events("camera.down"), "not noticed")
        time.sleep(2)
        server.listen()
        back = wait_for(lambda: rig.catalog.segments.opened(), "does not come back")
        assert back < 5
    downs, seen = rig.events("camera.down"), all_indexes(rig)
    assert downs and all(e.until for e in downs)
    assert seen and None not in seen
    assert gap(rig) < 8


def test_dropped_connection_costs_little(clips: Path, tmp_path: Path) -> None:
    with (
        camera(clip(clips, "h264", "aac")) as server,
        recording(RecordingBench(tmp_path, StreamSource(server.url("main")), QUICK)) as rig,
    ):
        time.sleep(1)
        server.drop()
        wait_for(lambda: rig.events("camera.down"), "not noticed")
        wait_for(lambda: rig.catalog.segments.opened(), "does not come back")
        time.sleep(1)
    assert gap(rig) < 1.5


def test_hung_camera_does_not_keep_the_recorder_from_stopping(clips: Path, tmp_path: Path) -> None:
    with camera(clip(clips, "h264", "aac")) as server:
        server.hung = True
        rig = RecordingBench(tmp_path, StreamSource(server.url("main")), RecordingOptions(timeout=2))
        rig.start()
        try:
            time.sleep(0.5)
        finally:
            assert rig.stop() < 5
    assert not rig.segments()


@pytest.mark.long
def test_hung_camera_is_told_on_time(clips: Path, tmp_path: Path) -> None:
    """The recorder sits in a call that is not answered; the alert does not wait for its end."""
    options = RecordingOptions(segment_seconds=2, stall_seconds=10, offline_seconds=3, timeout=5)
    with (
        camera(clip(clips, "h264", "aac")) as server,
        recording(RecordingBench(tmp_path, StreamSource(server.url("main")), options)) as rig,
    ):
        time.sleep(1)
        server.hung = True
        server.drop()
        hung = time.monotonic()
        wait_for(lambda: rig.catalog.alerts.open_one(AlertKind.CAMERA_OFFLINE, CAMERA), "no alert")
        assert 2.5 < time.monotonic() - hung < 4.5
        server.hung = False
        server.drop()
        wait_for(lambda: rig.catalog.segments.opened(), "does not come back")
        wait_for(lambda: not rig.catalog.alerts.open_one(AlertKind.CAMERA_OFFLINE, CAMERA), "alert stays")
        time.sleep(3.5)
        assert not rig.catalog.alerts.open_one(AlertKind.CAMERA_OFFLINE, CAMERA)


@pytest.mark.long
def test_wrong_password_is_told_stays_secret_and_is_tried_three_times(
    clips: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.DEBUG),
        camera(clip(clips, "h264", "aac"), username="admin", password="right") as server,
    ):
        rig = RecordingBench(tmp_path, StreamSource(server.url("main"), "admin", "s3cr3t:word"), QUICK)
        rig.start()
        try:
            wait_for(lambda: rig.catalog.alerts.open_one(AlertKind.CAMERA_OFFLINE, CAMERA), "no alert")
            time.sleep(2)
            alert = rig.catalog.alerts.open_one(AlertKind.CAMERA_OFFLINE, CAMERA)
            assert server.wrong == MAX_ATTEMPTS
            rig.source = StreamSource(server.url("main"), "admin", "right")
            wait_for(lambda: rig.catalog.segments.opened(), "does not come back")
        finally:
            rig.stop()
    assert alert is not None
    told = caplog.text + alert.message + "".join(str(e.detail) for e in rig.events("camera.down"))
    assert "拒绝" in told and "密码已错 3 次" in alert.message
    assert "s3cr3t" not in told


def test_a_digest_that_cannot_be_answered_is_no_wrong_password(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The password was never given, and yet called wrong three times; then the camera was left alone for an hour."""
    usual, strange = RtspServer.challenge, threading.Event()
    strange.set()

    def challenge(server: RtspServer) -> str:
        md5 = usual(server)
        return f"{md5}, algorithm=SHA-512-256" if strange.is_set() else md5

    monkeypatch.setattr(RtspServer, "challenge", challenge)
    with camera(clip(clips, "h264", "aac"), username="admin", password="right") as server:
        rig = RecordingBench(tmp_path, StreamSource(server.url("main"), "admin", "right"), QUICK)
        rig.start()
        try:
            wait_for(lambda: rig.catalog.alerts.open_one(AlertKind.CAMERA_OFFLINE, CAMERA), "no alert")
            wait_for(lambda: server.refused > 3 * MAX_ATTEMPTS, "not asked again")
            alert = rig.catalog.alerts.open_one(AlertKind.CAMERA_OFFLINE, CAMERA)
            strange.clear()
            wait_for(lambda: rig.catalog.segments.opened(), "does not begin")
        finally:
            rig.stop()
    assert server.wrong == 0 and alert is not None and "SHA-512-256" in alert.message


def test_a_camera_with_too_many_viewers_is_no_wrong_password(tmp_path: Path) -> None:
    """RTSP 403: it is asked again and again, since that cannot lock anybody out."""
    asked: list[bytes] = []

    class Full(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            for line in iter(self.rfile.readline, b""):
                if line.lower().startswith(b"cseq"):
                    asked.append(line)
                    self.wfile.write(b"RTSP/1.0 403 Forbidden\r\n" + line + b"\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Full) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        rig = RecordingBench(
            tmp_path, StreamSource(f"rtsp://127.0.0.1:{server.server_address[1]}/", "admin", "right"), QUICK
        )
        rig.start()
        try:
            wait_for(lambda: len(asked) > 2 * MAX_ATTEMPTS, "not asked again")
            wait_for(lambda: rig.catalog.alerts.open_one(AlertKind.CAMERA_OFFLINE, CAMERA), "no alert")
            alert = rig.catalog.alerts.open_one(AlertKind.CAMERA_OFFLINE, CAMERA)
        finally:
            rig.stop()
            server.shutdown()
    assert alert is not None and "观看者已满" in alert.message


def test_a_session_name_in_gbk_is_no_fault(clips: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It once ended the agent, and with it the recording of every other camera."""
    send = rtsp._RtspConnection.send
    name = "s=教室一".encode("gbk")
    monkeypatch.setattr(rtsp._RtspConnection, "send", lambda self, data: send(self, data.replace(b"s=camera", name)))
    server = RtspServer({"main": clip(clips, "h264", "aac")})
    server.start()
    try:
        with RtspConnection(StreamTarget(server.url("main")), 3.0) as stream:
            assert stream.read()
    finally:
        server.stop()


@pytest.mark.parametrize(("told", "named"), [(b"JPEG", "jpeg"), (b"WXYZ", "WXYZ")])
def test_a_codec_that_cannot_be_recorded_is_told(
    told: bytes, named: str, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first was recorded nowhere and told nobody, the second ended the agent."""
    send = rtsp._RtspConnection.send
    monkeypatch.setattr(
        rtsp._RtspConnection, "send", lambda self, data: send(self, data.replace(b"H264/", told + b"/"))
    )
    with camera(clip(clips, "h264", "aac")) as server:
        rig = RecordingBench(tmp_path, StreamSource(server.url("main")), QUICK)
        rig.start()
        try:
            wait_for(lambda: rig.catalog.alerts.open_one(AlertKind.CAMERA_OFFLINE, CAMERA), "no alert")
            alert = rig.catalog.alerts.open_one(AlertKind.CAMERA_OFFLINE, CAMERA)
        finally:
            rig.stop()
    assert alert is not None and f"视频编码是 {named}" in alert.message
    assert rig.events("camera.down")


@pytest.mark.long
def test_pictures_without_a_key_frame_are_told(clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing can begin with them; the connection stands all the while, and goes on when a key frame comes."""
    send, keys = RtpStream._send, threading.Event()

    def without_keys(self: RtpStream, sample: SourceSample, at: float) -> None:
        for client in self.clients:
            client.waiting = False
        if keys.is_set() or not (sample.kind == "video" and sample.key):
            send(self, sample, at)

    monkeypatch.setattr(RtpStream, "_send", without_keys)
    with camera(clip(clips, "h264", "aac")) as server:
        rig = RecordingBench(tmp_path, StreamSource(server.url("main")), QUICK)
        rig.start()
        try:
            wait_for(lambda: rig.catalog.alerts.open_one(AlertKind.CAMERA_OFFLINE, CAMERA), "no alert")
            assert not rig.catalog.segments.opened()
            keys.set()
            wait_for(lambda: rig.catalog.segments.opened(), "does not begin")
            wait_for(lambda: not rig.catalog.alerts.open_one(AlertKind.CAMERA_OFFLINE, CAMERA), "alert stays")
        finally:
            rig.stop()
    (event,) = rig.events("stream.stalled")
    assert event.until is not None and event.until <= rig.segments()[0].start + timedelta(seconds=1)


@pytest.mark.long
@pytest.mark.parametrize(
    ("codec", "left_out"), [("h264", 7), ("h264", 8), ("hevc", 32)], ids=["no SPS", "no PPS", "no VPS"]
)
def test_parameter_sets_of_which_some_come_once_are_enough(
    codec: str, left_out: int, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All are in the session's description, and before key frames only some."""
    send = rtp.split_payloads

    def payloads(sample: SourceSample, track: SourceTrack) -> Iterator[bytes]:
        kind = (lambda unit: unit[0] & 31) if codec == "h264" else (lambda unit: unit[0] >> 1 & 63)
        return (part for part in send(sample, track) if sample.kind == "audio" or kind(part) != left_out)

    monkeypatch.setattr(rtp, "split_payloads", payloads)
    with (
        camera(clip(clips, codec, "aac")) as server,
        recording(
            RecordingBench(tmp_path, StreamSource(server.url("main")), RecordingOptions(segment_seconds=1))
        ) as rig,
    ):
        wait_for(lambda: len(rig.segments()) > 1, "no second segment")
    assert breaks(all_indexes(rig)) == []


@pytest.mark.long
@pytest.mark.parametrize(
    ("pace", "seconds"), [(1.3, 8), pytest.param(0.8, 45, marks=[pytest.mark.long, pytest.mark.minutes(1)])]
)
def test_stamps_that_run_fast_or_slow_do_not_run_away_from_the_clock(
    pace: float, seconds: float, clips: Path, tmp_path: Path
) -> None:
    """Firmware that counts pictures instead of time. In an hour a tenth too slow were six minutes of gap at the end, and every
    picture was named a wrong time."""
    with camera(clip(clips, "h264", None)) as server:
        server.faults("main").pace = pace
        rig = RecordingBench(tmp_path, StreamSource(server.url("main")), RecordingOptions(segment_seconds=UNCUT))
        with recording(rig):
            time.sleep(seconds)
        ended = datetime.now(UTC)
    assert breaks(all_indexes(rig)) == []
    assert gap(rig) == 0
    last = rig.segments()[-1].end
    # the quickest way from the camera is known some twenty seconds late, where it grows
    late = 1.6 + max(0.0, 1 - pace) * 20
    assert last is not None and abs(last - ended) < timedelta(seconds=late)
    assert not rig.events("stream.stalled")


@pytest.mark.long
def test_new_picture_size_begins_a_new_segment(clips: Path, tmp_path: Path) -> None:
    with camera(clip(clips, "h264", "aac")) as server:
        rig = RecordingBench(tmp_path, StreamSource(server.url("main")), RecordingOptions(segment_seconds=UNCUT))
        with recording(rig):
            time.sleep(1.5)
            server.swap("main", clip(clips, "h264", "aac", (800, 448)))
            wait_for(lambda: rig.segments(), "no new segment")
            time.sleep(1)
    one, two = rig.segments()
    assert (one.width, one.height, two.width, two.height) == (640, 360, 800, 448)
    assert one.end == two.start
    assert not rig.events("camera.down")
    assert breaks(indexes(rig.path(one))) == [] and breaks(indexes(rig.path(two))) == []


@pytest.mark.long
def test_new_codec_goes_on_in_a_new_segment(clips: Path, tmp_path: Path) -> None:
    with (
        camera(clip(clips, "h264", "aac")) as server,
        recording(RecordingBench(tmp_path, StreamSource(server.url("main")), QUICK)) as rig,
    ):
        time.sleep(1)
        server.swap("main", clip(clips, "hevc", "alaw"))
        wait_for(lambda: any(s.video_codec == "h265" for s in rig.segments()), "the new codec is not recorded")
    assert {s.video_codec for s in rig.segments()} == {"h264", "h265"}
    assert all_indexes(rig) and None not in all_indexes(rig)


def shift(seconds: float):
    def fault(server: RtspServer) -> None:
        server.faults("main").shift = {"video": seconds, "audio": seconds}

    return fault


def stand_still(server: RtspServer) -> None:
    server.faults("main").repeat = True
    time.sleep(1.5)
    server.faults("main").repeat = False


@pytest.mark.long
@pytest.mark.parametrize(
    "fault",
    [shift(-5), shift(-100_000), shift(40), shift(3600 * 12), stand_still],
    ids=["back 5 s", "back a day", "on 40 s", "on 12 h", "stands still"],
)
def test_wrong_time_stamps_cost_no_picture(fault, clips: Path, tmp_path: Path) -> None:
    """A new segment, not an end; the pictures go on, all of them, and lie where they arrived."""
    with camera(clip(clips, "h264", "aac")) as server:
        rig = RecordingBench(tmp_path, StreamSource(server.url("main")), RecordingOptions(segment_seconds=UNCUT))
        with recording(rig):
            begun = rig.clock.now()
            time.sleep(1.5)
            fault(server)
            wait_for(lambda: rig.segments(), "no new segment")
            time.sleep(1)
    assert len(rig.segments()) >= 2
    assert not rig.events("camera.down") and not rig.events("stream.stalled")
    assert breaks(all_indexes(rig)) == []
    last = rig.segments()[-1]
    assert last.end is not None
    assert timedelta() < last.end - begun < timedelta(seconds=12)
    assert gap(rig) == pytest.approx(0, abs=0.05)
    total = sum((s.end - s.start).total_seconds() for s in rig.segments() if s.end)
    # a moved stream lies where its quickest packet arrived: on a busy machine the packets after the jump come late
    assert total == pytest.approx(len(all_indexes(rig)) * 0.04, abs=0.5)


@pytest.mark.long
def test_hole_in_the_stream_is_a_gap_not_a_long_segment(clips: Path, tmp_path: Path) -> None:
    with camera(clip(clips, "h264", "aac")) as server:
        rig = RecordingBench(
            tmp_path, StreamSource(server.url("main")), RecordingOptions(segment_seconds=UNCUT, timeout=1)
        )
        with recording(rig):
            time.sleep(1.2)
            server.faults("main").frozen = True
            time.sleep(3)
            server.faults("main").frozen = False
            wait_for(lambda: rig.segments() and rig.catalog.segments.opened(), "no new segment")
            time.sleep(1)
    one, two = rig.segments()
    assert one.end is not None
    assert 2.9 < (two.start - one.end).total_seconds() < 4.3
    (event,) = rig.events("stream.stalled")
    assert event.until is not None
    for segment in (one, two):
        assert breaks(indexes(rig.path(segment))) == []


def claims(rig: RecordingBench) -> list[float]:
    """By how many seconds each segment's row says more than its file holds."""
    rows = [(s, s.end) for s in rig.segments() if s.end]
    return [(end - s.start).total_seconds() - (containers.measure_video_seconds(rig.path(s)) or 0.0) for s, end in rows]


@pytest.mark.long
@pytest.mark.parametrize("jump", [-3600.0, -5.0, 5.0], ids=str)
def test_stamps_that_jump_in_a_silence_hide_no_gap(jump: float, clips: Path, tmp_path: Path) -> None:
    with camera(clip(clips, "h264", "aac")) as server:
        rig = RecordingBench(
            tmp_path, StreamSource(server.url("main")), RecordingOptions(segment_seconds=UNCUT, timeout=1)
        )
        with recording(rig):
            time.sleep(1.2)
            server.faults("main").frozen = True
            shift(jump)(server)
            time.sleep(3.5)
            server.faults("main").frozen = False
            wait_for(lambda: rig.segments() and rig.catalog.segments.opened(), "no new segment")
            time.sleep(2.5)
    assert 3.4 < gap(rig) < 5.0
    assert max(claims(rig)) < 0.1
    assert rig.events("stream.stalled")


@pytest.mark.long
def test_short_hole_at_a_cut_is_in_no_row(clips: Path, tmp_path: Path) -> None:
    """Shorter than what ends a segment; but no file holds it, so no row may say so."""
    with camera(clip(clips, "h264", "aac")) as server:
        rig = RecordingBench(tmp_path, StreamSource(server.url("main")), RecordingOptions(segment_seconds=1))
        stream = server.streams["main"]
        with recording(rig):
            time.sleep(1.5)
            for _ in range(3):
                # silent from just behind one key frame to just before the next, where a segment begins
                while not 0.04 < stream.position % 1 < 0.2:
                    time.sleep(0.01)
                server.faults("main").frozen = True
                while stream.position % 1 < 0.965:
                    time.sleep(0.005)
                server.faults("main").frozen = False
                time.sleep(1.5)
            time.sleep(1)
    assert max(claims(rig)) < 0.1
    assert gap(rig) > 1.5
    seen = all_indexes(rig)
    assert seen and None not in seen
    assert all(event.until for event in rig.events("stream.stalled")), "there may be none: the hole is short"


@pytest.mark.long
def test_late_burst_is_no_gap(clips: Path, tmp_path: Path) -> None:
    with camera(clip(clips, "h264", "aac")) as server:
        rig = RecordingBench(
            tmp_path, StreamSource(server.url("main")), RecordingOptions(segment_seconds=UNCUT, timeout=1)
        )
        with recording(rig):
            time.sleep(1.2)
            server.faults("main").held = True
            time.sleep(3)
            server.faults("main").held = False
            time.sleep(1)
    (only,) = rig.segments()
    assert breaks(indexes(rig.path(only))) == []
    assert not rig.events("stream.stalled")


@pytest.mark.long
def test_a_held_catalog_leaves_no_row_open_and_ends_no_recorder(clips: Path, tmp_path: Path) -> None:
    """An open row counts as video up to now and keeps its half-day from being closed: it must not wait for a restart."""
    with camera(clip(clips, "h264", "aac")) as server:
        rig = RecordingBench(
            tmp_path, StreamSource(server.url("main")), RecordingOptions(segment_seconds=2, first_pause=0.2)
        )
        rig.catalog.store.db.execute("pragma busy_timeout = 50")
        with recording(rig):
            wait_for(rig.segments, "no segment was finished")
            holder = sqlite3.connect(tmp_path / "catalog.db", isolation_level=None)
            holder.execute("begin immediate")
            # a drive that fails at the same time cannot be told either
            away = tmp_path / "away"
            time.sleep(3)
            rig.root.rename(away)
            time.sleep(1.5)
            away.rename(rig.root)
            holder.execute("rollback")
            holder.close()
            freed = datetime.now(UTC)
            wait_for(lambda: [s for s in rig.segments() if s.start > freed], "does not come back")
            wait_for(lambda: len(rig.catalog.segments.opened()) <= 1, "rows stay open")
    assert not rig.catalog.segments.opened()
    assert all(rig.path(s).exists() for s in rig.segments())


def test_one_outage_is_one_message_in_whatever_words_its_attempts_fail(tmp_path: Path) -> None:
    catalog, clock = Catalog(tmp_path / "catalog.db", ZoneInfo("Asia/Shanghai")), SteppedClock()
    cls = training_class()
    plan = cls, placement(cls, clock.now() - timedelta(hours=1), 12 * 3600)
    outage = Outage(CAMERA, catalog, clock, lambda _: plan, offline_seconds=0)
    outage.begin("stream.stalled", clock.now(), "no pictures")
    for why in ("no pictures", "no key frame") * 3:
        assert outage.warn(clock.now(), plan, why)
    outage.end(clock.now())
    assert [m.data["state"] for m in catalog.outbox.waiting() if m.type == "alert"] == ["raised", "cleared"]
    catalog.close()


def test_a_clock_put_back_does_not_put_the_alert_off(tmp_path: Path) -> None:
    """A box whose clock was 8 h ahead until the network told it the time, with a camera that is not there."""
    clock = SteppedClock()
    clock.moved = timedelta(hours=8)
    rig = RecordingBench(tmp_path, StreamSource("rtsp://127.0.0.1:9/main"), QUICK, clock)
    cls = training_class()
    rig.plan = cls, placement(cls, SystemClock().now() - timedelta(hours=1), 12 * 3600)
    rig.start()
    try:
        wait_for(lambda: rig.events("camera.down"), "nothing is noticed")
        clock.moved = timedelta()
        wait_for(lambda: rig.catalog.alerts.open_one(AlertKind.CAMERA_OFFLINE, CAMERA), "no alert", 15)
    finally:
        rig.stop()
