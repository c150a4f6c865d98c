"""SIGTERM ends `record` and the agent within two seconds, whatever the servers do that they are connected to.

The agent takes no stream from a host that it would have to look up; for it, the bureau's name is the one never resolved.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from simulator.camera import VirtualCamera
from simulator.clips import make_clip
from simulator.personality import Personality
from tests.support import hostile_rtsp as rogue
from tests.support import processes
from tests.support.daemon import Daemon
from tests.support.hostile_rtsp import HostileServer, hostile
from tests.support.recording_bench import wait_for

BOUND_S = 2.0
SLOW_MACHINE = 4.0
"""How much longer than with a good server a stop may take where the machine itself is too slow for the bound."""
NET = "127.0.19"
BEHAVIOURS = {
    "drips-head": rogue.drips_head,
    "drips-body": rogue.drips_body,
    "drips-frames": rogue.drips_frames,
    "drips-requests": rogue.drips_requests,
    "freezes": rogue.says_nothing,
    "freezes-after-play": rogue.plays(rogue.says_nothing),
    "floods-head": rogue.floods_head,
    "floods-body": rogue.floods_body,
    "floods-frames": rogue.floods_frames,
    "floods-after-play": rogue.plays(rogue.floods_frames),
    "floods-pictures": rogue.plays(rogue.floods_pictures),
    "redirects": rogue.drips_redirects,
    "redirects-slowly": rogue.redirects_slowly,
}
FEW = ("drips-body", "freezes-after-play", "floods-pictures")
"""One of each kind: each camera more is a search and a recorder more, of the agent's and of a whole machine's time."""
NEVER_RESOLVED = "never-resolved.invalid"
RESOLVER = """import socket, time
usual = socket.getaddrinfo
def getaddrinfo(host, *more, **named):
    never = host in ("never-resolved.invalid", b"never-resolved.invalid")
    if never and not named.get("flags"):  # a question for a numeric address returns at once
        open(__file__ + ".asked", "w").close()
        time.sleep(3600)
    return usual(host, *more, **named)
socket.getaddrinfo = getaddrinfo
"""
"""A resolver that keeps its caller, as the system's does where the name server does not answer."""


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("film") / "film.mp4", 8, (640, 360), 25, key_seconds=1)


@contextmanager
def servers(address: Callable[[], str], names: Iterable[str] = BEHAVIOURS) -> Iterator[dict[str, HostileServer]]:
    with ExitStack() as stack:
        yield {name: stack.enter_context(hostile(BEHAVIOURS[name], address())) for name in names}


def stop(process: subprocess.Popen[bytes], within: float = 30.0) -> float:
    """The seconds from SIGTERM to the end; where it takes too long, its standard error says where each thread stands."""
    begun = time.monotonic()
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(within)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)
        process.wait(10)
    return time.monotonic() - begun


def change_resolver(folder: Path) -> dict[str, str]:
    """The environment of a process for which a name is never resolved; `is_asked` says whether it has asked."""
    (folder / "sitecustomize.py").write_text(RESOLVER)
    return {"PYTHONPATH": str(folder), "PYTHONFAULTHANDLER": "1"}


def is_asked(folder: Path) -> bool:
    return (folder / "sitecustomize.py.asked").exists()


def check_time(taken: float, measure: Callable[[], float]) -> None:
    """A machine on which the bound is not kept with good servers either is too slow for it."""
    print(f"stopped after {taken:.2f} s")
    if taken >= BOUND_S:
        good = measure()
        print(f"with good servers after {good:.2f} s")
        assert taken < SLOW_MACHINE * good


def start_recording(folder: Path, urls: list[str]) -> subprocess.Popen[bytes]:
    folder.mkdir()
    (folder / "drive").mkdir()
    more = change_resolver(folder)
    run = [sys.executable, "-m", "agent"]
    subprocess.run([*run, "drive", "init", folder / "drive", "--label", "m"], check=True, capture_output=True)
    with (folder / "words").open("wb") as words:
        command = [*run, "record", *urls, "--drive", str(folder / "drive"), "--seconds", "300"]
        return processes.start(command, env=os.environ | more, stdout=words, stderr=words)


def is_recorded(folder: Path) -> bool:
    return any(path.stat().st_size > 30_000 for path in folder.rglob(".*.part"))


def test_record_ends_in_time(film: Path, tmp_path: Path) -> None:
    with servers(lambda: "127.0.0.1") as rogues, VirtualCamera(film, username="", password="") as camera:
        away = tmp_path / "hostile"
        tls = rogues["freezes"].url.replace("rtsp:", "rtsps:")
        urls = [*(each.url for each in rogues.values()), tls, camera.rtsp_url, f"rtsp://{NEVER_RESOLVED}/main"]
        process = start_recording(away, urls)
        try:
            wait_for(lambda: all(each.heard for each in rogues.values()), "not all were asked", 60)
            wait_for(lambda: is_asked(away), "the name was not asked for", 60)
            wait_for(lambda: is_recorded(away), "the good camera is not recorded", 60)
            camera.freeze(hang=True)
            time.sleep(1.5)
            taken = stop(process)
        finally:
            process.kill()
        assert process.returncode == 1, (away / "words").read_text()  # most gave no video
        check_time(taken, lambda: stop_well_served(film, tmp_path, len(urls)))


def stop_well_served(film: Path, tmp_path: Path, count: int) -> float:
    """What the same stop takes with as many good cameras."""
    folder = tmp_path / "good"
    with VirtualCamera(film, username="", password="") as camera:
        process = start_recording(folder, [camera.rtsp_url] * count)
        try:
            wait_for(lambda: is_recorded(folder), "not recorded", 60)
            return stop(process)
        finally:
            process.kill()


@contextmanager
def box(folder: Path, film: Path, hosts: dict[str, str | None]) -> Iterator[tuple[Daemon, list[VirtualCamera]]]:
    """A running agent with a camera for each address of `hosts`, whose ONVIF leads to another host and port for the stream."""
    folder.mkdir()
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("SITE_AGENT_CAMERAS__NETWORKS", json.dumps([f"{NET}.0/24"]))
        cameras = [
            stack.enter_context(VirtualCamera(film, address, serial=address, personality=Personality(stream_host=host)))
            for address, host in hosts.items()
        ]
        ids = tuple(f"cam{n}" for n, _ in enumerate(cameras, 1))
        known = "".join(
            f'[[cameras.known]]\ncamera_id = "{i}"\nserial = "{address}"\n'
            for i, address in zip(ids, hosts, strict=True)
        )
        patch.setenv("SITE_AGENT_BUREAU__HOST", NEVER_RESOLVED)
        daemon = stack.enter_context(Daemon(folder, 1883, camera_ids=ids, more=known))
        daemon.environment |= change_resolver(folder)
        daemon.start()
        yield daemon, cameras


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(FEW, id="few"),
        pytest.param(tuple(BEHAVIOURS), id="all", marks=[pytest.mark.long, pytest.mark.minutes(1)]),
    ],
)
def test_the_agent_ends_in_time(film: Path, tmp_path: Path, names: tuple[str, ...]) -> None:
    numbers = iter(range(10, 250))
    with servers(lambda: f"{NET}.{next(numbers)}", names) as rogues:
        good: dict[str, str | None] = {f"{NET}.9": None}
        hosts = good | {each.address: each.url.split("/")[2] for each in rogues.values()}
        with box(tmp_path / "hostile", film, hosts) as (daemon, (camera, *_)):
            daemon.until(lambda: all(each.heard for each in rogues.values()), 60)
            daemon.until(lambda: is_asked(daemon.folder) and is_recorded(daemon.drive), 30)
            camera.freeze(hang=True)
            time.sleep(1.5)
            taken = stop_agent(daemon)
        check_time(taken, lambda: stop_calm(film, tmp_path, list(hosts)))


def stop_calm(film: Path, tmp_path: Path, addresses: list[str]) -> float:
    """What the same stop takes with as many good cameras."""
    with box(tmp_path / "good", film, dict.fromkeys(addresses)) as (daemon, _):
        daemon.until(lambda: is_recorded(daemon.drive), 60)
        return stop_agent(daemon)


def stop_agent(daemon: Daemon) -> float:
    begun = time.monotonic()
    assert daemon.stop(30) == 0, daemon.log()[-2000:]
    return time.monotonic() - begun
