"""Seals and verifies a drive when the page asks for it; the drive stays mounted, as the agent may not unmount it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from agent import i18n
from agent.catalog import Catalog
from agent.core.class_model import TrainingClass
from agent.core.clock import Clock
from agent.core.drive_change import DriveChange, find_busy_class
from agent.core.errors import CatalogError, InputError, Shortage, SiteAgentError
from agent.core.periodic import ErrorLog, run_every
from agent.drive import Drive, seal, verify

log = logging.getLogger(__name__)
_POLL_S = 2.0
_TOLD_EVERY = 0.01


class DriveChangeWorker:
    """Polls the catalog for a change and carries it out; one that a restart interrupted is begun again."""

    def __init__(
        self, catalog: Catalog, clock: Clock, classes: Callable[[], Sequence[TrainingClass]], key_dir: Path | None
    ) -> None:
        self._catalog = catalog
        self._clock = clock
        self._classes = classes
        self._key_dir = key_dir

    def run(self, stop: threading.Event) -> None:
        once = partial(self.run_once, stop)
        run_every(self._clock, stop, _POLL_S, once, errors=ErrorLog(log, expected=(CatalogError, Shortage)))

    def run_once(self, stop: threading.Event) -> None:
        """Carry out a change that was asked for. Raises CatalogError."""
        change = self._catalog.drive_changes.last()
        if change is None or not change.running:
            return
        try:
            self._carry_out(change, stop)
        except _ChangeStopped:
            return
        except CatalogError:
            raise
        except SiteAgentError as error:
            log.warning("%s", error)
            self._put(change, state="failed", detail=str(error), done_at=self._clock.now())

    def _carry_out(self, change: DriveChange, stop: threading.Event) -> None:
        drive = Drive.open(Path(change.root))
        if drive.drive_id != change.drive_id:
            raise InputError("drive.change_other", root=change.root, drive_id=drive.drive_id)
        if not drive.is_sealed():
            busy = find_busy_class(self._classes(), self._clock.now())
            if busy:
                raise InputError("drive.change_busy", class_id=busy)
            change = self._put(change, state="sealing")
            sealer = seal.Sealer(drive, self._clock, self._catalog, self._classes(), self._key_dir, change.to)
            for item in sealer.whole():
                log.info("%s", i18n.translate("drive.class_sealed", folder=item.folder, head=item.head))
        change = self._put(change, state="verifying", share=0.0)
        report = verify.verify_drive(
            drive, progress=_Progress(stop, verify.count_drive_bytes(drive), self._tell(change))
        )
        if not report.ok:
            first = report.faults()[0]
            raise InputError(
                "drive.change_faults", problems=len(report.faults()), path=first.path or "—", detail=first.detail
            )
        self._put(change, state="done", share=1.0, done_at=self._clock.now())

    def _tell(self, change: DriveChange) -> Callable[[float], None]:
        return lambda share: self._catalog.drive_changes.put(replace(change, share=round(share, 3)))

    def _put(self, change: DriveChange, **changes: object) -> DriveChange:
        found = replace(change, **changes)  # type: ignore[arg-type]
        self._catalog.drive_changes.put(found)
        return found


class _ChangeStopped(Exception):
    """The agent ends; the change goes on when it starts again."""


class _Progress:
    """Counts bytes, tells each hundredth, and gives up where the agent ends."""

    def __init__(self, stop: threading.Event, total: int, tell: Callable[[float], None]) -> None:
        self._stop, self._total, self._tell = stop, max(1, total), tell
        self._done, self._told = 0, 0.0

    def __call__(self, size: int) -> None:
        if self._stop.is_set():
            raise _ChangeStopped
        self._done += size
        share = min(1.0, self._done / self._total)
        if share - self._told >= _TOLD_EVERY:
            self._told = share
            self._tell(share)
