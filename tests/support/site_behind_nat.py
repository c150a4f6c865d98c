"""A box behind a router that hides it, and the bureau on the other side: three namespaces, nftables, and a line of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from tests.support import processes
from tests.support.broker import PROGRAM, eventually
from tests.support.namespaces import ip
from tests.support.paths import ROOT

BUREAU, OUTSIDE, INSIDE, BOX = "10.89.0.1", "10.89.0.2", "10.88.0.1", "10.88.0.2"
_HIDE = (
    "add table ip hide; add chain ip hide out { type nat hook postrouting priority srcnat; };"
    "add rule ip hide out oifname wan masquerade;"
    "add chain ip hide pass { type filter hook forward priority filter; policy drop; };"
    "add rule ip hide pass iifname lan0 accept;"
    "add rule ip hide pass ct state established,related accept"
)


class SiteBehindNat:
    """`bureau`, `router` and `box` are names of namespaces; what is started ends with the body."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.bureau, self.router, self.box = (f"n{os.getpid()}{name}" for name in ("b", "r", "x"))
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        try:
            for name in (self.bureau, self.router, self.box):
                ip("netns", "add", name)
                self._stack.callback(ip, "netns", "del", name)
                ip("-n", name, "link", "set", "lo", "up")
            self._plug(self.bureau, "to-site", f"{BUREAU}/24", "wan", f"{OUTSIDE}/24")
            self._plug(self.box, "lan", f"{BOX}/24", "lan0", f"{INSIDE}/24")
            ip("-n", self.box, "route", "add", "default", "via", INSIDE)
            ip(
                "-n", self.bureau, "route", "add", "10.88.0.0/24", "via", OUTSIDE
            )  # so that only the router keeps it out
            self.run(self.router, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
            self.run(self.router, "nft", _HIDE)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _plug(self, namespace: str, near: str, address: str, far: str, behind: str) -> None:
        ip("-n", namespace, "link", "add", near, "type", "veth", "peer", "name", far, "netns", self.router)
        for name, device, own in ((namespace, near, address), (self.router, far, behind)):
            ip("-n", name, "addr", "add", own, "dev", device)
            ip("-n", name, "link", "set", device, "up")

    def narrow(self, mbit: int) -> None:
        """Make the line to the bureau so narrow, both ways."""
        for name, device in ((self.router, "wan"), (self.bureau, "to-site")):
            shape = ["tbf", "rate", f"{mbit}mbit", "burst", "64kb", "latency", "200ms"]
            self.run(name, "tc", "qdisc", "add", "dev", device, "root", *shape)

    def run(self, namespace: str, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a program in a namespace to its end."""
        whole = ["ip", "netns", "exec", namespace, *command]
        return subprocess.run(whole, check=check, capture_output=True, text=True, timeout=120, cwd=ROOT)

    def start(self, namespace: str, name: str, *command: str) -> Path:
        """Start a program in a namespace; return its log."""
        log = self._folder / f"{name}.log"
        with log.open("ab") as out:
            process = processes.start(["ip", "netns", "exec", namespace, *command], stdout=out, stderr=out, cwd=ROOT)
        self._stack.callback(_end, process)
        return log

    def start_module(self, namespace: str, name: str, *arguments: str) -> Path:
        return self.start(namespace, name, sys.executable, "-m", *arguments)

    def start_broker(self, port: int = 1883) -> None:
        config = self._folder / "mosquitto.conf"
        config.write_text(f"listener {port} {BUREAU}\nallow_anonymous true\nuser root\n")
        log = self.start(self.bureau, "mosquitto", str(PROGRAM), "-c", str(config))
        eventually(lambda: "running" in log.read_text())

    def reaches(self, namespace: str, address: str, port: int) -> bool:
        """Whether a connection can be made from a namespace."""
        code = f"import socket; socket.create_connection(({address!r}, {port}), 3)"
        return self.run(namespace, sys.executable, "-c", code, check=False).returncode == 0


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)
