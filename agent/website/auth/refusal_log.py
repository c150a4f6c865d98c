"""Writes refused requests into the audit, which can never be trimmed: a few rows an hour, however many there are.

Rows are limited by sender (`throttle.origin`) and kind, never by what the sender chooses (name, path). What exceeds the limit
is only counted, and one row at the end of the hour reports how much that was.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from agent.core.clock import Clock, format_local
from agent.website.auth.stores import AuditStore

HOUR_S = 3600.0
FROM_ONE = 3
"""Rows an hour of one kind from one sender."""
MOST = 20
"""Rows an hour in all: for strangers, and as many again for those who are signed in."""
SUMMARY = "refused.more"
_MOST_ORIGINS = 1000


class Refusals:
    """The limited writer; thread-safe. Call `tick` now and then to end an hour that is over."""

    def __init__(self, audit: AuditStore, clock: Clock, zone: ZoneInfo) -> None:
        self._audit = audit
        self._zone = zone
        self._clock = clock
        self._lock = threading.Lock()
        self._begin(None)

    def _begin(self, at: datetime | None) -> None:
        self._since, self._from = self._clock.monotonic(), at
        self._written: Counter[tuple[str, str, bool]] = Counter()
        self._held: Counter[str] = Counter()
        self._origins: set[str] = set()

    def add(
        self, who: str, origin: str, action: str, object_: str, detail: Mapping[str, object], *, signed_in: bool
    ) -> None:
        """Write a row, or count it for the hour's last row. The kind is the action with the reason in `detail`."""
        self.tick()
        kind = f"{action} {detail.get('reason', '')}".strip()
        with self._lock:
            key = (origin, kind, signed_in)
            everybody = sum(n for (_, _, inside), n in self._written.items() if inside is signed_in)
            if self._written[key] >= FROM_ONE or everybody >= MOST:
                self._held[kind] += 1
                if len(self._origins) < _MOST_ORIGINS:
                    self._origins.add(origin)
                return
            if self._from is None:
                self._begin(self._clock.now())
            self._written[key] += 1
        self._audit.add(self._clock.now(), who, action, object_, detail)

    def tick(self) -> None:
        """Write how many were held back, once the hour is over."""
        if self._from is not None and self._clock.monotonic() - self._since >= HOUR_S:
            self.close()

    def close(self) -> None:
        """End the hour now and report what was held back."""
        with self._lock:
            since, held, origins = self._from, dict(self._held), len(self._origins)
            self._begin(None)
        if since is not None and held:
            zone, now = self._zone, self._clock.now()
            summary = {
                "from": format_local(since, zone),
                "to": format_local(now, zone),
                "held": held,
                "origins": origins,
            }
            self._audit.add(now, "page", SUMMARY, "", summary)
