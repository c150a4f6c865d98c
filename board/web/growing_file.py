"""A file that a box is pushing, read as if all of it were here: a reader waits for what has not come yet."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from pathlib import Path
from threading import Event

from agent.core.clock import Clock

_BLOCK = 256 << 10
_WAIT_S = 0.2
_PATIENCE_S = 60.0


class PushedFile:
    """`size` is the announced one. `is_coming` says whether more may come; a reader waits for it for a minute at most."""

    def __init__(
        self, folder: Path, name: str, sha256: str, size: int, clock: Clock, is_coming: Callable[[], bool]
    ) -> None:
        self.size = size
        self._paths = (folder / name, folder / f"{sha256}.part")
        self._clock = clock
        self._is_coming = is_coming

    def exists(self) -> bool:
        """Return whether any of it is here."""
        return any(path.exists() for path in self._paths)

    def read(self, start: int = 0, stop: int | None = None) -> Generator[bytes]:
        """Yield the bytes [start, stop); an empty block while more is awaited. It ends early where nothing comes any more."""
        at, end = start, self.size if stop is None else min(stop, self.size)
        moved = self._clock.monotonic()
        while at < end:
            block = self._read_at(at, min(_BLOCK, end - at))
            if block:
                at, moved = at + len(block), self._clock.monotonic()
                yield block
                continue
            if self._clock.monotonic() - moved > _PATIENCE_S or not self._is_coming():
                return
            self._clock.wait(Event(), _WAIT_S)
            yield b""

    def _read_at(self, offset: int, count: int) -> bytes:
        """Return what is here from an offset; the file has another name once it is whole."""
        for path in self._paths:
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            try:
                return os.pread(descriptor, count, offset)
            finally:
                os.close(descriptor)
        return b""
