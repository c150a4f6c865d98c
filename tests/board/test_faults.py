"""Faults that take minutes or a real box: each ends in the right state or the right alarm."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from agent.bureau.heartbeat import Heartbeat
from agent.core.clock import SystemClock
from agent.service.statement_requests import StatementRequests
from board.queries.alerts import list_open_alerts
from board.store import tables
from board.store.database import Database
from tests.board.test_ingest_broker import count, rows
from tests.bureau.test_statements import close_half_day
from tests.support.board_process import BoardProcess
from tests.support.broker import Broker, Listener, eventually, needs_mosquitto
from tests.support.bureau_factory import BureauBox, options

pytestmark = [needs_mosquitto, pytest.mark.long, pytest.mark.minutes(3)]


def beat(box: BureauBox) -> None:
    """A heartbeat that names the newest statement, as each fifth does."""
    Heartbeat(box.catalog, SystemClock(), options(1), boot_id="b", facts=dict).beat()


def test_a_real_box_put_back_to_a_copy_is_an_alarm_and_its_second_head_is_not_signed(tmp_path: Path) -> None:
    """The copy's own link tells the rollback; the board has both histories and countersigns the first alone."""
    (tmp_path / "one").mkdir()
    url = f"sqlite:///{tmp_path}/board.db"
    database = Database(url)
    with Broker(tmp_path / "mqtt") as broker, BoardProcess(tmp_path / "board", broker, url):
        with BureauBox(tmp_path / "one", options(broker.port, readback_s=3)) as box:
            close_half_day(box, 1)
            eventually(lambda: box.catalog.outbox.size() == 0)
        shutil.copytree(tmp_path / "one", tmp_path / "copy")
        with BureauBox(tmp_path / "one", options(broker.port, readback_s=3), boot_id="boot-2") as box:
            close_half_day(box, 2, "cd" * 32)
            eventually(lambda: box.catalog.outbox.size() == 0)
        eventually(lambda: [row["state"] for row in rows(database, tables.heads)] == ["signed", "signed"], 30)
        assert rows(database, tables.alarms) == [], "its own messages are no surprise"
        with BureauBox(tmp_path / "copy", options(broker.port, readback_s=3), boot_id="boot-3") as box:
            close_half_day(box, 2, "ef" * 32)
            eventually(lambda: any(a["kind"] == "evidence.rollback" for a in list_open_alerts(database)), 60)
            eventually(lambda: {row["kind"] for row in rows(database, tables.alarms)} >= {"new_log", "second_head"}, 60)
        heads = {row["head"][:2]: row["state"] for row in rows(database, tables.heads)}
        assert heads == {"ab": "signed", "cd": "signed", "ef": "refused"}
    database.close()


def test_a_restored_board_asks_a_real_box_for_what_it_missed(tmp_path: Path) -> None:
    """Statements that were acknowledged after the backup come back from the box itself; no alarm is left."""
    url, new = f"sqlite:///{tmp_path}/board.db", f"sqlite:///{tmp_path}/new.db"
    with Broker(tmp_path / "mqtt", persistent=True) as broker, Listener(broker, "training/#") as bureau:
        given = options(broker.port)

        def answer(asked: Mapping[str, Any]) -> Mapping[str, Any]:
            return StatementRequests(box.catalog, list, given.source).answer(asked)

        with BureauBox(tmp_path, given, requests={"statements": answer}) as box:
            with BoardProcess(tmp_path / "board", broker, url) as board:
                box.attend(1)
                beat(box)
                await_all(box, url)
                assert board.command("backup", str(tmp_path / "backup.zip")).returncode == 0
                box.alarm(1)
                box.camera()
                await_all(box, url)
                board.stop()
            restored = BoardProcess(tmp_path / "board", broker, new)
            assert restored.command("restore", str(tmp_path / "backup.zip")).returncode == 0
            database = Database(new)
            with restored:
                box.attend(2)
                newest = box.catalog.statements.current()
                assert newest and rows(database, tables.boxes)[0]["whole_number"] < newest.number
                for _ in range(30):
                    beat(box)  # a box that is silent is not asked
                    with suppress(AssertionError):
                        eventually(lambda: rows(database, tables.boxes)[0]["whole_number"] == newest.number, 5)
                        break
                restored.stop()
            assert bureau.on("/request/statements") and rows(database, tables.alarms) == []
            assert count(database, tables.statements) == newest.number
            database.close()


def await_all(box: BureauBox, url: str) -> None:
    """Wait until the board has all that the box said."""
    database = Database(url)
    eventually(lambda: box.catalog.outbox.size() == 0)
    newest = box.catalog.statements.current()
    assert newest
    eventually(lambda: count(database, tables.statements) == newest.number, 30)
    database.close()
