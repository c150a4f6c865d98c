"""What ends the link each time: a message that the broker will not have, another box of the same name, a broker that lacks what
the contract needs. Against a real Mosquitto."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest

from agent.bureau import probe_broker, warnings
from agent.bureau.own_state import StateTopic
from agent.bureau.suspects import SentMessage, SuspectMessages
from agent.catalog import Catalog
from agent.core.alert_model import AlertKind
from agent.core.errors import BureauError
from tests.bureau.test_tls import certificates, openssl, secure, tls_settings
from tests.support.broker import Broker, Listener, eventually, needs_mosquitto
from tests.support.bureau_factory import PREFIX, ZONE, BureauBox, now, options
from tests.support.clocks import SteppedClock

__all__ = ["certificates"]
pytestmark = needs_mosquitto
SMALL = "allow_anonymous true\nmax_packet_size 1200"
PROTOCOLS = ["5", "3.1.1"]


class Censor:
    """Passes bytes on to a broker and closes the connection when a client sends one of the `words`."""

    def __init__(self, broker: Broker, *words: bytes) -> None:
        self.words = words
        self.closed = 0
        self._broker = broker
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection((self._broker.host, self._broker.port))
                threading.Thread(target=self._pass, args=(client, server, True), daemon=True).start()
                threading.Thread(target=self._pass, args=(server, client, False), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, outward: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if outward and any(word in data for word in self.words):
                    self.closed += 1
                    break
                sink.sendall(data)
        for sock in (source, sink):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Censor:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()


def data_of(payload: bytes) -> dict[str, object]:
    return dict(json.loads(payload)["data"])


def data_list(payload: bytes) -> list[dict[str, object]]:
    return list(json.loads(payload)["data"])


def test_a_message_that_is_too_large_for_the_broker_holds_nothing_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """MQTT 3.1.1 does not say how large a packet may be, nor why the connection ends."""
    with (
        Broker(tmp_path / "broker", settings=SMALL) as broker,
        Listener(broker, f"{PREFIX}/#") as bureau,
        BureauBox(tmp_path, options(broker.port, protocol="3.1.1")) as box,
    ):
        with box.catalog.store.write():  # all at once: shorter lists must not get through before the last alarm
            for number in range(5):  # of five the list has some 2 kB
                box.alarm(number)
        bureau.wait(lambda: len({h.payload for h in bureau.on("/alert/camera.offline")}) == 5, 40)
        box.catalog.outbox.put("heartbeat", "heartbeat", {"seq": 1}, now())
        bureau.wait(lambda: bureau.on("/heartbeat"))
        assert data_of(bureau.on("/state")[-1].payload)["state"] == "online"
        (waiting,) = eventually(lambda: len(left := box.catalog.outbox.waiting()) == 1 and left)
        assert waiting.topic == "alerts/open", "set aside, not lost"
        (told,) = eventually(lambda: warnings.load_warnings(box.catalog))
        assert told.params["topic"] == "alerts/open" and int(str(told.params["size"])) > 1200
        assert "max_packet_size" in str(told) and str(told) in caplog.text
        assert not bureau.on("/alerts/open")
        for number in range(1, 5):
            box.catalog.alerts.clear(AlertKind.CAMERA_OFFLINE, f"cam{number}", now())
        bureau.wait(lambda: any(len(data_list(h.payload)) == 1 for h in bureau.on("/alerts/open")), 20)
        (shorter,) = data_list(bureau.on("/alerts/open")[-1].payload)
        assert shorter["camera_id"] == "cam0", "the newer list is short enough, and nobody waits for it"
        eventually(lambda: box.catalog.outbox.size() == 0)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("victim", ["alert/camera.offline", "camera/cam1", "attendance/", "heartbeat", '"online"'])
def test_whatever_message_ends_the_link_the_others_get_through(tmp_path: Path, protocol: str, victim: str) -> None:
    with Broker(tmp_path / "broker") as broker, Listener(broker, f"{PREFIX}/#") as bureau:
        topics = {"/alert/camera.offline", "/camera/cam1", "/am", "/heartbeat", "/state"}
        forbidden = {"attendance/": "/am", '"online"': "/state"}.get(victim, f"/{victim}")
        with Censor(broker, victim.encode()) as door, BureauBox(tmp_path, options(door.port, protocol=protocol)) as box:
            box.camera()
            box.attend(1)
            box.alarm(1)
            box.catalog.outbox.put("heartbeat", "heartbeat", {"seq": 1}, now())
            for topic in topics - {forbidden}:
                bureau.wait(lambda t=topic: bureau.on(t), 40)
            eventually(lambda: warnings.load_warnings(box.catalog))
            closed = door.closed
            assert closed <= 8
            box.catalog.outbox.put("late", "late", {}, now())
            bureau.wait(lambda: bureau.on("/late"))
            assert door.closed == closed, "the link stays while the topic is set aside"
            door.words = ()
        assert forbidden == "/state" or not bureau.on(forbidden)


def test_a_topic_that_was_set_aside_is_tried_again_and_delivered(tmp_path: Path) -> None:
    with (
        Broker(tmp_path / "broker") as broker,
        Listener(broker, f"{PREFIX}/#") as bureau,
        Censor(broker, b"camera.offline") as door,
        BureauBox(tmp_path, options(door.port, aside_pause_s=2)) as box,
    ):
        box.alarm(1)
        eventually(lambda: warnings.load_warnings(box.catalog), 30)
        door.words = ()
        bureau.wait(lambda: bureau.on("/alert/camera.offline"), 30)
        eventually(lambda: not warnings.load_warnings(box.catalog) and box.catalog.outbox.size() == 0)


def test_suspicion_falls_on_what_is_alone_under_way_and_lapses_with_a_break_of_itself() -> None:
    found = SuspectMessages(60)
    both = [SentMessage("a", 10), SentMessage("b", 20)]
    assert not found.broke(both) and not found.alone
    assert not found.broke([]) and not found.alone, "it broke with nothing under way"
    assert not found.broke(both) and found.broke(both) and found.alone
    found.acknowledged("a")
    assert found.broke([SentMessage("b", 20)]) is False
    assert found.set_aside_until("b") and found.set_aside_until("a") is None
    assert [p.params["topic"] for p in found.problems()] == ["b"]


def test_a_broker_that_acknowledges_nothing_is_not_blamed_on_what_is_sent() -> None:
    found = SuspectMessages(60)
    for number in range(200):
        found.broke([SentMessage(f"t{number // 4}", 1)])
    assert found.problems() == [] and not found.alone


def test_an_answer_that_ends_the_link_is_not_sent_again_and_no_suspect() -> None:
    found = SuspectMessages(60)
    for _ in range(5):
        assert not found.broke([SentMessage("response/gaps", 9, again=False)])
    assert found.problems() == []


# Two boxes of one name


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_two_boxes_of_one_name_are_told_once_by_each(tmp_path: Path, protocol: str) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with Broker(tmp_path / "broker") as broker, Listener(broker, f"{PREFIX}/#") as bureau:
        given = options(broker.port, protocol=protocol, readback_s=0.1)
        with (
            BureauBox(tmp_path / "one", given, boot_id="boot-a") as one,
            BureauBox(tmp_path / "two", given, boot_id="boot-b") as two,
        ):
            for box in (one, two):
                eventually(lambda b=box: b.catalog.alerts.open_one(AlertKind.BOX_DUPLICATE, "box"), 40)
                assert [w.key for w in eventually(lambda b=box: warnings.load_warnings(b.catalog))] == [
                    "bureau.taken_over"
                ]
            heard = bureau.wait(lambda: bureau.on("/alert/box.duplicate"), 30)
            time.sleep(4)
            heard = {json.loads(h.payload)["id"]: data_of(h.payload) for h in bureau.on("/alert/box.duplicate")}
            assert 1 <= len(heard) <= 2 and {a["state"] for a in heard.values()} == {"raised"}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_an_earlier_run_left_behind_is_no_second_box(tmp_path: Path, protocol: str) -> None:
    """Its retained `online`, its will, its own birth queued for the session."""
    with Broker(tmp_path / "broker", persistent=True) as broker, Listener(broker, f"{PREFIX}/#") as bureau:
        given = options(broker.port, protocol=protocol)
        with BureauBox(tmp_path, given, boot_id="boot-1"):
            birth = bureau.wait(lambda: bureau.on("/state"))[0].payload
        # as after a crash: the state of before stands, and is queued for the session
        bureau.client.publish(f"{PREFIX}/state", birth, qos=1, retain=True).wait_for_publish(5)
        with BureauBox(tmp_path, given, boot_id="boot-2") as box:
            bureau.wait(lambda: b"boot-2" in bureau.on("/state")[-1].payload)
            late_will = birth.replace(b'"online"', b'"offline"')
            bureau.client.publish(f"{PREFIX}/state", late_will, qos=1, retain=True)
            bureau.wait(lambda: b"boot-2" in bureau.on("/state")[-1].payload and len(bureau.on("/state")) >= 5)
            broker.kill()
            eventually(lambda: not box.link.status().connected)
            broker.start()
            eventually(lambda: box.link.status().connected)
            time.sleep(0.5)
            assert box.catalog.alerts.opened() == [] and warnings.load_warnings(box.catalog) == []
            # the same again, alive: that is another box
            bureau.wait(lambda: b"boot-2" in bureau.on("/state")[-1].payload)
            other = birth.replace(b"boot-1", b"boot-9")
            eventually(lambda: bureau.client.is_connected())
            bureau.client.publish(f"{PREFIX}/state", other, qos=1, retain=True)
            eventually(lambda: box.catalog.alerts.open_one(AlertKind.BOX_DUPLICATE, "box"))


def test_the_alert_of_a_second_box_ends_an_hour_after_its_last_sign(tmp_path: Path) -> None:
    clock = SteppedClock()
    with Catalog(tmp_path / "catalog.db", ZONE) as catalog:
        own = StateTopic(catalog, clock, options(1), boot_id="a", version="1")
        own.other_box()
        own.other_box()
        assert catalog.outbox.size() == 3, "the log, the alert and the list of the open ones, once"
        again = StateTopic(catalog, clock, options(1), boot_id="b", version="1")
        assert again.problem(), "it outlives a restart"
        clock.ahead = timedelta(hours=2).total_seconds()
        assert again.problem() is None and catalog.alerts.opened() == []


# Brokers that lack what the contract needs


@pytest.mark.parametrize(
    ("lack", "protocol", "word"),
    [
        ("retain_available false", "5", "bureau.no_retain"),
        ("retain_available false", "3.1.1", "bureau.will_refused"),
        ("max_qos 0", "5", "bureau.no_qos"),
        ("max_qos 0", "3.1.1", "bureau.will_refused"),
        ("max_packet_size 300", "3.1.1", "bureau.will_refused"),
    ],
)
def test_a_broker_that_lacks_retain_or_qos_is_told_as_such(tmp_path: Path, lack: str, protocol: str, word: str) -> None:
    with Broker(tmp_path / "broker", settings=f"allow_anonymous true\n{lack}") as broker:
        with BureauBox(tmp_path, options(broker.port, protocol=protocol)) as box:
            problem = eventually(lambda: box.link.status().problem)
            where = {"host": "127.0.0.1", "port": broker.port}
            size = len(box.link._own.message("offline", now()))
            assert problem == str(BureauError(word, **where, size=size))
        if protocol == "5":
            with pytest.raises(BureauError) as caught:
                probe_broker(options(broker.port, protocol="5"))
            assert caught.value.key == word


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_tls_on_a_plain_port_and_plain_on_a_tls_port(tmp_path: Path, certificates: Path, protocol: str) -> None:
    with Broker(tmp_path / "plain") as broker, pytest.raises(BureauError) as caught:
        probe_broker(secure(broker, certificates, protocol=protocol))
    assert caught.value.key == "bureau.no_tls" and "bureau.tls = false" in str(caught.value)
    with (
        Broker(tmp_path / "tls", settings=tls_settings(certificates)) as broker,
        pytest.raises(BureauError) as caught,
    ):
        probe_broker(options(broker.port, protocol=protocol, connect_timeout_s=1))
    assert caught.value.key == "bureau.speaks_tls" and "bureau.tls = true" in str(caught.value)


def test_a_certificate_of_tomorrow_leads_to_the_clock(tmp_path: Path, certificates: Path) -> None:
    """What a box in 1970 meets: the certificate is not yet valid."""
    begin, end = (f"{now() + timedelta(days=n):%Y%m%d%H%M%SZ}" for n in (2, 9))
    (tmp_path / "ca").mkdir()
    (tmp_path / "ca" / "index.txt").touch()
    config = tmp_path / "ca.cnf"
    config.write_text(
        f"[ca]\ndefault_ca=d\n[d]\ndatabase={tmp_path}/ca/index.txt\nnew_certs_dir={tmp_path}/ca\nrand_serial=yes\n"
        "default_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n"
    )
    openssl(
        certificates,
        "ca",
        "-batch",
        "-config",
        str(config),
        "-cert",
        "county.crt",
        "-keyfile",
        "county.key",
        "-in",
        "server.csr",
        "-extfile",
        "server.ext",
        "-startdate",
        begin,
        "-enddate",
        end,
        "-out",
        str(tmp_path / "soon.crt"),
        "-notext",
    )
    for name in ("county.crt", "server.key"):
        (tmp_path / ("soon.key" if name == "server.key" else name)).write_bytes((certificates / name).read_bytes())
    with (
        Broker(tmp_path / "broker", settings=tls_settings(tmp_path, "soon")) as broker,
        pytest.raises(BureauError) as caught,
    ):
        probe_broker(secure(broker, certificates))
    assert caught.value.key == "bureau.not_yet_valid"
    assert f"{now():%Y-%m-%d}" in str(caught.value) and "时钟" in str(caught.value)
