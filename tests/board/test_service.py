"""The board as a service: systemd's notifications, a real box's link, what the database refuses."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.core import openssh
from agent.core.statement_model import LogPosition
from benchmarks.support.reporting_box import ReportingBox
from board.ingest import projections
from board.ingest.fields import Data
from board.ingest.projections import Origin
from board.ingest.rows import Rows
from board.store import tables
from board.store.database import Database
from tests.board.test_ingest_broker import count, rows
from tests.bureau.test_statements import close_half_day
from tests.support.board_process import BoardProcess
from tests.support.board_store import BoardStore
from tests.support.broker import Broker, eventually, needs_mosquitto
from tests.support.bureau_factory import BureauBox, options


@needs_mosquitto
def test_systemd_hears_that_it_is_ready_and_alive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, Broker(tmp_path / "mqtt") as broker:
        manager.bind(str(address))
        manager.settimeout(30)
        monkeypatch.setenv("NOTIFY_SOCKET", str(address))
        board = BoardProcess(tmp_path / "board", broker, f"sqlite:///{tmp_path}/board.db").start()
        said = [manager.recv(4096).decode() for _ in range(5)]
        assert any("READY=1" in line for line in said) and "WATCHDOG=1" in said
        broker.kill()
        while not any("STATUS=" in line and "EXTEND" not in line for line in said[5:]):
            said.append(manager.recv(4096).decode())
        while said[-1] != "WATCHDOG=1":  # a broker that is away is not the board's fault
            said.append(manager.recv(4096).decode())
        assert board.stop() == 0
        while not said[-1].startswith("STOPPING=1"):
            said.append(manager.recv(4096).decode())


@needs_mosquitto
def test_a_real_boxs_link_is_heard_and_gets_its_countersignature(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/board.db"
    database = Database(url)
    with Broker(tmp_path / "mqtt") as broker, BoardProcess(tmp_path / "board", broker, url):
        public = openssh.load_public_key_of(tmp_path / "board/state/keys/witness_ed25519")
        with BureauBox(tmp_path, options(broker.port, witness_key=public)) as box:
            box.alarm(1)
            box.attend(1)
            box.camera()
            close_half_day(box, 1)
            (kept,) = eventually(lambda: box.catalog.witnesses.of_class("C-1"), 40)
            assert kept.head == "ab" * 32
            newest = box.catalog.statements.current()
            assert newest
            eventually(lambda: count(database, tables.statements) == newest.number, 20)
            (known,) = rows(database, tables.boxes)
            assert LogPosition(known["log"], known["whole_number"], known["whole_hash"]) == newest
    assert rows(database, tables.alarms) == []
    assert rows(database, tables.half_days)[0]["present"] == 28
    assert rows(database, tables.alerts)[0]["kind"] == "camera.offline"
    database.close()


def test_what_the_database_refuses_is_set_aside_alone(store: BoardStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever slips through the checks: one message must not hold up all that come behind it for ever."""
    put: Callable[[Rows, Origin, Data], None] = projections.STATED["attendance"]

    def without_status(made: Rows, origin: Origin, data: Data) -> None:
        put(made, origin, data)
        if data["revision"] == 3:
            made.by_table[tables.half_days][-1] = dict(made.by_table[tables.half_days][-1]) | {"status": None}

    monkeypatch.setattr(projections, "STATED", dict(projections.STATED) | {"attendance": without_status})
    monkeypatch.setattr("board.ingest.judge.STATED", projections.STATED)
    box = ReportingBox(now=store.clock.now())
    store.hear(box.begin(), *(box.attend(n) for n in range(1, 8)), box.heartbeat())
    assert store.alarms() == [("malformed", 0)]
    assert [row["revision"] for row in store.all(tables.half_days)] == [7]
    assert len(store.all(tables.statements)) == 7 and len(store.all(tables.heartbeats)) == 1
