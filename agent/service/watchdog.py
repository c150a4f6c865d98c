"""The systemd watchdog: STATUS for people, WATCHDOG only for real progress.

The watchdog is fed while bytes reach the drive, or while there is a known reason for none (outside the plan, no
admitted camera, camera away, drive missing); each of those has an alert of its own. A recorder that hangs has no such
reason, whether it had started or not: it is replaced, and the other cameras go on. Where no camera's bytes reach the
drive, or the recorder cannot be replaced, the watchdog expires and systemd restarts the agent.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from agent import i18n
from agent.catalog import Catalog
from agent.core import schedule, sd_notify
from agent.core.alert_model import AlertKind
from agent.core.clock import Clock
from agent.core.periodic import ErrorLog, run_every
from agent.drive.monitor import DriveMonitor
from agent.settings.wiring import ClassBook, RecordingPlan

EVERY_S = 5.0
STALE_S = 45.0
SILENT_S = 180.0
"""A healthy recorder reports an offline camera within 30 s; silence for this long means that it hangs."""
_AWAY = (AlertKind.CAMERA_OFFLINE, AlertKind.CAMERA_REFUSED)
_NEXT_S = 60.0
log = logging.getLogger(__name__)


class Watchdog:
    """Feeds the watchdog.

    `plan` returns what a camera has to record at an instant, as the recorders see it. `link` returns whether the
    broker is connected, None where there is no link. `replace` gives a camera another recorder and returns False
    where it cannot. `still_s` returns for how many seconds a camera's recorder has made no progress.
    """

    def __init__(
        self,
        catalog: Catalog,
        clock: Clock,
        book: ClassBook,
        drives: DriveMonitor,
        *,
        plan: Callable[[str, datetime], RecordingPlan | None],
        link: Callable[[], bool | None],
        replace: Callable[[str], bool],
        still_s: Callable[[str], float],
    ) -> None:
        self._catalog = catalog
        self._clock = clock
        self._book = book
        self._drives = drives
        self._plan = plan
        self._link = link
        self._replace = replace
        self._still_s = still_s
        self._due = 0
        self._next: tuple[float, datetime | None] = (float("-inf"), None)
        self._seen: dict[str, tuple[bool, int]] = {}
        self._grown: dict[str, float] = {}

    def run(self, stop: threading.Event) -> None:
        # an error sends no sign of life: if it persists, the watchdog expires
        errors = ErrorLog(log)
        run_every(self._clock, stop, EVERY_S, lambda: sd_notify.notify_systemd(*self.lines()), errors=errors)

    def lines(self) -> list[str]:
        """Return the lines to send now. Raises CatalogError."""
        stuck = self.stuck()
        status = f"STATUS={self.status()}"
        if stuck:
            log.error("%s", i18n.translate("run.stuck", cameras=", ".join(stuck)))
            # all of several cameras are stuck: no recorder is at fault, and another one would hang as
            # well
            if len(stuck) == self._due > 1 or not self._renew(stuck):
                return [status]
        return [status, "WATCHDOG=1"]

    def _renew(self, stuck: list[str]) -> bool:
        """Return whether every stuck camera has a new recorder now."""
        replaced = [name for name in stuck if self._replace(name)]
        self._grown |= dict.fromkeys(replaced, self._clock.monotonic())
        return replaced == stuck

    def stuck(self) -> list[str]:
        """Return the cameras that should be recording but give no bytes, or whose recorder hangs.

        A recorder hangs that made no progress for STALE_S. No bytes means: for STALE_S although the stream is up, or
        for UNTOLD_S without a stream while no alert says why.
        """
        now = self._clock.monotonic()
        report = self._drives.report()
        if report["state"] != "ok":
            self._grown.clear()
            return []
        root = self._drives.current().root
        sizes = {s.camera_id: _read_size(root / s.temporary) for s in self._catalog.segments.opened()}
        alerted = {a.camera_id for a in self._catalog.alerts.opened() if a.kind in _AWAY}
        late, self._due = [], 0
        for camera in self._catalog.cameras.all():
            name = camera.camera_id
            due = camera.recordable and self._plan(name, self._clock.now())
            self._due += bool(due)
            seen = (camera.up, sizes.get(name, -1))
            if not due or seen != self._seen.get(name) or (not camera.up and name in alerted):
                self._grown[name] = now
            self._seen[name] = seen
            hangs = bool(due) and self._still_s(name) > STALE_S
            if hangs or now - self._grown.setdefault(name, now) > (STALE_S if camera.up else SILENT_S):
                late.append(name)
        return late

    def status(self) -> str:
        """Return cameras, drive, schedule and broker in one line."""
        cameras = self._catalog.cameras.all()
        report = self._drives.report()
        connected = self._link()
        return i18n.translate(
            "pulse.status",
            up=sum(c.up for c in cameras),
            cameras=len(cameras),
            drive=i18n.translate(f"pulse.drive.{report['state']}"),
            days="—" if report["days_left"] is None else f"{report['days_left']:.0f}",
            schedule=self._schedule([c.camera_id for c in cameras]),
            bureau=i18n.translate({True: "pulse.connected", False: "pulse.apart", None: "pulse.off"}[connected]),
            health=self._health(),
        )

    def _schedule(self, camera_ids: list[str]) -> str:
        """Return the classes that are being recorded, else when the next recording begins."""
        now = self._clock.now()
        running = sorted({p[0].class_id for c in camera_ids if (p := self._plan(c, now))})
        if running:
            return i18n.translate("pulse.running", classes=", ".join(running))
        at = self._clock.monotonic()
        if at - self._next[0] > _NEXT_S:
            classes = self._book.all()
            starts = [s for c in self._book.camera_ids() if (s := schedule.find_next_start(classes, c, now))]
            self._next = at, min(starts, default=None)
        begin = self._next[1]
        if begin is None:
            return i18n.translate("pulse.no_class")
        return i18n.translate("pulse.next", begin=begin.astimezone(self._catalog.zone).strftime("%Y-%m-%d %H:%M"))

    def _health(self) -> str:
        """Return the number of faults and warnings of the last self-examination, if any."""
        last = self._catalog.health.last()
        faults, warnings = (last.count("critical"), last.count("warning")) if last else (0, 0)
        return i18n.translate("pulse.health", faults=faults, warnings=warnings) if faults or warnings else ""


def _read_size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1
