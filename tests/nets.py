"""Network namespaces: a box with two interfaces, each on a switch of its own, and cameras in namespaces of theirs.

Needs root, `ip` and a kernel with veth and bridge; nothing of it is seen by the machine's own network.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

from tests.support import processes

ROOT = Path(__file__).parent.parent


def why_not() -> str:
    """Why namespaces cannot be had here; empty where they can."""
    if os.geteuid() != 0:
        return "needs root for network namespaces"
    if shutil.which("ip") is None:
        return "needs the program ip (iproute2)"
    name = f"sa{os.getpid()}t"
    try:
        ip("netns", "add", name)
        try:
            ip("-n", name, "link", "add", "test0", "type", "bridge")
            ip("-n", name, "link", "add", "test1", "type", "veth", "peer", "name", "test2")
        finally:
            ip("netns", "del", name)
    except subprocess.CalledProcessError as error:
        return f"this kernel gives no namespaces with bridges: {error.stderr.strip()}"
    return ""


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


class Nets:
    """`with Nets() as nets`: switches 1 and 2 (10.77.1.0/24, 10.77.2.0/24); the box is .1 on both."""

    def __init__(self) -> None:
        self._prefix = f"sa{os.getpid()}"
        self._made: list[str] = []
        self._processes = contextlib.ExitStack()

    @property
    def box(self) -> str:
        return f"{self._prefix}box"

    def __enter__(self) -> Nets:
        try:
            self._add(self.box)
            for number in (1, 2):
                switch = f"{self._prefix}sw{number}"
                self._add(switch)
                ip("-n", switch, "link", "add", "bridge", "type", "bridge")
                ip("-n", switch, "link", "set", "bridge", "up")
                self._plug(self.box, number, 1)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._processes.close()
        for name in self._made:
            ip("netns", "del", name)

    def camera(self, switch: int, last: int) -> tuple[str, str]:
        """A namespace with an address on a switch; returns its name and the address."""
        name = f"{self._prefix}c{switch}{last}"
        self._add(name)
        self._plug(name, switch, last)
        return name, f"10.77.{switch}.{last}"

    def start(self, namespace: str, *arguments: str) -> subprocess.Popen[str]:
        """Run a Python module in a namespace until the end; returns when it has printed its first line."""
        process = processes.start(
            ["ip", "netns", "exec", namespace, sys.executable, *arguments],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._processes.callback(_end, process)
        assert process.stdout
        if not process.stdout.readline():
            raise RuntimeError(f"did not start: {arguments}")
        return process

    def run(self, arguments: Sequence[str], timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a Python module in the box."""
        command = ["ip", "netns", "exec", self.box, sys.executable, *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False)

    def _add(self, name: str) -> None:
        ip("netns", "add", name)
        self._made.append(name)
        ip("-n", name, "link", "set", "lo", "up")

    def _plug(self, namespace: str, switch: int, last: int) -> None:
        """A cable from a namespace to a switch."""
        near, far = f"eth{switch}", f"p{last}"
        other = f"{self._prefix}sw{switch}"
        ip("-n", namespace, "link", "add", near, "type", "veth", "peer", "name", far, "netns", other)
        ip("-n", other, "link", "set", far, "master", "bridge", "up")
        ip("-n", namespace, "addr", "add", f"10.77.{switch}.{last}/24", "dev", near)
        ip("-n", namespace, "link", "set", near, "up")
        ip("-n", namespace, "route", "replace", "224.0.0.0/4", "dev", near)


def _end(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(OSError):
        if process.stdin:
            process.stdin.close()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(5)


@contextlib.contextmanager
def four_cameras(kinds: Sequence[str]) -> Iterator[tuple[Nets, list[str]]]:
    """Four cameras on two switches; each kind is `ipycam`, `npm:FOLDER` (see tests.npm_device), or the name of a
    personality. Gives their addresses."""
    with Nets() as nets:
        addresses = []
        for number, kind in enumerate(kinds):
            namespace, address = nets.camera(1 + number % 2, 20 + number)
            if kind == "ipycam":
                nets.start(namespace, "-m", "tests.ipycam_device", address, f"PY-{number}")
            elif kind.startswith("npm:"):
                nets.start(namespace, "-m", "tests.npm_device", kind.removeprefix("npm:"), address, f"NPM-{number}")
            else:
                nets.start(namespace, "-m", "tests.personalities", kind, "--address", address)
            addresses.append(address)
        yield nets, addresses
