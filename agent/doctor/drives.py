"""Checks of the evidence drives: identity, place, permissions, space, speed, and the disks' SMART status."""

from __future__ import annotations

import json
import os
import shutil
import stat
import time
from datetime import timedelta
from pathlib import Path

from agent.core import clock as clocks
from agent.core.errors import DriveError
from agent.core.model import JsonObject
from agent.doctor.box import BoxFacts
from agent.doctor.finding import HealthFinding, HealthSeverity, report_error, report_ok, report_problem
from agent.drive import Drive, forecast, keys, monitor
from agent.drive.layout import SYSTEM

SPEED_BYTES = 16 * 1024 * 1024
SLOW_FACTOR = 4.0
"""A drive must write this much faster than the cameras send: checksums, documents and re-reading need their share."""
SMART_TOO_OLD = timedelta(days=8)
_RESERVE = 256 * 1024 * 1024
_MBIT = 125_000
_USUAL_CAMERA_BYTES_S = 4 * _MBIT


def check_drives(box: BoxFacts) -> list[HealthFinding]:
    found: list[HealthFinding] = []
    working = 0
    for root in box.drives:
        drive, first = _open_drive(box, root, spare=working > 0)
        found.append(first)
        if drive is not None:
            working += 1
            found += _check_inside(box, drive)
    return [*found, *check_smart(box)]


def _open_drive(box: BoxFacts, root: Path, *, spare: bool) -> tuple[Drive | None, HealthFinding]:
    name = f"drive.{root}"
    try:
        drive = Drive.open(root)
    except DriveError as error:
        # a stand-by drive that is not plugged in is no fault while the first drive works
        return None, report_error(name, "info" if spare and error.kind == "drive.missing" else "critical", error)
    known = box.catalog.drives.get(drive.drive_id) if box.catalog else None
    if known and known.handed_over_at:
        return None, report_problem(name, "critical", "drive.handed_over", root=root, drive_id=drive.drive_id)
    if drive.is_sealed():
        return None, report_problem(name, "critical", "drive.sealed", root=root, drive_id=drive.drive_id)
    own = keys.load_public_key(box.key_dir) if os.access(box.key_dir, os.X_OK) else ""
    if own and drive.public_key and drive.public_key != own:
        return None, report_problem(name, "critical", "drive.other_box", root=root, drive_id=drive.drive_id)
    return drive, report_ok(name, "drive.ok", root=root, drive_id=drive.drive_id, label=drive.label)


def _check_inside(box: BoxFacts, drive: Drive) -> list[HealthFinding]:
    root = drive.root
    try:
        drive.check()
        free, total = drive.space()
    except DriveError as error:
        return [report_error(f"drive.{root}", "critical", error)]
    found = [_check_space(box, drive, free, total)]
    if box.deep:
        found.append(_check_speed(box, drive))
    if root.stat().st_dev == Path("/").stat().st_dev:
        found.append(report_problem(f"drive.{root}.mount", "warning", "drive.system_disk", root=root))
    owner = find_service_owner(box.state_dir)
    # created by root at a prompt, its own folder would be closed to the service
    if owner is not None and not (is_writable_by(root, owner) and is_writable_by(root / SYSTEM, owner)):
        found.append(report_problem(f"drive.{root}.rights", "critical", "drive.rights", root=root))
    return found


def _check_space(box: BoxFacts, drive: Drive, free: int, total: int) -> HealthFinding:
    name = f"drive.{drive.root}.space"
    shown: dict[str, object] = {"root": drive.root, "free": f"{free / 1e9:.1f}", "total": f"{total / 1e9:.1f}"}
    reserve = min(_RESERVE, total // 100)
    days = monitor.forecast_days_left(box.catalog, box.classes, free, box.now, reserve=reserve) if box.catalog else None
    if days is None and free > 0.05 * total:
        return report_ok(name, "drive.space_unknown", **shown)
    left = days or 0.0
    shown["days"] = f"{left:.0f}"
    if free <= 2 * reserve or left < 2:
        return report_problem(name, "critical", "drive.space_out", **shown)
    if left < 14 or free < 0.05 * total:
        return report_problem(name, "warning", "drive.space_low", **shown)
    return report_ok(name, "drive.space", **shown)


def estimate_needed_bytes_s(box: BoxFacts) -> float:
    """Return the bytes a second that all cameras write, from the last week's recordings.

    A camera without recordings counts with a usual camera's rate.
    """
    if box.catalog is None:
        return _USUAL_CAMERA_BYTES_S
    cameras = box.catalog.cameras.all()
    week = box.now - timedelta(days=7)
    segments = [s for c in cameras for s in box.catalog.segments.between(c.camera_id, week, box.now)]
    known = forecast.compute_rates(segments)
    return sum(known.get(c.camera_id, _USUAL_CAMERA_BYTES_S) for c in cameras) or _USUAL_CAMERA_BYTES_S


def _check_speed(box: BoxFacts, drive: Drive) -> HealthFinding:
    name = f"drive.{drive.root}.speed"
    need = estimate_needed_bytes_s(box)
    try:
        speed = measure_write_speed(drive.root / SYSTEM)
    except OSError as error:
        return report_problem(name, "warning", "drive.speed_unknown", root=drive.root, detail=error.strerror or error)
    shown = {"root": drive.root, "speed": f"{speed / 1e6:.0f}", "need": f"{need / 1e6:.1f}"}
    if speed < need:
        return report_problem(name, "critical", "drive.slow", **shown)
    return (
        report_problem(name, "warning", "drive.slow", **shown)
        if speed < SLOW_FACTOR * need
        else report_ok(name, "drive.speed", **shown)
    )


def measure_write_speed(folder: Path) -> float:
    """Measure bytes a second with one file of SPEED_BYTES that is written, synced and removed. Raises OSError."""
    path = folder / f".speed-{os.getpid()}"
    block = os.urandom(1024 * 1024)
    begun = time.monotonic()
    try:
        with path.open("xb") as file:
            for _ in range(SPEED_BYTES // len(block)):
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
    finally:
        path.unlink(missing_ok=True)
    return SPEED_BYTES / max(time.monotonic() - begun, 1e-6)


def find_service_owner(state_dir: Path) -> os.stat_result | None:
    """Return the service's user, as the owner of its state folder; None where there is no such folder."""
    try:
        return state_dir.stat()
    except OSError:
        return None


def is_writable_by(folder: Path, owner: os.stat_result) -> bool:
    """Return whether that user may create files in `folder`, by its mode."""
    state = folder.stat()
    if owner.st_uid in (0, state.st_uid):
        return owner.st_uid == 0 or bool(state.st_mode & stat.S_IWUSR)
    return bool(state.st_mode & (stat.S_IWGRP if owner.st_gid == state.st_gid else stat.S_IWOTH))


def check_smart(box: BoxFacts) -> list[HealthFinding]:
    """Check the report of site-agent-smart.service: `{"at": …, "disks": {device: smartctl's JSON}}`."""
    try:
        report = json.loads(box.smart_file.read_text(encoding="utf-8"))
        at = clocks.parse_time(report["at"])
        disks: JsonObject = report["disks"]
    except (OSError, ValueError, KeyError, TypeError):
        # an ordinary user's PATH lacks the folder where it is
        there = shutil.which("smartctl", path="/usr/sbin:/sbin:/usr/local/sbin:/usr/bin:/bin")
        return [report_problem("drive.smart", "info", "drive.smart_not_run" if there else "drive.smart_none")]
    if box.now - at > SMART_TOO_OLD:
        return [report_problem("drive.smart", "info", "drive.smart_old", days=(box.now - at).days)]
    return [_check_disk(device, body) for device, body in sorted(disks.items())]


def _check_disk(device: str, body: JsonObject) -> HealthFinding:
    name = f"drive.smart.{Path(device).name}"
    model = body.get("model_name") or body.get("scsi_model_name") or "?"
    passed = (body.get("smart_status") or {}).get("passed")
    if passed is None:
        return report_problem(name, "info", "drive.smart_silent", device=device)
    rows = (body.get("ata_smart_attributes") or {}).get("table") or []
    raw = {row.get("id"): (row.get("raw") or {}).get("value", 0) for row in rows}
    worn = sum(raw.get(i, 0) for i in (5, 197, 198))  # reallocated, pending, uncorrectable sectors
    worn += (body.get("nvme_smart_health_information_log") or {}).get("media_errors", 0)
    shown = {
        "device": device,
        "model": model,
        "sectors": worn,
        "celsius": (body.get("temperature") or {}).get("current"),
    }
    if not passed:
        return report_problem(name, "critical", "drive.smart_failing", **shown)
    severity: HealthSeverity | None = "warning" if worn else None
    return (
        report_problem(name, severity, "drive.smart_worn", **shown)
        if severity
        else report_ok(name, "drive.smart_ok", **shown)
    )
