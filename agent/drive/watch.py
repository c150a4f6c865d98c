"""Which drive is written to, and the alarm when there is none: looks every two seconds, by identity and by writing.

A drive that was pulled still answers from memory, and one that hangs answers never: so each look writes and syncs a few
bytes, in a thread of its own that may stay stuck without taking the watch with it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from agent import schedule, shortage
from agent.catalog import Catalog
from agent.clock import Clock
from agent.drive import forecast
from agent.drive.complaints import Complaints
from agent.drive.identity import Drive
from agent.errors import CatalogError, DriveError, Shortage
from agent.model import AlertKind, TrainingClass

if TYPE_CHECKING:
    from agent.contract.box import DriveBeat

log = logging.getLogger(__name__)
KINDS = (
    AlertKind.DRIVE_MISSING, AlertKind.DRIVE_WRONG, AlertKind.DRIVE_READ_ONLY, AlertKind.DRIVE_DENIED,
    AlertKind.DRIVE_ERROR, AlertKind.DRIVE_FULL,
)  # fmt: skip
_GIGABYTE = 1e9
_NEAR = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Options:
    """`roots` are the mount points, the first is used first and the others stand by. `public_key` is the box's ("": none).

    `reserve_bytes` (or a hundredth of a small drive) stays free for sums and papers: below it recording stops. `marks` are
    (share of the drive free, days left): passing either raises drive.filling anew."""

    roots: tuple[Path, ...]
    public_key: str = ""
    interval_s: float = 2.0
    patience_s: float = 4.0
    reserve_bytes: int = 256 * 1024 * 1024
    marks: tuple[tuple[float, float], ...] = ((0.10, 14.0), (0.05, 7.0), (0.02, 2.0))
    forecast_s: float = 60.0


@dataclass(slots=True)
class _Slot:
    """What is known of one mount point."""

    root: Path
    drive: Drive | None = None
    drive_id: str | None = None
    error: DriveError | None = None
    complaint: DriveError | None = None
    prober: threading.Thread | None = None
    mark: int = 0
    told: str = ""
    days: float | None = None
    forecast_at: float | None = None
    result: list[DriveError | Shortage | Drive] = field(default_factory=list)


class DriveWatch:
    """`classes` gives the course plan for the forecast."""

    def __init__(
        self,
        catalog: Catalog,
        clock: Clock,
        classes: Callable[[], Sequence[TrainingClass]],
        options: Options,
    ) -> None:
        self._catalog = catalog
        self._clock = clock
        self._classes = classes
        self._options = options
        self._slots = [_Slot(root.absolute()) for root in options.roots]
        self._lock = threading.Lock()
        self._complaints = Complaints(clock)
        self._current: _Slot | None = None
        self._event: int | None = None
        self._began = False

    def run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                self.run_once()
            except (CatalogError, Shortage) as error:
                log.warning("drive watch: %s", error)
            self._clock.wait(stop, self._options.interval_s)

    def run_once(self) -> None:
        """Look at every configured drive, choose the one in use, raise and clear alerts. Raises CatalogError, Shortage where
        one could not be looked at: then nothing is concluded."""
        for slot in self._slots:
            self._look(slot)
        with self._lock:
            self._current = self._choose()
        self._tell_recording()
        for slot in self._slots:
            self._tell(slot)

    def current(self) -> Drive:
        """The drive to write to. Raises DriveError (of the first configured drive) where there is none."""
        with self._lock:
            if self._current and self._current.drive:
                return self._current.drive
            error = next((s.error for s in self._slots if s.error), None)
        raise error or DriveError("drive.missing", "drive.missing", root=self._slots[0].root if self._slots else "-")

    def complain(self, drive: Drive, error: DriveError) -> None:
        """A recorder could not write to `drive`. A drive that stands by is used instead; where there is none, the drive goes
        on being tried. What the watch sees by itself (missing, wrong, full, read-only) needs no complaint."""
        if error.kind == "drive.error":
            self._complaints.say(drive.root, error)

    def healthy(self) -> list[Drive]:
        """Every attached and writable drive, the one in use first (a full one takes papers and sums yet)."""
        with self._lock:
            first = self._current
            slots = sorted(self._slots, key=lambda s: s is not first)
            return [s.drive for s in slots if s.drive and (s.error is None or s.error.kind == "drive.full")]

    def report(self) -> DriveBeat:
        """The heartbeat's drive object: `drive_id, state, free_bytes, days_left`; state is `ok` or what is wrong."""
        with self._lock:
            slot = self._current or (self._slots[0] if self._slots else None)
        if slot is None:
            return {"drive_id": None, "state": "missing", "free_bytes": None, "days_left": None}
        trouble = slot.error or slot.complaint
        state = trouble.kind.removeprefix("drive.") if trouble else "ok"
        try:
            free = slot.drive.free_bytes() if slot.drive else None
        except DriveError:
            free = None
        return {
            "drive_id": slot.drive.drive_id if slot.drive else None, "state": state, "free_bytes": free,
            "days_left": None if slot.days is None else round(slot.days, 1),
        }  # fmt: skip

    def _look(self, slot: _Slot) -> None:
        if slot.prober is None or not slot.prober.is_alive():
            slot.result = []
            # daemon: a thread stuck in the kernel on a dead disk must not keep the process from ending
            slot.prober = threading.Thread(
                target=self._probe, args=(slot, slot.result), daemon=True, name="drive-probe"
            )
            with shortage.told():
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
                slot.error, slot.drive = self._space(slot, found), found
                slot.drive_id = found.drive_id
            slot.complaint = self._complaints.about(slot.root, in_use=self._current is None or self._current is slot)
        if slot.drive:
            self._forecast(slot)

    def _probe(self, slot: _Slot, result: list[DriveError | Shortage | Drive]) -> None:
        """Runs in its own thread: the drive as it is now, or what is wrong with it."""
        try:
            with shortage.told():
                result.append(self._probed(slot))
        except (DriveError, Shortage) as error:
            result.append(error)
        except CatalogError as error:
            log.warning("drive watch: %s", error)

    def _probed(self, slot: _Slot) -> Drive:
        """Raises DriveError, Shortage, CatalogError."""
        drive = slot.drive
        if drive is not None:
            try:
                drive.check()
            except DriveError:
                drive = None
        fresh = drive is None
        drive = drive or Drive.open(slot.root)
        _not_sealed(drive)
        if fresh:
            self._complaints.forget(slot.root)
            self._admit(drive)
        drive.probe()
        return drive

    def _admit(self, drive: Drive) -> None:
        """Only a drive that this box knows, or that was made with its key, is written to. Raises DriveError drive.wrong."""
        known = self._catalog.drives.get(drive.drive_id)
        if known is not None and known.handed_over_at is not None:
            raise DriveError("drive.handed_over", "drive.wrong", root=drive.root, drive_id=drive.drive_id)
        if drive.public_key and drive.public_key != self._options.public_key:
            raise DriveError("drive.other_box", "drive.wrong", root=drive.root, drive_id=drive.drive_id)
        if known is None and not drive.public_key:
            others = [d for d in self._catalog.drives.all() if d.path == str(drive.root)]
            if others:
                # an unsigned drive proves nothing about who made it: the first at a place is taken, no later one
                raise DriveError(
                    "drive.wrong", "drive.wrong", root=drive.root, found=drive.drive_id, expected=others[-1].drive_id
                )
        self._catalog.drives.put(
            drive.drive_id, label=drive.label, institution=drive.institution, path=str(drive.root),
            created=drive.created, public_key=drive.public_key, seen_at=self._clock.now(),
        )  # fmt: skip

    def _space(self, slot: _Slot, drive: Drive) -> DriveError | None:
        try:
            free, total = drive.space()
        except DriveError as error:
            return error
        reserve = min(self._options.reserve_bytes, total // 100)
        # once full it stays so until there is clearly room again, or recording would start and stop each look
        limit = reserve * 2 if slot.error and slot.error.kind == "drive.full" else reserve
        return DriveError("drive.full", "drive.full", root=drive.root) if free <= limit else None

    def _choose(self) -> _Slot | None:
        """Stay with the drive in use; else the first that works, one without complaints if there is any. Hold the lock."""
        working = [s for s in self._slots if s.drive and s.error is None]
        working.sort(key=lambda s: (s.complaint is not None, s is not self._current))
        return working[0] if working else None

    def _tell_recording(self) -> None:
        """One event for each stretch without any drive: the gap ledger's reason."""
        now = self._clock.now()
        if self._current is not None:
            self._end_events(now)
        elif self._event is None and self._slots:
            error = self._slots[0].error
            kind = error.kind if error else "drive.missing"
            detail = {"root": str(self._slots[0].root)}
            self._event = self._catalog.events.add(kind, now, drive_id=self._slots[0].drive_id, detail=detail)

    def _end_events(self, now: datetime) -> None:
        if self._event is None and self._began:
            return
        # the first time also what a killed run left open
        left = [e for kind in KINDS if (e := self._catalog.events.last(kind.value)) and e.until is None]
        for event in left:
            self._catalog.events.end(event.event_id, max(now, event.at))
        if left:
            self._catalog.events.add("drive.returned", now)
        self._event, self._began = None, True

    def _tell(self, slot: _Slot) -> None:
        """Alerts of one mount point; a message goes out only when the state changes."""
        now, subject = self._clock.now(), str(slot.root)
        trouble = slot.error or slot.complaint
        wrong = trouble.kind if trouble else ""
        if wrong != slot.told or not wrong:
            for kind in KINDS:
                if kind.value != wrong:
                    self._catalog.alerts.clear(kind, subject, now)
        if trouble and wrong != slot.told:
            with self._catalog.store.write():
                self._catalog.alerts.raise_(AlertKind(wrong), subject, str(trouble), now)
                if wrong == "drive.full" and slot.drive:
                    self._catalog.drives.set(slot.drive.drive_id, stopped_at=now, stopped_reason=wrong)
        slot.told = wrong

    def _forecast(self, slot: _Slot) -> None:
        at = self._clock.monotonic()
        if slot.drive is None or (slot.forecast_at is not None and at - slot.forecast_at < self._options.forecast_s):
            return
        slot.forecast_at = at
        try:
            free, total = slot.drive.space()
        except DriveError:
            return
        now, classes = self._clock.now(), list(self._classes())
        slot.days = of_catalog(
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


def _not_sealed(drive: Drive) -> None:
    if drive.is_sealed():
        raise DriveError("drive.whole_sealed", "drive.wrong", root=drive.root)


def of_catalog(
    catalog: Catalog, classes: Sequence[TrainingClass], free: int, now: datetime, *, reserve: int = 0
) -> float | None:
    """`forecast.days_left` from the last week's segments and the plan of all classes."""
    cameras = {camera for cls in classes for room in cls.rooms for camera in room.cameras}
    cameras |= {camera.camera_id for camera in catalog.cameras.all()}
    week = now - timedelta(days=7)
    segments = [s for c in cameras for s in catalog.segments.between(c, week, now)]
    # classes that are long over plan nothing more: of five years there are many
    ahead = [c for c in classes if any(x.end > now - _NEAR for x in c.lessons)]
    plan = [p for c in cameras for p in schedule.placements(ahead, c)]
    return forecast.days_left(free, segments, plan, now, reserve=reserve)
