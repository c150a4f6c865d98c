"""The daemon end to end: records, counts, reports; stops in order; comes back from a kill; tells what is wrong."""

from __future__ import annotations

import fcntl
import json
import random
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import av
import pytest

from agent.catalog import Catalog
from agent.core.alert_model import AlertKind
from simulator.camera import VirtualCamera
from simulator.clips import make_clip
from simulator.scene import make_classroom
from tests.support.broker import Broker, Heard, Listener, needs_mosquitto
from tests.support.contract_check import validate
from tests.support.daemon import CLASS_ID, PASSWORD, Daemon

pytestmark = needs_mosquitto


@pytest.fixture(autouse=True)
def alone() -> Iterator[None]:
    """One test at a time of all workers: each agent would find the others' cameras on the loopback addresses."""
    with (Path(tempfile.gettempdir()) / "site-agent-test-app.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("film") / "film.mp4", 16, (640, 360), 25, key_seconds=1)


@pytest.fixture(scope="module")
def classroom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_classroom(tmp_path_factory.mktemp("classroom") / "classroom.mp4", [(0.0, 3)], 16)


@pytest.fixture
def camera(film: Path) -> Iterator[VirtualCamera]:
    with VirtualCamera(film, address="127.0.0.31", serial="APP1", model="VC-1", password=PASSWORD) as found:
        yield found


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "broker") as found:
        yield found


def data(heard: Heard) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(heard.payload)["data"]
    return found


def states(ears: Listener, suffix: str) -> list[str]:
    return [data(heard)["state"] for heard in ears.on(suffix)]


def seconds(path: Path) -> float:
    """Length that really decodes; a file that was cut off may end in half a picture."""
    times: list[float] = []
    with av.open(str(path)) as container, suppress(av.InvalidDataError):
        times.extend(float(f.time or 0.0) for f in container.decode(video=0))
    return times[-1] - times[0] if times else 0.0


def test_a_morning_in_short(tmp_path: Path, classroom: Path, broker: Broker) -> None:
    with (
        VirtualCamera(classroom, address="127.0.0.30", serial="APP0", model="VC-1", password=PASSWORD),
        Listener(broker) as ears,
        Daemon(tmp_path, broker.port) as daemon,
    ):
        daemon.start()
        daemon.until(lambda: len(daemon.videos()) >= 2, 40)
        ears.wait(lambda: states(ears, "alert/attendance.shortfall"), 30)
        assert daemon.stop() == 0
        assert "STOPPING=1" in "\n".join(daemon.heard())
        assert any("WATCHDOG=1" in line for line in daemon.heard())
        assert daemon.parts() == []
        for heard in ears.heard:
            validate(heard.topic, heard.payload)
        said = states(ears, "/state")
        assert (said[0], said[-1]) == ("online", "stopped")
        beat = data(ears.on("/heartbeat")[-1])
        assert beat["cameras"][0]["camera_id"] == "cam1"
        assert beat["drive"]["state"] == "ok"
        assert data(ears.on("/camera/cam1")[-1])["verdict"] in ("admitted", "faulty")
        # what commands say afterwards
        assert daemon.json("attendance", CLASS_ID)[0]["expected"] == 30
        assert PASSWORD not in daemon.log()
        assert sum(seconds(path) for path in daemon.videos()) > 4


@pytest.mark.long
def test_a_camera_that_is_not_on_the_list_is_not_recorded(tmp_path: Path, film: Path, broker: Broker) -> None:
    with (
        VirtualCamera(film, address="127.0.0.32", serial="APP2", model="OTHER", password=PASSWORD),
        Listener(broker) as ears,
        Daemon(tmp_path, broker.port) as daemon,
    ):
        daemon.start()
        refused = ears.wait(lambda: ears.on("alert/camera.refused"), 20)
        assert "OTHER" in data(refused[0])["message"]
        time.sleep(2)
        assert daemon.videos() + daemon.parts() == []
        gaps = daemon.json("gaps", CLASS_ID)
        assert gaps[-1]["reason"] == "not_admitted"


@pytest.mark.long
def test_killed_at_random_it_loses_a_second_at_most_and_catalogues_the_rest(
    tmp_path: Path, camera: VirtualCamera
) -> None:
    with Daemon(tmp_path, None) as daemon:
        for _ in range(3):
            known = {p: p.read_bytes() for p in daemon.videos()}
            daemon.start()
            daemon.until(daemon.parts, 20)
            wait = random.uniform(2.5, 6)
            time.sleep(wait)
            daemon.kill()
            for path, content in known.items():
                assert path.read_bytes() == content
            for part in daemon.parts():
                copy = tmp_path / "copy.mp4"
                shutil.copy(part, copy)
                assert time.time() - part.stat().st_mtime < 5
                if part.stat().st_size > 200_000:
                    assert seconds(copy) > 0
        daemon.start()
        known = len(daemon.videos())
        daemon.until(lambda: len(daemon.videos()) > known + 1 and len(daemon.parts()) == 1, 30)
        assert daemon.stop() == 0
        assert daemon.parts() == []
        verdict = daemon.json("drive", "verify", str(daemon.drive))[0]
        assert verdict["ok"], verdict
        reasons = {gap["reason"] for gap in daemon.json("gaps", CLASS_ID)}
        assert "agent_down" in reasons


@pytest.mark.long
def test_a_camera_that_moves_is_recorded_again(tmp_path: Path, camera: VirtualCamera) -> None:
    with Daemon(tmp_path, None) as daemon:
        daemon.start()
        daemon.until(lambda: len(daemon.videos()) >= 1, 30)
        camera.move("127.0.0.33")
        gone = time.monotonic()
        before = len(daemon.videos()) + 1
        daemon.until(lambda: len(daemon.videos()) >= before + 1, 40)
        # found again and a whole further segment of four seconds finished
        assert time.monotonic() - gone < 15 + 8
        assert daemon.stop() == 0
        assert [g for g in daemon.json("gaps", CLASS_ID) if g["reason"] in ("camera_offline", "stream_stalled")]


@pytest.mark.long
def test_without_its_drive_it_says_so_and_goes_on_when_it_returns(
    tmp_path: Path, camera: VirtualCamera, broker: Broker
) -> None:
    with Listener(broker) as ears, Daemon(tmp_path, broker.port) as daemon:
        away = tmp_path / "away"
        daemon.drive.rename(away)
        daemon.drive.mkdir()
        daemon.start()
        ears.wait(lambda: ears.on("alert/drive.missing"), 10)
        time.sleep(3)
        assert list(daemon.drive.iterdir()) == [], "nothing may be written under an empty mount point"
        daemon.drive.rmdir()
        away.rename(daemon.drive)
        daemon.until(daemon.parts, 10)
        ears.wait(lambda: "cleared" in states(ears, "alert/drive.missing"), 10)
        assert daemon.stop() == 0


@pytest.mark.long
def test_a_taken_port_for_figures_costs_no_recording(tmp_path: Path, camera: VirtualCamera) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, Daemon(tmp_path, None) as daemon:
        port = taken.getsockname()[1]
        daemon.environment |= {"SITE_AGENT_SERVE__METRICS_PORT": str(port)}
        daemon.start()
        daemon.until(lambda: len(daemon.videos()) >= 1, 30)
        assert daemon.stop() == 0
        assert str(port) in daemon.log() and "Traceback" not in daemon.log()


@pytest.mark.long
def test_a_second_agent_on_the_same_state_is_refused(tmp_path: Path, camera: VirtualCamera) -> None:
    with Daemon(tmp_path, None) as daemon:
        daemon.start()
        second = daemon.run("run")
        assert second.returncode == 2
        assert len(second.stderr.strip().splitlines()) == 1


@pytest.mark.long
def test_a_wrong_password_is_told_and_does_not_lock_the_camera(tmp_path: Path, film: Path, broker: Broker) -> None:
    with (
        VirtualCamera(film, address="127.0.0.34", serial="APP5", model="VC-1", password="another") as camera,
        Listener(broker) as ears,
        Daemon(tmp_path, broker.port) as daemon,
    ):
        daemon.start()
        time.sleep(12)
        assert camera.device.refused <= 3
        told = [data(h) for h in ears.heard if "/alert/camera." in h.topic]
        assert any("密码" in alert["message"] for alert in told), told
        assert PASSWORD not in daemon.log()


HANGS = """
import pathlib, time
from dataclasses import replace
from agent.service import watchdog
from agent.settings import wiring
from agent.rtsp.connection import RtspConnection
watchdog.EVERY_S, watchdog.STALE_S = 1.0, 8.0
options = wiring.build_recording_options
wiring.build_recording_options = lambda settings: replace(options(settings), offline_seconds=5)
mark, read = pathlib.Path(__file__).with_name("hang"), RtspConnection.read
def hangs(self):
    if mark.exists() and mark.read_text() == self._target.url:
        mark.unlink()
        time.sleep(3600)
    return read(self)
RtspConnection.read = hangs
"""


@pytest.mark.long
def test_a_recorder_that_hangs_is_replaced_and_the_others_go_on(tmp_path: Path, film: Path, broker: Broker) -> None:
    with (
        VirtualCamera(film, address="127.0.0.30", serial="APP0", model="VC-1", password=PASSWORD),
        VirtualCamera(film, address="127.0.0.31", serial="APP1", model="VC-1", password=PASSWORD),
        Listener(broker) as ears,
        Daemon(tmp_path, broker.port, camera_ids=("cam1", "cam2")) as daemon,
        Catalog(tmp_path / "state/catalog.db", ZoneInfo("Asia/Shanghai")) as catalog,
    ):
        (tmp_path / "sitecustomize.py").write_text(HANGS, encoding="utf-8")
        daemon.environment |= {"PYTHONPATH": f"{tmp_path}:."}
        daemon.start()

        def recording() -> set[str]:
            return {s.camera_id for s in catalog.segments.opened()}

        daemon.until(lambda: recording() == {"cam1", "cam2"}, 40)
        hanging = next(c for c in catalog.cameras.all() if c.camera_id == "cam1")
        daemon.until(lambda: len(daemon.videos()) >= 2, 20)
        assert hanging.main_stream
        (tmp_path / "hang").write_text(hanging.main_stream.uri)
        daemon.until(lambda: not (tmp_path / "hang").exists(), 10)
        fed, finished = len(daemon.heard()), len(catalog.segments.of_class(CLASS_ID))
        daemon.until(lambda: "raised" in states(ears, "alert/camera.offline"), 30)
        (told, *_) = [data(h) for h in ears.on("alert/camera.offline")]
        assert told["camera_id"] == "cam1" and "重新启动" in told["message"]
        daemon.until(lambda: "cleared" in states(ears, "alert/camera.offline"), 30)
        daemon.until(lambda: any(c.camera_id == "cam1" and c.up for c in catalog.cameras.all()), 10)
        assert sum("WATCHDOG=1" in line for line in daemon.heard()[fed:]) > 5
        assert len(catalog.segments.of_class(CLASS_ID)) > finished + 1, "the other camera went on"
        begun = time.monotonic()
        assert daemon.stop() == 1  # one thread was left behind
        assert time.monotonic() - begun < 10


def test_what_is_not_reported_does_not_pile_up(tmp_path: Path) -> None:
    """Without a bureau nobody fetches messages: a year of them is a hundred megabytes. The newest state is kept."""
    now = datetime.now(UTC)
    with Daemon(tmp_path, None) as daemon, Catalog(tmp_path / "state/catalog.db", ZoneInfo("Asia/Shanghai")) as catalog:
        for days, topic in ((60, "attendance/A/2026-01-01/am"), (31, "alert/camera.offline"), (1, "alert/drive.full")):
            retained = topic.startswith("attendance")
            catalog.outbox.put(topic, "x", {}, now - timedelta(days=days), retained=retained)
        daemon.start()
        daemon.until(lambda: len(old(catalog, now)) == 0, 10)
        assert "alert/drive.full" in [m.topic for m in catalog.outbox.waiting()]
        assert "attendance/A/2026-01-01/am" in [m.topic for m in catalog.outbox.remembered("attendance/")]


@pytest.mark.long
def test_a_mount_point_that_the_settings_no_longer_name_is_missed_no_longer(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    with Daemon(tmp_path, None) as daemon, Catalog(tmp_path / "state/catalog.db", ZoneInfo("Asia/Shanghai")) as catalog:
        for subject in ("/media/before", str(daemon.drive), "reread d-1"):
            catalog.alerts.raise_(AlertKind.DRIVE_ERROR, subject, "broken", now)
        daemon.start()
        daemon.until(lambda: [a.subject for a in catalog.alerts.opened()] == ["reread d-1"], 10)


def old(catalog: Catalog, now: datetime) -> list[str]:
    return [m.topic for m in catalog.outbox.waiting() if m.created_at < now - timedelta(days=30)]
