"""The whole agent as systemd would run it: `site-agent run` in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from agent.demo.broker import find_free_port
from agent.demo.demo_run import choose_daytime_zone
from tests.support import processes

PASSWORD = "camera-1"
CLASS_ID = "T-1"


class Daemon:
    """A box in `folder`. `camera_ids` are the room's cameras; `expected` is high, so that the class is always too small;
    without `planned` it comes by `plan`."""

    def __init__(
        self,
        folder: Path,
        port: int | None,
        *,
        camera_ids: tuple[str, ...] = ("cam1",),
        more: str = "",
        planned: bool = True,
    ) -> None:
        self.folder = folder
        self.drive = folder / "drive"
        self.config = folder / "agent.toml"
        self.notified: list[str] = []
        self.prefix: list[str] = []
        """What the agent is started through: `ip netns exec NAME`, nothing else that stays beside it."""
        self.environment = os.environ | {"SITE_AGENT_CAMERAS__PASSWORD": PASSWORD, "PYTHONFAULTHANDLER": "1"}
        self._process: subprocess.Popen[bytes] | None = None
        self._pages: list[PageDaemon] = []
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(str(folder / "notify"))
        self._notify.setblocking(False)
        self.drive.mkdir(exist_ok=True)
        self._zone, self._camera_ids = choose_daytime_zone(), camera_ids
        self._write(port, more)
        self.command("drive", "init", str(self.drive), "--label", "测试硬盘", "--key-dir", str(folder / "state/keys"))
        if planned:
            self.plan(datetime.now(UTC) - timedelta(minutes=1), timedelta(minutes=40))

    def _write(self, port: int | None, more: str) -> None:
        bureau = (
            "enabled = false" if port is None else f'host = "127.0.0.1"\nport = {port}\ntls = false\nheartbeat_s = 1'
        )
        self.config.write_text(
            f"""county = "c"
site = "s"
box = "b"
institution = "学校"
timezone = "{self._zone.key}"
state_dir = "{self.folder / "state"}"
[cameras]
networks = ["127.0.0.30/31", "127.0.0.32/29", "127.0.4.0/22"]
model_list = "{self.folder / "models.toml"}"
search_interval_s = 5
[recording]
drives = ["{self.drive}"]
segment_seconds = 4
[counting]
interval = 2
[attendance]
window_s = 6
hold_s = 2
interval_s = 1
[bureau]
{bureau}
[serve]
enabled = false
metrics_port = 0
{more}
""",
            encoding="utf-8",
        )
        (self.folder / "models.toml").write_text('[[camera]]\nmanufacturer = "Example"\nmodel = "VC-*"\n')

    def plan(self, begin: datetime, length: timedelta) -> None:
        """Import the class, with one lesson."""
        begin = begin.astimezone(self._zone)
        (self.folder / "class.toml").write_text(
            f"""class_id = "{CLASS_ID}"
project = "项目"
occupation = "工种"
class_number = 1
institution = "学校"
place = "地点"
first_day = {begin:%Y-%m-%d}
last_day = {begin:%Y-%m-%d}
expected = 30
[[rooms]]
room_id = "r1"
name = "教室"
kind = "theory"
cameras = {json.dumps(self._camera_ids)}
[[lessons]]
date = {begin:%Y-%m-%d}
start = "{begin:%H:%M}"
end = "{begin + length:%H:%M}"
kind = "theory"
""",
            encoding="utf-8",
        )
        self.command("classes", "import", str(self.folder / "class.toml"))

    def start(self, *, wait: bool = True) -> Daemon:
        environment = self.environment | {"NOTIFY_SOCKET": str(self.folder / "notify")}
        self._discard()
        with (self.folder / "agent.log").open("ab") as log:
            command = [*self.prefix, sys.executable, "-m", "agent", "run", "--config", str(self.config)]
            self._process = processes.start(command, env=environment, stdout=log, stderr=log)
        if wait:
            self.until(lambda: any("READY=1" in line for line in self.heard()), 90)
        return self

    def serve(self, **environment: str) -> PageDaemon:
        """The page beside the agent, as its own unit runs it; on a free port of the loopback."""
        self._pages.append(PageDaemon(self.folder, self.config, self.environment | environment))
        return self._pages[-1].start()

    def heard(self) -> list[str]:
        """Everything that the service manager was told since the last start."""
        while True:
            try:
                self.notified.append(self._notify.recv(4096).decode())
            except BlockingIOError:
                return self.notified

    def _discard(self) -> None:
        self.heard()
        self.notified.clear()

    def stop(self, seconds: float = 15) -> int:
        """SIGTERM; the exit status. Raises subprocess.TimeoutExpired where it takes longer."""
        assert self._process
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            # the log then says where each thread stands
            self._process.send_signal(signal.SIGABRT)
            self._process.wait(10)
            raise

    def kill(self) -> None:
        assert self._process
        self._process.kill()
        self._process.wait(10)

    def close(self) -> None:
        if self._process and self._process.poll() is None:
            self.kill()
        for page in self._pages:
            page.close()
        self._notify.close()

    def __enter__(self) -> Daemon:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def pid(self) -> int | None:
        return self._process.pid if self._process and self.running() else None

    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def command(self, *arguments: str, status: int = 0) -> str:
        done = self.run(*arguments)
        assert done.returncode == status, done.stderr
        return done.stdout

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "agent", *arguments, "--config", str(self.config)]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=120)

    def json(self, *arguments: str, status: int = 0) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.command(*arguments, "--json", status=status).splitlines()]

    def videos(self) -> list[Path]:
        return sorted(self.drive.rglob("*.mp4"))

    def parts(self) -> list[Path]:
        return sorted(self.drive.rglob(".*.part"))

    def log(self) -> str:
        return (self.folder / "agent.log").read_text(encoding="utf-8")

    def until(self, found: Callable[[], Any], seconds: float) -> Any:
        """Wait for something true; fails with the log's end."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if result := found():
                return result
            assert self.running() or not self._process, f"the agent ended: {self.log()[-2000:]}"
            time.sleep(0.1)
        raise AssertionError(f"not within {seconds} s; log: {self.log()[-2000:]}")


class PageDaemon:
    """`site-agent serve` in a process of its own, for the box whose settings lie in `config`."""

    def __init__(self, folder: Path, config: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self._config = config
        self.port = find_free_port("0.0.0.0")
        self.url = f"https://127.0.0.1:{self.port}/"
        self.certificate = folder / "state/page/tls/page.pem"
        self._environment = environment | {
            "SITE_AGENT_SERVE__ENABLED": environment.get("SITE_AGENT_SERVE__ENABLED", "true"),
            "SITE_AGENT_SERVE__HOST": "0.0.0.0", "SITE_AGENT_SERVE__PORT": str(self.port),
            "NOTIFY_SOCKET": str(folder / "page-notify"),
        }  # fmt: skip
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        (folder / "page-notify").unlink(missing_ok=True)
        self._notify.bind(str(folder / "page-notify"))
        self._notify.setblocking(False)
        self._told: list[str] = []

    def start(self, *, wait: bool = True) -> PageDaemon:
        with (self.folder / "page.log").open("ab") as log:
            command = [sys.executable, "-m", "agent", "serve", "--config", str(self._config)]
            self.process = processes.start(command, env=self._environment, stdout=log, stderr=log)
        if wait:
            self.until(lambda: any("READY=1" in line for line in self.heard()), 90)
        return self

    def heard(self) -> list[str]:
        while True:
            try:
                self._told.append(self._notify.recv(4096).decode())
            except BlockingIOError:
                return self._told

    def until(self, found: Callable[[], Any], seconds: float) -> Any:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if result := found():
                return result
            time.sleep(0.05)
        raise AssertionError(f"not within {seconds} s; log: {self.log()[-2000:]}")

    def stop(self, seconds: float = 10) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def log(self) -> str:
        return (self.folder / "page.log").read_text(encoding="utf-8")

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        self._notify.close()
