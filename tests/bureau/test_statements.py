"""The statement log over a real broker: numbered without a hole, read back after each connection, countersigned."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from agent.bureau.witness import Witness, WitnessAlarm
from agent.bureau.witness_link import run_witness
from agent.catalog.drives import ChainLink
from agent.contract.envelope import build_past_event
from agent.core.alert_model import AlertKind
from agent.core.clock import SystemClock
from agent.core.model import Session
from agent.core.statement_model import LogPosition, parse_statement
from agent.core.statement_rule import LogObserver
from agent.core.witness_text import parse_witness_text
from agent.drive import keys
from agent.service.statement_requests import StatementRequests
from tests.support.broker import Broker, Listener, eventually, needs_mosquitto
from tests.support.bureau_factory import PREFIX, BureauBox, now, options
from tests.support.contract_check import validate

pytestmark = needs_mosquitto
needs_ssh = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs openssh-client")


def close_half_day(box: BureauBox, sequence: int, head: str = "ab" * 32) -> None:
    box.catalog.chain.add(ChainLink("C-1", now().date(), Session.AM, sequence, "D1", head, "ssh-ed25519 AAAA", now()))


def statements(bureau: Listener) -> dict[int, dict[str, Any]]:
    found = {}
    for heard in list(bureau.heard):
        event = json.loads(heard.payload) if heard.payload else {}
        if "statementnumber" in event:
            assert parse_statement(event) is not None and parse_statement(event).is_sound()  # type: ignore[union-attr]
            validate(heard.topic, heard.payload)
            found[event["statementnumber"]] = event
    return found


def newest(box: BureauBox) -> LogPosition:
    found = box.catalog.statements.current()
    assert found is not None
    return found


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_every_statement_comes_and_they_are_one_chain(tmp_path: Path, protocol: str) -> None:
    with (
        Broker(tmp_path / "broker", persistent=True) as broker,
        Listener(broker, f"{PREFIX}/#", client_id="bureau") as bureau,
    ):
        given = options(broker.port, protocol=protocol)
        with BureauBox(tmp_path, given) as box:
            box.alarm(1)
            box.attend(1)
            broker.kill()
            for number in range(2, 20):
                box.alarm(number)
                box.camera(up=number % 2 == 0)
            close_half_day(box, 1)
            broker.start()
            bureau.wait(lambda: box.catalog.outbox.size() == 0 and len(statements(bureau)) == newest(box).number, 30)
            last = newest(box)
        observer = LogObserver()
        for _, event in sorted(statements(bureau).items()):
            statement = parse_statement(event)
            assert statement and observer.take(statement, 0.0) == []
        assert observer.whole == last


def test_the_heartbeat_and_the_retained_message_name_the_newest(tmp_path: Path) -> None:
    from agent.bureau.heartbeat import Heartbeat

    with Broker(tmp_path / "broker") as broker, Listener(broker, f"{PREFIX}/#") as bureau:
        with BureauBox(tmp_path, options(broker.port)) as box:
            box.alarm(1)
            eventually(lambda: box.catalog.outbox.size() == 0)
            Heartbeat(box.catalog, SystemClock(), options(broker.port), boot_id="b", facts=dict).beat()
            beat = json.loads(bureau.wait(lambda: bureau.on("/heartbeat"))[0].payload)
            kept = json.loads(bureau.wait(lambda: bureau.on("/statements"))[0].payload)
            current = box.catalog.statements.current()
        assert current and beat["data"]["statements"] == kept["data"]["newest"] == current.as_data()
        assert kept["data"]["delivered"] == current.number


def test_a_box_put_back_to_an_earlier_copy_says_that_the_broker_knows_more(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    with Broker(tmp_path / "broker") as broker, Listener(broker, f"{PREFIX}/#") as bureau:
        with BureauBox(tmp_path / "one", options(broker.port, readback_s=3)) as box:
            close_half_day(box, 1)
            eventually(lambda: box.catalog.outbox.size() == 0)
        shutil.copytree(tmp_path / "one", tmp_path / "copy")
        with BureauBox(tmp_path / "one", options(broker.port, readback_s=3), boot_id="boot-2") as box:
            close_half_day(box, 2, "cd" * 32)
            eventually(lambda: box.catalog.outbox.size() == 0)
            assert box.catalog.alerts.opened() == [], "its own messages are no surprise"
            known = newest(box)
        with BureauBox(tmp_path / "copy", options(broker.port, readback_s=3), boot_id="boot-3") as box:
            close_half_day(box, 2, "ef" * 32)
            alert = eventually(lambda: box.catalog.alerts.open_one(AlertKind.EVIDENCE_ROLLBACK, "box"))
            told = bureau.wait(lambda: bureau.on("/alert/evidence.rollback"))
            (new,) = [
                json.loads(h.payload) for h in bureau.wait(lambda: len(bureau.on("/log")) == 2 and bureau.on("/log"))
            ][1:]
        assert alert.severity == "critical" and len(told) == 1
        assert alert.evidence["broker"]["chain"] == {"C-1": {"sequence": 2, "head": "cd" * 32}}
        assert new["data"]["cause"] == "rollback" and new["data"]["before"]["number"] >= known.number - 1


def test_what_a_rebuilt_box_had_not_sent_is_sent(tmp_path: Path) -> None:
    """The outbox is lost with the catalog; the statements come back from the drive."""
    with Broker(tmp_path / "broker") as broker, Listener(broker, f"{PREFIX}/#") as bureau:
        box = BureauBox(tmp_path, options(broker.port))
        for number in range(5):
            box.alarm(number)
        with box.catalog.store.write() as db:
            db.execute("delete from outbox")
        with box:
            bureau.wait(lambda: len(statements(bureau)) == 6)
            eventually(lambda: box.catalog.statements.delivered() == 6)


@needs_ssh
@pytest.mark.parametrize("checked", [True, False])
def test_a_closed_half_day_is_countersigned_and_the_box_keeps_it(tmp_path: Path, checked: bool) -> None:
    public = keys.ensure_key(tmp_path / "key")
    alarms: list[WitnessAlarm] = []
    stop, clock = threading.Event(), SystemClock()
    with Broker(tmp_path / "broker") as broker, Listener(broker, f"{PREFIX}/#") as bureau:
        witness = Witness(tmp_path / "lists", tmp_path / "key", "人社局", utcnow=clock.now, monotonic=clock.monotonic)
        thread = threading.Thread(target=run_witness, args=(witness, options(broker.port), clock, stop, alarms.append))
        thread.start()
        try:
            eventually(lambda: (tmp_path / "broker").exists())
            with BureauBox(tmp_path, options(broker.port, witness_key=public if checked else "")) as box:
                bureau.wait(lambda: bureau.on("/state"))
                box.alarm(1)
                close_half_day(box, 1)
                eventually(lambda: box.catalog.witnesses.of_class("C-1"), 20)
                (kept,) = box.catalog.witnesses.of_class("C-1")
                heard = bureau.wait(lambda: bureau.on("/witness/C-1"))[0]
                validate(heard.topic, heard.payload)
                text = parse_witness_text(kept.text)
                assert (text.box, text.sequence, text.head) == ("wenshui/site1/box1", 1, "ab" * 32)
                assert keys.verify_signature(
                    kept.text.encode(), kept.signature.encode(), public, namespace=keys.WITNESS_NAMESPACE
                )
                forged = json.loads(heard.payload) | {"text": kept.text.replace("sequence: 1", "sequence: 2")}
                bureau.client.publish(f"{PREFIX}/witness/C-1", json.dumps(forged), qos=1)
                bureau.wait(lambda: bureau.on("/error"))
                assert len(box.catalog.witnesses.of_class("C-1")) == 1
        finally:
            stop.set()
            thread.join(15)
        assert alarms == []


def test_the_witness_asks_for_what_did_not_come_before_it_alarms(tmp_path: Path) -> None:
    """The broker loses messages that it has acknowledged: the box has them, and sends them again when asked."""
    keys.ensure_key(tmp_path / "key")
    alarms: list[WitnessAlarm] = []
    stop, clock, ahead = threading.Event(), SystemClock(), [0.0]
    with Broker(tmp_path / "broker") as broker, Listener(broker, f"{PREFIX}/#") as bureau:
        witness = Witness(
            tmp_path / "lists",
            tmp_path / "key",
            "人社局",
            utcnow=clock.now,
            monotonic=lambda: clock.monotonic() + ahead[0],
        )
        source = "/training/wenshui/site1/box1"
        given = {"statements": lambda asked: StatementRequests(box.catalog, list, source).answer(asked)}
        box = BureauBox(tmp_path, options(broker.port), requests=given)
        box.alarm(1)
        with box:
            eventually(lambda: box.catalog.outbox.size() == 0)
            for topic, event in [(h.topic, h.payload) for h in bureau.heard]:
                witness.take(topic, event)
            for number in range(2, 300):
                box.alarm(number)
            eventually(lambda: box.catalog.outbox.size() == 0, 30)
            last = newest(box)
            for found in box.catalog.statements.list_range(last.log, last.number, last.number):
                event = json.dumps(build_past_event(found, source)).encode()
                assert witness.take(f"{PREFIX}/{found.subject}", event) == []
            assert witness.list_inquiries() == [] and len(alarms) == 0
            ahead[0] = 61.0
            thread = threading.Thread(
                target=run_witness, args=(witness, options(broker.port), clock, stop, alarms.append)
            )
            thread.start()
            try:
                file = tmp_path / "lists/wenshui/site1/box1.jsonl"
                eventually(lambda: file.exists() and len(file.read_bytes().splitlines()) >= last.number, 30)
                for heard in bureau.wait(lambda: bureau.on("/response/statements")):
                    validate(heard.topic, heard.payload)
                for heard in bureau.on("/request/statements"):
                    validate(heard.topic, heard.payload)
                assert len(bureau.on("/request/statements")) >= 3, "an answer holds a hundred at most"
                ahead[0] = 700.0
                assert witness.find_holes() == []
            finally:
                stop.set()
                thread.join(15)
        assert alarms == []


def test_a_hole_that_the_box_cannot_fill_is_an_alarm_and_an_offline_box_none(tmp_path: Path) -> None:
    keys.ensure_key(tmp_path / "key")
    seconds = [0.0]
    clock = SystemClock()
    witness = Witness(tmp_path / "lists", tmp_path / "key", "局", utcnow=clock.now, monotonic=lambda: seconds[0])
    box = BureauBox(tmp_path, options(1))
    for number in range(1, 4):
        box.alarm(number)
    log = newest(box).log
    events = [
        (f"{PREFIX}/{s.subject}", json.dumps(build_past_event(s, "/training/wenshui/site1/box1")).encode())
        for s in box.catalog.statements.list_range(log, 1, 4)
    ]
    box.catalog.close()
    state = {"type": "cn.training.site-agent.state.v1", "data": {"state": "offline"}}
    for topic, payload in (events[0], events[1], events[3], (f"{PREFIX}/state", json.dumps(state).encode())):
        assert witness.take(topic, payload) == []
    seconds[0] = 5000.0
    assert witness.find_holes() == [] and witness.list_inquiries() == [], "the box is away"
    state["data"] = {"state": "online"}
    witness.take(f"{PREFIX}/state", json.dumps(state).encode())
    (asked,) = witness.list_inquiries()
    assert (asked.topic, asked.body) == (f"{PREFIX}/request/statements", {"from": 3, "to": 3, "log": log})
    refused = {
        "type": "cn.training.site-agent.response.v1",
        "data": {"request": "statements", "request_id": None, "ok": False, "error": {"code": "x", "message": "x"}},
    }
    assert witness.take(f"{PREFIX}/response/statements", json.dumps(refused).encode()) == []
    seconds[0] += 601
    assert [(alarm.kind, alarm.number) for alarm in witness.find_holes()] == [("hole", 3)]
    for data in (None, 3, {"result": []}, {"result": {"statements": 3}}, {"result": {"statements": [None, {}, [1]]}}):
        nonsense = json.dumps({"type": "cn.training.site-agent.response.v1", "data": data}).encode()
        assert witness.take(f"{PREFIX}/response/statements", nonsense) == []
    late = {**refused, "data": {"result": {"statements": [json.loads(events[2][1])]}}}
    assert witness.take(f"{PREFIX}/response/statements", json.dumps(late).encode()) == []
    assert len((tmp_path / "lists/wenshui/site1/box1.jsonl").read_bytes().splitlines()) == 4
