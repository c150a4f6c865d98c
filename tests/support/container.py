"""A Debian of its own, booted by systemd-nspawn, with a network that reaches this machine and nothing else.

The tree comes from debootstrap and the stick from scripts/wheelhouse; both are kept in the user's cache folder, since they
need the network and a minute each. Every test works on a copy.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.support import processes
from tests.support.paths import ROOT

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "site-agent-tests"
PROGRAMS = ("debootstrap", "systemd-nspawn", "nsenter", "ip")
PARTS = (
    "agent",
    "board",
    "config",
    "docs",
    "models",
    "scripts",
    "systemd",
    "pyproject.toml",
    "requirements.lock",
    "requirements-board.lock",
    "README.md",
    "SECURITY.md",
    "SECURITY.zh.md",
    "LICENSE",
)
HOST, BOX = "10.78.0.1", "10.78.0.2"
_CABLES = itertools.count()


def why_not() -> str:
    """Why containers cannot be had here; empty where they can."""
    if os.geteuid() != 0:
        return "needs root for systemd-nspawn"
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    return f"needs the programs {', '.join(missing)} (debootstrap, systemd-container, iproute2)" if missing else ""


def base(release: str = "bookworm") -> Path:
    """A small Debian with systemd."""
    tree = CACHE / release
    if not (tree / "complete").exists():
        shutil.rmtree(tree, ignore_errors=True)
        CACHE.mkdir(parents=True, exist_ok=True)
        include = "systemd,systemd-sysv,python3,python3-venv,dbus,udev"
        run("debootstrap", "--variant=minbase", f"--include={include}", release, str(tree), seconds=900)
        (tree / "complete").touch()
    return tree


def stick(release: str = "12") -> Path:
    """A stick with wheels and packages; the program on it is always today's."""
    parts = ("requirements.lock", "requirements-board.lock", "scripts/install.sh", "scripts/install-board.sh")
    lock = hashlib.sha256(b"".join((ROOT / part).read_bytes() for part in parts))
    folder = CACHE / f"stick-{release}-{lock.hexdigest()[:12]}"
    if not (folder / "SHA256SUMS").exists():
        run(str(ROOT / "scripts/wheelhouse"), str(folder), "--debian", release, seconds=900)
    put_program(ROOT, folder / "site-agent")
    sum_up(folder)
    return folder


def put_program(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    for name in PARTS:
        one = source / name
        if one.is_dir():
            shutil.copytree(one, target / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(one, target / name)


def sum_up(folder: Path) -> None:
    """Make the stick's list of sums again."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != "SHA256SUMS")
    lines = [f"{hashlib.sha256(p.read_bytes()).hexdigest()}  ./{p.relative_to(folder)}\n" for p in files]
    (folder / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")


def run(*command: str, seconds: float = 300, status: int | None = 0) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL)
    assert status is None or done.returncode == status, f"{command}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout + done.stderr


class Container:
    """One machine in `tree`. `inside` runs a command in it, booted or not.

    With a `switch` (of `make_switch`) it shares a network with the others there; without one it has a cable to this machine.
    """

    def __init__(self, tree: Path, stick_folder: Path | None = None, *, address: str = BOX, switch: str = "") -> None:
        self.tree = tree
        self.address = address
        self._stick = stick_folder
        self._switch = switch
        self._process: subprocess.Popen[bytes] | None = None
        self._leader = ""

    @staticmethod
    def fresh(
        tree: Path,
        stick_folder: Path | None = None,
        release: str = "bookworm",
        *,
        address: str = BOX,
        switch: str = "",
    ) -> Container:
        run("cp", "-a", "--reflink=auto", str(base(release)), str(tree))
        return Container(tree, stick_folder, address=address, switch=switch)

    def _nspawn(self) -> list[str]:
        command = [
            "systemd-nspawn",
            "-q",
            "-D",
            str(self.tree),
            "--register=no",
            "--keep-unit",
            "--private-network",
            # what a real kernel offers, and nspawn's own list leaves out
            "--system-call-filter=landlock_create_ruleset landlock_add_rule landlock_restrict_self",
        ]
        return [*command, f"--bind-ro={self._stick}:/stick"] if self._stick else command

    def inside(self, *command: str, seconds: float = 300, status: int | None = 0) -> str:
        if self._leader:
            return run("nsenter", "-t", self._leader, "-a", *command, seconds=seconds, status=status)
        said = run(*self._nspawn(), *command, seconds=seconds, status=status)
        # nspawn's own word about its scratch folder when it ends
        return "".join(line for line in said.splitlines(keepends=True) if "Attempted to remove disk" not in line)

    def boot(self) -> Container:
        log = (self.tree.parent / "boot.log").open("ab")
        command = [*self._nspawn(), "--boot", "--console=read-only"]
        # the machine's own hierarchy may be of version 1, which Debian 13's systemd refuses
        environment = os.environ | {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
        self._process = processes.start(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment)
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        # nspawn's first child only prepares, and ends
        self._leader = until(lambda: [pid for pid in children.read_text().split() if is_first(pid)], 30)[0]
        self._wire()
        until(lambda: "running" in self.state() or "degraded" in self.state(), 90)
        return self

    def state(self) -> str:
        return self.inside("systemctl", "is-system-running", status=None)

    def _wire(self) -> None:
        """A cable from the machine to this one, or into its switch. No route leads out of either."""
        number = next(_CABLES)
        one, two = f"sa{os.getpid()}h{number}", f"sa{os.getpid()}c{number}"
        run("ip", "link", "add", one, "type", "veth", "peer", "name", two)
        run("ip", "link", "set", two, "netns", self._leader)
        if self._switch:
            run("ip", "link", "set", one, "master", self._switch)
        else:
            run("ip", "address", "add", f"{HOST}/24", "dev", one)
        run("ip", "link", "set", one, "up")
        network = ["nsenter", "-t", self._leader, "-n", "ip"]
        run(*network, "address", "add", f"{self.address}/24", "dev", two)
        run(*network, "link", "set", two, "up")

    def put(self, path: str, text: str) -> None:
        target = self.tree / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")

    def doctor(self, *arguments: str) -> dict[str, dict[str, str]]:
        """Findings by check."""
        said = self.inside("site-agent", "doctor", "--json", "--language", "en", *arguments, status=None)
        rows = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
        return {row["check"]: row for row in rows}

    def unit(self, *properties: str, name: str = "site-agent.service") -> dict[str, str]:
        said = self.inside("systemctl", "show", name, "--property", ",".join(properties))
        return dict(line.split("=", 1) for line in said.splitlines() if "=" in line)

    def journal(self, *arguments: str) -> str:
        return self.inside("journalctl", "--no-pager", "-u", "site-agent", *arguments)

    def close(self) -> None:
        """Power off. The cable goes with the namespace at its other end."""
        if self._process is None:
            return
        with contextlib.suppress(AssertionError, subprocess.TimeoutExpired):
            self.inside("systemctl", "poweroff", seconds=10, status=None)
        self._leader = ""
        try:
            self._process.wait(40)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        self._process = None

    def __enter__(self) -> Container:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextlib.contextmanager
def make_switch() -> Iterator[str]:
    """A switch to which this machine is attached as HOST; its name."""
    name = f"sa{os.getpid()}s"
    run("ip", "link", "add", name, "type", "bridge")
    try:
        run("ip", "address", "add", f"{HOST}/24", "dev", name)
        run("ip", "link", "set", name, "up")
        yield name
    finally:
        run("ip", "link", "del", name)


def is_first(pid: str) -> bool:
    """Whether a process is the first of a namespace of processes."""
    numbers = re.search(r"^NSpid:(.*)$", Path(f"/proc/{pid}/status").read_text(), re.M)
    return numbers is not None and numbers[1].split()[1:] == ["1"]


def until(found: Callable[[], Any], seconds: float, every: float = 0.5) -> Any:
    """Wait for something true."""
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError):
            if result := found():
                return result
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(every)
