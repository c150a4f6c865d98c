"""The board as a process of its own, with settings in a test's folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

from tests.support import processes
from tests.support.broker import Broker
from tests.support.paths import ROOT


class BoardProcess:
    """`start`, `kill` (-9), `stop` (SIGTERM); `command` runs another command with the same settings."""

    def __init__(self, folder: Path, broker: Broker, url: str, more: str = "", *, worker: str = "1") -> None:
        """`worker` is given as an option where it is not the first."""
        self.folder, self._options = folder, [] if worker == "1" else ["--worker", worker]
        folder.mkdir(parents=True, exist_ok=True)
        self.config = folder / f"board-{worker}.toml"
        self.config.write_text(
            f'county = "wenshui"\nstate_dir = "{folder}/state"\ndatabase = "{url}"\n[broker]\nhost = "{broker.host}"\n'
            f'port = {broker.port}\ntls = false\nusername = ""\n[ingest]\n{more}',
            encoding="utf-8",
        )
        self._process: subprocess.Popen[bytes] | None = None
        self.log = folder / f"board-{worker}.log"

    def start(self) -> Self:
        with self.log.open("ab") as log:
            self._process = processes.start(
                [sys.executable, "-m", "board", "run", *self._options, "--config", str(self.config)],
                stdout=log, stderr=log, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)},
            )  # fmt: skip
        before = self.log.read_text().count("connected to")
        deadline = time.monotonic() + 60
        while self.log.read_text().count("connected to") <= before:
            assert self._process.poll() is None and time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)
        return self

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        return self._end(signal.SIGTERM)

    def _end(self, number: int) -> int:
        if self._process is None:
            return 0
        self._process.send_signal(number)
        code = self._process.wait(40)
        self._process = None
        return code

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "board", *arguments, "--config", str(self.config)],
            capture_output=True, text=True, timeout=120, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)},
        )  # fmt: skip
