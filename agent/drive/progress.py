"""A progress bar: share, rate, time left. Nothing is shown where the output is not a terminal."""

from __future__ import annotations

import time
from typing import Self, TextIO

_STEP_S = 0.25
_WIDTH = 30


class ProgressBar:
    """Shows the progress of reading `total` bytes on `out`."""

    def __init__(self, total: int, out: TextIO) -> None:
        self._total = max(1, total)
        self._out = out
        self._done = 0
        self._began = self._shown = time.monotonic()
        self._live = out.isatty()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._out.write("\r\x1b[K")
            self._out.flush()

    def advance(self, size: int) -> None:
        """Add bytes done and redraw the bar at most every _STEP_S seconds."""
        self._done += size
        now = time.monotonic()
        if self._live and now - self._shown >= _STEP_S:
            self._shown = now
            self._out.write("\r" + self.line(now - self._began) + "\x1b[K")
            self._out.flush()

    def line(self, seconds: float) -> str:
        """Return the bar as text, `seconds` after the start."""
        share = min(1.0, self._done / self._total)
        rate = self._done / max(seconds, 1e-6)
        left = (self._total - self._done) / rate if rate else 0.0
        filled = round(share * _WIDTH)
        return f"[{'#' * filled}{'.' * (_WIDTH - filled)}] {share:4.0%} {rate / 1e6:.0f} MB/s {left:.0f} s"
