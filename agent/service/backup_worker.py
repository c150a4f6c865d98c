"""Makes a backup of the box on the evidence drive each night, or as soon after it as no lesson is on."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from agent import i18n
from agent.backup.box_backup import DAY_FACT, BackupSource, back_up_to_drive
from agent.backup.recovery_key import RECOVERY_FILE
from agent.backup.workplace import clear_leftovers
from agent.catalog import Catalog
from agent.core.clock import Clock, get_local_day
from agent.core.errors import SiteAgentError
from agent.core.periodic import ErrorLog, run_every
from agent.drive import Drive
from agent.settings.schema import Settings

log = logging.getLogger(__name__)
_CHECK_S = 900.0
_FROM_HOUR = 2


class BackupWorker:
    """Polls; `drives` returns the writable drives, the one in use first, `busy` whether a lesson is on or near."""

    def __init__(
        self,
        settings: Settings,
        file: Path,
        catalog: Catalog,
        clock: Clock,
        *,
        drives: Callable[[], list[Drive]],
        busy: Callable[[], bool],
    ) -> None:
        self._settings = settings
        self._file = file
        self._catalog = catalog
        self._clock = clock
        self._drives = drives
        self._busy = busy

    def run(self, stop: threading.Event) -> None:
        self._clear_leftovers()
        errors = ErrorLog(log, expected=(SiteAgentError,))
        run_every(self._clock, stop, _CHECK_S, self.run_once, errors=errors)

    def _clear_leftovers(self) -> None:
        """Clear what a killed backup or restore left, passwords in clear text among it; name what is root's."""
        try:
            for left in clear_leftovers(self._settings.state_dir):
                log.warning("%s", i18n.translate("backup.left", folder=left))
        except OSError as error:
            log.warning("%s", error)

    def run_once(self) -> Path | None:
        """Make today's backup where it is due; return its file. Raises SiteAgentError."""
        now = self._clock.now()
        day = get_local_day(now, self._settings.zone).isoformat()
        if now.astimezone(self._settings.zone).hour < _FROM_HOUR or self._catalog.facts.get(DAY_FACT) == day:
            return None
        if not (self._file.absolute().parent / RECOVERY_FILE).exists() or self._busy():
            return None
        drive = next((drive for drive in self._drives() if not drive.is_sealed()), None)
        if drive is None:
            return None
        made = back_up_to_drive(BackupSource(self._settings, self._file, self._catalog), drive, now)
        self._catalog.facts.put(DAY_FACT, day)
        log.info("%s", i18n.translate("backup.made", file=made.file, size=f"{made.size / 1e6:.1f}", key_id=made.key_id))
        return made.file
