"""The agent's examination of itself: what it looks at, what it spares, and how it reaches page, API and heartbeat."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from agent import clock as clocks
from agent.bureau import LinkStatus, Options
from agent.catalog import Catalog
from agent.catalog.health import Examination
from agent.clock import SystemClock
from agent.demo.broker import free_port
from agent.doctor import examine, finding, link
from agent.doctor.box import Box
from agent.doctor.rounds import DEEP_S, Rounds
from agent.model_cameras import Verdict
from tests.broker import Broker, Listener, needs_mosquitto
from tests.contract_check import validate
from tests.daemon import Daemon
from tests.drive_kit import HandClock
from tests.test_app import data
from tests.test_doctor_checks import NOW, box, camera, catalog  # noqa: F401 - fixtures
from tests.webbing import EVIL, Browser, Served, serving


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("health")) as found:
        yield found


class Walker(HandClock):
    """Its monotonic time is what the test says."""

    at = 0.0

    def monotonic(self) -> float:
        return self.at


def checks(catalog: Catalog) -> dict[str, str]:  # noqa: F811
    last = catalog.health.last()
    assert last is not None
    return {f.check: f.severity for f in last.findings}


def test_what_costs_is_done_once_a_day_and_never_during_a_class(box: Box, catalog: Catalog) -> None:  # noqa: F811
    walker, busy, stop = Walker(NOW), [True], threading.Event()
    rounds = Rounds(catalog, walker, lambda: box, lambda: busy[0])
    speed = f"drive.{box.drives[0]}.speed"
    system = box.drives[0] / ".site-agent"
    written = system.stat().st_mtime_ns
    rounds.run_once(stop)
    assert {speed, "database"}.isdisjoint(checks(catalog)), "nothing is measured while a class is on"
    assert {"cameras.cam1", "clock", "model", "database.space", "schedule"} <= checks(catalog).keys()
    assert system.stat().st_mtime_ns == written
    busy[0] = False
    rounds.run_once(stop)
    assert {speed, "database"} <= checks(catalog).keys()
    measured = system.stat().st_mtime_ns
    assert measured > written
    walker.at = DEEP_S - 1
    rounds.run_once(stop)
    assert {speed, "database"} <= checks(catalog).keys(), "what was found in the morning stands"
    assert system.stat().st_mtime_ns == measured, "and is not measured again"
    walker.at = DEEP_S + 1
    rounds.run_once(stop)
    assert system.stat().st_mtime_ns > measured
    shutil.rmtree(box.drives[0])
    walker.at += 1
    rounds.run_once(stop)
    assert checks(catalog)[f"drive.{box.drives[0]}"] == "critical"
    assert speed not in checks(catalog), "of a drive that is away nothing of before holds"


def test_another_process_reads_it_in_either_language(box: Box, catalog: Catalog) -> None:  # noqa: F811
    catalog.cameras.put(camera("cam1", verdict=Verdict.UNREACHABLE, reasons=("连不上 10.0.0.9；请查网线",)), NOW)
    Rounds(catalog, HandClock(NOW), lambda: box, lambda: True).run_once(threading.Event())
    with Catalog(catalog.store.path, catalog.zone) as other:
        last = other.health.last()
    assert last is not None
    assert last.at == NOW
    first = last.ranked()[0]
    assert (first.check, first.severity, first.mend) == ("cameras.cam1", "critical", "请查网线")
    model = next(f for f in last.findings if f.check == "model")
    assert "数人模型" in model.within("zh").finding
    assert "counting model" in model.within("en").finding
    short = last.short()
    assert (short["worst"], short["errors"], short["checks"][0]) == ("critical", last.count("critical"), "cameras.cam1")


def test_stop_comes_between_two_checks(box: Box, catalog: Catalog) -> None:  # noqa: F811
    stop = threading.Event()
    stop.set()
    Rounds(catalog, HandClock(NOW), lambda: box, lambda: True).run_once(stop)
    assert catalog.health.last() is None


def test_a_check_that_hangs_is_not_started_again_and_again() -> None:
    let_go = threading.Event()

    def dead_disk() -> list[finding.Finding]:
        let_go.wait(30)
        return []

    try:
        for _ in range(3):
            (found,) = examine.bounded("dead-disk", dead_disk, 0.05)
            assert (found.check, found.severity) == ("dead-disk", "critical")
        assert sum(t.name == "doctor-dead-disk" for t in threading.enumerate()) == 1
    finally:
        let_go.set()


def test_a_drive_that_is_pulled_under_a_check_is_a_finding(tmp_path: Path) -> None:
    def pulled() -> list[finding.Finding]:
        (tmp_path / "gone").stat()
        return []

    (found,) = examine.bounded("drive", pulled, 5)
    assert (found.check, found.severity) == ("drive", "critical")
    assert found.mend


def test_the_link_is_told_as_it_stands_without_a_call_to_the_broker(box: Box) -> None:  # noqa: F811
    mine = replace(box, bureau=Options("c", "s", "b", port=free_port(), tls=False), deep=False)
    for status, expected in (
        (LinkStatus(True, NOW, None), "ok"), (LinkStatus(False, NOW, None), "info"),
        (LinkStatus(False, NOW, "密码不对；请改 [bureau]"), "critical"),
    ):  # fmt: skip
        first = link.check(replace(mine, link=status))[0]
        assert (first.check, first.severity) == ("bureau", expected)
    assert first.mend == "请改 [bureau]"


def test_the_page_says_it_in_both_languages_and_to_every_role(served: Served) -> None:
    health = served.box.catalog.health
    served.box.catalog.facts.forget("examination")
    assert "没有自检" in served.signed_in().open("/health").text
    found = [
        finding.good("model", "model.ok", version="1"),
        finding.bad("drive.smart.sda", "warning", "drive.smart_worn", device="/dev/sda", model="X", sectors=3),
        finding.of_line("cameras.cam1", "critical", EVIL + "；" + EVIL),
    ]
    health.put(Examination(SystemClock().now(), tuple(found)))
    for role in ("inspector", "bureau", "operator"):
        browser = served.signed_in(role)
        page = browser.open("/health").text
        assert 'class="light critical"' in page
        assert page.index("cameras.cam1") < page.index("drive.smart.sda"), "the worst first"
        assert "请尽快复制并更换该硬盘" in page
        assert "数人模型 1 校验无误" in page
        assert "<script>" not in page
    browser.open("/language/en?back=/health")
    page = browser.open("/health").text
    assert "copy and replace this disk soon" in page
    assert "FAULT" in page
    assert re.search(r'<a href="/health"><span class="tag critical">FAULT</span>', browser.open("/now").text)
    health.put(Examination(SystemClock().now() - timedelta(minutes=16), tuple(found[:1])))
    assert 'class="light unknown"' in browser.open("/health").text, "an old one is no good news"
    health.put(Examination(SystemClock().now(), tuple(found[:1])))
    facts = served.box.catalog.facts
    facts.put("alive", clocks.stamp(SystemClock().now()))
    assert 'class="light ok"' in browser.open("/health").text
    facts.put("alive", clocks.stamp(SystemClock().now() - timedelta(minutes=2)))
    assert 'class="light unknown"' in browser.open("/health").text, "the agent has died since"
    facts.forget("alive")
    assert served.browser().open("/health").url.startswith(served.browser().base + "/sign-in")


def test_many_faults_stay_short_in_the_heartbeat() -> None:
    found = [finding.of_line(f"cameras.cam{n}", "warning", "x") for n in range(40)]
    found.append(finding.of_line("clock", "critical", "x"))
    short = Examination(NOW, tuple(found)).short()
    assert (len(short["checks"]), short["checks"][0], short["warnings"]) == (20, "clock", 40)


@needs_mosquitto
def test_from_the_running_agent_to_heartbeat_page_and_api(tmp_path: Path) -> None:
    """No camera is there: the class's camera was never found, and everybody hears of it."""
    with Broker(tmp_path / "broker") as broker, Listener(broker) as ears, Daemon(tmp_path, broker.port) as daemon:
        page_of_its_own = daemon.serve()
        # a network of its own: other tests' cameras may be about
        daemon.environment |= {"SITE_AGENT_SERVE__ENABLED": "true", "SITE_AGENT_SERVE__PORT": str(page_of_its_own.port),
                               "SITE_AGENT_CAMERAS__NETWORKS": '["127.0.0.99/32"]'}  # fmt: skip
        daemon.start()
        told = ears.wait(lambda: [h for h in ears.on("/heartbeat") if data(h)["doctor"]], 40)
        for heard in ears.on("/heartbeat"):
            validate(heard.topic, heard.payload)
        assert data(ears.on("/heartbeat")[0])["doctor"] is None, "not examined yet"
        beat = data(told[0])["doctor"]
        assert beat["worst"] == "critical"
        assert {"cameras", "cameras.cam1"} <= {*beat["checks"]}
        assert "bureau" not in beat["checks"], "it is connected"
        assert "page" not in beat["checks"], "it answers"

        base, certificate = page_of_its_own.url.rstrip("/"), page_of_its_own.certificate
        browser = Browser(base, certificate)
        password = daemon.json("serve", "--account", "ban", "--role", "operator")[0]["password"]
        browser.first_sign_in("ban", password)
        page = browser.open("/health").text
        assert "没有找到任何摄像机" in page
        assert "请检查摄像机供电与网线" in page
        token = daemon.json("serve", "--token", "局平台")[0]["token"]
        answer = Browser(base + "/api/v1/", certificate).open(
            "/health", headers={"Authorization": f"Bearer {token}", "Accept-Language": "en"}
        )
        body = answer.json()
        assert (body["worst"], body["fresh"], body["at"]) == ("critical", True, beat["at"])
        assert any("no camera was found" in item["finding"] and item["mend"] for item in body["items"])
        assert page_of_its_own.stop() == 0
        assert daemon.stop() == 0
