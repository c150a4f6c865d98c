"""The verification itself: `site-agent drive verify` in a process of its own, with its progress.

A drive may hold anything; what reads it can be killed at any time and has nothing of the pages' memory.
"""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

_SHARE = re.compile(rb"\] +(\d{1,3})%")
_BAR = re.compile(r"\[[#.]+\][^\r\n]*|\x1b\[K")
_LAST = 8000
_LARGEST_RESULT = 64 << 20
_LOOK_S = 0.3
_LOWEST = 19


@dataclass(frozen=True, slots=True)
class VerifyOutcome:
    """How it ended: `result` as the command prints it, None where it has none; then `message` is its last line."""

    result: dict[str, Any] | None
    message: str
    stopped: bool


def run_verification(
    root: Path, against: Path | None, out: Path, progress: Callable[[float], None], stop: Event
) -> VerifyOutcome:
    """Verify the drive under `root` until the end or `stop`. `out` takes what the command prints. Raises OSError."""
    command = [sys.executable, "-m", "agent", "--language", "zh", "drive", "verify", str(root), "--json"]
    command += ["--against", str(against)] if against else []
    reading, writing = _open_screen()
    try:
        with out.open("wb") as printed:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=printed, stderr=writing, start_new_session=True
            )
    except OSError:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    with suppress(OSError):  # where the unit's filter refuses it, the unit's own priority holds, and that is low too
        os.setpriority(os.PRIO_PROCESS, process.pid, _LOWEST)
    try:
        said = _watch(process, reading, progress, stop)
    finally:
        os.close(reading)
        if process.poll() is None:
            process.kill()
        process.wait()
    if stop.is_set():
        return VerifyOutcome(None, "", stopped=True)
    result = _read_result(out)
    return VerifyOutcome(result, "" if result else _find_last_line(said), stopped=False)


def _open_screen() -> tuple[int, int]:
    """Return both ends of a terminal, since the command shows its progress on a terminal alone; else of a pipe."""
    try:
        return os.openpty()
    except OSError:
        return os.pipe()


def _watch(process: subprocess.Popen[bytes], reading: int, progress: Callable[[float], None], stop: Event) -> bytes:
    """Read what the command says until it ends; return the end of that."""
    said = b""
    while not stop.is_set():
        ready, _, _ = select.select([reading], [], [], _LOOK_S)
        if not ready:
            if process.poll() is not None:
                break
            continue
        try:
            data = os.read(reading, 1 << 16)
        except OSError:  # the other end of a terminal is closed
            break
        if not data:
            break
        said = (said + data)[-_LAST:]
        if shares := _SHARE.findall(data):
            progress(min(1.0, int(shares[-1]) / 100))
    if not stop.is_set():
        process.wait()
    return said


def _read_result(out: Path) -> dict[str, Any] | None:
    """Return the command's line of JSON; None where there is none. Raises OSError."""
    with out.open("rb") as printed:
        raw = printed.read(_LARGEST_RESULT)
    try:
        result = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return result if isinstance(result, dict) and isinstance(result.get("problems"), list) else None


def _find_last_line(said: bytes) -> str:
    lines = [line.strip() for line in re.split(r"[\r\n]+", _BAR.sub("", said.decode("utf-8", "replace")))]
    return next((line for line in reversed(lines) if line), "")[:500]
