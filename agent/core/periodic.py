"""Repeat a job in a worker's thread until the agent stops, and log the job's errors once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType

from agent.core.clock import Clock
from agent.core.errors import SiteAgentError


class ErrorLog:
    """Context manager that logs the expected errors of its body and lets the caller go on.

    An error is logged when it appears and when its text changes; the same error again is silent until the body has once
    succeeded. `message` is the log line with one %s for the error. Other exceptions pass through.
    """

    def __init__(
        self,
        log: logging.Logger,
        message: str = "%s",
        *,
        expected: tuple[type[SiteAgentError], ...] = (SiteAgentError,),
        level: int = logging.WARNING,
    ) -> None:
        self._log = log
        self._message = message
        self._expected = expected
        self._level = level
        self._last: str | None = None

    @property
    def failing(self) -> bool:
        """Whether the body failed the last time."""
        return self._last is not None

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None:
            self._last = None
            return False
        if not isinstance(error, self._expected):
            return False
        if str(error) != self._last:
            self._last = str(error)
            self._log.log(self._level, self._message, error)
        return True


def run_every(
    clock: Clock,
    stop: threading.Event,
    seconds: float,
    job: Callable[[], object],
    *,
    errors: ErrorLog | None = None,
    first_s: float = 0.0,
    back_off_s: float | None = None,
) -> None:
    """Call `job`, wait `seconds`, and so on until `stop` is set; the first call comes after `first_s`.

    `errors` logs what the job may raise and goes on, after `back_off_s` where that is given; without it every error ends
    the loop.
    """
    if first_s and clock.wait(stop, first_s):
        return
    guard: AbstractContextManager[None, bool | None] = errors or nullcontext()
    while not stop.is_set():
        with guard:
            job()
        failed = errors is not None and errors.failing
        clock.wait(stop, back_off_s if failed and back_off_s is not None else seconds)
