"""Threads with names: started in order, watched, joined in reverse.

A worker that ends by an error which is not the project's own is a bug: the whole process then stops in order with status 1, and
systemd starts it again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

log = logging.getLogger(__name__)
Work = Callable[[threading.Event], None]


class Crew:
    """`failed` is set as soon as one worker broke."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._threads: dict[str, threading.Thread] = {}
        self._lock = threading.Lock()
        self.failed = threading.Event()

    def start(self, name: str, work: Work) -> None:
        """Run `work(stop)` in a thread of its own; a name that runs already is left alone."""
        with self._lock:
            if name in self._threads or self._stop.is_set():
                return
            thread = threading.Thread(target=self._run, args=(name, work), name=name)
            self._threads[name] = thread
            thread.start()

    def names(self) -> list[str]:
        with self._lock:
            return list(self._threads)

    def join(self, seconds: float) -> list[str]:
        """Wait for all within `seconds`, the last started first; names of those that did not end in time."""
        deadline = time.monotonic() + seconds
        with self._lock:
            threads = list(reversed(self._threads.items()))
        for _, thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return [name for name, thread in threads if thread.is_alive()]

    def _run(self, name: str, work: Work) -> None:
        try:
            work(self._stop)
        except Exception:  # a thread's outermost edge: log, stop everything, let systemd restart
            log.exception("worker %s broke; stopping", name)
            self.failed.set()
            self._stop.set()
