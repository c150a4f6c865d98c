"""The support bundle: what helps a remote engineer, without passwords, pictures, sound or names of persons.

Texts are checked line by line; what looks like a secret is masked. Of classes only numbers are included.
"""

from __future__ import annotations

import io
import json
import re
import subprocess
import tarfile
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from agent.core import clock as clocks
from agent.core.errors import InputError
from agent.core.logs import redact
from agent.doctor.box import BoxFacts
from agent.doctor.finding import HealthFinding

MASK = "***"
_SECRET_KEY = re.compile(r"pass|secret|token|cookie|authori[sz]ation|private|(?<!public_)key$", re.IGNORECASE)
_COMMANDS = {
    "journal.txt": (
        "journalctl",
        "-u",
        "site-agent",
        "-u",
        "site-agent-page",
        "-u",
        "site-agent-maintenance",
        "-n",
        "4000",
        "--no-pager",
        "-o",
        "short-iso-precise",
    ),
    "unit.txt": ("systemctl", "show", "site-agent", "site-agent-page", "--no-pager"),
    "mounts.txt": ("findmnt", "-o", "TARGET,FSTYPE,OPTIONS,SIZE,AVAIL"),
    "disks.txt": ("lsblk", "-o", "NAME,SIZE,FSTYPE,LABEL,MOUNTPOINT,MODEL,TRAN"),
    "addresses.txt": ("ip", "-brief", "address"),
    "kernel.txt": ("dmesg", "--level", "emerg,alert,crit,err,warn"),
}
_LONGEST = 4 * 1024 * 1024


def write_bundle(file: Path, box: BoxFacts, findings: Iterable[HealthFinding]) -> int:
    """Write the bundle as .tar.gz, readable by its owner only; return its size. Raises InputError, CatalogError."""
    parts = {
        "doctor.json": _dump_lines(f.as_data() for f in findings),
        "settings.json": _dump_settings(box.settings_file),
    }
    if box.catalog is not None:
        parts |= _dump_catalog(box)
    parts |= {name: _run_command(command) for name, command in _COMMANDS.items()}
    try:
        with file.open("xb") as raw:
            file.chmod(0o600)
            with tarfile.open(fileobj=raw, mode="w:gz") as archive:
                for name, text in parts.items():
                    _add_text(archive, f"site-agent/{name}", redact(text), box)
        return file.stat().st_size
    except OSError as error:
        raise InputError("doctor.bundle.cannot", file=file, detail=error.strerror) from None


def _add_text(archive: tarfile.TarFile, name: str, text: str, box: BoxFacts) -> None:
    data = text.encode("utf-8", "replace")
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime = len(data), int(box.now.timestamp())
    archive.addfile(entry, io.BytesIO(data))


def _dump_settings(file: Path) -> str:
    """Return the settings without secrets, which are found by key: so the format of a password does not matter."""
    try:
        body = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "{}"
    return json.dumps(mask_secrets(body), ensure_ascii=False, indent=1, default=str)


def mask_secrets(value: object) -> object:
    """Return a copy of nested tables in which the values of secret keys are masked."""
    if isinstance(value, Mapping):
        return {k: MASK if _SECRET_KEY.search(k) and v else mask_secrets(v) for k, v in value.items()}
    return [mask_secrets(v) for v in value] if isinstance(value, list) else value


def _dump_catalog(box: BoxFacts) -> dict[str, str]:
    assert box.catalog is not None
    catalog, since = box.catalog, box.now - timedelta(days=7)
    cameras = [
        {
            "camera_id": c.camera_id,
            "address": c.address,
            "manufacturer": c.manufacturer,
            "model": c.model,
            "firmware": c.firmware,
            "verdict": c.verdict.value,
            "reasons": list(c.reasons),
            "up": c.up,
            "clock_offset_s": c.clock_offset_s,
            "seen_at": _format_optional(catalog.cameras.seen_at(c.camera_id)),
        }
        for c in catalog.cameras.all()
    ]
    events = [
        {
            "at": clocks.format_utc(e.at),
            "until": _format_optional(e.until),
            "kind": e.kind,
            "camera_id": e.camera_id,
            "drive_id": e.drive_id,
            "detail": mask_secrets(dict(e.detail)),
        }
        for e in catalog.events.between(since, box.now + timedelta(days=1))
    ]
    alerts = [
        {
            "at": clocks.format_utc(a.at),
            "since": clocks.format_utc(a.since),
            "kind": a.kind.value,
            "state": a.state,
            "message": a.message,
            "latest_message": a.latest_message,
            "class_id": a.class_id,
            "camera_id": a.camera_id,
        }
        for a in catalog.alerts.recent(500)
    ]
    # no names: of a class only when and where it records
    classes = [
        {
            "class_id": c.class_id,
            "first_day": c.first_day.isoformat(),
            "last_day": c.last_day.isoformat(),
            "rooms": {r.room_id: list(r.cameras) for r in c.rooms},
            "lessons": len(c.lessons),
        }
        for c in box.classes
    ]
    drives = [
        {
            "drive_id": d.drive_id,
            "path": d.path,
            "state": d.state,
            "seen_at": clocks.format_utc(d.seen_at),
            "handed_over_at": _format_optional(d.handed_over_at),
            "stopped_reason": d.stopped_reason,
        }
        for d in catalog.drives.all()
    ]
    rows: dict[str, Sequence[Mapping[str, object]]] = {
        "cameras": cameras,
        "events": events,
        "alerts": alerts,
        "classes": classes,
        "drives": drives,
    }
    return {f"{name}.json": _dump_lines(found) for name, found in rows.items()}


def _format_optional(moment: datetime | None) -> str | None:
    return clocks.format_utc(moment) if moment else None


def _dump_lines(rows: Iterable[Mapping[str, object]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _run_command(command: tuple[str, ...]) -> str:
    """Return the output of a program, its end where it is long; for a missing program one line with the error."""
    try:
        done = subprocess.run(command, capture_output=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{command[0]}: {error}\n"
    return done.stdout[-_LONGEST:].decode("utf-8", "replace")
