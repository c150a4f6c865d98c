"""Watches the free space on the box's own disk: spends the reserve when it is full, reports it, and restores it later."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from agent import words
from agent.catalog import Catalog
from agent.catalog.reserve import Reserve
from agent.clock import Clock
from agent.errors import CatalogError
from agent.model_alerts import AlertKind
from agent.periodic import ErrorLog, run_every

log = logging.getLogger(__name__)
INTERVAL_S = 2.0
_SUBJECT = "disk"


class RoomWatch:
    """Watches the disk of the state folder, `folder`.

    The alert is open from the moment that the reserve is spent until it is restored.
    """

    def __init__(self, catalog: Catalog, clock: Clock, folder: Path) -> None:
        self._catalog = catalog
        self._clock = clock
        self._folder = folder
        self._reserve = Reserve(folder)
        self._told: bool | None = None

    def run(self, stop: threading.Event) -> None:
        errors = ErrorLog(log, expected=(CatalogError,))
        run_every(self._clock, stop, INTERVAL_S, self.run_once, errors=errors)

    def run_once(self) -> None:
        """Check the disk once. Raises CatalogError where it is full and no reserve was left to spend."""
        full = self._reserve.full()
        if full and self._reserve.spend():
            log.warning("%s", words.text("run.reserve_spent", path=self._folder))
        if full or not self._reserve.keep():
            self._tell(full)
        elif self._told is not False:
            self._catalog.alerts.clear(AlertKind.BOX_DISK_FULL, _SUBJECT, self._clock.now())
            self._catalog.store.spare(False)
            self._told = False

    def _tell(self, full: bool) -> None:
        """Raise the alert. Without its reserve the disk is as good as full: the next growing file stops everything."""
        if self._told:
            return
        self._catalog.store.spare(True)
        text = words.text("run.disk_full" if full else "run.disk_low", path=self._folder)
        self._catalog.alerts.raise_(AlertKind.BOX_DISK_FULL, _SUBJECT, text, self._clock.now())
        self._told = True
