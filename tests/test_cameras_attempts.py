"""The attempt budget that the service and the commands share: no camera is locked, whoever tries and however often."""

from __future__ import annotations

import ast
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from agent import settings, wiring
from agent.attempts import ATTEMPTS, PAUSE_S, Budget, InCatalog, InFile, Memory
from agent.cameras import CameraWatch, Credentials
from agent.catalog import Catalog
from agent.clock import SystemClock
from agent.demo.camera import VirtualCamera
from agent.demo.media import make_clip
from agent.demo.personality import Personality
from agent.errors import CameraDenied
from tests.personalities import fresh_net
from tests.support import processes
from tests.support.clocks import HandClock
from tests.test_cameras_rules import tries

ROOT = Path(__file__).parent.parent
SHANGHAI = ZoneInfo("Asia/Shanghai")
LOCKS_AFTER = 5


def test_after_a_boot_the_rest_of_the_hour_is_told_by_the_wall_clock() -> None:
    clock, kept = HandClock(), Memory()
    assert tries(Budget(clock, kept), clock) == ATTEMPTS
    with kept.change() as state:
        assert state.text
        state.text = re.sub(r'"boot": "[^"]*"', '"boot": "another"', state.text)
    clock.time, clock.ticks = clock.time + timedelta(seconds=PAUSE_S - 60), 5.0
    later = Budget(clock, kept)
    assert tries(later, clock) == 0
    clock.go(61)
    assert tries(later, clock) == ATTEMPTS


def test_two_accounts_at_one_camera_are_counted_apart_and_for_good() -> None:
    """By turns they had given each other new tries: the service with its password, a person with another."""
    clock, kept = HandClock(), Memory()
    service, person = Budget(clock, kept), Budget(clock, kept)
    given = Counter[str]()
    for _ in range(6):
        for budget, password in ((service, "one"), (person, "two")):
            with contextlib.suppress(CameraDenied), budget.attempt("onvif", ("cam",), Credentials("u", password)) as a:
                given[password] += 1
                a.wrong()
    assert given == {"one": ATTEMPTS, "two": ATTEMPTS}


def test_objects_with_one_store_share_the_tries(tmp_path: Path) -> None:
    clock, account = HandClock(), Credentials("u", "pw")
    with (
        Catalog(tmp_path / "a.db", ZoneInfo("Asia/Shanghai")) as one,
        Catalog(tmp_path / "a.db", ZoneInfo("Asia/Shanghai")) as two,
    ):
        stores = [Memory()] * 2, [InFile(tmp_path / "f")] * 2, [InCatalog(one), InCatalog(two)]
        for pair in stores:
            budgets = [Budget(clock, store) for store in pair]
            with budgets[0].attempt("onvif", ("cam",), account) as first:
                first.right()
            for n in range(ATTEMPTS):
                with budgets[n % 2].attempt("rtsp" if n else "onvif", ("cam",), account) as attempt:
                    assert attempt.wrong() == ATTEMPTS - 1 - n
            for budget in budgets:
                with pytest.raises(CameraDenied), budget.attempt("onvif", ("cam",), account):
                    raise AssertionError("tried once more")


def test_tries_of_a_process_that_was_killed_are_given_back(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from agent.attempts import *\n"
        "from agent.clock import SystemClock as C\n"
        "class A: username, password = 'u', 'pw'\n"
        "with Budget(C(), InFile(Path(sys.argv[1]))).attempt('onvif', ('cam',), A()):"
        " os.kill(os.getpid(), signal.SIGKILL)"
    )
    for _ in range(ATTEMPTS + 1):
        done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "f")], check=False)
        assert done.returncode == -signal.SIGKILL
    assert "open" in (tmp_path / "f").read_text(encoding="utf-8")
    began = time.monotonic()
    with Budget(SystemClock(), InFile(tmp_path / "f")).attempt("onvif", ("cam",), Credentials("u", "pw")) as attempt:
        attempt.right()
    assert time.monotonic() - began < 1


def test_counts_of_the_first_release_and_a_file_that_was_cut_off(tmp_path: Path) -> None:
    clock, budget = HandClock(), Memory()
    assert tries(Budget(clock, budget), clock) == ATTEMPTS
    with budget.change() as state:
        new = json.loads(state.text or "")
        old = {e["name"]: {k: e[k] for k in ("proof", "last", "wrong", "accepted")} for e in new["entries"]}
        state.text = json.dumps({"salt": new["salt"], "entries": old})
    assert tries(Budget(clock, budget), clock) == 0
    file = tmp_path / "f"
    file.write_text(json.dumps(new)[:50], encoding="utf-8")
    assert tries(Budget(clock, InFile(file)), clock) == ATTEMPTS


# The commands, against a camera that locks itself after five wrong passwords


class Box:
    """A box with settings, a bureau's list that takes every model, and no catalog yet."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.net = folder, fresh_net()
        self.config = folder / "agent.toml"
        self.film = make_clip(folder / "film.mp4", 4, (320, 192))
        (folder / "models.toml").write_text('[[camera]]\nmanufacturer = "*"\nmodel = "*"\n', encoding="utf-8")
        (folder / "drive").mkdir()
        self.write()

    def write(self, cameras: str = "") -> None:
        self.config.write_text(
            'county = "c"\nsite = "s"\nbox = "b"\ninstitution = "i"\n'
            f'state_dir = "{self.folder}/state"\n[cameras]\nnetworks = ["{self.net}.0/24"]\n'
            f'model_list = "{self.folder}/models.toml"\n{cameras}\n[recording]\ndrives = ["{self.folder}/drive"]\n'
            "[bureau]\nenabled = false\n[serve]\nenabled = false\nmetrics_port = 0\n",
            encoding="utf-8",
        )

    def camera(self, last: int, **fields: str) -> VirtualCamera:
        given = {"serial": f"L{last}", "model": "VC-1", "username": "admin", "password": "right", **fields}
        return VirtualCamera(
            self.film,
            f"{self.net}.{last}",
            personality=Personality(lockout=LOCKS_AFTER),
            **given,  # type: ignore[arg-type]
        )

    def command(self, *arguments: str, password: str = "wrong") -> subprocess.Popen[str]:
        environment = {**os.environ, "SITE_AGENT_CAMERAS__PASSWORD": password}
        arguments += ("--timeout", "0.5") if arguments[0] == "discover" else ()
        return processes.start(
            [sys.executable, "-m", "agent", *arguments], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, *arguments: str, password: str = "wrong") -> tuple[int, str, str]:
        process = self.command(*arguments, password=password)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def discovered(self, *arguments: str, password: str = "wrong") -> list[dict[str, object]]:
        status, out, err = self.run("discover", "--json", "--config", str(self.config), *arguments, password=password)
        assert status == 0, err
        return [json.loads(line) for line in out.splitlines()]


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    yield Box(tmp_path)


@pytest.mark.parametrize("how", ["with settings", "without settings"])
def test_discover_again_and_again_locks_no_camera(box: Box, how: str) -> None:
    known = ["--config", str(box.config)] if how == "with settings" else ["--network", f"{box.net}.0/24"]
    with box.camera(2) as camera:
        said = [box.run("discover", *known, "--language", "en")[1] for _ in range(LOCKS_AFTER + 1)]
        assert camera.device.refused == ATTEMPTS and not camera.device.locked_until
        assert "2 tries left" in said[0] and f"{ATTEMPTS} wrong passwords" in said[-1]
        _, out, _ = box.run("discover", *known, "--json", password="right")
        assert "L2" in out, "changed settings are tried at once"


def test_discovers_at_the_same_time_lock_no_camera(box: Box) -> None:
    with box.camera(3) as camera:
        runs = [box.command("discover", "--config", str(box.config)) for _ in range(LOCKS_AFTER + 1)]
        for run in runs:
            run.communicate(timeout=120)
        assert camera.device.refused <= ATTEMPTS and not camera.device.locked_until
        runs = [
            box.command("discover", "--json", "--config", str(box.config), password="right")
            for _ in range(LOCKS_AFTER + 1)
        ]
        said = [json.loads(run.communicate(timeout=120)[0]) for run in runs]
        assert [line["serial"] for line in said] == ["L3"] * len(runs)


def test_service_and_commands_have_the_same_tries(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """By turns, with the service's object kept as in a process that runs for weeks."""
    monkeypatch.setenv("SITE_AGENT_CAMERAS__PASSWORD", "wrong")
    with box.camera(4) as camera:
        box.discovered()
        given = settings.load(box.config)
        with Catalog(given.catalog_file, SHANGHAI) as catalog:
            watch = CameraWatch(catalog, SystemClock(), wiring.for_cameras(given))
            for _ in range(2):
                watch.search()
                box.discovered()
                box.run("setup", "--find", "--config", str(box.config))
        assert camera.device.refused == ATTEMPTS and not camera.device.locked_until


def test_a_picture_for_setup_and_the_recorder_for_trials_count_too(box: Box) -> None:
    """Both give the password to the stream, past the web service."""
    box.run("drive", "init", str(box.folder / "drive"), "--label", "T")
    with box.camera(5) as camera:
        assert box.discovered(password="right")[0]["verdict"] == "admitted"
        box.run("setup", "--find", "--config", str(box.config), password="right")
        tried = camera.rtsp.wrong
        for _ in range(LOCKS_AFTER):
            box.run("setup", "--reference", "cam1", "--config", str(box.config))
        assert camera.rtsp.wrong - tried == ATTEMPTS
        url = f"rtsp://admin:other@{camera.rtsp_url.split('//')[1]}"
        for _ in range(LOCKS_AFTER):
            box.run("record", url, "--drive", str(box.folder / "drive"), "--seconds", "2")
        assert camera.rtsp.wrong - tried == 2 * ATTEMPTS


# One door: what discover says is what the service does


def test_discover_asks_a_camera_as_the_service_does(box: Box) -> None:
    """With the camera's own password and the common user name; by the address it was met at; under names that are free."""
    with box.camera(6, password="own-secret") as camera:
        address = camera.address
        box.write(
            f'username = "admin"\nknown = [{{ camera_id = "front", address = "{address}", password = "own-secret" }}]'
        )
        for _ in range(2):
            found = box.discovered(password="")
            assert [(c["camera_id"], c["verdict"], c["reasons"]) for c in found] == [("front", "admitted", [])]
        assert camera.device.refused == 0


def test_two_devices_of_one_serial_are_both_told(box: Box) -> None:
    with box.camera(7, serial="SAME") as one, box.camera(8, serial="SAME") as two:
        found = box.discovered(password="right")
        told = " ".join([str(c["address"]) for c in found] + [str(c["reasons"]) for c in found])
        assert one.address in told and two.address in told
        assert found[0]["verdict"] == "faulty"


def test_only_the_wiring_makes_what_stages_are_told() -> None:
    """A second place that does forgets what was mended in the first: a camera's own password, the tries that are left."""
    doors = {"Known": {"wiring.py"}, "Budget": {"attempts.py"}}
    for file in (ROOT / "agent").rglob("*.py"):
        name = str(file.relative_to(ROOT / "agent"))
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                assert name in doors.get(called, {name}), f"{name}:{node.lineno} makes its own {called}"
