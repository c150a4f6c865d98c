"""A call from end to end: board, broker, box, and a camera before which somebody holds the code."""

from __future__ import annotations

import threading
from datetime import datetime
from pathlib import Path

import pytest

from agent.core.call_model import build_call_text
from agent.core.clock import SystemClock, parse_time
from agent.recording.options import RecordingOptions, StreamSource
from agent.service.call_requests import CallRequests
from agent.service.call_watch import CallWatch
from benchmarks.support.reporting_box import ZONE, ReportingBox
from board.calls.asking import CallMaker, CallOrder
from board.calls.ledger import find_call
from board.store.tables import alarms, half_days
from tests.support.board_process import BoardProcess
from tests.support.board_store import BoardStore
from tests.support.broker import Broker, eventually, needs_mosquitto
from tests.support.bureau_factory import BureauBox, options
from tests.support.call_clips import make_call_clip
from tests.support.recording_bench import UNCUT, RecordingBench, camera, recording, training_class

pytestmark = [needs_mosquitto, pytest.mark.long, pytest.mark.minutes(1)]


def test_a_code_held_before_a_camera_answers_the_call(tmp_path: Path) -> None:
    text = build_call_text("7" * 8, "000007")
    clip = make_call_clip(tmp_path / "clip.mp4", lambda t: text if t >= 4 else "", seconds=8.0, fps=10)
    store, day = BoardStore(f"sqlite:///{tmp_path}/board.db"), datetime.now(ZONE).date().isoformat()
    lesson = {"date": day, "start": "00:00", "end": "23:59", "kind": "theory", "room_id": "R1"}
    store.hear(ReportingBox(class_id="K1", now=store.clock.now()).approve(lessons=[lesson]))
    folder = tmp_path / "box"
    folder.mkdir()
    with (
        camera(clip) as server,
        Broker(tmp_path / "mqtt") as broker,
        BoardProcess(tmp_path / "board", broker, store.url),
        recording(
            RecordingBench(folder, StreamSource(server.url("main")), RecordingOptions(segment_seconds=UNCUT))
        ) as bench,
    ):
        calls = CallRequests(bench.catalog, SystemClock(), lambda: [training_class("K1")])
        now, drive = datetime.now(ZONE), bench.drive.drive_id
        bench.catalog.drives.put(
            drive, label="l", institution="s", path=str(bench.root), created=now, public_key="", seen_at=now
        )
        stop = threading.Event()
        watch = threading.Thread(target=CallWatch(bench.catalog, SystemClock()).run, args=(stop,))
        watch.start()
        try:
            with BureauBox(folder, options(broker.port), requests={"call": calls.answer}) as box:
                box.attend(1, "K1")
                eventually(lambda: store.all(half_days), 30)  # the box is there
                maker = CallMaker(store.database, ZONE, pick=lambda n: 7 % n)
                made = maker.make(CallOrder("K1", "now", "zhang"), datetime.now(ZONE))
                assert made == "7" * 8

                def stage() -> str:
                    found = find_call(store.database, made, datetime.now(ZONE))
                    assert found
                    return str(found["stage"])

                eventually(lambda: stage() == "answered", 60)
        finally:
            stop.set()
            watch.join(10)
    row = find_call(store.database, made, datetime.now(ZONE))
    assert row and (row["camera_id"], row["room_id"]) == ("C1", "R1")
    assert parse_time(row["sent_at"]) <= parse_time(row["read_at"]) <= parse_time(row["until"])
    assert store.all(alarms) == []
    store.database.close()
