"""Run history: when the agent ran, how it ended, and whether the wall clock was stepped meanwhile.

The gap ledger takes its reasons `agent_down`, `power_loss` and `clock_step` from the events written here.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from agent import i18n
from agent.catalog import Catalog
from agent.catalog.base import parse_moment
from agent.core import clock as clocks
from agent.core.alert_model import AlertKind
from agent.core.clock import Clock
from agent.core.periodic import run_every
from agent.service.start_time import StartTime

if TYPE_CHECKING:
    from agent.contract.statements import AgentStatement

ALIVE_S = 5.0
_STALE = timedelta(seconds=4 * ALIVE_S)
STEP_S = 2.0
MACHINE_BOOT_FILE = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class _EarlierRun:
    """The previous run: when it was last alive, whether it crashed, and the machine's boot that it ran in."""

    last: datetime
    crashed: bool
    boot: str | None


class RunHistory:
    """Writes the sign of life to the catalog and detects clock steps."""

    def __init__(self, catalog: Catalog, clock: Clock, *, machine_boot: str | None = None) -> None:
        self._catalog = catalog
        self._clock = clock
        self._machine_boot = machine_boot or MACHINE_BOOT_FILE.read_text(encoding="ascii").strip()
        self._offset: float | None = None
        self._step: datetime | None = None
        self._before: datetime | None = None
        self._version = ""
        self._start = StartTime(catalog, clock)

    def begin(self, version: str) -> None:
        """Record the start and, where the last run crashed, what happened since."""
        now, self._version = self._clock.now(), version
        past, alive = self._past(), parse_moment(self._catalog.facts.get("alive"))
        self._before = past.last if past else None
        if self._catalog.alerts.open_one(AlertKind.CLOCK_STEPPED, "clock"):
            self._step = now  # raised by the previous run, which can no longer clear it
        if past is not None and past.crashed:
            self._crashed(past, now)
        elif past is not None:
            self._away("agent.down", past.last, now)
        with self._catalog.store.write():
            self._catalog.events.add(
                "agent.started", now, detail={"version": version, "machine_boot": self._machine_boot}
            )
            self._state("started", now)
            self._catalog.facts.put("machine_boot", self._machine_boot)
            self._catalog.facts.put("alive", clocks.format_utc(now))
            self._catalog.facts.forget("stopped")
        self._start.begin(now)
        if (seconds := self._start.find_backward_step(alive or (past.last if past else None), now)) is not None:
            self._report_step(seconds, now)

    def end(self) -> None:
        """Record that the run ends in order."""
        now = self._clock.now()
        with self._catalog.store.write():
            self._catalog.events.add("agent.stopped", now)
            self._state("stopped", now)
            self._catalog.facts.put("alive", clocks.format_utc(now))
            self._catalog.facts.put("stopped", clocks.format_utc(now))

    def _state(self, state: Literal["started", "stopped"], now: datetime) -> None:
        last = self._before if state == "started" else None
        data: AgentStatement = {
            "state": state,
            "version": self._version,
            "last_alive": clocks.format_local(last, self._catalog.zone) if last else None,
            "clock": self._clock.trust(),
        }
        # what a killed run had finished comes before the start, what this run has finished before its end
        self._catalog.state_batches(now)
        self._catalog.outbox.put("agent", "agent", data, now)

    def run(self, stop: threading.Event) -> None:
        run_every(self._clock, stop, ALIVE_S, self.run_once, first_s=ALIVE_S)

    def run_once(self) -> None:
        now = self._clock.now()
        self._catalog.facts.put("alive", clocks.format_utc(now))
        self._watch_steps(now)
        if (seconds := self._start.find_shift(now)) is not None:
            self._report_step(seconds, now)

    def _past(self) -> _EarlierRun | None:
        """Return the previous run; None for a catalog without any trace of one."""
        facts, events = self._catalog.facts, self._catalog.events
        alive, boot = facts.get("alive"), facts.get("machine_boot")
        traces = events.traces()
        if alive is not None and (traces is None or traces[1] - clocks.parse_time(alive) <= _STALE):
            return _EarlierRun(clocks.parse_time(alive), facts.get("stopped") is None, boot)
        if traces is None:
            return None
        started, stopped = events.last("agent.started"), events.last("agent.stopped")
        if started is None:
            # the very first start: classes may have been under way
            return _EarlierRun(traces[0], False, None)
        # a catalog rebuilt from the drive has no facts; those of yesterday's copy say nothing about the last
        # run
        crashed = stopped is None or stopped.at < started.at
        return _EarlierRun(traces[1], crashed, started.detail.get("machine_boot"))

    def _crashed(self, past: _EarlierRun, now: datetime) -> None:
        last, same_boot = past.last, past.boot == self._machine_boot
        self._away("agent.down" if same_boot else "power.lost", last, now)
        message = i18n.translate("life.restarted" if same_boot else "life.power_lost")
        self._catalog.alerts.raise_(AlertKind.AGENT_RESTARTED, "agent", message, now, since=min(last, now))
        self._catalog.alerts.clear(AlertKind.AGENT_RESTARTED, "agent", now)

    def _away(self, kind: str, last: datetime, now: datetime) -> None:
        event = self._catalog.events.add(kind, min(last, now))
        self._catalog.events.end(event, now)

    def _watch_steps(self, now: datetime) -> None:
        offset = now.timestamp() - self._clock.monotonic()
        before, self._offset = self._offset, offset
        if before is not None and abs(offset - before) > STEP_S:
            self._report_step(offset - before, now)
        elif self._step and now - self._step > timedelta(minutes=10):
            self._catalog.alerts.clear(AlertKind.CLOCK_STEPPED, "clock", now)
            self._step = None

    def _report_step(self, seconds: float, now: datetime) -> None:
        detail: dict[str, object] = {"seconds": round(seconds, 3)}
        if self._before is not None and now - timedelta(seconds=seconds) < self._before < now:
            # a box without a clock battery starts in 1970: the time before its last run was not
            # skipped
            detail["from"] = clocks.format_utc(self._before)
        with self._catalog.store.write():
            self._catalog.events.add("clock.stepped", now, detail=detail)
            message = i18n.translate("life.stepped", seconds=f"{seconds:+.1f}")
            self._catalog.alerts.raise_(AlertKind.CLOCK_STEPPED, "clock", message, now)
        self._step = now
