"""Events and alerts of a camera from which no pictures come: one lasting event at a time, an alert after a while, its end."""

from __future__ import annotations

import logging
import threading
from datetime import datetime, timedelta

from agent import i18n
from agent.catalog import Catalog
from agent.core.alert_model import AlertKind
from agent.core.clock import Clock
from agent.core.errors import CatalogError
from agent.recording.assignment import Assignment, AssignmentLookup

log = logging.getLogger(__name__)
_REPEAT_AFTER = timedelta(minutes=15)
_CAMERA_KINDS = ("camera.down", "stream.stalled", "camera.exchanged")


class Outage:
    """The trouble of one camera. Kinds of its events: camera.down, stream.stalled, camera.exchanged, camera.refused, drive.*.

    The alert goes out on time although the recorder may be blocked in a call that a hung camera does not answer: a separate
    thread waits for that instant, from the beginning of the trouble to its end.
    """

    def __init__(
        self, camera_id: str, catalog: Catalog, clock: Clock, plan: AssignmentLookup, offline_seconds: float
    ) -> None:
        self._camera_id, self._catalog, self._offline_seconds = camera_id, catalog, offline_seconds
        self._clock, self._plan = clock, plan
        self._lock = threading.RLock()
        self._over = threading.Event()
        self._waiting: threading.Thread | None = None
        self._event: int | None = None
        self.kind: str | None = None
        self.since: datetime | None = None
        self._rest_reported = False

    def begin(self, kind: str, at: datetime, detail: str, drive_id: str | None = None) -> bool:
        """Note trouble of `kind` since `at`, which ends trouble of another kind; return True where it is new."""
        with self._lock:
            return self._begin(kind, at, detail, drive_id)

    def _begin(self, kind: str, at: datetime, detail: str, drive_id: str | None) -> bool:
        if kind == self.kind:
            return False
        if self._event is not None:
            self._catalog.events.end(self._event, at)
        self._event = self._catalog.events.add(
            kind, at, camera_id=self._camera_id, drive_id=drive_id, detail={"detail": detail}
        )
        if self.since is None or kind.startswith("drive."):
            self.since = at
        self.kind = kind
        if kind in _CAMERA_KINDS:
            self._catalog.cameras.set_up(self._camera_id, False)
            self._wait_for_alarm(detail)
        return True

    def _wait_for_alarm(self, why: str) -> None:
        if self._waiting is not None and self._waiting.is_alive() and not self._over.is_set():
            return
        self._over = threading.Event()
        self._waiting = threading.Thread(
            target=self._alarm, args=(self._over, why), daemon=True, name=f"outage-{self._camera_id}"
        )
        self._waiting.start()

    def _alarm(self, over: threading.Event, why: str) -> None:
        """Raise the alert when the trouble has lasted long enough, or the plan begins in it."""
        since = self.since or self._clock.now()
        pause = self._offline_seconds - (self._clock.now() - since).total_seconds()
        while not self._clock.wait(over, max(0.2, pause)):
            now = self._clock.now()
            try:
                assignment = self._plan(now)
                if assignment and self.warn(now, assignment, why):
                    return
            except CatalogError as error:
                log.warning("%s: %s", self._camera_id, error)
            pause = 1.0

    def warn(self, now: datetime, assignment: Assignment, why: str, *, rests: bool = False) -> bool:
        """Raise `camera.offline` where the stream has been away for long enough in planned time; return True where it has.

        `rests`: nothing is tried for a while, since the password was wrong too often; the installer has to know.
        """
        with self._lock:
            return self._warn(now, assignment, why, rests)

    def _warn(self, now: datetime, assignment: Assignment, why: str, rests: bool) -> bool:
        if self.since is None or self.kind not in _CAMERA_KINDS:
            return False
        # the clock was set back: it would take hours until a time in the future lies half a minute back
        self.since = min(self.since, now)
        begun = max(self.since, assignment[1].start)
        if (now - begun).total_seconds() < self._offline_seconds:
            return False
        alert = self._catalog.alerts.open_one(AlertKind.CAMERA_OFFLINE, self._camera_id)
        news = rests and not self._rest_reported
        if alert and alert.class_id and not news and timedelta() <= now - alert.at < _REPEAT_AFTER:
            return True  # the text differs with each attempt, so it must not count as new
        self._rest_reported = rests
        place = assignment[1]
        self._catalog.alerts.raise_(
            AlertKind.CAMERA_OFFLINE,
            self._camera_id,
            i18n.translate("recording.offline", camera_id=self._camera_id, detail=why),
            now,
            since=begun,
            class_id=place.class_id,
            day=place.date,
            session=place.session,
            camera_id=self._camera_id,
        )
        return True

    def end(self, at: datetime) -> None:
        """Note that pictures are being recorded: the event ends and the alert is cleared."""
        self.close()
        with self._lock:
            if self._event is not None:
                self._catalog.events.end(self._event, at)
            self._event = self.kind = self.since = None
            self._rest_reported = False
            self._catalog.cameras.set_up(self._camera_id, True)
            self._catalog.alerts.clear(AlertKind.CAMERA_OFFLINE, self._camera_id, at)

    def close(self) -> None:
        """Raise no alert any more."""
        self._over.set()


class SilenceWatch:
    """Raises `sound.missing` where sound is required and none comes; clears it when it does."""

    def __init__(self, camera_id: str, catalog: Catalog, silent_seconds: float) -> None:
        self._camera_id, self._catalog, self._silent_seconds = camera_id, catalog, silent_seconds
        self._raised: bool | None = None

    def see(self, now: datetime, assignment: Assignment, silent_for: float, offered: bool) -> None:
        """Raise or clear the alert. `silent_for`: seconds since the last sound; `offered`: the stream has a sound track."""
        missing = not offered or silent_for >= self._silent_seconds
        if missing == self._raised:
            return
        self._raised = missing
        if not missing:
            self._catalog.alerts.clear(AlertKind.SOUND_MISSING, self._camera_id, now)
            return
        place = assignment[1]
        self._catalog.alerts.raise_(
            AlertKind.SOUND_MISSING,
            self._camera_id,
            i18n.translate("recording.no_sound", camera_id=self._camera_id),
            now,
            class_id=place.class_id,
            day=place.date,
            session=place.session,
            camera_id=self._camera_id,
        )
