"""The worker on a real catalog and real recordings, one of them still growing."""

from __future__ import annotations

import dataclasses
import threading
import time
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import av
import cv2
import numpy as np
import pytest

from agent.catalog import Catalog
from agent.core.alert_model import AlertKind
from agent.core.camera_model import Camera, Verdict
from agent.core.clock import Clock, SystemClock
from agent.core.model import Segment, Session
from agent.counting import fault_alerts, weights
from agent.counting.detector import OpenVinoDetector
from agent.counting.limits import Limits
from agent.counting.worker import CountingWorker
from simulator.clips import ClipWriter, make_yuv_frame
from simulator.scene import Classroom, make_classroom
from tests.support.clocks import HandClock

START = datetime(2026, 9, 1, 0, 30, tzinfo=UTC)
GROWING = {
    "movflags": "hybrid_fragmented+empty_moov+default_base_moof",
    "flush_packets": "1",
    "frag_duration": "500000",
    "max_interleave_delta": "500000",
}


@pytest.fixture(scope="module")
def detector() -> OpenVinoDetector:
    return OpenVinoDetector(weights.check_weights())


@pytest.fixture
def catalog(tmp_path: Path):  # type: ignore[no-untyped-def]
    with Catalog(tmp_path / "catalog.db", ZoneInfo("Asia/Shanghai")) as opened:
        opened.drives.put(
            "D1", label="label", institution="school", path=str(tmp_path), created=START, public_key="", seen_at=START
        )
        yield opened


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 s of class: three people, then six."""
    return make_classroom(
        tmp_path_factory.mktemp("clip") / "class.mp4", [(0, 3), (6, 6)], 12.0, fps=10, size=(960, 540)
    )


def segment(name: str, start: datetime = START, **changes: object) -> Segment:
    base = Segment(
        0,
        "D1",
        name,
        f".{name}.part",
        "open",
        "C1",
        date(2026, 9, 1),
        Session.AM,
        "room1",
        "cam1",
        start,
        video_codec="h264",
        width=960,
        height=540,
        audio_codec="aac",
    )
    return dataclasses.replace(base, **changes)


def finished(catalog: Catalog, path: Path, start: datetime, seconds: float, **changes: object) -> None:
    number = catalog.segments.open(segment(path.name, start, **changes))
    catalog.segments.finish(number, end=start + timedelta(seconds=seconds), size=path.stat().st_size, sha256="0" * 64)


def worker(catalog: Catalog, clock: Clock, detector: OpenVinoDetector, interval: float = 4) -> CountingWorker:
    counter = CountingWorker(catalog, clock, lambda: detector, interval)
    counter.prepare()
    return counter


def test_faults_begin_where_the_settings_say(
    catalog: Catalog, clip: Path, tmp_path: Path, detector: OpenVinoDetector
) -> None:
    """The same good recording: with a limit that no lit room keeps, its looks are dark."""
    (tmp_path / "083000.mp4").write_bytes(clip.read_bytes())
    finished(catalog, tmp_path / "083000.mp4", START, 12)
    strict = Limits(dark_light=256)
    catalog.segments.open(segment("083012.mp4", START + timedelta(seconds=12)))
    counter = CountingWorker(catalog, HandClock(START + timedelta(seconds=60)), lambda: detector, 4, limits=strict)
    counter.prepare()
    assert counter.run_once() > 0
    looks = catalog.looks.of_half_day("C1", date(2026, 9, 1), Session.AM)
    assert {(x.judged, x.reason) for x in looks} == {(False, "dark")}
    assert looks[0].people == 3, "people are given all the same"


def test_makes_up_late_looks_from_finished_recordings(
    catalog: Catalog, clip: Path, tmp_path: Path, detector: OpenVinoDetector
) -> None:
    (tmp_path / "083000.mp4").write_bytes(clip.read_bytes())
    finished(catalog, tmp_path / "083000.mp4", START, 12)
    clock = HandClock(START + timedelta(seconds=60))
    counter = worker(catalog, clock, detector)
    catalog.segments.open(segment("083012.mp4", START + timedelta(seconds=12)))
    assert counter.run_once() == 3
    looks = catalog.looks.of_half_day("C1", date(2026, 9, 1), Session.AM)
    assert [(x.at - START).total_seconds() for x in looks] == [0.0, 4.0, 8.0]
    assert [x.people for x in looks] == [3, 3, 6]
    first = looks[0]
    assert (first.camera_id, first.room_id, first.judged, first.reason) == ("cam1", "room1", True, None)
    assert (first.width, first.height, first.detector) == (960, 540, detector.version)
    assert len(first.boxes) == first.people
    assert first.low <= 3 <= first.high
    assert {"light", "sharpness", "flat", "sound.level_dbfs"} <= set(first.quality)
    assert counter.run_once() == 0
    assert worker(catalog, clock, detector).run_once() == 0, "a restart repeats nothing"
    assert first.quality["sure"] == detector.doubt.sure
    places = [[s.place for s in x.sightings or () if s.chance > 0.5] for x in looks]
    assert [len(p) for p in places] == [3, 3, 6]
    assert set(places[0]) == set(places[1]) < set(places[2]), "who stays, stays in the same place"


@pytest.mark.long
def test_counts_a_recording_while_it_grows(
    catalog: Catalog, clip: Path, tmp_path: Path, detector: OpenVinoDetector
) -> None:
    begun = datetime.now(UTC)
    catalog.segments.open(segment("083000.mp4", begun))
    writing = threading.Thread(target=write_live, args=(clip, tmp_path / ".083000.mp4.part"))
    writing.start()
    stop = threading.Event()
    counter = CountingWorker(catalog, SystemClock(), lambda: detector, 3)
    counting = threading.Thread(target=counter.run, args=(stop,))
    counting.start()
    writing.join()
    time.sleep(1.5)
    stop.set()
    counting.join(10)
    assert not counting.is_alive()
    looks = catalog.looks.since("cam1", begun)
    assert len(looks) >= 3
    assert looks[0].people == 3
    assert looks[-1].people == 6
    gaps = [(b.at - a.at).total_seconds() for a, b in pairwise(looks)]
    assert all(2 <= gap <= 6 for gap in gaps)


def write_live(clip: Path, path: Path) -> None:
    """Copy a clip's packets into a fragmented file at the pace at which a camera would send them."""
    with av.open(str(clip)) as source, av.open(str(path), "w", format="mp4", options=GROWING) as out:
        streams = {s.index: out.add_stream_from_template(s) for s in source.streams}
        begun = time.monotonic()
        for packet in source.demux():
            if packet.dts is None:
                continue
            time.sleep(max(0.0, float(packet.dts * packet.time_base) - (time.monotonic() - begun)))
            packet.stream = streams[packet.stream.index]
            out.mux(packet)


def test_a_missing_file_is_no_end(
    catalog: Catalog, tmp_path: Path, detector: OpenVinoDetector, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "x.mp4").write_bytes(b"no video")
    finished(catalog, tmp_path / "x.mp4", START, 40)
    catalog.segments.open(segment("y.mp4", START + timedelta(seconds=40)))
    clock = HandClock(START + timedelta(seconds=60))
    assert worker(catalog, clock, detector).run_once() == 0
    assert sum("x.mp4" in record.getMessage() for record in caplog.records) == 1


def test_where_the_clock_was_put_back_the_newer_video_counts(
    catalog: Catalog, clip: Path, tmp_path: Path, detector: OpenVinoDetector
) -> None:
    """Two recordings of the same instants: the one that was begun last is of now."""
    for name, room in (("083000.mp4", "room1"), ("083000-2.mp4", "room2")):
        (tmp_path / name).write_bytes(clip.read_bytes())
        finished(catalog, tmp_path / name, START, 12, room_id=room)
    catalog.segments.open(segment("083012.mp4", START + timedelta(seconds=12)))
    assert worker(catalog, HandClock(START + timedelta(seconds=60)), detector).run_once() == 3
    looks = catalog.looks.of_half_day("C1", date(2026, 9, 1), Session.AM)
    assert {x.room_id for x in looks} == {"room2"}


def test_a_fault_is_told_in_time_where_the_clock_was_put_back() -> None:
    fault, earlier, hold = fault_alerts.QualityFault(), START - timedelta(hours=1), timedelta(seconds=45)
    assert not fault.feed(True, START, hold)
    assert not fault.feed(True, earlier, hold)
    assert fault.feed(True, earlier + hold, hold) and fault.open


def test_old_video_is_not_dug_up(catalog: Catalog, clip: Path, tmp_path: Path, detector: OpenVinoDetector) -> None:
    (tmp_path / "083000.mp4").write_bytes(clip.read_bytes())
    finished(catalog, tmp_path / "083000.mp4", START, 12)
    catalog.segments.open(segment("083012.mp4", START + timedelta(hours=1)))
    assert worker(catalog, HandClock(START + timedelta(hours=1, seconds=5)), detector).run_once() == 0


Plan = list[tuple[int, str]]


def altered(picture: np.ndarray, how: str) -> np.ndarray:
    """The picture with one fault."""
    if how == "dark":
        return (picture * 0.05).astype(np.uint8)
    if how == "washed_out":
        return (picture * 0.08 + 230).astype(np.uint8)
    if how == "covered":
        return np.full_like(picture, 100)
    if how == "blurred":
        return np.asarray(cv2.GaussianBlur(picture, (0, 0), 8), np.uint8)
    if how == "moved":
        return np.ascontiguousarray(picture[::-1, ::-1])
    return picture


def film(path: Path, plan: Plan, *, sound: float | None = 0.1) -> Path:
    """(seconds, fault) in turn, one frame a second, a key frame each 2 s; `sound`: amplitude of its hum, None: no track."""
    clean = np.asarray(Classroom((640, 360)).picture(2))[:, :, ::-1]
    clean = cv2.resize(clean, (640, 360), interpolation=cv2.INTER_AREA)
    noise = np.random.default_rng(3)
    with ClipWriter(path, (640, 360), 1, "h264", None if sound is None else "aac", 16000) as writer:
        for how in [how for seconds, how in plan for _ in range(seconds)]:
            shown = cv2.cvtColor(altered(clean, how), cv2.COLOR_BGR2YUV_I420)
            if how != "frozen":
                shown = np.clip(shown + noise.normal(0, 1.5, shown.shape), 0, 255).astype(np.uint8)
            luma, blue, red = np.split(shown.reshape(-1), [640 * 360, 640 * 360 * 5 // 4])
            writer.picture(make_yuv_frame(luma.reshape(360, 640), blue, red))
            if sound is not None:
                hum = sound * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
                writer.sound(np.clip(hum, -1, 1).astype(np.float32))
    return path


def watched(catalog: Catalog, path: Path, seconds: int, detector: OpenVinoDetector, audio: str | None = "aac") -> None:
    finished(catalog, path, START, seconds, audio_codec=audio)
    catalog.segments.open(segment("next.mp4", START + timedelta(seconds=seconds), audio_codec=audio))
    worker(catalog, HandClock(START + timedelta(seconds=seconds)), detector, interval=20).run_once()


@pytest.mark.long
@pytest.mark.parametrize("fault", ["dark", "washed_out", "covered", "blurred", "frozen", "moved"])
def test_a_picture_fault_is_raised_and_cleared(
    catalog: Catalog, tmp_path: Path, detector: OpenVinoDetector, fault: str
) -> None:
    # a frozen picture is one only after a minute, and the encoder takes a while to repeat itself exactly
    lasts = 260 if fault == "frozen" else 80
    watched(catalog, film(tmp_path / "a.mp4", [(60, "clean"), (lasts, fault), (80, "clean")]), 140 + lasts, detector)
    alerts = catalog.alerts.recent()
    assert [(a.kind.value, a.state) for a in alerts] == [(f"picture.{fault}", "cleared")]
    began = (alerts[0].since - START).total_seconds()
    assert 60 <= began <= (200 if fault == "frozen" else 80)
    assert "cam1" in alerts[0].message
    assert (alerts[0].camera_id, alerts[0].class_id) == ("cam1", "C1")
    looks = catalog.looks.since("cam1", START)
    assert len(looks) == (140 + lasts) / 20
    assert {x.reason for x in looks} == {None, fault}
    assert all(x.judged is (x.reason is None) for x in looks)


@pytest.mark.long
@pytest.mark.parametrize(("sound", "kind"), [(0.0, "sound.silent"), (4.0, "sound.clipped"), (None, "sound.missing")])
def test_a_sound_fault_is_raised(
    catalog: Catalog, tmp_path: Path, detector: OpenVinoDetector, sound: float | None, kind: str
) -> None:
    path = film(tmp_path / "a.mp4", [(180, "clean")], sound=sound)
    watched(catalog, path, 180, detector, None if sound is None else "aac")
    assert [(a.kind.value, a.state) for a in catalog.alerts.recent()] == [(kind, "raised")]
    assert all(x.judged for x in catalog.looks.since("cam1", START)), "sound says nothing about the picture"


@pytest.mark.long
def test_a_short_fault_and_a_clean_film_raise_nothing(
    catalog: Catalog, tmp_path: Path, detector: OpenVinoDetector
) -> None:
    watched(catalog, film(tmp_path / "a.mp4", [(100, "clean"), (30, "dark"), (100, "clean")]), 230, detector)
    assert catalog.alerts.recent() == []
    assert {x.reason for x in catalog.looks.since("cam1", START)} == {None, "dark"}


@pytest.mark.long
def test_an_open_alert_outlives_a_restart(catalog: Catalog, tmp_path: Path, detector: OpenVinoDetector) -> None:
    watched(catalog, film(tmp_path / "a.mp4", [(60, "clean"), (100, "dark")]), 160, detector)
    assert catalog.alerts.open_one(AlertKind.PICTURE_DARK, "cam1")
    catalog.segments.drop(catalog.segments.opened()[0].segment_id)
    again = START + timedelta(seconds=160)
    finished(catalog, film(tmp_path / "b.mp4", [(120, "clean")]), again, 120)
    catalog.segments.open(segment("c.mp4", again + timedelta(seconds=120)))
    worker(catalog, HandClock(again + timedelta(seconds=120)), detector, interval=20).run_once()
    assert catalog.alerts.opened() == []


def test_left_out_parts_are_not_counted(
    catalog: Catalog, clip: Path, tmp_path: Path, detector: OpenVinoDetector
) -> None:
    (tmp_path / "a.mp4").write_bytes(clip.read_bytes())
    finished(catalog, tmp_path / "a.mp4", START, 12)
    catalog.segments.open(segment("b.mp4", START + timedelta(seconds=12)))
    everything = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]
    counter = CountingWorker(
        catalog, HandClock(START + timedelta(seconds=30)), lambda: detector, 20, {"cam1": [everything]}
    )
    counter.prepare()
    counter.run_once()
    assert [x.people for x in catalog.looks.since("cam1", START)] == [0]


@pytest.mark.parametrize("ahead", [timedelta(hours=8), timedelta(days=3650)])
@pytest.mark.parametrize("restarted", [False, True])
def test_a_clock_put_back_does_not_end_the_counting(
    catalog: Catalog, clip: Path, tmp_path: Path, detector: OpenVinoDetector, ahead: timedelta, restarted: bool
) -> None:
    """A box whose clock was ahead until the network told it the time (a real-time clock in local time is 8 h ahead)."""
    catalog.cameras.put(Camera("cam1", "127.0.0.1", verdict=Verdict.ADMITTED), START)
    for name in ("ahead.mp4", "right.mp4"):
        (tmp_path / name).write_bytes(clip.read_bytes())
    clock = HandClock(START + ahead + timedelta(seconds=30))
    finished(catalog, tmp_path / "ahead.mp4", START + ahead, 12)
    counter = worker(catalog, clock, detector)
    assert counter.run_once() == 3
    finished(catalog, tmp_path / "right.mp4", START, 12)
    clock.time = START + timedelta(seconds=30)
    if restarted:
        counter = worker(catalog, clock, detector)
    assert counter.run_once() == 3
    assert len(catalog.looks.since("cam1", START)) == 6
