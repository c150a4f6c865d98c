"""The link against a real Mosquitto: state, order, once by ID, outages, restarts, kills."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.bureau import BureauOptions, Heartbeat
from agent.bureau.heartbeat import sum_recorded_seconds
from agent.bureau.retained import RetainedReconciler
from agent.cameras.report import CameraReporter
from agent.catalog import Catalog
from agent.catalog.drives import ChainLink
from agent.core.alert_model import AlertKind
from agent.core.clock import SystemClock, parse_time
from agent.core.model import Segment, Session
from tests.support import processes
from tests.support.broker import Broker, Heard, Listener, eventually, needs_mosquitto
from tests.support.bureau_factory import PREFIX, ZONE, BureauBox, attendance, now, options
from tests.support.clocks import SteppedClock
from tests.support.contract_check import channel_of, retained, validate
from tests.support.paths import ROOT

pytestmark = needs_mosquitto
PROTOCOLS = ["5", "3.1.1"]


def events(heard: list[Heard]) -> list[dict[str, Any]]:
    return [validate(h.topic, h.payload) for h in heard if h.payload]


def once(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first of each ID, in order of arrival: what a subscriber that deduplicates sees."""
    first: dict[str, dict[str, Any]] = {}
    for event in found:
        first.setdefault(event["id"], event)
    return list(first.values())


def states(listener: Listener) -> list[str]:
    return [e["data"]["state"] for e in events(listener.on("/state"))]


def join_now(broker: Broker) -> dict[str, Heard]:
    """The retained messages that a subscriber meets who joins now, by topic; all of them checked."""
    with Listener(broker, "training/v1/#") as late:
        time.sleep(0.3)
        found = {h.topic: h for h in late.heard if h.retained}
    for heard in found.values():
        validate(heard.topic, heard.payload)
        assert retained(channel_of(heard.topic)[0]), f"{heard.topic} must not be retained"
    return found


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_birth_will_and_clean_stop(tmp_path: Path, protocol: str) -> None:
    with Broker(tmp_path / "broker") as broker, Listener(broker) as bureau:
        with BureauBox(tmp_path, options(broker.port, protocol=protocol)) as box:
            box.camera()
            box.alarm(1)
            bureau.wait(lambda: bureau.on("/alerts/open") and bureau.on("/camera/cam1") and bureau.on("/state"))
            found = join_now(broker)
            birth = json.loads(found[f"{PREFIX}/state"].payload)["data"]
            assert birth["state"] == "online"
            assert birth["boot_id"] == "boot-1"
            assert len(json.loads(found[f"{PREFIX}/alerts/open"].payload)["data"]) == 1
            eventually(lambda: box.catalog.outbox.size() == 0)
            assert box.link.status().connected
        bureau.wait(lambda: states(bureau)[-1:] == ["stopped"])
        assert "offline" not in states(bureau), "a clean stop must not set off the will"
        assert json.loads(join_now(broker)[f"{PREFIX}/state"].payload)["data"]["state"] == "stopped"
        events(bureau.heard)


CHILD = """
import sys
from pathlib import Path
from tests.support.bureau_factory import BureauBox, options
with BureauBox(Path(sys.argv[1]), options(int(sys.argv[2]))) as box:
    for number in range(1000):
        box.alarm(number)
    box._thread.join()
"""


def test_kill_9_of_the_agent_sets_off_the_will_and_loses_nothing(tmp_path: Path) -> None:
    with Broker(tmp_path / "broker") as broker, Listener(broker, f"{PREFIX}/#") as bureau:
        child = processes.start([sys.executable, "-c", CHILD, str(tmp_path), str(broker.port)])
        bureau.wait(lambda: len(bureau.on("/alert/camera.offline")) > 20, 60)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        bureau.wait(lambda: states(bureau)[-1:] == ["offline"], 60)
        birth, will = (e["data"] for e in events(bureau.on("/state"))[-2:])
        assert {**birth, "state": ""} == {**will, "state": ""}, "the will mirrors the birth"
        with BureauBox(tmp_path, options(broker.port), boot_id="boot-2") as box:
            bureau.wait(lambda: states(bureau)[-1:] == ["online"], 60)
            written = [a.alert_id for a in box.catalog.alerts.recent(2000)]
            bureau.wait(lambda: box.catalog.outbox.size() == 0, 60)
            # acknowledged by the broker is not yet heard by its subscriber
            bureau.wait(lambda: len(once(events(bureau.on("/alert/camera.offline")))) >= len(written), 60)
            heard = [e["data"]["alert_id"] for e in once(events(bureau.on("/alert/camera.offline")))]
        assert sorted(heard) == sorted(written)
        found = json.loads(join_now(broker)[f"{PREFIX}/alerts/open"].payload)["data"]
        assert {a["alert_id"] for a in found} == set(written)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_broker_dead_for_long_across_two_restarts_of_the_agent(tmp_path: Path, protocol: str) -> None:
    """Alerts and attendance revisions meanwhile: once by ID, in order, marked as replayed; the retained state right."""
    given = options(0, protocol=protocol)
    with Broker(tmp_path / "broker", persistent=True) as broker:
        given = options(broker.port, protocol=protocol)
        with Listener(broker, f"{PREFIX}/#", client_id="bureau") as bureau:
            with BureauBox(tmp_path, given, boot_id="boot-1") as box:
                bureau.wait(lambda: states(bureau) == ["online"])
                box.alarm(0)
                box.attend(1)
                bureau.wait(lambda: bureau.on("/am") and bureau.on("/alert/camera.offline"))
                assert events(bureau.on("/alert/camera.offline"))[0]["data"]["replayed"] is False
                broker.kill()
                for number in range(1, 30):
                    box.alarm(number)
                    box.attend(1 + number)
                eventually(lambda: not box.link.status().connected)
            with BureauBox(tmp_path, given, boot_id="boot-2") as box:
                for number in range(30, 60):
                    box.alarm(number)
                    box.attend(1 + number)
                problem = eventually(lambda: box.link.status().problem)
                assert str(broker.port) in problem
            with BureauBox(tmp_path, given, boot_id="boot-3") as box:
                box.catalog.alerts.clear(AlertKind.CAMERA_OFFLINE, "cam0", now())
                before = len(bureau.heard)
                broker.start()
                bureau.wait(lambda: "online" in states(bureau)[1:], 20)
                bureau.wait(lambda: len(once(events(bureau.on("/alert/camera.offline")))) == 61)
                bureau.wait(lambda: len(once(events(bureau.on("/am")))) == 60)
                found = join_now(broker)
                assert json.loads(found[f"{PREFIX}/state"].payload)["data"]["boot_id"] == "boot-3"
                (half_day,) = [h for topic, h in found.items() if "/attendance/" in topic]
                assert json.loads(half_day.payload)["data"]["revision"] == 60
                assert len(json.loads(found[f"{PREFIX}/alerts/open"].payload)["data"]) == 59
                eventually(lambda: box.catalog.outbox.size() == 0)
            alerts = once(events(bureau.on("/alert/camera.offline")))
            assert [a["data"]["camera_id"] for a in alerts] == [*(f"cam{n}" for n in range(60)), "cam0"]
            assert [e["data"]["revision"] for e in once(events(bureau.on("/am")))] == list(range(1, 61))
            known = {e["id"] for e in events(bureau.heard[:before])}
            late = [e for e in events(bureau.heard[before:]) if e["id"] not in known and "replayed" in e["data"]]
            assert len(once(late)) == 60 + 59
            assert all(e["data"]["replayed"] and e["replayed"] for e in once(late))


def test_retained_is_never_old_and_online_means_right(tmp_path: Path) -> None:
    """While a backlog of revisions is replayed, a subscriber that joins meets the newest or an offline box."""
    with Broker(tmp_path / "broker", persistent=True) as broker:
        given = options(broker.port)
        with BureauBox(tmp_path, given) as box:
            box.attend(1)
            eventually(lambda: box.link.status().connected and box.catalog.outbox.size() == 0)
            broker.kill()
            eventually(lambda: not box.link.status().connected)
            for revision in range(2, 600):
                box.attend(revision)
            restart = now()
            broker.start()
            for _ in range(20):
                with Listener(broker, f"{PREFIX}/#") as late:
                    time.sleep(0.05)
                    found = {e["subject"]: e["data"] for e in events([h for h in late.heard if h.retained])}
                half_day = next((d for s, d in found.items() if s.startswith("attendance/")), {"revision": None})
                state = found.get("state", {})
                # until the box is back, the broker remembers the `online` of before its own death: `since` tells
                if state.get("state") == "online" and parse_time(state["since"]) >= restart:
                    assert half_day["revision"] == 599
                else:
                    assert half_day["revision"] in (None, 1, 599)
            eventually(lambda: box.catalog.outbox.size() == 0)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_broker_that_comes_back_empty_is_filled_again(tmp_path: Path, protocol: str) -> None:
    with Broker(tmp_path / "broker") as broker, BureauBox(tmp_path, options(broker.port, protocol=protocol)) as box:
        box.camera()
        box.alarm(1)
        box.attend(1)
        link = ChainLink("C-1", now().date(), Session.AM, 1, "d1", "ab" * 32, "ssh-ed25519 AAAA", now())
        box.catalog.chain.add(link)
        eventually(lambda: box.link.status().connected and box.catalog.outbox.size() == 0)
        before = eventually(lambda: len(found := join_now(broker)) == 5 and found)
        broker.kill()
        eventually(lambda: not box.link.status().connected)
        broker.start()
        eventually(lambda: box.link.status().connected)
        after = eventually(lambda: len(found := join_now(broker)) == 5 and found)
        same = [t for t in before if not t.endswith("/state")]
        assert [json.loads(after[t].payload)["id"] for t in same] == [json.loads(before[t].payload)["id"] for t in same]


@pytest.mark.long
def test_kill_9_of_the_broker_in_the_middle_of_a_flood(tmp_path: Path) -> None:
    with Broker(tmp_path / "broker", persistent=True) as broker, Listener(broker, f"{PREFIX}/#") as bureau:
        with BureauBox(tmp_path, options(broker.port)) as box:
            for number in range(400):
                box.alarm(number)
                if number in (100, 250):
                    broker.kill()
                    broker.start()
            eventually(lambda: box.catalog.outbox.size() == 0, 30)
            stayed = [a.camera_id for a in box.catalog.alerts.opened()]
        assert len(stayed) == 400
        order: dict[str, list[int]] = defaultdict(list)
        for event in once(events(bureau.on("/alert/camera.offline"))):
            order["alerts"].append(int(event["data"]["camera_id"][3:]))
        assert order["alerts"] == sorted(order["alerts"])


@pytest.mark.long
@pytest.mark.parametrize("wills", [1, 2])
def test_an_old_will_does_not_stand_nor_does_a_second_soon_after(tmp_path: Path, wills: int) -> None:
    with (
        Broker(tmp_path / "broker") as broker,
        Listener(broker, f"{PREFIX}/#") as bureau,
        BureauBox(tmp_path, options(broker.port)),
    ):
        birth = bureau.wait(lambda: bureau.on("/state"))[0]
        will = birth.payload.replace(b'"online"', b'"offline"')
        for number in range(1, wills + 1):
            bureau.client.publish(f"{PREFIX}/state", will, qos=1, retain=True)
            bureau.wait(lambda n=number: len(bureau.on("/state")) >= 2 * n)
        bureau.wait(lambda: states(bureau)[-1] == "online" and states(bureau).count("offline") == wills)
        assert json.loads(join_now(broker)[f"{PREFIX}/state"].payload)["data"]["state"] == "online"


def test_what_is_sent_at_once_is_no_replay_though_the_clock_was_put_back(tmp_path: Path) -> None:
    clock = SteppedClock()
    with Broker(tmp_path / "broker") as broker, Listener(broker, f"{PREFIX}/#") as bureau:
        box = BureauBox(tmp_path, options(broker.port), clock=clock)
        box.alarm(1)
        with box:
            bureau.wait(lambda: bureau.on("/alert/camera.offline"))
            clock.moved = timedelta(hours=-1)
            box.catalog.alerts.clear(AlertKind.CAMERA_OFFLINE, "cam1", clock.now())
            bureau.wait(lambda: len(bureau.on("/alert/camera.offline")) == 2)
        before, live = events(bureau.on("/alert/camera.offline"))
        assert (before["data"]["replayed"], live["data"]["replayed"]) == (True, False)


def test_a_camera_s_change_is_told_once_whoever_notices_it_first(tmp_path: Path) -> None:
    """The camera watch tells it with each search, the link looks every two seconds."""
    box = BureauBox(tmp_path, options(1))
    tellers = [
        CameraReporter(box.catalog, SystemClock(), clock_bound_s=5).publish,
        RetainedReconciler(box.catalog, SystemClock(), options(1), list).start,
    ]
    for up in (True, False, True):
        box.camera(up=up)
        for tell in tellers:
            tell()
        told = [m for m in box.catalog.outbox.waiting() if m.type == "camera"]
        assert len(told) == 1, "this change, as it was told first"
        box.catalog.outbox.done(told[0].seq)
        for tell in reversed(tellers):
            tell()
        assert not [m for m in box.catalog.outbox.waiting() if m.type == "camera"]
        tellers.reverse()
    box.catalog.close()


def test_attendance_is_retained_until_30_days_after_the_class(tmp_path: Path) -> None:
    with Broker(tmp_path / "broker") as broker, Listener(broker, f"{PREFIX}/#") as bureau:
        catalog = Catalog(tmp_path / "catalog.db", ZONE)
        old = attendance(1, "OLD", day=now().date().replace(year=now().year - 1))
        catalog.outbox.put(f"attendance/OLD/{old['date']}/am", "attendance", old, now(), retained=True)
        catalog.close()
        with BureauBox(tmp_path, options(broker.port)) as box:
            box.attend(1)
            bureau.wait(lambda: any(h.payload == b"" for h in bureau.on(f"attendance/OLD/{old['date']}/am")))
            eventually(lambda: box.catalog.outbox.size() == 0)
        assert [t for t in join_now(broker) if "/attendance/" in t] == [
            f"{PREFIX}/attendance/C-1/{now().astimezone(ZONE).date()}/am"
        ]


def test_heartbeat_is_as_the_contract_has_it_and_dropped_when_late(tmp_path: Path) -> None:
    with Broker(tmp_path / "broker") as broker, Listener(broker, f"{PREFIX}/#") as bureau:
        given = options(broker.port, heartbeat_keep_s=60)
        drive = {"drive_id": "d1", "state": "attached", "free_bytes": 10**12, "days_left": 41.5}
        with BureauBox(tmp_path, given) as box:
            box.camera()
            heart = Heartbeat(
                box.catalog,
                SystemClock(),
                given,
                boot_id="boot-1",
                facts=lambda: {"drive": drive, "recorded_s": {"cam1": 59.96}},
            )
            heart.beat()
            heart.beat()
            bureau.wait(lambda: len(bureau.on("/heartbeat")) == 2)
        beats = [e["data"] for e in events(bureau.on("/heartbeat"))]
        assert [b["seq"] for b in beats] == [1, 2]
        assert beats[0]["cameras"] == [{"camera_id": "cam1", "up": True, "clock_offset_s": None, "recorded_s": 59.96}]
        assert beats[0]["drive"] == drive
        catalog = Catalog(tmp_path / "catalog.db", ZONE)
        heart = Heartbeat(
            catalog, SystemClock(), BureauOptions("a", "b", "c", heartbeat_keep_s=-1), boot_id="x", facts=dict
        )
        for _ in range(3):
            heart.beat()
        assert [m.topic for m in catalog.outbox.waiting()].count("heartbeat") == 1, "only the youngest waits"
        catalog.close()


def test_seconds_recorded_in_the_last_minute() -> None:
    moment = now()

    def segment(start: float, end: float | None) -> Segment:
        return Segment(
            1,
            "d1",
            "a.mp4",
            "a.part",
            "finished" if end is not None else "open",
            "C-1",
            moment.date(),
            Session.AM,
            "r1",
            "cam1",
            moment - timedelta(seconds=start),
            moment - timedelta(seconds=end) if end is not None else None,
        )

    assert sum_recorded_seconds([], moment, open_until=moment) == 0
    assert sum_recorded_seconds([segment(300, 40), segment(30, None)], moment, open_until=moment) == 50
    assert sum_recorded_seconds([segment(300, 40), segment(30, None)], moment, open_until=None) == 20
    assert sum_recorded_seconds([segment(50, 30), segment(40, 20)], moment, open_until=None) == 30, (
        "overlap counts once"
    )
    assert sum_recorded_seconds([segment(300, 200)], moment, open_until=None) == 0


def program_of_the_docs(port: int) -> str:
    """The ten lines of docs/reference/mqtt.md, as they stand but for the broker's address."""
    text = (ROOT / "docs" / "reference" / "mqtt.md").read_text(encoding="utf-8")
    program = text.split("<!-- subscriber -->\n```python\n")[1].split("```")[0]
    assert len(program.splitlines()) == 10
    chinese = (ROOT / "docs" / "reference" / "mqtt.zh.md").read_text(encoding="utf-8")
    assert program in chinese
    there = program.replace('"mqtt.example.org", 8883', f'"127.0.0.1", {port}')
    assert there != program and "client.tls_set(" in there
    return there.replace("client.tls_set(", "(lambda *_: None)(")


@contextlib.contextmanager
def subscriber(program: str) -> Iterator[list[str]]:
    """The program at work, and the lines that it prints. It must still run in the end."""
    child = processes.start([sys.executable, "-u", "-c", program], stdout=subprocess.PIPE, text=True)
    lines: list[str] = []
    assert child.stdout is not None
    reader = threading.Thread(target=lambda: lines.extend(iter(child.stdout.readline, "")))
    reader.start()
    try:
        yield lines
        assert child.poll() is None, "the subscriber of the docs ended"
    finally:
        child.kill()
        child.wait()
        reader.join()
        child.stdout.close()


@pytest.mark.timeout(60)
def test_subscriber_of_the_docs(tmp_path: Path) -> None:
    """It hears what the same page documents: the boxes' messages, the bureau's own, cleared topics; again after a restart."""
    examples = (ROOT / "docs" / "reference" / "mqtt.md").read_text(encoding="utf-8")
    signed = {"specversion": "1.0", "id": "class-C-1-3", "data_base64": "e30=", "signature": "-"}
    with Broker(tmp_path / "broker") as broker, BureauBox(tmp_path, options(broker.port)) as box:
        eventually(lambda: box.link.status().connected and box.catalog.outbox.size() == 0)
        program = program_of_the_docs(broker.port)

        def say(topic: str, payload: bytes | str, retain: bool = False) -> None:
            bureau.client.publish(f"{PREFIX}/{topic}", payload, qos=1, retain=retain).wait_for_publish(5)

        with Listener(broker) as bureau:
            for number in (7, 8):
                with subscriber(program) as lines:
                    # what is retained: open alerts, state
                    eventually(lambda found=lines: any("/state" in line and "online" in line for line in found))
                    for topic, body in re.findall(
                        r"<!-- example: \S+?/box1/((?:classes|request)/\S+) -->\n```json\n(.*?)```", examples, re.S
                    ):
                        say(topic, body, retain=topic.startswith("classes"))
                    say("classes/C-2", json.dumps(signed), retain=True)
                    say("request/count", json.dumps({**signed, "data": {}}))
                    say("request/gaps", "")
                    for body in ("", "no JSON", b"\xff\xfe", "[1]", '"text"', "null", '{"id": ["x"]}', '{"type": 5}'):
                        say("classes/C-3", body, retain=True)
                        say("request/gaps", body)
                    say("attendance/C-1/2026-11-23/am", "", retain=True)
                    say("classes/C-3", "no JSON", retain=True)
                    box.alarm(number)
                    eventually(
                        lambda found=lines, n=number: any(
                            "/alert/camera.offline" in line and f"cam{n}" in line for line in found
                        )
                    )
                    assert not [x for x in lines if f"{PREFIX}/classes/" in x or f"{PREFIX}/request/" in x]
