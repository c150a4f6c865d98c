"""Which unit a connection is recorded from: asked in parallel to connecting, and written into the row of each segment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime

from agent.catalog import Catalog
from agent.core.camera_model import UnitCheck


class UnitQuestion:
    """Asks which unit answers at the camera's address, in a thread of its own: the answer may come late or never."""

    def __init__(self, camera_id: str, ask: Callable[[], UnitCheck] | None) -> None:
        self._camera_id, self._ask = camera_id, ask
        self._thread: threading.Thread | None = None
        self._answer: UnitCheck | None = None

    @property
    def other(self) -> bool:
        """True where the last answer was that another unit is there."""
        return self._answer is UnitCheck.OTHER

    def put(self, wait_s: float) -> UnitCheck:
        """Ask, and wait for at most `wait_s` seconds; return SILENT where no answer has come by then."""
        if self._ask is None:
            return UnitCheck.SILENT
        if self._thread is None or not self._thread.is_alive():
            self._answer = None
            self._thread = threading.Thread(target=self._run, daemon=True, name=f"identity-{self._camera_id}")
            self._thread.start()
        self._thread.join(wait_s)
        return self._answer or UnitCheck.SILENT

    def _run(self) -> None:
        assert self._ask is not None
        self._answer = self._ask()


class RecordedUnit:
    """The unit of one connection that began at `since`: its serial, and whether it was checked since then."""

    def __init__(self, catalog: Catalog, camera_id: str, serial: str, since: datetime) -> None:
        self._catalog, self._camera_id, self._since = catalog, camera_id, since
        self.serial = serial
        self._verified = self._signs = False

    def note_signing(self) -> None:
        """Store, once, that this unit signs its pictures."""
        if not self._signs:
            self._catalog.cameras.note_signing(self._camera_id, self.serial)
            self._signs = True

    def unchecked_since(self) -> datetime | None:
        """Return the last check of its identity; None once it was checked on this connection, or where nothing can be asked."""
        if self._verified or not self.serial:
            return None
        camera = self._catalog.cameras.get(self._camera_id)
        if camera is None:
            return None
        if camera.checked_at is None:
            return self._since
        if camera.checked_at >= self._since and camera.serial == self.serial:
            self._verified = True
            self._catalog.segments.verified(self._camera_id, self._since)
            return None
        return camera.checked_at
