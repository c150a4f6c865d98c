"""Which time of the video the readers of the player received, gathered until it is written to the catalog.

A player asks for a part of a few seconds at a time. Each of them counts once it was received whole; they are written together,
since each write of the catalog waits for the disk.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from agent.catalog import Catalog, deliveries
from agent.core.clock import Clock
from agent.core.errors import CatalogError
from agent.core.intervals import merge_intervals

log = logging.getLogger(__name__)
WRITE_S = 10.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class PlayedFilm:
    """What somebody plays: the video of one camera in one half-day; `film` names it in the catalog."""

    who: str
    class_id: str
    camera_id: str
    film: str


class PlayedTime:
    """Gathers what was received. Threads may share it."""

    def __init__(self, catalog: Catalog, clock: Clock) -> None:
        self._catalog = catalog
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: dict[PlayedFilm, list[tuple[int, int]]] = {}
        self._written = clock.monotonic()

    def add(self, film: PlayedFilm, start: datetime, stop: datetime) -> None:
        """Count the video from `start` to `stop` as received."""
        span = ((start - _EPOCH) // _MILLISECOND, (stop - _EPOCH) // _MILLISECOND)
        with self._lock:
            self._waiting[film] = merge_intervals([*self._waiting.get(film, []), span])
        self.tick()

    def tick(self) -> None:
        """Write what waits, if the last time was long enough ago; called often."""
        if self._clock.monotonic() - self._written >= WRITE_S:
            self.tell()

    def tell(self) -> None:
        """Write what waits: somebody reads the audit, or the page ends."""
        with self._lock:
            waiting, self._waiting = self._waiting, {}
            self._written = self._clock.monotonic()
        now = self._clock.now()
        try:
            for film, spans in waiting.items():
                for span in spans:
                    self._catalog.deliveries.add(
                        now, film.who, film.class_id, film.camera_id, film.film, span, _to_times
                    )
            if waiting:
                self._catalog.deliveries.settle(now, waited=deliveries.SETTLE_DELAY)
        except CatalogError as error:
            log.warning("%s", error)


def _to_times(spans: Sequence[tuple[int, int]]) -> list[tuple[datetime, datetime]]:
    return [(_EPOCH + a * _MILLISECOND, _EPOCH + b * _MILLISECOND) for a, b in spans]
