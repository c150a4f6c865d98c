"""The board at a real Mosquitto: nothing that was acknowledged is lost, whoever is killed."""

from __future__ import annotations

import json
import random
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table, func, select

from agent.core import openssh
from agent.core.clock import SystemClock
from agent.core.witness_text import parse_witness_text
from agent.mqtt.options import BrokerOptions
from benchmarks.support.reporting_box import Message, ReportingBox
from board.__main__ import main
from board.ingest.batch import BatchWriter
from board.ingest.options import IngestOptions
from board.ingest.worker import IngestWorker
from board.store import tables
from board.store.database import Database
from tests.support.board_process import BoardProcess
from tests.support.board_store import BoardStore
from tests.support.broker import Broker, Listener, eventually, needs_mosquitto
from tests.support.contract_check import validate

pytestmark = needs_mosquitto
# as config/mosquitto.example.conf has it: a broker that bounds the queue of a board that is away drops messages
QUEUE = "allow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 100"


def say(bureau: Listener, messages: list[Message]) -> None:
    """Publish as boxes do; return when the broker has acknowledged all."""
    kept = ("state", "camera", "attendance", "chain", "classes")
    sent = [
        bureau.client.publish(topic, payload, qos=1, retain=topic.split("/")[5] in kept) for topic, payload in messages
    ]
    for one in sent:
        one.wait_for_publish(30)
        assert one.is_published()


def rows(database: Database, table: Table) -> list[dict[str, Any]]:
    with database.read() as connection:
        return [dict(row) for row in connection.execute(select(table)).mappings()]


def count(database: Database, table: Table) -> int:
    with database.read() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


@pytest.fixture
def database(database_url: str) -> Any:
    made = Database(database_url)
    yield made
    made.close()


def test_a_day_of_a_box_is_stored_and_its_half_day_countersigned(
    tmp_path: Path, database_url: str, database: Database
) -> None:
    box = ReportingBox()
    with (
        Broker(tmp_path / "mqtt", settings=QUEUE, persistent=True) as broker,
        Listener(broker, client_id="boxes") as bureau,
    ):
        # what is retained before the board exists is read first
        say(bureau, [box.state(), box.approve()])
        more = '[witness]\nname = "文水县人社局"\n'
        with BoardProcess(tmp_path / "board", broker, database_url, more) as board:
            say(
                bureau,
                [box.begin(), box.camera(), box.heartbeat(), box.segment(), box.attend(1), box.alert(), box.close(1)],
            )
            heard = bureau.wait(lambda: bureau.on("/witness/C-1"), 30)[0]
            validate(heard.topic, heard.payload)
            body = json.loads(heard.payload)
            public = openssh.load_public_key_of(tmp_path / "board/state/keys/witness_ed25519")
            assert openssh.verify_signed(
                body["text"].encode(), body["signature"].encode(), public, openssh.WITNESS_NAMESPACE
            )
            text = parse_witness_text(body["text"])
            assert (text.head, text.witness, text.position) == ("ab" * 32, "文水县人社局", box.position)
            eventually(lambda: rows(database, tables.countersignatures)[0]["published_at"])
            assert rows(database, tables.classes)[0]["institution"] == "某职业培训学校"
            assert board.stop() == 0
        assert rows(database, tables.boxes)[0]["state"] == "online"
        assert rows(database, tables.heads)[0]["state"] == "signed"
        assert rows(database, tables.alarms) == []


def test_what_is_said_while_a_new_board_reads_retained_messages_is_not_lost(
    tmp_path: Path, store: BoardStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    box, stop, database = ReportingBox(), threading.Event(), store.database
    read = IngestWorker._read_retained
    with (
        Broker(tmp_path / "mqtt", settings=QUEUE, persistent=True) as broker,
        Listener(broker, "nothing", client_id="boxes") as bureau,
    ):

        def read_slowly(worker: IngestWorker, ended: threading.Event) -> None:
            read(worker, ended)
            say(bureau, [box.begin(), box.segment(), box.heartbeat()])

        monkeypatch.setattr(IngestWorker, "_read_retained", read_slowly)
        options = BrokerOptions(host=broker.host, port=broker.port, tls=False)
        writer = BatchWriter(database, SystemClock())
        worker = IngestWorker(database, writer, SystemClock(), options, IngestOptions(quiet_s=0.2))
        thread = threading.Thread(target=worker.run, args=[stop])
        thread.start()
        try:
            eventually(lambda: count(database, tables.heartbeats) == 1, 20)
        finally:
            stop.set()
            thread.join(20)
    assert count(database, tables.statements) == box.number
    assert rows(database, tables.alarms) == []


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=[pytest.mark.long, pytest.mark.minutes(1)])])
def test_kills_of_board_and_broker_lose_and_double_nothing(
    tmp_path: Path, database_url: str, database: Database, seed: int
) -> None:
    """Three boxes speak while the board is killed again and again, the broker once in its stride."""
    drawn = random.Random(seed)
    boxes = [ReportingBox(name=f"wenshui/site{n}/box1", class_id=f"C-{n}") for n in range(3)]
    stop = threading.Event()
    with Broker(tmp_path / "mqtt", settings=QUEUE, persistent=True) as broker:
        board = BoardProcess(tmp_path / "board", broker, database_url, "batch = 20\nbatch_s = 0.05\n").start()
        with Listener(broker, "nothing", client_id="boxes") as bureau:

            def speak() -> None:
                for box in boxes:
                    say(bureau, [box.begin(), box.state()])
                while not stop.is_set():
                    for box in boxes:
                        say(bureau, [box.segment(), box.attend(box.number), box.heartbeat()])

            thread = threading.Thread(target=speak)
            thread.start()
            try:
                for _ in range(4):
                    time.sleep(drawn.uniform(0.3, 1.0))
                    board.kill()
                    time.sleep(drawn.uniform(0, 0.3))
                    board.start()
            finally:
                stop.set()
                thread.join(60)
            # the broker: all that it acknowledged is on its disk by now (autosave_on_changes)
            time.sleep(1.5)
            broker.kill()
            broker.start()
            eventually(lambda: bureau.client.is_connected(), 20)
            for box in boxes:
                say(bureau, [box.attend(box.number), box.close(1), box.heartbeat()])
            total = sum(box.number for box in boxes)
            eventually(lambda: count(database, tables.statements) == total, 60)
            eventually(lambda: {row["state"] for row in rows(database, tables.heads)} == {"signed"}, 30)
        board.stop()
    assert rows(database, tables.alarms) == []
    whole = {row["name"]: (row["whole_number"], row["whole_hash"]) for row in rows(database, tables.boxes)}
    assert whole == {box.name: (box.number, box.last_hash) for box in boxes}
    assert count(database, tables.heartbeats) == sum(box.beats for box in boxes)


def test_two_workers_share_a_subscription(tmp_path: Path, postgres: Any) -> None:
    url = postgres.make_database()
    database = Database(url)
    boxes = [ReportingBox(name=f"wenshui/site{n}/box1", class_id=f"C-{n}") for n in range(4)]
    more = "shared = true\nbatch = 25\nbatch_s = 0.02\n"
    with (
        Broker(tmp_path / "mqtt", settings=QUEUE, persistent=True) as broker,
        Listener(broker, "nothing", client_id="boxes") as bureau,
    ):
        one = BoardProcess(tmp_path / "board", broker, url, more, worker="1").start()
        two = BoardProcess(tmp_path / "board", broker, url, more, worker="2").start()
        for box in boxes:
            say(bureau, [box.begin(), box.state()])
        for turn in range(30):
            for box in boxes:
                say(bureau, [box.segment(), box.attend(turn + 1), box.heartbeat()])
            if turn == 15:
                one.kill()  # the leading one; what it held goes to the other when the broker gives up its session
                one.start()
        for box in boxes:
            say(bureau, [box.close(1)])
        eventually(lambda: count(database, tables.statements) == sum(box.number for box in boxes), 60)
        eventually(lambda: {row["state"] for row in rows(database, tables.heads)} == {"signed"}, 60)
        assert two.stop() == 0 and one.stop() == 0
    assert rows(database, tables.alarms) == []
    assert {row["present"] for row in rows(database, tables.half_days)} == {28}
    database.close()


def test_a_worker_that_leaves_takes_in_what_waits_for_it(tmp_path: Path) -> None:
    """The broker hands messages to workers that are away as well, and keeps them for them."""
    store, box, stop = BoardStore(f"sqlite:///{tmp_path}/board.db"), ReportingBox(), threading.Event()
    with (
        Broker(tmp_path / "mqtt", settings=QUEUE, persistent=True) as broker,
        Listener(broker, "nothing", client_id="boxes") as bureau,
    ):
        options = BrokerOptions(host=broker.host, port=broker.port, tls=False, connect_timeout_s=20)

        def hire(name: str) -> IngestWorker:
            writer = BatchWriter(store.database, SystemClock())
            given = IngestOptions(worker=name, shared=True, quiet_s=0.3)
            return IngestWorker(store.database, writer, SystemClock(), options, given)

        hire("2")._open().close(clean=True)
        staying = hire("1")
        thread = threading.Thread(target=staying.run, args=[stop])
        thread.start()
        try:
            eventually(lambda: staying.connected_since is not None, 20)
            say(bureau, [box.begin(), *(box.segment() for _ in range(39))])
            eventually(lambda: staying.handled == 20, 20)
            assert count(store.database, tables.statements) == 20, "the other half waits for the second worker"
            assert hire("2").leave(stop) == 20
            say(bureau, [box.segment() for _ in range(10)])
            eventually(lambda: count(store.database, tables.statements) == box.number, 20)
        finally:
            stop.set()
            thread.join(20)
    (row,) = rows(store.database, tables.boxes)
    assert (row["whole_number"], row["whole_hash"]) == (box.number, box.last_hash)
    assert rows(store.database, tables.alarms) == []
    store.database.close()


# the plugin that comes with Mosquitto; its access list refuses subscriptions, which acl_file never does
DYNSEC = Path("/usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so")
REFUSING = {
    "defaultACLAccess": {
        "publishClientSend": True,
        "publishClientReceive": True,
        "subscribe": False,
        "unsubscribe": True,
    }
}


@pytest.mark.skipif(not DYNSEC.exists(), reason="needs Mosquitto's dynamic security plugin")
def test_a_subscription_that_the_broker_refuses_is_said(tmp_path: Path) -> None:
    """The board would be connected and hear nothing for ever."""
    store, stop = BoardStore(f"sqlite:///{tmp_path}/board.db"), threading.Event()
    rules = tmp_path / "rules.json"
    rules.write_text(json.dumps(REFUSING), encoding="utf-8")
    settings = f"allow_anonymous true\nplugin {DYNSEC}\nplugin_opt_config_file {rules}"
    with Broker(tmp_path / "mqtt", settings=settings) as broker:
        options = BrokerOptions(host=broker.host, port=broker.port, tls=False)
        writer = BatchWriter(store.database, SystemClock())
        worker = IngestWorker(store.database, writer, SystemClock(), options, IngestOptions(shared=True))
        thread = threading.Thread(target=worker.run, args=[stop])
        thread.start()
        try:
            eventually(lambda: worker.problem, 20)
        finally:
            stop.set()
            thread.join(20)
    assert "$share/board/training/v1/#" in worker.problem
    store.database.close()


@pytest.mark.parametrize(
    ("more", "name", "said"),
    [
        ("", "2", "ingest.shared"),
        ('database = "postgresql://board@/board"\n[ingest]\nshared = true\n', "a b", "a b"),
        ("[ingest]\nshared = true\n", "2", "PostgreSQL"),
    ],
)
def test_a_second_worker_needs_what_can_be_shared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: str, name: str, said: str
) -> None:
    file = tmp_path / "board.toml"
    file.write_text(f'county = "wenshui"\nstate_dir = "{tmp_path}"\n{more}', encoding="utf-8")
    for arguments in (["--worker", name], ["--worker", name, "--leave"]):
        assert main(["run", *arguments, "--config", str(file)]) == 2
        assert said in capsys.readouterr().err


def test_a_database_that_goes_away_costs_nothing(tmp_path: Path, postgres: Any) -> None:
    """While the database is gone nothing is acknowledged; it comes when the database is back."""
    from sqlalchemy import text

    url = postgres.make_database()
    database, box = Database(url), ReportingBox()
    with (
        Broker(tmp_path / "mqtt") as broker,
        Listener(broker, "nothing", client_id="boxes") as bureau,
        BoardProcess(tmp_path / "board", broker, url) as board,
    ):
        say(bureau, [box.begin(), box.attend(1)])
        eventually(lambda: count(database, tables.statements) == 2, 30)
        with database.write() as connection:
            connection.execute(text("alter table statements rename to away"))
        say(bureau, [box.attend(2), box.heartbeat()])
        eventually(lambda: "数据库暂时不能使用" in board.log.read_text(), 20)
        with database.write() as connection:
            connection.execute(text("alter table away rename to statements"))
        eventually(lambda: count(database, tables.statements) == 3, 60)
    assert rows(database, tables.alarms) == []
    database.close()


def test_a_second_board_on_one_sqlite_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/board.db"
    with Broker(tmp_path / "mqtt") as broker, BoardProcess(tmp_path / "board", broker, url) as board:
        done = board.command("run")
        assert done.returncode == 2 and "正在运行" in done.stderr
