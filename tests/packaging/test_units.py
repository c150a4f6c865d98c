"""The systemd units: correct, hardened as far as they say, and in step with the installer and the agent."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from agent.core import sd_notify
from agent.core.clock import SystemClock
from agent.service.startup import open_catalog
from agent.settings.schema import Settings
from agent.setup import mount_units
from tests.support.paths import ROOT

UNITS = sorted((ROOT / "systemd").rglob("*.*"))
SERVICES = [u for u in UNITS if u.suffix == ".service"]
LIMIT = 2.0

needs_analyze = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze (systemd)")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A root that holds what the units name: the program itself, its papers, the user's systemd targets."""
    units = tmp_path / "etc/systemd/system"
    units.mkdir(parents=True)
    for unit in UNITS:
        shutil.copy(unit, units)
    for name in ("site-agent", "site-agent-board"):
        programs = tmp_path / "opt" / name / "current/.venv/bin"
        programs.mkdir(parents=True)
        (programs / name).write_text("#!/bin/sh\n")
        (programs / name).chmod(0o755)
    own = Path("/usr/lib/systemd/system")
    (tmp_path / "usr/lib/systemd").mkdir(parents=True)
    shutil.copytree(own, tmp_path / "usr/lib/systemd/system", symlinks=True)
    return tmp_path


def analyze(*arguments: str) -> str:
    done = subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr


@needs_analyze
@pytest.mark.parametrize("unit", UNITS, ids=lambda u: u.name)
def test_verify_prints_nothing(tree: Path, unit: Path) -> None:
    said = analyze("verify", "--man=no", f"--root={tree}", unit.name)
    # the machine's own units may refer to what this small root lacks; ours may not
    assert [line for line in said.splitlines() if "site-agent" in line] == []


@pytest.mark.parametrize("unit", UNITS, ids=lambda u: u.name)
def test_each_unit_says_what_it_is_in_chinese_and_in_english(unit: Path) -> None:
    """`systemctl status` and the journal show it to whoever installs the box."""
    said = re.search(r"^Description=(.*)$", unit.read_text(encoding="utf-8"), re.MULTILINE)
    assert said and re.fullmatch(r"[\u4e00-\u9fff]+：[\u4e00-\u9fff]+ \([\x20-\x7e]+\)", said[1])


@needs_analyze
@pytest.mark.parametrize("unit", SERVICES, ids=lambda u: u.name)
def test_exposure_is_low(unit: Path) -> None:
    said = analyze("security", "--offline=true", "--no-pager", str(unit))
    found = re.search(r"Overall exposure level for .*: ([0-9.]+)", said)
    assert found and float(found[1]) <= LIMIT, said


def take_function(script: str, name: str) -> str:
    """The text of one function of a script."""
    text = (ROOT / "scripts" / script).read_text(encoding="utf-8")
    return text[text.index(f"{name}() {{") :].split("\n}\n")[0] + "\n}\n"


@needs_analyze
def test_the_unit_of_another_worker_is_the_boards_own(tree: Path) -> None:
    """install-board.sh makes the template from the board's unit."""
    function = take_function("install-board.sh", "copy_units")
    units = tree / "etc/systemd/system"
    (tree / "opt/site-agent-board/current/systemd").symlink_to(ROOT / "systemd")
    script = f"opt='{tree}/opt/site-agent-board' units='{units}'\n{function}copy_units\n"
    subprocess.run(["bash", "-euc", script], check=True, timeout=30)
    made = units / "site-agent-board@.service"
    differing = set(made.read_text().splitlines()) ^ set(
        (ROOT / "systemd/board/site-agent-board.service").read_text().splitlines()
    )
    assert {line.partition("=")[0] for line in differing} == {"Description", "ExecStart"} and len(differing) == 4
    assert "site-agent-board run --worker %i --config" in made.read_text()
    said = analyze("verify", "--man=no", f"--root={tree}", "site-agent-board@2.service")
    assert [line for line in said.splitlines() if "site-agent" in line] == []


@needs_analyze
def test_each_opening_of_the_service_is_explained() -> None:
    """What systemd-analyze still marks stands, with a reason, in the comment above."""
    said = analyze("security", "--offline=true", "--no-pager", str(ROOT / "systemd/site-agent.service"))
    marked = [re.sub(r"=.*~?|\(.*", "", line.split()[1]).rstrip("=") for line in said.splitlines() if line[:1] == "✗"]
    text = (ROOT / "systemd/site-agent.service").read_text(encoding="utf-8")
    openings = text.partition("Left open, and why:")[2].partition("NoNewPrivileges")[0] + text.partition("UMask")[0]
    for name in marked:
        reason = {"RestrictAddressFamilies": "AF_NETLINK", "SystemCallFilter": "@resources", "UMask": "Group-readable"}
        assert reason.get(name, name.partition("/")[0]) in openings, f"{name} is open without a reason"


@needs_analyze
def test_a_mount_unit_that_setup_writes_is_correct(tree: Path) -> None:
    where = Path("/media/evidence 2")
    name = mount_units.build_unit_name(where)
    units = tree / "etc/systemd/system"
    (units / name).write_text(mount_units.build_mount_unit("1234-ABCD", "exfat", where), encoding="utf-8")
    said = analyze("verify", "--man=no", f"--root={tree}", name)
    assert [line for line in said.splitlines() if "evidence" in line] == []
    escaped = subprocess.run(["systemd-escape", "-p", "--suffix=mount", str(where)], capture_output=True, text=True)
    assert name == escaped.stdout.strip()


def test_the_unit_says_what_the_agent_does() -> None:
    text = (ROOT / "systemd/site-agent.service").read_text(encoding="utf-8")
    assert "Type=notify" in text
    assert re.search(r"WatchdogSec=(\d+)", text)[1] == "60"  # type: ignore[index]
    # `run` ends within 15 s; systemd waits a little longer
    assert int(re.search(r"TimeoutStopSec=(\d+)", text)[1]) > 15  # type: ignore[index]
    assert "LoadCredential=site-agent:" in text


def test_no_notification_without_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    sd_notify.notify_systemd("READY=1")


def test_a_long_start_asks_for_more_time_until_it_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        with sd_notify.extend_start_timeout(every_s=0.02):
            time.sleep(0.3)
        asked = heard(manager)
        assert len(asked) > 3
        assert set(asked) == {"EXTEND_TIMEOUT_USEC=60000000"}
        time.sleep(0.1)
        assert heard(manager) == []


def test_opening_the_database_asks_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(county="c", site="s", box="b", institution="i", state_dir=tmp_path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        open_catalog(settings, SystemClock()).close()
        assert heard(manager)[0].startswith("EXTEND_TIMEOUT_USEC=")


def heard(manager: socket.socket) -> list[str]:
    found = []
    while True:
        try:
            found.append(manager.recv(4096).decode())
        except BlockingIOError:
            return found


@pytest.mark.parametrize("script", ["install.sh", "wheelhouse"])
def test_the_scripts_are_sound(script: str) -> None:
    path = ROOT / "scripts" / script
    assert subprocess.run(["bash", "-n", str(path)], capture_output=True).returncode == 0
    assert path.stat().st_mode & 0o111


@pytest.mark.parametrize("arguments", [("--language", "de"), ("--language",), ("--wheels",)])
def test_the_installer_refuses_a_wrong_option_before_it_writes_it_into_the_settings(arguments: tuple[str, ...]) -> None:
    done = subprocess.run(["bash", str(ROOT / "scripts/install.sh"), *arguments], capture_output=True, text=True)
    assert done.returncode == 2
    assert arguments[0] in done.stderr and len(done.stderr.splitlines()) == 1


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
@pytest.mark.parametrize("name", ["安装盘", "my stick"])
def test_who_is_not_root_is_told_the_line_of_the_stick(name: str) -> None:
    """The installer's own path, which was told, goes to the network: the stick's own hands over where its packages are."""
    with tempfile.TemporaryDirectory() as folder:
        stick = Path(folder) / name
        shutil.copytree(ROOT / "scripts", stick / "site-agent/scripts", ignore=shutil.ignore_patterns("__pycache__"))
        line = re.search(
            r"^printf '(#!/bin/sh.*)' >\"\$out/install.sh\"$", (ROOT / "scripts/wheelhouse").read_text(), re.M
        )
        assert line
        (stick / "install.sh").write_text(line[1].replace(r"\n", "\n"))
        for path in (Path(folder), *Path(folder).rglob("*")):
            path.chmod(0o755)
        told = {}
        for more in ((), ("--upgrade",)):
            command = [
                "setpriv",
                "--reuid=65534",
                "--clear-groups",
                "sh",
                str(stick / "install.sh"),
                "--language",
                "en",
                *more,
            ]
            done = subprocess.run(command, capture_output=True, text=True)
            assert done.returncode == 2, done.stderr
            told[more] = done.stderr.strip()
    shown = f'"{stick}/install.sh"' if " " in name else f"{stick}/install.sh"
    assert told[()].endswith(f"bash {shown}") or told[()].endswith(f"bash {shown}'"), told
    assert f"{shown} --upgrade" in told[("--upgrade",)]


def test_a_stick_of_another_architecture_is_told(tmp_path: Path) -> None:
    stick = take_function("install.sh", "check_stick")
    (tmp_path / "debian/12").mkdir(parents=True)
    (tmp_path / "architecture").write_text("s390x\n")
    script = f"die() {{ printf '%s\\n' \"$2\" >&2; exit \"${{3:-1}}\"; }}\nrelease=12 wheels='{tmp_path}'\n{stick}check_stick\n"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert done.returncode == 2 and "s390x" in done.stderr


@pytest.mark.parametrize(
    ("given", "classes", "status"),
    [
        ("yes=1 in_class=", "T-1", 1),
        ("yes= in_class=", "T-1", 1),
        ("yes=1 in_class=1", "T-1", 0),
        ("yes=1 in_class=", "", 0),
    ],
)
def test_the_installer_does_not_disturb_a_class(given: str, classes: str, status: int) -> None:
    """Without a terminal there is nobody to ask."""
    script = f"say() {{ :; }}; die() {{ echo \"$2\" >&2; exit 1; }}; confirm() {{ :; }}; under_way() {{ echo '{classes}'; }}\n"
    script += f"{given}\n{take_function('install.sh', 'not_in_class')}not_in_class\n"
    done = subprocess.run(
        ["bash", "-euc", script], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=30
    )
    assert done.returncode == status
    assert ("T-1" in done.stderr and "--in-class" in done.stderr) == bool(status)


@pytest.mark.parametrize(
    ("file", "section", "names", "shown"),
    [
        ("board.example.toml", "pages", "", "https://board.example.org:8443/"),
        ("agent.example.toml", "serve", "", "https://10.1.2.3:8443/"),
        ("agent.example.toml", "serve", '"fd00::5"', "https://[fd00::5]:8443/"),
    ],
)
def test_the_installer_shows_where_the_pages_are(
    tmp_path: Path, file: str, section: str, names: str, shown: str
) -> None:
    text = (ROOT / "config" / file).read_text(encoding="utf-8")
    (tmp_path / file).write_text(text.replace("names = []", f"names = [{names}]"), encoding="utf-8")
    script = "hostname() { echo '10.1.2.3 10.9.9.9'; }\n" + take_function("install.sh", "page_address")
    done = subprocess.run(
        ["bash", "-euc", f"{script}page_address '{tmp_path / file}' {section}"],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.stdout == shown, done.stderr
