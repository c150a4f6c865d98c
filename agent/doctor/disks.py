"""SMART reports of the disks, by the smartctl program (smartmontools). Needs root."""

from __future__ import annotations

import json
import subprocess
from datetime import datetime
from pathlib import Path

from agent import clock as clocks
from agent.drive import durable
from agent.errors import InputError
from agent.model import JsonObject


def report(now: datetime) -> JsonObject:
    """Return `{"at": RFC 3339, "disks": {device: smartctl's JSON}}`. Raises InputError where smartctl is missing."""
    scan = _ask("--scan-open")
    disks = {str(d["name"]): _ask("--all", "-d", str(d["type"]), str(d["name"])) for d in scan.get("devices", [])}
    return {"at": clocks.stamp(now), "disks": disks}


def write(file: Path, now: datetime) -> int:
    """Write the report to `file`, readable by all; return how many disks answered. Raises InputError."""
    body = report(now)
    try:
        durable.write_file(file, json.dumps(body, separators=(",", ":")).encode())
        file.chmod(0o644)
    except OSError as error:
        raise InputError("maintain.cannot_write", file=file, detail=error.strerror) from None
    return len(body["disks"])


def _ask(*arguments: str) -> JsonObject:
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
