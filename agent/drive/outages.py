"""Catalog events for the time without any usable drive, from which the gap ledger takes its reasons."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from agent.catalog import Catalog
from agent.core.alert_model import AlertKind

UNUSABLE_KINDS = (
    AlertKind.DRIVE_MISSING,
    AlertKind.DRIVE_WRONG,
    AlertKind.DRIVE_READ_ONLY,
    AlertKind.DRIVE_DENIED,
    AlertKind.DRIVE_ERROR,
    AlertKind.DRIVE_FULL,
)
"""States in which a drive cannot be recorded to."""


class OutageLog:
    """Writes one event for each period without a usable drive."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._event: int | None = None
        self._closed_earlier_run = False

    def begin(self, kind: str, root: Path, drive_id: str | None, now: datetime) -> None:
        """Start an outage unless one is open; `kind`, `root` and `drive_id` are those of the first mount point."""
        if self._event is None:
            self._event = self._catalog.events.add(kind, now, drive_id=drive_id, detail={"root": str(root)})

    def end(self, now: datetime) -> None:
        """End the open outage; the first call also ends one that a killed run left open."""
        if self._event is None and self._closed_earlier_run:
            return
        left = [e for kind in UNUSABLE_KINDS if (e := self._catalog.events.last(kind.value)) and e.until is None]
        for event in left:
            self._catalog.events.end(event.event_id, max(now, event.at))
        if left:
            self._catalog.events.add("drive.returned", now)
        self._event, self._closed_earlier_run = None, True
