"""The inspectors' page as a separate process (`site-agent serve`): attacks on it do not reach the recording.

It shares the catalog with the agent, which alone creates and repairs the database; it only reads the drives. What it
adds to the audit trail reaches the drive through the agent's journal.
"""

from __future__ import annotations

import logging
import os
import tempfile
import threading
import time
from pathlib import Path

from agent import i18n
from agent.catalog import Catalog
from agent.core import sd_notify
from agent.core.clock import Clock
from agent.core.errors import CatalogBlocked
from agent.drive import rebuild
from agent.settings.schema import Settings
from agent.settings.wiring import ClassBook, build_page_options
from agent.web.server import PageServer
from agent.website.http import landlock

log = logging.getLogger(__name__)
STOP_S = 1.7
_LOOK_S = 1.0
_SAY_S = 60.0
_CHECK_S = 5.0


class PageProcess:
    """The process of the page.

    `run` returns the exit status; afterwards `late` says whether one of its threads still hangs.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._file = settings.catalog_file
        self._broke = False
        self.late = False

    def run(self, stop: threading.Event) -> int:
        """Serve until `stop`; return 1 where the page failed or its database was replaced.

        Raises InputError, CatalogError.
        """
        if not self._settings.serve.enabled:
            log.info("%s", i18n.translate("web.off"))
            sd_notify.notify_systemd("READY=1", f"STATUS={i18n.translate('web.off')}")
            return 0
        with sd_notify.extend_start_timeout():
            catalog = self._open(stop)
        if catalog is None:
            return 0
        which = self._identity()
        catalog.load_all()
        page = PageServer(catalog, self._clock, build_page_options(self._settings), ClassBook(catalog).all)
        self._confine()
        thread = threading.Thread(target=self._serve, args=(page, stop), name="page", daemon=True)
        thread.start()
        sd_notify.notify_systemd("READY=1", f"STATUS={page.describe()}")
        status = self._watch(stop, which)
        sd_notify.notify_systemd("STOPPING=1")
        stop.set()
        thread.join(STOP_S)
        self.late = thread.is_alive()
        page.close()
        if not self.late:
            catalog.close()
        return 1 if self._broke else status

    def _open(self, stop: threading.Event) -> Catalog | None:
        """Return the agent's database once it exists; None where `stop` came first.

        It is not created here: the agent would take the new one for a database that lost nothing, and would not
        rebuild it from the drives.
        """
        said = float("-inf")
        while not stop.is_set():
            why = i18n.translate("web.no_catalog", file=self._file)
            if rebuild.is_complete(self._file):
                try:
                    return Catalog(self._file, self._settings.zone)
                except CatalogBlocked as error:
                    why = str(error)
            if time.monotonic() - said >= _SAY_S:
                said = time.monotonic()
                log.warning("%s", why)
                sd_notify.notify_systemd(f"STATUS={why}")
            self._clock.wait(stop, _LOOK_S)
        return None

    def _identity(self) -> tuple[int, int] | None:
        try:
            state = self._file.stat()
        except OSError:
            return None
        return state.st_dev, state.st_ino

    def _confine(self) -> None:
        """Restrict writing to the state folder, for this thread and all that start later."""
        scratch = self._settings.state_dir / "page" / "tmp"
        # SQLite, too, uses it for large sorts
        tempfile.tempdir = os.environ["TMPDIR"] = str(scratch)
        try:
            scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
            held = landlock.confine_writes([self._settings.state_dir, Path("/dev")])
        except OSError as error:
            log.warning("%s", i18n.translate("web.not_confined", detail=error.strerror or error))
        else:
            if not held:
                log.info("%s", i18n.translate("web.not_confined", detail="Landlock"))

    def _serve(self, page: PageServer, stop: threading.Event) -> None:
        try:
            page.run(stop, lambda: sd_notify.notify_systemd("WATCHDOG=1", f"STATUS={page.describe()}"))
        except Exception:  # outermost frame of the thread: log, end the process, let systemd start it again
            log.exception("%s", i18n.translate("run.page_failed"))
            self._broke = True
        finally:
            self._broke = self._broke or not stop.is_set()
            stop.set()

    def _watch(self, stop: threading.Event, which: tuple[int, int] | None) -> int:
        """Wait for `stop`. Return 1 where the database was replaced, else 0.

        The agent sets a damaged database aside and makes a new one; this process must then restart, or it would go on
        writing to the old one.
        """
        while not self._clock.wait(stop, _CHECK_S):
            if self._identity() != which:
                log.warning("%s", i18n.translate("web.exchanged", file=self._file))
                return 1
        return 0


def exit_now(status: int) -> None:
    """Exit without waiting for threads that hang on a dead disk, as Python would."""
    logging.shutdown()
    os._exit(status)
