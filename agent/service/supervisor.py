"""Supervises the worker threads: starts them in order, restarts those that were blocked, joins them in reverse.

A worker that ends with an error is a bug: the whole process then stops in order with status 1, and systemd starts it
again. A blocked catalog (its disk is full, a command holds it) is not a bug, and neither is running out of
descriptors, memory or threads: the worker is restarted a little later.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from agent import i18n
from agent.core import shortage
from agent.core.errors import CatalogBlocked, Shortage

log = logging.getLogger(__name__)
WorkerJob = Callable[[threading.Event], None]


class Supervisor:
    """Supervisor of named threads.

    `failed` is set as soon as one worker failed. `pause_s`: delay before a worker that raised CatalogBlocked or ran
    out of resources is restarted.
    """

    def __init__(self, stop: threading.Event, pause_s: float = 5.0) -> None:
        self._stop = stop
        self._pause_s = pause_s
        self._threads: dict[str, threading.Thread] = {}
        self._abandoned: list[threading.Thread] = []
        self._lock = threading.Lock()
        self.failed = threading.Event()

    def start(self, name: str, work: WorkerJob) -> None:
        """Run `work(stop)` in a new thread. Raises Shortage where no thread can be added.

        A name that is running already is left alone.
        """
        with self._lock:
            if name in self._threads or self._stop.is_set():
                return
            thread = threading.Thread(target=self._run, args=(name, work), name=name)
            with shortage.convert_shortage():
                thread.start()
            # only now: a thread that could not be started must not count as running
            self._threads[name] = thread

    def abandon(self, name: str) -> None:
        """Give up a worker that hangs: its name is free for another one, and nobody waits for it at the end."""
        with self._lock:
            if thread := self._threads.pop(name, None):
                self._abandoned.append(thread)

    def hanging(self) -> list[str]:
        """Return the names of the abandoned workers that still hang."""
        with self._lock:
            return [thread.name for thread in self._abandoned if thread.is_alive()]

    def names(self) -> list[str]:
        with self._lock:
            return list(self._threads)

    def join(self, seconds: float) -> list[str]:
        """Wait for all within `seconds`, the last started first; return the names of those that did not end in time."""
        deadline = time.monotonic() + seconds
        with self._lock:
            threads = list(reversed(self._threads.items()))
        for _, thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return [name for name, thread in threads if thread.is_alive()] + self.hanging()

    def _run(self, name: str, work: WorkerJob) -> None:
        try:
            while self._turned_away(work):
                self._stop.wait(self._pause_s)
        except Exception:  # outermost frame of a thread: log, stop everything, let systemd restart
            if threading.current_thread() in self._abandoned:
                log.exception("%s", i18n.translate("run.left_failed", name=name))
                return
            log.exception("%s", i18n.translate("run.worker_failed", name=name))
            self.failed.set()
            self._stop.set()

    def _turned_away(self, work: WorkerJob) -> bool:
        try:
            work(self._stop)
        except CatalogBlocked as error:
            log.warning("%s", error)
        except (OSError, MemoryError, RuntimeError, Shortage) as error:
            found = shortage.find_shortage(error)
            if found is None:
                raise
            words = i18n.translate("run.worker_restarted", name=threading.current_thread().name, detail=found)
            log.warning("%s", words)
        else:
            return False
        return not self._stop.is_set()
