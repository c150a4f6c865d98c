"""Checks of the box itself: service, clock, database, permissions, versions, the detector's model, open alerts."""

from __future__ import annotations

import fcntl
import platform
import shutil
import stat
from datetime import timedelta
from pathlib import Path

from agent.core import clock as clocks
from agent.core.errors import CatalogError, ModelError
from agent.counting import weights
from agent.doctor.box import BoxFacts
from agent.doctor.finding import HealthFinding, HealthSeverity, report_error, report_line, report_ok, report_problem
from agent.drive import keys

ALIVE_LIMIT = timedelta(seconds=30)
"""The service writes its sign of life every 5 s."""
CLOCK_SOURCES = {
    "systemd-timesyncd": Path("/run/systemd/timesync"),
    "chrony": Path("/run/chrony"),
    "ntpd": Path("/run/ntpd.pid"),
    "ntpsec": Path("/run/ntpsec"),
}
KNOWN_DEBIAN = ("12", "13")
_GIGABYTE = 1_000_000_000


def is_running(box: BoxFacts) -> bool:
    """Return whether the service has given a sign of life just now."""
    last = box.catalog.facts.get("alive") if box.catalog else None
    stopped = box.catalog is not None and box.catalog.facts.get("stopped")
    return last is not None and not stopped and box.now - clocks.parse_time(last) <= ALIVE_LIMIT


def check_service(box: BoxFacts) -> list[HealthFinding]:
    last = box.catalog.facts.get("alive") if box.catalog else None
    if box.catalog is None and (box.state_dir / "catalog.db").exists():
        # it has run; that its database cannot be read is reported separately
        if _is_locked(box.state_dir / "lock"):
            return [report_ok("service", "service.ok", version=box.version)]
        return [report_problem("service", "critical", "service.unread")]
    if last is None:
        return [report_problem("service", "critical", "service.never")]
    at = clocks.parse_time(last)
    shown = at.astimezone(box.zone).strftime("%Y-%m-%d %H:%M:%S")
    if not is_running(box):
        return [report_problem("service", "critical", "service.down", at=shown)]
    return [report_ok("service", "service.ok", version=box.version)]


def _is_locked(lock: Path) -> bool:
    """Return whether a running service holds its lock."""
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def check_clock(box: BoxFacts) -> list[HealthFinding]:
    source = next((name for name, path in CLOCK_SOURCES.items() if path.exists()), "")
    local = box.now.astimezone(box.zone).strftime("%Y-%m-%d %H:%M:%S")
    if not source:
        first = report_problem("clock", "critical", "clock.no_source", local=local)
    elif box.clock.trust() != "trusted":
        first = report_problem("clock", "warning", "clock.free", local=local, source=source)
    else:
        first = report_ok("clock", "clock.ok", local=local, source=source)
    if any(Path("/sys/class/rtc").glob("rtc*")):
        return [first]
    return [first, report_problem("clock.battery", "info", "clock.no_battery")]


def check_database(box: BoxFacts) -> list[HealthFinding]:
    found: list[HealthFinding] = []
    if box.catalog is not None and box.deep:
        try:
            problems = box.catalog.store.check()
        except CatalogError as error:
            return [report_error("database", "critical", error)]
        size = f"{box.catalog.store.path.stat().st_size / 1e6:.1f}"
        file = box.catalog.store.path
        found.append(
            report_problem("database", "critical", "database.broken", file=file, detail=problems[0])
            if problems
            else report_ok("database", "database.ok", size=size)
        )
    if box.state_dir.exists():
        free = shutil.disk_usage(box.state_dir).free
        severity: HealthSeverity | None = (
            "critical" if free < _GIGABYTE // 5 else "warning" if free < _GIGABYTE else None
        )
        shown = {"path": box.state_dir, "free": f"{free / _GIGABYTE:.1f}"}
        name = "database.space"
        found.append(
            report_problem(name, severity, "disk.low", **shown) if severity else report_ok(name, "disk.ok", **shown)
        )
    return found


def check_permissions(box: BoxFacts) -> list[HealthFinding]:
    """Check who may read the passwords and the key, and whether the key is there."""
    found = [
        report_problem("rights", "warning", "rights.open", path=path, mode=f"{mode:o}", wanted=f"{mode & ~extra:o}")
        for path, extra in (
            (box.settings_file, 0o007),
            (box.settings_file.parent / "credentials", 0o077),
            (box.state_dir, 0o007),
            (box.key_dir, 0o077),
            (box.key_dir / keys.KEY_FILE, 0o077),
        )
        if (mode := _read_mode(path)) is not None and mode & extra
    ]
    if _read_mode(box.key_dir) is not None and not keys.load_public_key(box.key_dir):
        found.append(report_problem("rights.key", "warning", "rights.no_key", path=box.key_dir))
    return found or [report_ok("rights", "rights.ok")]


def _read_mode(path: Path) -> int | None:
    """Return the permission bits; None where the file does not exist or the caller may not look."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return None


def check_versions(box: BoxFacts) -> list[HealthFinding]:
    release = platform.freedesktop_os_release() if Path("/etc/os-release").exists() else {}
    system = release.get("PRETTY_NAME", platform.system())
    shown = {"version": box.version, "python": platform.python_version(), "system": system}
    found = [report_ok("versions", "versions.ok", **shown)]
    if release.get("ID") != "debian" or release.get("VERSION_ID") not in KNOWN_DEBIAN:
        found = [report_problem("versions", "info", "versions.other", **shown)]
    missing = [name for name in ("ssh-keygen", "openssl") if shutil.which(name) is None]
    return found + [report_problem("versions.programs", "warning", "versions.missing", name=name) for name in missing]


def check_model(box: BoxFacts) -> list[HealthFinding]:
    try:
        found = weights.check_weights(box.model, box.model_sha256)
    except ModelError as error:
        return [report_error("model", "critical", error)]
    return [report_ok("model", "model.ok", version=found.version)]


def check_alerts(box: BoxFacts) -> list[HealthFinding]:
    """Return the service's open alerts; nothing where its database cannot be read."""
    if box.catalog is None and (box.state_dir / "catalog.db").exists():
        return []
    opened = box.catalog.alerts.opened() if box.catalog else []
    # alerts about classes are the bureau's to judge: they say nothing about the box's health
    mine = [a for a in opened if not a.kind.value.startswith(("attendance.", "practice."))]
    found = [report_line(f"alert.{a.kind.value}.{a.subject}", a.severity, a.message) for a in mine]
    return found or [report_ok("alert", "alert.none")]
