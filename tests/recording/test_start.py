"""What a recorder loads: each module costs processor time at every start, and memory for good."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
UNNEEDED = {
    "sqlite_utils": "migrations",
    "numpy": "pixels",
    "pydantic": "settings",
    "ssl": "RTSP without TLS",
    "subprocess": "ssh-keygen",
    "importlib.resources": "words",
    "getpass": "who calls a command",
    "agent.catalog.accounts": "the page",
    "agent.catalog.looks": "counting",
    "agent.drive.keys": "signing",
    "agent.drive.system_files": "checking a drive",
}
"""Modules, and what they would be for."""


def test_the_recorder_loads_what_it_needs() -> None:
    code = "import sys, agent.__main__, agent.commands.record; print(*sys.modules)"
    command = [sys.executable, "-c", code]
    loaded = set(subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout.split())
    assert "agent.recording.recorder" in loaded
    assert {name: why for name, why in UNNEEDED.items() if name in loaded} == {}


def test_garbage_is_collected_again_after_the_start() -> None:
    code = (
        "import gc, sys; from agent.__main__ import main\n"
        "try: main(['record', '--help'])\n"
        "except SystemExit: print(gc.isenabled(), file=sys.stderr)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stderr.strip() == "True"
