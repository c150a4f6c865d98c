"""Every personality ends in the right verdict with the right words, by real sockets on loopback."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator

import pytest

from agent import i18n
from agent.cameras import Credentials, admission, networks
from agent.cameras.admission import Judgement
from agent.cameras.search import CameraFinder, Sighting
from agent.core.camera_models import parse_model_list
from agent.core.clock import SystemClock
from agent.credentials.attempts import MAX_ATTEMPTS, AttemptBudget
from simulator.onvif_device import OnvifDevice, _Handler
from simulator.onvif_operations import SimulatedSoapFault
from simulator.personality import Personality
from tests.support.paths import ROOT
from tests.support.personalities import ALL, NOWHERE, PASSWORD, USERNAME, Case, Simulated, cases, fresh_net

DOCS = ROOT / "docs" / "reference" / "cameras.md"
LIST = parse_model_list(
    """
    [require]
    width = 1280
    height = 720
    codecs = ["h264", "h265"]
    keyframe_interval_s = 2.0
    sound = true
    audio_codecs = ["aac", "g711"]
    time_source = "ntp"
    [[camera]]
    manufacturer = "Example"
    model = "VC-1"
    [[camera]]
    manufacturer = "Example"
    model = "VC-2"
    firmware_min = "1.2"
    """,
    "test list",
)
_addresses = (f"{net}.{n}" for net in iter(fresh_net, "") for n in range(1, 251))


class Canary:
    """Counts whoever comes to an address that must not be contacted."""

    def __init__(self) -> None:
        self._listener = socket.create_server((f"{fresh_net()}.1", 0))
        host, port = self._listener.getsockname()
        self.address = f"{host}:{port}"
        self.visits: list[object] = []
        threading.Thread(target=self._count, daemon=True).start()

    def _count(self) -> None:
        while True:
            try:
                visitor, whence = self._listener.accept()
            except OSError:
                return
            with visitor:
                visitor.settimeout(1)
                with contextlib.suppress(OSError):
                    self.visits.append((whence, visitor.recv(4096)))

    def close(self) -> None:
        self._listener.close()


@pytest.fixture(scope="module")
def canary() -> Iterator[Canary]:
    bird = Canary()
    yield bird
    bird.close()


def finder(
    *hosts: str, password: str = PASSWORD, window: float = 1.6, timeout: float = 2.0, **more: AttemptBudget
) -> CameraFinder:
    clock = SystemClock()
    where = networks.choose_networks([*hosts, f"{NOWHERE}/32"])
    credentials = Credentials(USERNAME, password)
    return CameraFinder(
        where, clock, more.get("budget") or AttemptBudget(clock), lambda match: credentials, timeout, window
    )


def judged(sighting: Sighting) -> Judgement:
    if sighting.description:
        return admission.judge_camera(sighting.description, LIST)
    assert sighting.error
    return admission.judge_error(sighting.error)


def pattern(key: str) -> re.Pattern[str]:
    text = i18n.translate(key, **dict.fromkeys(re.findall(r"{(\w+)}", i18n.load_catalogue()[key]["zh"]), "\0"))
    return re.compile(".+".join(re.escape(part) for part in text.split("\0")))


@pytest.fixture(scope="module")
def seen(canary: Canary) -> dict[str, tuple[Case, Simulated, Sighting, float]]:
    """All of them at once, in one search: none may spoil another."""
    made = [(case, case.make(next(_addresses))) for case in cases(canary.address)]
    hosts = [camera.address for _, camera in made]
    for _, camera in made:
        camera.__enter__()
    try:
        begun = time.monotonic()
        found = {s.host: s for s in finder(*hosts).find()}
        took = time.monotonic() - begun
    finally:
        for _, camera in made:
            camera.__exit__()
    return {case.name: (case, camera, found[camera.address], took) for case, camera in made if camera.address in found}


@pytest.mark.parametrize("name", ALL)
def test_personality(name: str, seen: dict[str, tuple[Case, Simulated, Sighting, float]]) -> None:
    assert name in seen, "not found at all"
    case, camera, sighting, _ = seen[name]
    judgement = judged(sighting)
    assert judgement.verdict.value == case.verdict, judgement.reasons
    if case.says:
        assert any(pattern(case.says).fullmatch(reason) for reason in judgement.reasons), judgement.reasons
    else:
        assert judgement.reasons == ()
    found = sighting.description
    if found and found.streams:
        assert all(f"//{camera.address}:" in stream.uri for stream in found.streams)
    if "offset" in case.extra:
        assert found and found.clock and abs(found.clock.offset(SystemClock()) - case.extra["offset"]) < 3
    if "codec" in case.extra:
        assert found and found.streams[0].codec == case.extra["codec"]
    if "uri" in case.extra:
        assert found and found.streams[0].uri == f"rtsp://{camera.address}:554/{case.extra['uri']}"
    if case.extra.get("clean"):
        assert found and len(found.model) <= 64 and found.model.isprintable()
    assert bool(sighting.dropped) == bool(case.extra.get("dropped"))


def test_none_holds_the_others_up(seen: dict[str, tuple[Case, Simulated, Sighting, float]]) -> None:
    assert next(iter(seen.values()))[3] < 15, "fifty devices, half of them hostile, in one search"


def test_nobody_is_contacted_outside_the_networks(
    seen: dict[str, tuple[Case, Simulated, Sighting, float]], canary: Canary
) -> None:
    assert seen and canary.visits == []


def test_sha256_is_preferred(seen: dict[str, tuple[Case, Simulated, Sighting, float]]) -> None:
    assert seen["digest-both"][1].device.refused == 0


def test_a_camera_that_tells_a_wrong_time_costs_one_wrong_answer_and_no_more() -> None:
    """Its own lock counts what it refuses: the clock that was right is tried first from then on."""
    with ALL["local-as-utc"].make(address := next(_addresses)) as camera:
        camera.device.personality.lockout = 3
        budget = AttemptBudget(SystemClock())
        for _ in range(5):
            searcher = finder(address, window=0.35, budget=budget)
            assert judged(searcher.find()[0]).verdict.value == "admitted"
        assert camera.device.refused == 1


def test_a_user_with_few_rights_is_no_wrong_password() -> None:
    """The camera took the password a moment ago; what it refuses is the operation."""

    class FewRights(OnvifDevice):
        def answer(self, operation: str, request: ET.Element) -> str:
            if operation in ("GetServices", "GetCapabilities", "GetNTP"):
                raise SimulatedSoapFault(400, "ter:NotAuthorized", "Sender not authorized")
            return super().answer(operation, request)

    for switches in ({"http_digest": ()}, {"wsse": False, "refusal_status": 401}):
        made = type("Made", (Simulated,), {"kind": FewRights})
        with made(address := next(_addresses), Personality(anonymous=frozenset(), **switches)):
            budget = AttemptBudget(SystemClock())
            for _ in range(4):
                found = finder(address, window=0.35, budget=budget).find()
                assert judged(found[0]).verdict.value in ("admitted", "faulty"), judged(found[0]).reasons
                assert found[0].description and len(found[0].description.streams) == 2


@pytest.mark.parametrize("how", ["500 with nothing", "404 with a page", "silence", "401", "200 with a page"])
def test_an_optional_question_may_fail_in_any_way(how: str) -> None:
    """Time, services, capabilities and NTP together; what needs them is judged as not told."""

    class PartlyFailingHandler(_Handler):
        def _respond(self, version: str, request: ET.Element, header: ET.Element | None) -> None:
            if request.tag.rpartition("}")[2] not in (
                "GetSystemDateAndTime",
                "GetServices",
                "GetCapabilities",
                "GetNTP",
            ):
                super()._respond(version, request, header)
            elif how == "silence":
                time.sleep(0.6)
            else:
                status, _, page = how.partition(" ")
                self._send(int(status), "text/html", b"<html><body><p>no<br></body></html>" if "page" in page else b"")

    with Simulated(address := next(_addresses), Personality()) as camera:
        assert camera.device._server
        camera.device._server.RequestHandlerClass = PartlyFailingHandler
        (found,) = finder(address, window=0.35, timeout=0.5 if how == "silence" else 2.0).find()
    assert pattern("cameras.not_told").fullmatch("".join(judged(found).reasons)), judged(found)
    assert found.description and len(found.description.streams) == 2


def test_a_wrong_password_and_a_wrong_time_are_both_named_within_the_three_tries() -> None:
    with ALL["local-as-utc"].make(address := next(_addresses)) as camera:
        budget = AttemptBudget(SystemClock())
        said = [judged(finder(address, password="no", window=0.35, budget=budget).find()[0]) for _ in range(4)]
        assert camera.device.refused == MAX_ATTEMPTS
    assert pattern("cameras.wrong_or_offset").fullmatch(said[0].reasons[0]) and "+36000" in said[0].reasons[0]
    assert pattern("cameras.resting").fullmatch(said[-1].reasons[0])


@pytest.mark.parametrize("how", ["{host}:{port}", "https://{host}:{port}", "https://{host}:{port}/onvif/x"])
def test_a_camera_that_speaks_https_alone_is_found_by_its_address(how: str) -> None:
    with ALL["https-only"].make(address := next(_addresses)) as camera:
        camera.discovery.stop()
        searcher = finder(address, window=0.3)
        host = networks.resolve_host(how.format(host=address, port=camera.device.port), searcher.networks)
        found = searcher.find([host])
    assert [judged(s).verdict.value for s in found] == ["admitted"]
    assert found[0].address == f"{address}:{camera.device.port}"
    assert networks.resolve_host(f"https://{address}", searcher.networks) == f"{address}:443"


@pytest.mark.parametrize("name", ["digest-only", "token-only", "nonce-once", "digest-sha256"])
def test_a_wrong_password_never_locks_a_camera(name: str) -> None:
    address = next(_addresses)
    with ALL[name].make(address) as camera:
        camera.device.personality.lockout = 5
        clock = SystemClock()
        budget = AttemptBudget(clock)
        searcher = finder(address, password="wrong", window=0.35, budget=budget)
        said = [judged(searcher.find()[0]) for _ in range(MAX_ATTEMPTS + 3)]
        assert all(j.verdict.value == "refused" for j in said)
        assert camera.device.refused == MAX_ATTEMPTS
        assert pattern("cameras.resting").fullmatch(said[-1].reasons[0])
        assert "wrong" not in str(said)
        # the settings change: at once again
        assert judged(finder(address, window=0.35, budget=budget).find()[0]).verdict.value == "admitted"


def test_right_password_costs_no_attempt(seen: dict[str, tuple[Case, Simulated, Sighting, float]]) -> None:
    for name in ("decent", "digest-only", "token-only", "nonce-once", "clock-8h", "lockout"):
        assert seen[name][1].device.refused == 0, name


@pytest.mark.long
def test_a_crowd_that_drips_holds_no_known_camera_up() -> None:
    crowd = [ALL["drip"].make(next(_addresses)) for _ in range(24)]
    ours = ALL["decent"].make(next(_addresses))
    with contextlib.ExitStack() as stack:
        for camera in (*crowd, ours):
            stack.enter_context(camera)
        searcher = finder(*[c.address for c in crowd], ours.address, window=0.5, timeout=0.5)
        begun = time.monotonic()
        found = {s.host: s for s in searcher.find(endpoints=[ours.state.endpoint])}
        assert time.monotonic() - begun < 5
    assert judged(found[ours.address]).verdict.value == "admitted"
    assert len(found) == 25


def test_documentation_lists_them_all() -> None:
    rows = re.findall(r"^\| `([\w.-]+)` \| (.+?) \| (\w+) \|", DOCS.read_text(encoding="utf-8"), re.M)
    assert [(c.name, c.does, c.verdict) for c in ALL.values()] == rows
