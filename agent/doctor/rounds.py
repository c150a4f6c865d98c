"""The service's self-examination: the doctor's checks every few minutes, stored for page, API and heartbeat.

It never disturbs the recording: what is costly (the drives' speed, the whole database, the broker's certificate) runs
once a day and only while no class is on; in between the last findings of these remain. Where nobody logs in for
months, this is how a remote person learns what is wrong and what the remedy is.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace

from agent.catalog import Catalog
from agent.catalog.health import Examination, HealthFinding
from agent.core.clock import Clock
from agent.core.periodic import ErrorLog, run_every
from agent.doctor.box import BoxFacts
from agent.doctor.examine import examine

log = logging.getLogger(__name__)
FIRST_S = 15.0
"""Delay after the start: by then cameras have been found and the broker has answered."""
EVERY_S = 300.0
DEEP_S = 86_400.0
_COSTLY = ("database", "certificate.broker")
PATIENCE_S = 5.0
"""Time limit of each check: the service has 14 s in all to stop."""


class ExaminationRounds:
    """Runs the checks. `box` returns what to examine, as it is now; `busy` says whether a class is being recorded."""

    def __init__(
        self,
        catalog: Catalog,
        clock: Clock,
        box: Callable[[], BoxFacts],
        busy: Callable[[], bool],
        first_s: float = FIRST_S,
    ) -> None:
        self._catalog = catalog
        self._clock = clock
        self._box = box
        self._busy = busy
        self._first_s = first_s
        self._deep_at: float | None = None

    def run(self, stop: threading.Event) -> None:
        errors = ErrorLog(log)
        run_every(self._clock, stop, EVERY_S, lambda: self.run_once(stop), errors=errors, first_s=self._first_s)

    def run_once(self, stop: threading.Event) -> None:
        """Examine and store the findings; nothing is stored where `stop` was set meanwhile. Raises CatalogError."""
        deep = self._deep_is_due()
        box = replace(self._box(), deep=deep)
        found: list[HealthFinding] = []
        for finding in examine(box, patience_s=PATIENCE_S):
            found.append(finding)
            if stop.is_set():
                return
        last = self._catalog.health.last()
        if deep:
            self._deep_at = self._clock.monotonic()
        elif last is not None:
            found += _select_still_true(last.findings, found)
        self._catalog.health.put(Examination(box.now, tuple(found)))

    def _deep_is_due(self) -> bool:
        due = self._deep_at is None or self._clock.monotonic() - self._deep_at >= DEEP_S
        return due and not self._busy()


def _select_still_true(before: Iterable[HealthFinding], now: Iterable[HealthFinding]) -> list[HealthFinding]:
    """Return earlier findings of costly checks that nothing has replaced; those of a drive only while it is there."""
    known = {f.check: f.severity for f in now}
    return [
        f
        for f in before
        if f.check not in known
        and (f.check in _COSTLY or (f.check.endswith(".speed") and known.get(f.check.removesuffix(".speed")) == "ok"))
    ]
