"""Watches the free space on the box's own disk: spends the reserve when it is full, reports it, and restores it later."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from agent import i18n
from agent.catalog import Catalog
from agent.catalog.disk_reserve import DiskReserve
from agent.core.alert_model import AlertKind
from agent.core.clock import Clock
from agent.core.errors import CatalogError
from agent.core.periodic import ErrorLog, run_every

log = logging.getLogger(__name__)
INTERVAL_S = 2.0
_SUBJECT = "disk"


class DiskSpaceMonitor:
    """Watches the disk of the state folder, `folder`.

    The alert is open from the moment that the reserve is spent until it is restored.
    """

    def __init__(self, catalog: Catalog, clock: Clock, folder: Path) -> None:
        self._catalog = catalog
        self._clock = clock
        self._folder = folder
        self._reserve = DiskReserve(folder)
        self._told: bool | None = None

    def run(self, stop: threading.Event) -> None:
        errors = ErrorLog(log, expected=(CatalogError,))
        run_every(self._clock, stop, INTERVAL_S, self.run_once, errors=errors)

    def run_once(self) -> None:
        """Check the disk once. Raises CatalogError where it is full and no reserve was left to spend."""
        full = self._reserve.full()
        if full and self._reserve.spend():
            log.warning("%s", i18n.translate("run.reserve_spent", path=self._folder))
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
        text = i18n.translate("run.disk_full" if full else "run.disk_low", path=self._folder)
        self._catalog.alerts.raise_(AlertKind.BOX_DISK_FULL, _SUBJECT, text, self._clock.now())
        self._told = True
