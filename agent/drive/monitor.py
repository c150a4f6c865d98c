"""Monitors the drives: selects the one to write to and raises alerts, every two seconds by default.

An unplugged drive still answers reads from the page cache, and a hanging one never answers. So each check writes and syncs
a few bytes, in a thread of its own that may block without blocking the monitor.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from agent.catalog import Catalog
from agent.core import schedule, shortage
from agent.core.alert_model import AlertKind
from agent.core.class_model import TrainingClass
from agent.core.clock import Clock
from agent.core.errors import CatalogError, DriveError, Shortage
from agent.core.periodic import ErrorLog, run_every
from agent.drive import admission, forecast
from agent.drive.error_reports import ErrorReports
from agent.drive.identity import Drive
from agent.drive.outages import UNUSABLE_KINDS, OutageLog

if TYPE_CHECKING:
    from agent.contract.box import DriveBeat

log = logging.getLogger(__name__)
_GIGABYTE = 1e9
_NEAR = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class DriveMonitorOptions:
    """Configuration of the monitor.

    `roots` are the mount points: the first is used first, the others are standby. `public_key` is the key of the box ("":
    none). `interval_s` is the time between checks; a check that takes longer than `patience_s` counts as hanging.
    `reserve_bytes` (or 1 % of a small drive) stays free for checksum lists and documents: below it recording stops. `marks`
    are (share of the drive free, days left): passing either one raises drive.filling again. The forecast is updated every
    `forecast_s`.
    """

    roots: tuple[Path, ...]
    public_key: str = ""
    interval_s: float = 2.0
    patience_s: float = 4.0
    reserve_bytes: int = 256 * 1024 * 1024
    marks: tuple[tuple[float, float], ...] = ((0.10, 14.0), (0.05, 7.0), (0.02, 2.0))
    forecast_s: float = 60.0


@dataclass(slots=True)
class _Slot:
    """State of one mount point."""

    root: Path
    drive: Drive | None = None
    drive_id: str | None = None
    error: DriveError | None = None
    reported_error: DriveError | None = None
    prober: threading.Thread | None = None
    mark: int = 0
    alerted: str = ""
    days: float | None = None
    forecast_at: float | None = None
    result: list[DriveError | Shortage | Drive] = field(default_factory=list)


class DriveMonitor:
    """Monitors all configured mount points; `classes` returns the course plan for the forecast. Thread-safe."""

    def __init__(
        self,
        catalog: Catalog,
        clock: Clock,
        classes: Callable[[], Sequence[TrainingClass]],
        options: DriveMonitorOptions,
    ) -> None:
        self._catalog = catalog
        self._clock = clock
        self._classes = classes
        self._options = options
        self._slots = [_Slot(root.absolute()) for root in options.roots]
        self._lock = threading.Lock()
        self._error_reports = ErrorReports(clock)
        self._current: _Slot | None = None
        self._outages = OutageLog(catalog)

    def run(self, stop: threading.Event) -> None:
        errors = ErrorLog(log, expected=(CatalogError, Shortage))
        run_every(self._clock, stop, self._options.interval_s, self.run_once, errors=errors)

    def run_once(self) -> None:
        """Check every configured drive, select the one in use, raise and clear alerts.

        Raises CatalogError, and Shortage where a drive could not be checked for lack of resources; nothing changes then.
        """
        for slot in self._slots:
            self._check_slot(slot)
        with self._lock:
            self._current = self._select_slot()
        self._record_outage()
        for slot in self._slots:
            self._update_alerts(slot)

    def current(self) -> Drive:
        """Return the drive to write to. Raises DriveError (of the first configured drive) where there is none."""
        with self._lock:
            if self._current and self._current.drive:
                return self._current.drive
            error = next((s.error for s in self._slots if s.error), None)
        raise error or DriveError("drive.missing", "drive.missing", root=self._slots[0].root if self._slots else "-")

    def complain(self, drive: Drive, error: DriveError) -> None:
        """Report that a recorder could not write to `drive`.

        A standby drive is used instead; without one the drive is tried again. Faults that the monitor detects itself
        (missing, wrong, full, read-only) are ignored here.
        """
        if error.kind == "drive.error":
            self._error_reports.report(drive.root, error)

    def healthy(self) -> list[Drive]:
        """List the attached and writable drives, the one in use first; a full one still takes documents and checksums."""
        with self._lock:
            first = self._current
            slots = sorted(self._slots, key=lambda s: s is not first)
            return [s.drive for s in slots if s.drive and (s.error is None or s.error.kind == "drive.full")]

    def report(self) -> DriveBeat:
        """Return the drive object of the heartbeat: the drive in use, else the first mount point."""
        with self._lock:
            slot = self._current or (self._slots[0] if self._slots else None)
        if slot is None:
            return {"drive_id": None, "state": "missing", "free_bytes": None, "days_left": None}
        trouble = slot.error or slot.reported_error
        state = trouble.kind.removeprefix("drive.") if trouble else "ok"
        try:
            free = slot.drive.free_bytes() if slot.drive else None
        except DriveError:
            free = None
        return {
            "drive_id": slot.drive.drive_id if slot.drive else None,
            "state": state,
            "free_bytes": free,
            "days_left": None if slot.days is None else round(slot.days, 1),
        }

    def _check_slot(self, slot: _Slot) -> None:
        if slot.prober is None or not slot.prober.is_alive():
            slot.result = []
            # daemon thread: blocked in the kernel on a dead disk, it must not prevent the process from ending
            slot.prober = threading.Thread(
                target=self._probe, args=(slot, slot.result), daemon=True, name="drive-probe"
            )
            with shortage.convert_shortage():
                slot.prober.start()
        slot.prober.join(self._options.patience_s)
        found = slot.result[0] if slot.result else DriveError("drive.hangs", "drive.error", root=slot.root)
        if isinstance(found, Shortage):
            raise found
        with self._lock:
            if isinstance(found, DriveError):
                slot.error = found
                slot.drive = slot.drive if found.kind == "drive.full" else None
            else:
                slot.error, slot.drive = self._check_space(slot, found), found
                slot.drive_id = found.drive_id
            slot.reported_error = self._error_reports.current(
                slot.root, in_use=self._current is None or self._current is slot
            )
        if slot.drive:
            self._update_forecast(slot)

    def _probe(self, slot: _Slot, result: list[DriveError | Shortage | Drive]) -> None:
        """Append the drive as it is now, or its error, to `result`. Runs in a thread of its own."""
        try:
            with shortage.convert_shortage():
                result.append(self._open_and_probe(slot))
        except (DriveError, Shortage) as error:
            result.append(error)
        except CatalogError as error:
            log.warning("%s", error)

    def _open_and_probe(self, slot: _Slot) -> Drive:
        """Open and test the drive of a mount point. Raises DriveError, Shortage, CatalogError."""
        drive = slot.drive
        if drive is not None:
            try:
                drive.check()
            except DriveError:
                drive = None
        fresh = drive is None
        drive = drive or Drive.open(slot.root)
        admission.check_not_sealed(drive)
        if fresh:
            self._error_reports.forget(slot.root)
            admission.admit(self._catalog, drive, self._options.public_key, self._clock.now())
        drive.probe()
        return drive

    def _check_space(self, slot: _Slot, drive: Drive) -> DriveError | None:
        try:
            free, total = drive.space()
        except DriveError as error:
            return error
        reserve = min(self._options.reserve_bytes, total // 100)
        # hysteresis: a full drive needs twice the reserve, or recording would start and stop at every check
        limit = reserve * 2 if slot.error and slot.error.kind == "drive.full" else reserve
        return DriveError("drive.full", "drive.full", root=drive.root) if free <= limit else None

    def _select_slot(self) -> _Slot | None:
        """Select the drive in use if it works, else the first that does, preferring those without reported errors.

        The caller holds the lock.
        """
        working = [s for s in self._slots if s.drive and s.error is None]
        working.sort(key=lambda s: (s.reported_error is not None, s is not self._current))
        return working[0] if working else None

    def _record_outage(self) -> None:
        now = self._clock.now()
        if self._current is not None:
            self._outages.end(now)
        elif self._slots:
            first = self._slots[0]
            self._outages.begin(first.error.kind if first.error else "drive.missing", first.root, first.drive_id, now)

    def _update_alerts(self, slot: _Slot) -> None:
        """Raise and clear the alerts of one mount point; a message is sent only when the state changes."""
        now, subject = self._clock.now(), str(slot.root)
        trouble = slot.error or slot.reported_error
        wrong = trouble.kind if trouble else ""
        if wrong != slot.alerted or not wrong:
            for kind in UNUSABLE_KINDS:
                if kind.value != wrong:
                    self._catalog.alerts.clear(kind, subject, now)
        if trouble and wrong != slot.alerted:
            with self._catalog.store.write():
                self._catalog.alerts.raise_(AlertKind(wrong), subject, str(trouble), now)
                if wrong == "drive.full" and slot.drive:
                    self._catalog.drives.set(slot.drive.drive_id, stopped_at=now, stopped_reason=wrong)
        slot.alerted = wrong

    def _update_forecast(self, slot: _Slot) -> None:
        at = self._clock.monotonic()
        if slot.drive is None or (slot.forecast_at is not None and at - slot.forecast_at < self._options.forecast_s):
            return
        slot.forecast_at = at
        try:
            free, total = slot.drive.space()
        except DriveError:
            return
        now, classes = self._clock.now(), list(self._classes())
        slot.days = forecast_days_left(
            self._catalog, classes, free, now, reserve=min(self._options.reserve_bytes, total // 100)
        )
        marks = self._options.marks
        mark = sum(free < share * total or (slot.days is not None and slot.days < days) for share, days in marks)
        if mark > slot.mark:
            days = "—" if slot.days is None else f"{slot.days:.0f}"
            error = DriveError("drive.filling", root=slot.root, free=f"{free / _GIGABYTE:.1f} GB", days=days)
            self._catalog.alerts.raise_(AlertKind.DRIVE_FILLING, str(slot.root), str(error), now)
        elif mark == 0:
            self._catalog.alerts.clear(AlertKind.DRIVE_FILLING, str(slot.root), now)
        slot.mark = mark


def forecast_days_left(
    catalog: Catalog, classes: Sequence[TrainingClass], free: int, now: datetime, *, reserve: int = 0
) -> float | None:
    """Compute `forecast.days_left` from the segments of the last week and the plan of all classes."""
    cameras = {camera for cls in classes for room in cls.rooms for camera in room.cameras}
    cameras |= {camera.camera_id for camera in catalog.cameras.all()}
    week = now - timedelta(days=7)
    segments = [s for c in cameras for s in catalog.segments.between(c, week, now)]
    # skip finished classes: over five years there are many
    ahead = [c for c in classes if any(x.end > now - _NEAR for x in c.lessons)]
    plan = [p for c in cameras for p in schedule.list_placements(ahead, c)]
    return forecast.estimate_days_left(free, segments, plan, now, reserve=reserve)
