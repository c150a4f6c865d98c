"""SMART reports of the disks, by the smartctl program (smartmontools). Needs root."""

from __future__ import annotations

import json
import subprocess
from datetime import datetime
from pathlib import Path

from agent.core import clock as clocks
from agent.core.errors import InputError
from agent.core.model import JsonObject
from agent.drive import durable


def read_smart_report(now: datetime) -> JsonObject:
    """Return `{"at": RFC 3339, "disks": {device: smartctl's JSON}}`. Raises InputError where smartctl is missing."""
    scan = _run_smartctl("--scan-open")
    disks = {
        str(d["name"]): _run_smartctl("--all", "-d", str(d["type"]), str(d["name"])) for d in scan.get("devices", [])
    }
    return {"at": clocks.format_utc(now), "disks": disks}


def write_smart_report(file: Path, now: datetime) -> int:
    """Write the report to `file`, readable by all; return how many disks answered. Raises InputError."""
    body = read_smart_report(now)
    try:
        durable.write_file(file, json.dumps(body, separators=(",", ":")).encode())
        file.chmod(0o644)
    except OSError as error:
        raise InputError("maintain.cannot_write", file=file, detail=error.strerror) from None
    return len(body["disks"])


def _run_smartctl(*arguments: str) -> JsonObject:
    """Run smartctl and return its JSON.

    Its exit status is a set of bits about the disk and says nothing about the JSON.
    """
    try:
        done = subprocess.run(["smartctl", "--json", *arguments], capture_output=True, timeout=60, check=False)
        body = json.loads(done.stdout)
    except FileNotFoundError:
        raise InputError("maintain.no_smartctl") from None
    except (subprocess.TimeoutExpired, ValueError):
        return {}
    return body if isinstance(body, dict) else {}
