"""Long-lived processes of the tests. They end with the test process, also where that one is killed with SIGKILL.

A reaper process reads from a pipe whose only writer is the test process: the end of file comes when that process is gone,
however it ended. A parent-death signal (PR_SET_PDEATHSIG) would not do: it is sent when the *thread* that forked ends.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_lock = threading.Lock()
_reapers: dict[int, subprocess.Popen[str]] = {}
"""By process ID of the test process: one that was forked needs its own."""


def start(command: Sequence[str | Path], **options: Any) -> subprocess.Popen[Any]:
    """As subprocess.Popen; the process and all its descendants are killed once this process is gone."""
    process = subprocess.Popen(command, **options)
    with _lock:
        reaper = _reapers.get(os.getpid())
        if reaper is None or reaper.poll() is not None:
            # a session of its own: Ctrl-C and a kill of the whole process group leave it alone
            reaper = subprocess.Popen(
                [sys.executable, "-S", "-E", __file__], stdin=subprocess.PIPE, text=True, start_new_session=True
            )
            _reapers[os.getpid()] = reaper
        assert reaper.stdin
        print(process.pid, _begun(process.pid), file=reaper.stdin, flush=True)
    return process


def _begun(pid: int) -> str:
    """When a process was started, in clock ticks since boot: its ID may be given to another one later. "" where it is gone."""
    return _stat(pid)[19] if _stat(pid) else ""


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def is_running(pid: int) -> bool:
    """Whether a process is there and more than an entry that its parent has not collected."""
    fields = _stat(pid)
    return bool(fields) and fields[0] != "Z"


def _family(pid: int) -> list[int]:
    """A process and all its descendants."""
    parents = {int(p.name): _stat(int(p.name)) for p in Path("/proc").iterdir() if p.name.isdecimal()}
    found = [pid]
    for one in found:
        found += [child for child, fields in parents.items() if fields and int(fields[1]) == one]
    return found


def _reap() -> None:
    """Wait for the end of the test process, then kill what it started."""
    started = [line.split() for line in sys.stdin]
    for pid, *begun in started:
        if begun and _begun(int(pid)) == begun[0]:
            for member in _family(int(pid)):
                try:
                    os.kill(member, signal.SIGKILL)
                except ProcessLookupError:
                    continue


if __name__ == "__main__":
    _reap()
