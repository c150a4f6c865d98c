"""The inspectors' page as a process of its own (`site-agent serve`): what strangers do to it does not reach the recording.

It shares the catalog with the agent, which alone makes and mends the database; it reads the drives and writes none. What it
enters into the audit reaches the drive by the agent's own journal.
"""

from __future__ import annotations

import logging
import os
import tempfile
import threading
import time
from pathlib import Path

from agent import notify, words
from agent.catalog import Catalog
from agent.clock import Clock
from agent.drive import rebuild
from agent.errors import CatalogBlocked
from agent.settings import Settings
from agent.web import confine
from agent.web.server import PageServer
from agent.wiring import ClassBook, for_page

log = logging.getLogger(__name__)
STOP_S = 1.7
_LOOK_S = 1.0
_SAY_S = 60.0
_CHECK_S = 5.0


class PageProcess:
    """`run` returns the exit status; afterwards `late` says whether a thread of it still hangs."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._file = settings.catalog_file
        self._broke = False
        self.late = False

    def run(self, stop: threading.Event) -> int:
        """Serve until `stop`; 1 where the page broke or its database was exchanged. Raises InputError, CatalogError."""
        if not self._settings.serve.enabled:
            log.info("%s", words.text("web.off"))
            notify.tell("READY=1", f"STATUS={words.text('web.off')}")
            return 0
        with notify.more_time():
            catalog = self._open(stop)
        if catalog is None:
            return 0
        which = self._identity()
        page = PageServer(catalog, self._clock, for_page(self._settings), ClassBook(catalog).all)
        self._confine()
        thread = threading.Thread(target=self._serve, args=(page, stop), name="page", daemon=True)
        thread.start()
        notify.tell("READY=1", f"STATUS={words.text('web.serving', url=page.url)}")
        status = self._watch(stop, which)
        notify.tell("STOPPING=1")
        stop.set()
        thread.join(STOP_S)
        self.late = thread.is_alive()
        page.close()
        if not self.late:
            catalog.close()
        return 1 if self._broke else status

    def _open(self, stop: threading.Event) -> Catalog | None:
        """The agent's database once there is one; None where `stop` came first. One made here would look to the agent like one
        that lost nothing, and it would not be made again from the drives."""
        said = float("-inf")
        while not stop.is_set():
            why = words.text("web.no_catalog", file=self._file)
            if rebuild.is_whole(self._file):
                try:
                    return Catalog(self._file, self._settings.zone)
                except CatalogBlocked as error:
                    why = str(error)
            if time.monotonic() - said >= _SAY_S:
                said = time.monotonic()
                log.warning("%s", why)
                notify.tell(f"STATUS={why}")
            self._clock.wait(stop, _LOOK_S)
        return None

    def _identity(self) -> tuple[int, int] | None:
        try:
            state = self._file.stat()
        except OSError:
            return None
        return state.st_dev, state.st_ino

    def _confine(self) -> None:
        """What is written from now on lies in the state folder; threads that begin later keep to it too."""
        scratch = self._settings.state_dir / "page" / "tmp"
        # SQLite, too, takes large sorts there
        tempfile.tempdir = os.environ["TMPDIR"] = str(scratch)
        try:
            scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
            held = confine.to([self._settings.state_dir, Path("/dev")])
        except OSError as error:
            log.warning("%s", words.text("web.not_confined", detail=error.strerror or error))
        else:
            if not held:
                log.info("%s", words.text("web.not_confined", detail="Landlock"))

    def _serve(self, page: PageServer, stop: threading.Event) -> None:
        try:
            page.run(stop, lambda: notify.tell("WATCHDOG=1"))
        except Exception:  # the thread's outermost edge: log, end the process, let systemd start it again
            log.exception("the page broke; stopping")
            self._broke = True
        finally:
            self._broke = self._broke or not stop.is_set()
            stop.set()

    def _watch(self, stop: threading.Event, which: tuple[int, int] | None) -> int:
        """Until `stop`. The agent sets a damaged database aside and makes a new one: then this process must begin anew, or it
        would go on writing into the old one."""
        while not self._clock.wait(stop, _CHECK_S):
            if self._identity() != which:
                log.warning("%s", words.text("web.exchanged", file=self._file))
                return 1
        return 0


def end(status: int) -> None:
    """Leave although threads hang on a dead disk, which Python would wait for."""
    logging.shutdown()
    os._exit(status)
