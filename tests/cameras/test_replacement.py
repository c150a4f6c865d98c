"""Another unit at a camera's address, ports, path and password, under a running agent: what is recorded, and what is told."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from agent.catalog import Catalog
from agent.core.model import Segment
from simulator.camera import VirtualCamera
from simulator.clips import make_clip
from tests.support.broker import Broker, Listener, needs_mosquitto
from tests.support.contract_check import validate
from tests.support.daemon import CLASS_ID, PASSWORD, Daemon
from tests.support.faults import data, zone_of
from tests.support.personalities import fresh_net
from tests.support.web_client import Browser, csrf_of

pytestmark = needs_mosquitto
ONVIF, RTSP = 8000, 5554
SOON = 15.0
"""Seconds in which every place must say the same."""


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("film") / "film.mp4", 16, (320, 192), 25, key_seconds=1)


class Place:
    """One address in the classroom and the unit that hangs there."""

    def __init__(self, film: Path, address: str, daemon: Daemon, ears: Listener) -> None:
        self.film, self.address, self.daemon, self.ears = film, address, daemon, ears
        self.unit: VirtualCamera | None = None

    def hang(self, serial: str, model: str = "VC-1", password: str = PASSWORD) -> VirtualCamera:
        """Take down what hangs there, if anything does, and put up another unit."""
        self.take_down()
        self.unit = VirtualCamera(
            self.film,
            address=self.address,
            serial=serial,
            model=model,
            password=password,
            rtsp_port=RTSP,
            onvif_port=ONVIF,
        ).start()
        return self.unit

    def take_down(self) -> None:
        if self.unit:
            self.unit.stop()
        self.unit = None

    def segments(self) -> list[Segment]:
        with Catalog(self.daemon.folder / "state/catalog.db", zone_of(self.daemon)) as catalog:
            rows = catalog.store.rows("select id from segments order by id")
            return [s for r in rows if (s := catalog.segments.get(r["id"]))]

    def alerts(self, kind: str) -> list[dict[str, Any]]:
        return [data(h) for h in self.ears.on(f"alert/{kind}")]

    def camera(self, camera_id: str = "cam1") -> dict[str, Any]:
        """The newest message about a camera."""
        heard = self.ears.on(f"/camera/{camera_id}")
        return data(heard[-1]) if heard else {}

    def inspect(self) -> Browser:
        """The page, signed in with an account of its own."""
        page = self.daemon.serve()
        made = self.daemon.json("serve", "--account", "bureau-1", "--role", "bureau")[0]
        browser = Browser(page.url, page.certificate)
        browser.first_sign_in("bureau-1", made["password"])
        return browser

    def doctor(self, *more: str) -> dict[str, dict[str, Any]]:
        done = self.daemon.run("doctor", "--json", *more)
        return {f["check"]: f for f in map(json.loads, done.stdout.splitlines())}


@contextmanager
def classroom(folder: Path, film: Path, known: str = "") -> Iterator[Place]:
    """A lesson is on and cam1, serial FIRST, is being recorded."""
    net = fresh_net()
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("SITE_AGENT_CAMERAS__NETWORKS", json.dumps([f"{net}.0/24"]))
        broker = stack.enter_context(Broker(folder / "broker"))
        ears = stack.enter_context(Listener(broker))
        daemon = stack.enter_context(Daemon(folder, broker.port, more=known))
        place = Place(film, f"{net}.9", daemon, ears)
        stack.callback(place.take_down)
        place.hang("FIRST")
        daemon.start()
        daemon.until(lambda: len(daemon.videos()) >= 1, 40)
        yield place
        assert daemon.stop() == 0
        for heard in ears.heard:
            validate(heard.topic, heard.payload)
        assert PASSWORD not in daemon.log()


@pytest.mark.long
@pytest.mark.parametrize(
    "known", ["", pytest.param('[[cameras.known]]\ncamera_id = "cam1"\nserial = "FIRST"\n', marks=pytest.mark.long)]
)
def test_a_refused_model_is_not_recorded_under_the_old_name(tmp_path: Path, film: Path, known: str) -> None:
    with classroom(tmp_path, film, known) as place:
        begun = time.time()
        place.hang("SECOND", "OTHER-9")
        place.ears.wait(lambda: place.alerts("camera.exchanged"), SOON)
        place.ears.wait(lambda: place.camera()["verdict"] == "unreachable" and not place.camera()["up"], SOON)
        place.ears.wait(lambda: place.camera("cam2").get("verdict") == "refused", SOON)
        doctor = place.doctor()
        assert doctor["cameras.cam1"]["severity"] == "critical" and "SECOND" in doctor["cameras.cam1"]["finding"]
        now = place.inspect().open("/now").text
        assert "OTHER-9" in now and 'class="tag refused"' in now and 'class="tag unreachable"' in now
        ready = place.doctor("--class", CLASS_ID)
        assert any(f["severity"] == "critical" and "cam1" in f["finding"] for f in ready.values())
        # nothing of the other unit lies anywhere, and the ledger says why
        time.sleep(6)
        assert {s.serial for s in place.segments()} == {"FIRST"}
        assert all(s.start.timestamp() < begun + 1 for s in place.segments())
        assert place.daemon.parts() == []
        assert place.daemon.json("gaps", CLASS_ID)[-1]["reason"] == "camera_exchanged"
        place.ears.wait(lambda: place.alerts("camera.offline"), 45)
        # after a restart too
        assert place.daemon.stop() == 0
        place.daemon.start()
        time.sleep(8)
        assert {s.serial for s in place.segments()} == {"FIRST"} and place.daemon.parts() == []


@pytest.mark.long
def test_a_refused_model_that_says_the_same_serial_is_not_recorded_either(tmp_path: Path, film: Path) -> None:
    """Cheap makers give all their units one serial; that a lesson is on does not make another unit the same."""
    with classroom(tmp_path, film) as place:
        begun = time.time()
        place.hang("FIRST", "OTHER-9")
        place.ears.wait(lambda: place.camera()["verdict"] == "refused" and not place.camera()["up"], SOON)
        place.ears.wait(lambda: place.alerts("camera.refused"), SOON)
        assert place.doctor()["cameras.cam1"]["severity"] == "critical"
        time.sleep(6)
        assert all(s.start.timestamp() < begun + 1 for s in place.segments()) and place.daemon.parts() == []
        # its own unit is back
        place.hang("FIRST")
        place.daemon.until(lambda: place.segments()[-1].start.timestamp() > begun + 5, SOON)
        assert place.camera()["verdict"] == "admitted"
        with Catalog(place.daemon.folder / "state/catalog.db", zone_of(place.daemon)) as catalog:
            assert catalog.events.last("camera.unit_changed", "cam1"), "no earlier confirmation of the view counts"


@pytest.mark.long
@pytest.mark.parametrize("by", ["command", pytest.param("page", marks=pytest.mark.long)])
def test_a_unit_of_the_same_model_is_recorded_at_once_and_told(tmp_path: Path, film: Path, by: str) -> None:
    with classroom(tmp_path, film) as place:
        place.hang("SECOND")
        begun = time.monotonic()
        place.ears.wait(lambda: place.alerts("camera.exchanged"), SOON)
        place.daemon.until(lambda: any(s.serial == "SECOND" for s in place.segments()), SOON)
        assert time.monotonic() - begun < SOON
        assert all(s.camera_id == "cam1" and s.unchecked_since is None for s in place.segments())
        told = place.ears.wait(lambda: [c for c in [place.camera()] if c["up"] and c["exchanged"]], SOON)[0]
        assert (told["serial"], told["accepted_serial"], told["verdict"]) == ("SECOND", "FIRST", "admitted")
        doctor = place.doctor()
        assert "SECOND" in doctor["cameras.cam1.identity"]["finding"]
        assert "class.view.cam1" in place.doctor("--class", CLASS_ID)
        browser = place.inspect()
        assert "FIRST" in browser.open("/now").text and "SECOND" in browser.open("/now").text
        shown = browser.open("/reference").text
        assert 'action="/reference/cam1/accept"' in shown
        stale = browser.submit("/reference/cam1/accept", {"csrf": csrf_of(shown), "serial": "THIRD"})
        assert stale.status_code == 400, "another one came while the page was looked at"
        if by == "command":
            assert place.daemon.json("cameras", "accept", "cam1")[0]["serial"] == "SECOND"
        else:
            assert browser.submit("/reference/cam1/accept", {"csrf": csrf_of(shown), "serial": "SECOND"}).ok
        assert "/reference/cam1/accept" not in browser.open("/reference").text
        assert place.daemon.run("cameras", "accept", "cam1").returncode == 2, "there is nothing left to accept"
        place.ears.wait(lambda: place.alerts("camera.exchanged")[-1]["state"] == "cleared", SOON)
        assert "cameras.cam1.identity" not in place.doctor()
        place.daemon.until(lambda: {"FIRST", "SECOND"} <= {s.serial for s in place.segments() if s.end}, SOON)
        # the drive says which unit each file is of
        listing = place.daemon.until(
            lambda: [p for p in place.daemon.drive.rglob("清单.csv") if "SECOND" in p.read_text()], 30
        )
        assert "FIRST" in listing[0].read_text(encoding="utf-8")


@pytest.mark.long
def test_a_unit_too_slow_to_tell_its_streams_is_recorded_where_the_old_one_was(tmp_path: Path, film: Path) -> None:
    """It tells who it is, at three seconds an answer, and no search has time for more: the lesson must not be lost."""
    with classroom(tmp_path, film) as place:
        place.hang("SECOND").personality.delay_s = 2.8
        place.ears.wait(lambda: place.alerts("camera.exchanged"), 40)
        place.daemon.until(lambda: any(s.serial == "SECOND" for s in place.segments()), SOON)
        place.ears.wait(lambda: place.camera()["up"] and place.camera()["verdict"] == "faulty", SOON)
        place.take_down()
        place.ears.wait(lambda: not place.camera()["up"], SOON)
        told = place.daemon.run("--language", "en", "doctor", "--json").stdout
        assert "recorded under the same name" not in told and "nothing is recorded from it now" in told


@pytest.mark.long
def test_a_unit_that_comes_with_another_password_leaves_no_name_behind(tmp_path: Path, film: Path) -> None:
    """Until the settings name its password it is a refused stranger; then it is the room's camera and nothing else."""
    with classroom(tmp_path, film) as place:
        place.hang("SECOND", password="factory-1")
        place.ears.wait(lambda: place.camera("cam2").get("verdict") == "refused", SOON)
        assert place.daemon.stop() == 0
        place.daemon.environment["SITE_AGENT_CAMERAS__PASSWORD"] = "factory-1"
        place.daemon.start()
        place.daemon.until(lambda: any(s.serial == "SECOND" for s in place.segments()), SOON)
        assert {c["camera_id"] for c in place.daemon.json("cameras", "list")} == {"cam1"}
        assert "cameras.cam2" not in place.doctor()


@pytest.mark.long
def test_where_only_the_stream_answers_it_is_recorded_and_marked(tmp_path: Path, film: Path) -> None:
    """The evidence comes first; that nobody could ask which unit it is stands in each row."""
    with classroom(tmp_path, film) as place:
        unit = place.hang("FIRST")
        place.daemon.until(lambda: place.segments()[-1].state == "open", SOON)
        unit._services(False)
        unit.drop()
        checked = time.time()
        place.daemon.until(lambda: place.segments()[-1].unchecked_since, SOON)
        marked = place.segments()[-1]
        assert marked.serial == "FIRST" and marked.unchecked_since and marked.unchecked_since.timestamp() < checked
        place.ears.wait(lambda: place.camera()["unverified_since"], SOON)
        assert place.camera()["up"]
        doctor = place.doctor()
        assert doctor["cameras.cam1.identity"]["severity"] == "warning", doctor
        told = place.inspect().open("/now").text
        assert marked.unchecked_since.astimezone(zone_of(place.daemon)).strftime("%H:%M:%S") in told
        place.daemon.until(lambda: [s for s in place.segments() if s.unchecked_since and s.state == "finished"], SOON)
        # the service answers again: from then on the rows are clear
        unit._services(True)
        place.ears.wait(lambda: place.camera()["unverified_since"] is None, SOON)
        place.daemon.until(lambda: place.segments()[-1].unchecked_since is None, SOON)
        assert place.alerts("camera.exchanged") == []


@pytest.mark.long
def test_a_unit_at_another_address_is_recorded_once_a_person_says_so(tmp_path: Path, film: Path) -> None:
    with classroom(tmp_path, film) as place:
        place.take_down()
        other = Place(film, place.address.rpartition(".")[0] + ".10", place.daemon, place.ears)
        other.hang("SECOND")
        try:
            place.ears.wait(lambda: place.camera("cam2").get("verdict") == "admitted", 40)
            place.ears.wait(lambda: place.camera()["verdict"] == "unreachable" and not place.camera()["up"], 40)
            assert "cameras replace cam1" in place.doctor()["cameras.cam1"]["mend"]
            assert place.daemon.json("cameras", "replace", "cam1")[0]["serial"] == "SECOND"
            place.daemon.until(lambda: any(s.serial == "SECOND" for s in place.segments()), SOON)
            assert {s.camera_id for s in place.segments()} == {"cam1"}
            told = place.ears.wait(lambda: [c for c in [place.camera()] if c["up"] and c["serial"] == "SECOND"], SOON)
            assert (told[0]["accepted_serial"], told[0]["exchanged"]) == ("SECOND", False)
            place.ears.wait(lambda: [a["state"] for a in place.alerts("camera.exchanged")][-1:] == ["cleared"], SOON)
        finally:
            other.take_down()
