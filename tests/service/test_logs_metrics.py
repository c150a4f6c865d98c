"""The journal's records, what is kept out of them, and the figures for Prometheus."""

from __future__ import annotations

import logging
import socket
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.catalog import Catalog
from agent.catalog.health import Examination
from agent.core import logs
from agent.core.alert_model import AlertKind
from agent.core.camera_model import Camera, Verdict
from agent.core.errors import InputError
from agent.doctor.finding import report_line
from agent.service.metrics import MetricsServer
from tests.support.clocks import HandClock
from tests.support.drive_factory import ZONE, at

NOW = at("10:00")


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "journal"))
        listener.settimeout(5)
        yield listener


def record(message: str, *args: object, thread: str = "record cam1", level: int = logging.WARNING) -> logging.LogRecord:
    made = logging.LogRecord("agent.recording", level, __file__, 7, message, args, None, "work")
    made.threadName = thread
    return made


def test_a_record_has_fields_of_its_own(journal: socket.socket, tmp_path: Path) -> None:
    handler = logs.JournalHandler(tmp_path / "journal")
    handler.handle(record("stalled after %d s", 12))
    fields = dict(line.split(b"=", 1) for line in journal.recv(65536).splitlines())
    assert fields[b"MESSAGE"] == b"stalled after 12 s"
    assert fields[b"PRIORITY"] == b"4"
    assert fields[b"SITE_AGENT_CAMERA"] == b"cam1"
    assert fields[b"SYSLOG_IDENTIFIER"] == b"site-agent"
    handler.close()


def test_a_traceback_goes_with_its_length_and_without_its_secret(journal: socket.socket, tmp_path: Path) -> None:
    handler = logs.JournalHandler(tmp_path / "journal")
    made = record("broke")
    try:
        raise ValueError("rtsp://admin:Example-3@10.0.0.1/1")
    except ValueError:
        made.exc_info = sys.exc_info()
    handler.handle(made)
    data = journal.recv(65536)
    assert b"Example-3" not in data
    _, _, rest = data.partition(b"MESSAGE\n")
    length = int.from_bytes(rest[:8], "little")
    assert b"ValueError" in rest[8 : 8 + length]
    assert rest[8 + length : 9 + length] == b"\n"
    handler.close()


def test_no_journal_costs_nothing(tmp_path: Path) -> None:
    handler = logs.JournalHandler(tmp_path / "nobody")
    handler.handle(record("x"))
    handler.close()


def test_a_flood_is_counted() -> None:
    ticks = [0.0]
    limit = logs.RepeatLimit(3, 60, lambda: ticks[0])
    assert [limit.filter(record("again")) for _ in range(10)] == [True] * 3 + [False] * 7
    assert limit.filter(record("again", thread="record cam2"))
    ticks[0] = 61
    later = record("again")
    assert limit.filter(later)
    assert "另有 7 条" in later.getMessage()


def test_begin_outside_systemd(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    root, own = logging.getLogger(), logging.getLogger("agent")
    handlers, levels = list(root.handlers), (root.level, own.level)
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    try:
        logs.set_up_logging()
        logging.getLogger("agent.x").info("here I am, password=Example-4")
        logging.getLogger("zeep.x").info("a library's chatter")
        said = capsys.readouterr().err
    finally:
        for handler in root.handlers[:]:
            root.removeHandler(handler)
        for handler in handlers:
            root.addHandler(handler)
        root.setLevel(levels[0])
        own.setLevel(levels[1])
    assert "INFO MainThread: here I am" in said
    assert "Example-4" not in said
    assert "chatter" not in said


def test_figures(tmp_path: Path) -> None:
    with Catalog(tmp_path / "catalog.db", ZONE) as catalog:
        catalog.cameras.put(Camera("cam1", "10.0.0.1", verdict=Verdict.ADMITTED, clock_offset_s=1.5), NOW)
        catalog.cameras.set_up("cam1", True)
        catalog.alerts.raise_(AlertKind.SOUND_SILENT, "cam1", "no sound", NOW)
        catalog.health.put(
            Examination(NOW, (report_line("clock", "critical", "x"), report_line("model", "warning", "x")))
        )
        drive = {"drive_id": "D1", "state": "ok", "free_bytes": 5_000, "days_left": None}
        server = MetricsServer(catalog, HandClock(NOW), lambda: drive, lambda: {"cam1": 7}, 0)
        stop = threading.Event()
        thread = threading.Thread(target=server.run, args=(stop,))
        thread.start()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=10) as answer:
                text = answer.read().decode()
            with pytest.raises(InputError):
                MetricsServer(catalog, HandClock(NOW), lambda: drive, dict, server.port)
        finally:
            stop.set()
            thread.join(10)
    assert not thread.is_alive()
    lines = text.splitlines()
    assert 'site_agent_camera_up{camera_id="cam1"} 1.0' in lines
    assert 'site_agent_camera_clock_offset_seconds{camera_id="cam1"} 1.5' in lines
    assert 'site_agent_camera_packets_lost_total{camera_id="cam1"} 7.0' in lines
    assert 'site_agent_alerts_open{kind="sound.silent"} 1.0' in lines
    assert "site_agent_drive_free_bytes 5000.0" in lines
    assert 'site_agent_doctor_findings{severity="critical"} 1.0' in lines
    assert 'site_agent_doctor_findings{severity="ok"} 0.0' in lines
    assert any(line.startswith("site_agent_doctor_time_seconds ") for line in lines)
    assert not any(line.startswith("site_agent_drive_days_left ") for line in lines)
    assert any(line.startswith("process_resident_memory_bytes") for line in lines)
    assert any(line.startswith("site_agent_threads") for line in lines)


def test_the_port_is_on_the_loopback_only(tmp_path: Path) -> None:
    with Catalog(tmp_path / "catalog.db", ZONE) as catalog:
        server = MetricsServer(
            catalog, HandClock(NOW), lambda: {"state": "ok", "free_bytes": 1, "days_left": 1.0}, dict, 0
        )
        stop = threading.Event()
        stop.set()
        assert server._server.server_address[0] == "127.0.0.1"
        server.run(stop)
