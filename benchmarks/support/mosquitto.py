"""A Mosquitto broker as a process of its own, and what it costs."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

from agent.demo.broker import find_free_port

HOST = "127.0.0.1"
MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


class MosquittoBroker:
    """Mosquitto with persistence in `folder`; `more`: further lines of its configuration."""

    def __init__(self, folder: Path, more: str = "") -> None:
        self.folder = folder
        self.port = find_free_port(HOST)
        self.config = folder / "mosquitto.conf"
        self.config.write_text(
            f"listener {self.port} {HOST}\nallow_anonymous true\nuser root\nmax_connections -1\nmax_queued_messages 0\n"
            f"max_inflight_messages 1000\npersistence true\npersistence_location {folder}/\nset_tcp_nodelay true\n{more}\n"
        )
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([str(MOSQUITTO), "-c", str(self.config)], stdout=log, stderr=log)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with socket.socket() as sock:
                if sock.connect_ex((HOST, self.port)) == 0:
                    return
            time.sleep(0.02)
        raise SystemExit("bench fleet: mosquitto does not start: " + (self.folder / "log").read_text()[-500:])

    def stop(self) -> None:
        """Stop it with SIGTERM; it saves sessions and retained messages, as in an update or a restart of the machine."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(30)

    def memory_kib(self) -> int:
        assert self.process is not None
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return int(next(x for x in lines if x.startswith("VmRSS")).split()[1])

    def cpu_s(self) -> float:
        assert self.process is not None
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
