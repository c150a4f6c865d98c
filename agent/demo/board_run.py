"""The demo of the bureau's side: two sites with a camera each, a real broker, and the board that hears both.

Boxes and board are the programs as they are installed; what is printed at the end is what the board's own commands say.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from agent import i18n
from agent.core.errors import SiteAgentError
from agent.core.model import JsonObject
from agent.demo.broker import find_free_port
from agent.demo.demo_files import build_demo_files
from agent.demo.demo_run import ARRIVALS, FILM_S, PASSWORD, choose_daytime_zone
from simulator import convert, scene
from simulator.camera import VirtualCamera

_HOST = "127.0.0.1"
_ACCOUNT = "demo"
_PATIENCE_S = 150.0
_STOP_S = 20.0
# (site, class, address of its camera): loopback addresses of their own, so that the boxes do not find each other's
_SITES = (("site-1", "DEMO-2026-01", "127.77.0.1"), ("site-2", "DEMO-2026-02", "127.77.0.2"))


class BoardDemo:
    """One run in `folder`, which is kept. `hold`: everything goes on until it is interrupted."""

    def __init__(self, folder: Path, video: Path | None, say: Callable[[str], None], *, hold: bool) -> None:
        self._folder = folder
        self._video = video
        self._say = say
        self._hold = hold
        self._zone = choose_daytime_zone()
        self._port = find_free_port(_HOST)
        self._page_port = find_free_port(_HOST)
        self._board = folder / "board.toml"
        self._environment = os.environ | {
            "SITE_AGENT_CAMERAS__PASSWORD": PASSWORD,
            "SITE_AGENT_LANGUAGE": i18n.get_language(),
            "SITE_AGENT_BOARD_LANGUAGE": i18n.get_language(),
        }

    def run(self) -> int:
        """Return 0 when the board has heard both boxes with their cameras, else 1."""
        self._say(i18n.translate("demo.begin", folder=self._folder))
        film = self._make_film()
        with ExitStack() as stack:
            self._start_broker(stack)
            self._start_board(stack)
            password = self._start_pages(stack)
            for number, (site, class_id, address) in enumerate(_SITES, 1):
                serial = f"DEMO000{number}"
                stack.enter_context(
                    VirtualCamera(
                        film, address, manufacturer="示例", model="DEMO-CAM-2", serial=serial, password=PASSWORD
                    )
                )
                self._start_box(stack, site, class_id, address)
            known = self._wait() and self._is_served()
            self._show()
            self._say(i18n.translate("demo.board_pages", url=self._url, name=_ACCOUNT, password=password))
            if self._hold:
                self._say(i18n.translate("demo.board_held", config=self._board))
                with suppress(KeyboardInterrupt):
                    signal.pause()
        if not known:
            self._say(i18n.translate("demo.board_failed", folder=self._folder))
        return 0 if known else 1

    def _make_film(self) -> Path:
        if self._video:
            return convert.convert_for_camera(self._video, self._folder)
        self._say(i18n.translate("demo.material"))
        return scene.make_classroom(self._folder / "classroom.mp4", ARRIVALS, FILM_S)

    def _start_broker(self, stack: ExitStack) -> None:
        program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
        if program is None:
            raise SiteAgentError("demo.no_mosquitto")
        config = self._folder / "mosquitto.conf"
        config.write_text(
            f"listener {self._port} {_HOST}\nallow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 2000\n",
            encoding="utf-8",
        )
        stack.enter_context(self._process("broker", program, "-c", str(config)))
        deadline = time.monotonic() + _STOP_S
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex((_HOST, self._port)) == 0:
                    return
            time.sleep(0.05)
        raise SiteAgentError("demo.command", command="mosquitto", detail=self._folder / "broker.log")

    def _start_board(self, stack: ExitStack) -> None:
        self._board.write_text(
            f'county = "demo"\nlanguage = "{i18n.get_language()}"\ntimezone = "{self._zone.key}"\n'
            f'state_dir = "{self._folder / "board"}"\n'
            f'[broker]\nhost = "{_HOST}"\nport = {self._port}\ntls = false\nusername = ""\n'
            f'[pages]\nhost = "{_HOST}"\nport = {self._page_port}\n',
            encoding="utf-8",
        )
        stack.enter_context(self._process("board", sys.executable, "-m", "board", "run", "--config", str(self._board)))

    @property
    def _url(self) -> str:
        return f"https://{_HOST}:{self._page_port}/"

    def _start_pages(self, stack: ExitStack) -> str:
        """Start the pages and make an account; return its password."""
        made = self._ask("account", _ACCOUNT, "--role", "clerk", "--json")
        if made.returncode:
            raise SiteAgentError("demo.command", command="account", detail=made.stderr.strip())
        stack.enter_context(
            self._process("pages", sys.executable, "-m", "board", "serve", "--config", str(self._board))
        )
        return str(json.loads(made.stdout)["password"])

    def _is_served(self) -> bool:
        """Return whether the pages answer under a certificate of the authority that they made."""
        authority = self._folder / "board" / "page" / "tls" / "page-ca.pem"
        deadline = time.monotonic() + _STOP_S
        while time.monotonic() < deadline:
            with suppress(OSError):
                context = ssl.create_default_context(cafile=str(authority))
                with urllib.request.urlopen(self._url, context=context, timeout=5) as answer:  # noqa: S310 - https
                    return bool(answer.status == 200)
            time.sleep(0.5)
        return False

    def _start_box(self, stack: ExitStack, site: str, class_id: str, address: str) -> None:
        folder = self._folder / site
        (folder / "drive").mkdir(parents=True)
        files = build_demo_files(folder, address, self._port, self._zone, site=site, class_id=class_id)
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
        config, keys = ["--config", str(folder / "agent.toml")], str(folder / "state" / "keys")
        label = i18n.translate("demo.label")
        self._agent("drive", "init", str(folder / "drive"), "--label", label, "--key-dir", keys, *config)
        self._agent("classes", "import", str(folder / "class.toml"), "--yes", *config)
        stack.enter_context(self._process(site, sys.executable, "-m", "agent", "run", *config))
        self._say(i18n.translate("demo.site_begins", site=site, class_id=class_id))

    @contextmanager
    def _process(self, name: str, *command: str) -> Iterator[None]:
        """Run a program while the body runs; what it says goes to NAME.log."""
        with (self._folder / f"{name}.log").open("wb") as log:
            running = subprocess.Popen(command, env=self._environment, stdout=log, stderr=log)
            try:
                yield
            finally:
                running.terminate()
                try:
                    running.wait(_STOP_S)
                except subprocess.TimeoutExpired:
                    running.kill()
                    running.wait()

    def _wait(self) -> bool:
        """Wait until the board knows both boxes with their camera, and an alert of each."""
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline:
            boxes = self._list_boxes()
            if len(boxes) == len(_SITES) and all(
                box["presence"] == "online" and box["cameras_up"] and box["alerts"] for box in boxes
            ):
                return True
            time.sleep(2)
        return False

    def _list_boxes(self) -> list[JsonObject]:
        done = self._ask("boxes", "--json")
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]

    def _show(self) -> None:
        for command in ("boxes", "alarms"):
            done = self._ask(command)
            said = f"{done.stdout}{done.stderr}".strip() or i18n.translate("demo.nothing")
            self._say(f"site-agent-board {command}\n{said}")

    def _ask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "board", *arguments, "--config", str(self._board)]
        return subprocess.run(command, env=self._environment, capture_output=True, text=True, check=False)

    def _agent(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "agent", *arguments]
        done = subprocess.run(command, env=self._environment, capture_output=True, check=False)
        if done.returncode:
            detail = done.stderr.decode().strip()
            raise SiteAgentError("demo.command", command=" ".join(arguments[:2]), detail=detail)
