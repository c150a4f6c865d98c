"""What the bureau's side, or somebody in its place, may send: refused, answered, logged once, nothing changed."""

from __future__ import annotations

import base64
import json
import logging
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from agent.bureau import validation
from agent.class_files.classes import parse_class
from agent.contract.envelope import unwrap
from agent.contract.requests import NAMES
from agent.contract.values import is_day
from agent.core.errors import BureauError
from tests.support.broker import Broker, Heard, Listener, eventually, needs_mosquitto
from tests.support.bureau_factory import PREFIX, ZONE, BureauBox, options
from tests.support.contract_check import registry, validate, validate_response, validator

CLASS: dict[str, Any] = {
    "class_id": "C-1", "project": "电工", "occupation": "电工", "class_number": 1, "institution": "某校", "place": "一号楼",
    "first_day": "2026-11-23", "last_day": "2026-12-10", "expected": 30,
    "rooms": [{"room_id": "r1", "kind": "theory", "cameras": ["cam1"]}],
    "lessons": [{"date": "2026-11-23", "start": "08:00", "end": "11:30", "kind": "theory"}],
}  # fmt: skip


def body(**changes: Any) -> bytes:
    return json.dumps({**CLASS, **changes}).encode()


def say(bureau: Listener, suffix: str, payload: bytes, *, retain: bool = False, to: str | None = None) -> None:
    properties = Properties(PacketTypes.PUBLISH)
    if to is not None:
        properties.ResponseTopic = to
        properties.CorrelationData = b"\x01\x02"
    bureau.client.publish(f"{PREFIX}/{suffix}", payload, qos=1, retain=retain, properties=properties)


def errors(bureau: Listener) -> list[dict[str, Any]]:
    return [validate(h.topic, h.payload)["data"] for h in bureau.on("/error")]


def births(bureau: Listener) -> list[Heard]:
    return [h for h in bureau.on("/state") if b'"online"' in h.payload]


def answers(bureau: Listener, topic: str) -> list[tuple[Heard, dict[str, Any]]]:
    return [(h, validate_response(h.payload)["data"]) for h in bureau.heard if h.topic == topic]


def accept(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """The attendance stage's parser, and a stumble of it."""
    if given["place"] == "stumble":
        raise ZeroDivisionError
    parse_class(given, ZONE, "bureau")
    return given


BAD_CLASSES = {
    "no JSON": ("classes/C-1", b"{"),
    "no UTF-8": ("classes/C-1", b'{"class_id": "\xff"}'),
    "a list": ("classes/C-1", b"[]"),
    "NaN": ("classes/C-1", b'{"expected": NaN}'),
    "deep": ("classes/C-1", b'{"a":' * 5000 + b"1" + b"}" * 5000),
    "very deep": ("classes/C-1", b"[" * 200_000),
    "other class": ("classes/C-2", body()),
    "a path inside": ("classes/C-1", body(class_id="../../etc/passwd")),
    "a path as topic": ("classes/..", body(class_id="..")),
    "too long an ID": ("classes/" + "x" * 33, body(class_id="x" * 33)),
    "1970": ("classes/C-1", body(first_day="1970-01-01")),
    "1970 inside": ("classes/C-1", body(lessons=[{**CLASS["lessons"][0], "date": "1970-01-01"}])),
    "a date that is none": ("classes/C-1", body(last_day="2026-02-30")),
    "a million characters": ("classes/C-1", body(project="班" * 1_000_000)),
    "a headcount in words": ("classes/C-1", body(expected="thirty")),
    "a stumble": ("classes/C-1", body(place="stumble")),
    "no CloudEvent": ("classes/C-1", json.dumps({"specversion": "2.0", "id": "1", "data": CLASS}).encode()),
    "broken base64": ("classes/C-1", b'{"specversion":"1.0","id":"1","data_base64":"!"}'),
}


@needs_mosquitto
def test_bad_classes_change_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "agent.bureau")
    with Broker(tmp_path / "broker") as broker, Listener(broker, f"{PREFIX}/#") as bureau:
        given = options(broker.port)
        with BureauBox(tmp_path, given, accept_class=accept) as box:
            bureau.wait(lambda: bureau.on("/state"))
            for _ in range(2):  # the second time there is nothing new to say
                for suffix, payload in BAD_CLASSES.values():
                    say(bureau, suffix, payload)
            say(bureau, "classes/GOOD", body(class_id="GOOD"), retain=True)
            eventually(lambda: box.catalog.classes.get("GOOD"))
            bureau.wait(lambda: len(errors(bureau)) == len(BAD_CLASSES))
            assert [c.class_id for c in box.catalog.classes.all()] == ["GOOD"]
            assert box.alive
        refusals = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
        assert len(refusals) == len(BAD_CLASSES), refusals
        assert all(len(line) < 500 and "\n" not in line for line in refusals)
        for name, (suffix, payload) in BAD_CLASSES.items():
            found = [e for e in errors(bureau) if e["topic"] == suffix and e["bytes"] == len(payload)]
            assert found, name


@needs_mosquitto
def test_what_the_bureau_approved_wins_over_the_file(tmp_path: Path) -> None:
    with Broker(tmp_path / "broker") as broker, Listener(broker, f"{PREFIX}/#") as bureau:
        say(bureau, "classes/C-1", body(expected=28), retain=True)  # before the box was ever there
        with BureauBox(tmp_path, options(broker.port)) as box:
            box.catalog.classes.put("C-1", CLASS, "file", box.link.status().since)
            eventually(lambda: box.catalog.classes.get("C-1").source == "bureau")  # type: ignore[union-attr]
            event = box.catalog.events.last("class.approved")
            assert event is not None
            assert event.detail["changed"] in (["expected"], sorted(CLASS))
            coded = {"specversion": "1.0", "id": "7", "type": "x", "data": {**CLASS, "expected": 27}}
            say(bureau, "classes/C-1", json.dumps(coded).encode(), retain=True)
            eventually(lambda: box.catalog.classes.get("C-1").body["expected"] == 27)  # type: ignore[union-attr]
            say(bureau, "classes/C-1", b"", retain=True)
            say(bureau, "classes/C-2", body(class_id="C-2"), retain=True)
            eventually(lambda: box.catalog.classes.get("C-2"))
            assert box.catalog.classes.get("C-1") is not None
            assert errors(bureau) == []


@needs_mosquitto
def test_only_the_pinned_key_approves(tmp_path: Path) -> None:
    def sign(name: str, data: bytes, namespace: str = "site-agent") -> str:
        key = tmp_path / name
        if not key.exists():
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        command = ["ssh-keygen", "-Y", "sign", "-n", namespace, "-f", str(key)]
        return subprocess.run(command, input=data, capture_output=True, check=True).stdout.decode()

    def event(signature: str | None, data: bytes = body()) -> bytes:
        given = {
            "specversion": "1.0",
            "id": "1",
            "data_base64": base64.b64encode(data).decode(),
            "signature": signature,
        }
        return json.dumps({k: v for k, v in given.items() if v is not None}).encode()

    good = sign("bureau", body())
    bad = [
        body(),
        event(None),
        event(sign("stranger", body())),
        event(good, body(expected=1)),
        event("no signature"),
        event(sign("bureau", body(), "file")),
    ]
    with Broker(tmp_path / "broker") as broker, Listener(broker, f"{PREFIX}/#") as bureau:
        given = options(broker.port, signing_key=(tmp_path / "bureau.pub").read_text())
        with BureauBox(tmp_path, given) as box:
            bureau.wait(lambda: bureau.on("/state"))
            for payload in bad:
                say(bureau, "classes/C-1", payload)
            bureau.wait(lambda: len(errors(bureau)) == len(bad))
            assert box.catalog.classes.all() == []
            say(bureau, "classes/C-1", event(good))
            eventually(lambda: box.catalog.classes.get("C-1"))


def count_now(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    if parameters.get("room_id") == "boom":
        raise ZeroDivisionError
    if parameters.get("room_id") == "slow":
        time.sleep(1)
    if parameters.get("room_id") == "none":
        raise BureauError("bureau.missing_key", key="room_id")
    return {"people": 29, "asked": dict(parameters)}


@needs_mosquitto
def test_requests_are_answered_where_the_asker_wants(tmp_path: Path) -> None:
    with Broker(tmp_path / "broker") as broker, Listener(broker, "#") as bureau:
        box = BureauBox(tmp_path, options(broker.port), requests={"count": count_now, "gaps": count_now})
        with box:
            bureau.wait(lambda: bureau.on("/state"))
            say(bureau, "request/count", b'{"room_id": "r1"}', to="dashboard/reply/1")
            heard, data = bureau.wait(lambda: answers(bureau, "dashboard/reply/1"))[0]
            assert heard.correlation == b"\x01\x02"
            assert (data["ok"], data["result"]) == (True, {"people": 29, "asked": {"room_id": "r1"}})
            say(bureau, "request/count", b"", to=f"{PREFIX}/response/x")
            bureau.wait(lambda: answers(bureau, f"{PREFIX}/response/x"))
            say(bureau, "request/gaps", b'{"specversion":"1.0","id":"q1","data":{"class_id":"C-1"}}')
            _, data = bureau.wait(lambda: answers(bureau, f"{PREFIX}/response/gaps"))[0]
            assert data["request_id"] == "q1"
            bad = {
                b'{"class_id": "../x"}': "bureau.bad_value",
                b'{"shell": "rm"}': "bureau.unknown_key",
                b"{}": "bureau.missing_key",
                b'{"class_id":"C-1","date":"1970-01-01"}': "bureau.bad_value",
                b"x" * 1_000_000: "bureau.too_long",
                b'{"class_id": "C-1", "session": "noon"}': "bureau.bad_value",
            }
            for number, (payload, code) in enumerate(bad.items()):
                say(bureau, "request/gaps", payload, to=f"reply/{number}")
                _, data = bureau.wait(lambda n=number: answers(bureau, f"reply/{n}"))[0]
                assert data["error"]["code"] == code
            say(bureau, "request/format-disk", b"{}", to="reply/unknown")
            _, data = bureau.wait(lambda: answers(bureau, "reply/unknown"))[0]
            assert (data["request"], data["error"]["code"]) == ("unknown", "bureau.unknown_request")
            for room, code in (("boom", "bureau.internal"), ("none", "bureau.missing_key")):
                say(bureau, "request/count", json.dumps({"room_id": room}).encode(), to=f"reply/{room}")
                _, data = bureau.wait(lambda r=room: answers(bureau, f"reply/{r}"))[0]
                assert data["error"]["code"] == code
            for _ in range(12):
                say(bureau, "request/count", b'{"room_id": "slow"}', to="reply/slow")
            busy = bureau.wait(lambda: [d for _, d in answers(bureau, "reply/slow") if not d["ok"]])
            assert busy[0]["error"]["code"] == "bureau.busy"
            assert box.alive


@needs_mosquitto
def test_no_answer_in_another_voice(tmp_path: Path) -> None:
    with Broker(tmp_path / "broker") as broker, Listener(broker, "#") as bureau:
        with BureauBox(tmp_path, options(broker.port), requests={"count": count_now}):
            bureau.wait(lambda: bureau.on("/state"))
            topics = [f"{PREFIX}/state", "training/v1/other/site/box/alert/drive.full", "$SYS/x"]
            for topic in topics:
                say(bureau, "request/count", b"{}", to=topic)
            say(bureau, "request/count", b'{"room_id":"r9"}', retain=True)
            bureau.wait(lambda: len(errors(bureau)) >= 1)
            say(bureau, "request/count", b"{}", to="reply/end")
            bureau.wait(lambda: answers(bureau, "reply/end"))
        assert not [h for h in bureau.heard if h.topic in topics[1:]]
        assert "response" not in json.loads(bureau.on("/state")[-1].payload)["type"]


@needs_mosquitto
def test_a_question_that_cannot_be_answered_ends_no_connection(tmp_path: Path) -> None:
    """An empty response topic, an ID that is no text, an answer larger than the broker takes."""
    small = Broker(tmp_path / "broker", settings="allow_anonymous true\nmax_packet_size 3000")
    with small as broker, Listener(broker, "#") as bureau:
        box = BureauBox(tmp_path, options(broker.port), requests={"count": lambda _: {"people": "9" * 6000}})
        with box:
            bureau.wait(lambda: bureau.on("/state"))
            say(bureau, "request/count", b"{}", to="")
            assert bureau.wait(lambda: errors(bureau))[0]["code"] == "bureau.response_topic"
            say(bureau, "request/count", b'{"specversion": "1.0", "id": "\\ud800", "data": {}}', to="reply/half")
            _, data = bureau.wait(lambda: answers(bureau, "reply/half"))[0]
            assert data["error"]["code"] == "bureau.not_json"
            say(bureau, "request/count", b"{}", to="reply/large")
            _, data = bureau.wait(lambda: answers(bureau, "reply/large"))[0]
            assert data["error"]["code"] == "bureau.answer_too_large"
        states = [json.loads(h.payload)["data"]["state"] for h in bureau.on("/state")]
        assert states == ["online", "stopped"]


@needs_mosquitto
def test_two_boxes_of_one_name_do_not_chase_each_other(tmp_path: Path) -> None:
    with Broker(tmp_path / "broker") as broker, Listener(broker, f"{PREFIX}/#") as bureau:
        given = options(broker.port, pause_min_s=0.05, pause_max_s=10, steady_s=10)
        (tmp_path / "other").mkdir()
        with BureauBox(tmp_path, given), BureauBox(tmp_path / "other", given, boot_id="boot-2"):
            began = time.monotonic()
            # pauses grow until one comes to speak, on a busy machine too
            bureau.wait(lambda: len(births(bureau)) >= 2, 30)
            time.sleep(max(0.0, 3 - (time.monotonic() - began)))
            passed_s = time.monotonic() - began
        assert len(births(bureau)) < 7 * passed_s


# a broker that misbehaves

Behave = Callable[[socket.socket], None]
CONNACK_5 = bytes([0x20, 3, 0, 0, 0])


@contextmanager
def bad_broker(behave: Behave) -> Iterator[int]:
    """Accepts connections on loopback, reads the CONNECT, then behaves as told."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)

        def serve() -> None:
            while not stop.is_set():
                try:
                    sock, _ = server.accept()
                except TimeoutError:
                    continue
                with sock:
                    sock.settimeout(5)
                    try:
                        sock.recv(65536)
                        behave(sock)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            stop.set()
            thread.join()


def never_acknowledge(sock: socket.socket) -> None:
    sock.sendall(CONNACK_5)
    while sock.recv(65536):
        pass


def close_in_mid_packet(sock: socket.socket) -> None:
    sock.sendall(CONNACK_5 + bytes([0x32, 100, 0, 5]) + b"abc")


def say_nothing(sock: socket.socket) -> None:
    sock.recv(1)


def talk_garbage(sock: socket.socket) -> None:
    sock.sendall(CONNACK_5 + bytes([0x40, 2, 0, 1, 0x90, 1, 0, 0x30, 2, 0, 200, 0xF0, 0, 0x62, 0]) + b"\xff" * 50)


def serve_web(sock: socket.socket) -> None:
    sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


@pytest.mark.parametrize(
    ("behave", "word"),
    [(never_acknowledge, "没有确认"), (close_in_mid_packet, "中断"), (say_nothing, "没有应答"), (talk_garbage, ""),
     (serve_web, "")],
)  # fmt: skip
def test_bad_broker_costs_nothing_but_time(tmp_path: Path, behave: Behave, word: str) -> None:
    with bad_broker(behave) as port:
        given = options(port, ack_timeout_s=1, connect_timeout_s=1)
        with BureauBox(tmp_path, given) as box:
            box.alarm(1)
            box.attend(1)
            problem = eventually(lambda: box.link.status().problem, 8)
            assert word in problem
            time.sleep(0.5)
            assert box.alive
            waiting = {m.topic for m in box.catalog.outbox.waiting()}
            assert len(waiting) == 4, "log, alert, open alerts, attendance"
            begun = time.monotonic()
        assert time.monotonic() - begun < 10


def strict_broker(most: int, worst: list[int], topics: list[str], *, full: bool = False) -> Behave:
    """Takes `most` messages at a time, as its welcome says, and acknowledges slowly; notes how many it was given. `full`: the
    first is refused."""

    def behave(sock: socket.socket) -> None:
        sock.sendall(bytes([0x20, 6, 0, 0, 3, 0x21, 0, most]))
        sock.settimeout(0.05)
        data, waiting = b"", deque[bytes]()
        while True:
            try:
                received = sock.recv(65536)
                if not received:
                    return
                data += received
            except TimeoutError:
                if waiting:
                    refused = full and len(topics) == 1
                    sock.sendall(bytes([0x40, 3 if refused else 2]) + waiting.popleft() + b"\x97" * refused)
            while (packet := cut(data)) is not None:
                kind, body, data = packet
                if kind == 8:
                    sock.sendall(bytes([0x90, 6]) + body[:2] + bytes([0, 1, 1, 1]))
                if kind == 3:
                    length = int.from_bytes(body[:2], "big")
                    topics.append(body[2 : 2 + length].decode())
                    waiting.append(body[2 + length : 4 + length])
                    worst.append(len(waiting))

    return behave


def cut(data: bytes) -> tuple[int, bytes, bytes] | None:
    """The first MQTT packet: kind, body, what follows; None where it is not all there."""
    length = 0
    for at, byte in enumerate(data[1:5]):
        length |= (byte & 127) << (7 * at)
        if byte < 128:
            begin = at + 2
            whole = len(data) >= begin + length
            return (data[0] >> 4, data[begin : begin + length], data[begin + length :]) if whole else None
    return None


@pytest.mark.parametrize("most", [1, 2])
def test_no_more_is_under_way_than_the_broker_takes(tmp_path: Path, most: int) -> None:
    worst: list[int] = []
    with bad_broker(strict_broker(most, worst, [])) as port:
        box = BureauBox(tmp_path, options(port))
        for number in range(4):
            box.alarm(number)
        with box:
            eventually(lambda: box.catalog.outbox.size() == 0)
        assert len(worst) == 8, "open alerts, birth, log, four alerts, goodbye"
        assert max(worst) == most


def test_a_refused_state_keeps_the_box_from_no_birth(tmp_path: Path) -> None:
    """The pause after a refusal is over before all retained messages are brought."""
    topics: list[str] = []
    with bad_broker(strict_broker(1, [], topics, full=True)) as port:
        box = BureauBox(tmp_path, options(port, refused_pause_s=0.2))
        for number in range(10):
            box.attend(1, f"C-{number}")
        with box:
            eventually(lambda: f"{PREFIX}/state" in topics, 5)
            eventually(lambda: box.catalog.outbox.size() == 0)


# shapes alone


def test_shapes_and_published_schemas_agree() -> None:
    check = validator("request")
    for name in ("class_id", "camera_id", "room_id", "date", "session", "from", "to"):
        for value in (
            "C-1",
            "am",
            "2026-11-23",
            "08:30",
            "08:30:15",
            "1970-01-01",
            "../x",
            "25:00",
            "",
            "x" * 40,
            7,
            None,
        ):
            try:
                validation.check_request("count", {name: value})
                accepted = True
            except BureauError:
                accepted = False
            assert accepted == check.is_valid({name: value}), (name, value)
    assert set(NAMES) == set(registry().contents("request.json")["$defs"]["parameters"]["properties"])
    assert validator("class").is_valid(CLASS)
    assert not validator("class").is_valid({**CLASS, "class_id": "../x"})


def test_days_are_found_at_any_depth() -> None:
    validation.check_dates(CLASS)
    with pytest.raises(BureauError):
        validation.check_dates({"amendments": [{"approved": "1970-01-01"}]})
    assert not is_day(date(2026, 1, 1))
    with pytest.raises(BureauError):
        unwrap(b'{"a": Infinity}')
