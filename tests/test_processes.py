"""What the tests start ends with them, however they end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.processes import is_running, start

TESTS = Path(__file__).parent
PARENT = """
import subprocess, sys, threading, time
from tests.support.processes import start

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]
found = [start(SLEEP)]
thread = threading.Thread(target=lambda: found.append(start(SLEEP)))
thread.start()
thread.join()
family = start(["sh", "-c", "sleep 600 & echo $!; wait"], stdout=subprocess.PIPE, text=True)
print(*(process.pid for process in (*found, family)), family.stdout.readline(), flush=True)
time.sleep(600)
"""


def until(true: Callable[[], bool], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_what_a_killed_test_run_started_ends_with_it(number: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], cwd=TESTS.parent, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as parent:
        assert parent.stdout
        started = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(started) == 4
        time.sleep(0.2)
        assert all(map(is_running, started)), "also the one whose thread has ended"
        parent.send_signal(number)
        parent.wait(10)
        assert until(lambda: not any(map(is_running, started)))


def test_a_whole_process_group_killed_takes_them_along_too() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT.replace("start(SLEEP)]", "start(SLEEP, start_new_session=True)]")],
        cwd=TESTS.parent, stdout=subprocess.PIPE, text=True, start_new_session=True,
    ) as parent:  # fmt: skip
        assert parent.stdout
        started = [int(pid) for pid in parent.stdout.readline().split()]
        os.killpg(parent.pid, signal.SIGKILL)
        assert until(lambda: not any(map(is_running, started)))


def test_a_started_process_is_a_plain_one_that_a_test_may_end_itself() -> None:
    process = start(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.communicate("x", timeout=10)[0] == "x" and process.returncode == 0


def test_no_test_starts_a_process_past_this() -> None:
    own = {Path(__file__), TESTS / "support" / "processes.py"}
    names = [
        str(path.relative_to(TESTS))
        for path in TESTS.rglob("*.py")
        if path not in own and re.search(r"subprocess\.Popen\(|psutil\.Popen\(|import Popen", path.read_text("utf-8"))
    ]
    assert names == [], "use tests.support.processes.start"
