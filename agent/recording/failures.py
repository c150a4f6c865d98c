"""Reports to the ledger, the alerts and the log why a camera is not recorded."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from agent import i18n
from agent.catalog import Catalog
from agent.core.camera_model import Verdict
from agent.core.clock import Clock
from agent.core.errors import CameraError, CatalogError, DriveError
from agent.credentials.attempts import ATTEMPTS_PAUSED
from agent.recording.assignment import Assignment, AssignmentLookup
from agent.recording.options import RecordingOptions
from agent.recording.outage import Outage

log = logging.getLogger(__name__)


class Stalled(CameraError):
    """The camera is connected, but no picture comes."""


class CameraExchanged(CameraError):
    """Another unit answers where the camera was recorded from."""


class CameraWithdrawn(CameraError):
    """The camera may not be recorded any more."""


class FailureReporter:
    """Reports why one camera is not recorded. `last_picture`: end of the newest picture recorded, None before the first."""

    def __init__(
        self, camera_id: str, catalog: Catalog, clock: Clock, plan: AssignmentLookup, options: RecordingOptions
    ) -> None:
        self._camera_id, self._catalog, self._clock, self._plan, self._options = (
            camera_id,
            catalog,
            clock,
            plan,
            options,
        )
        self._outage = Outage(camera_id, catalog, clock, plan, options.offline_seconds)
        self._started = clock.monotonic()
        self.last_picture: datetime | None = None

    def close(self) -> None:
        """Raise no alert any more."""
        self._outage.close()

    def report_earlier(self, since: datetime, why: str) -> None:
        """Report trouble that has lasted since before this recorder began."""
        try:
            self._outage.begin("camera.down", since, why)
            if assignment := self._plan(self._clock.now()):
                self._outage.warn(self._clock.now(), assignment, why)
        except CatalogError as error:
            log.warning("%s: %s", self._camera_id, error)

    def report_no_source(self, now: datetime, assignment: Assignment) -> None:
        """Report that there is no stream to connect to.

        The ledger keeps apart whether the camera was exchanged, refused, or not found. The first search after the start is
        given `offline_seconds`.
        """
        camera = self._catalog.cameras.get(self._camera_id)
        if camera is not None and camera.successor:
            why = "; ".join(camera.reasons)
            self._outage.begin("camera.exchanged", now, why)
            self._outage.warn(now, assignment, why)
        elif camera is not None and camera.verdict is Verdict.REFUSED:
            self._outage.begin("camera.refused", now, "not admitted")
        elif camera is not None or self._clock.monotonic() - self._started >= self._options.offline_seconds:
            why = i18n.translate("recording.not_found")
            self._outage.begin("camera.down", now, why)
            self._outage.warn(now, assignment, why)

    def report_camera(self, error: CameraError, asked: datetime) -> None:
        """Report a connection that failed or broke.

        `asked`: when the attempt began. A camera may have kept it waiting, and the alert is due by the time without pictures.
        """
        now = self._clock.now()
        since = now if self._outage.kind else self.last_picture or min(asked, now)
        if self._outage.begin(_event_kind(error), since, str(error)):
            log.warning("%s: %s", self._camera_id, error)
        self._catalog.cameras.ask(self._camera_id, now)
        if assignment := self._plan(now):
            self._outage.warn(now, assignment, str(error), rests=error.key == ATTEMPTS_PAUSED)

    def report_drive(self, error: DriveError) -> None:
        """Report a drive that cannot be written to."""
        if self._outage.begin(error.kind, self._clock.now(), str(error)):
            log.warning("%s: %s", self._camera_id, error)

    def report_hole(self, since: datetime) -> None:
        """Report that pictures are missing although the connection goes on."""
        self._outage.begin("stream.stalled", since, "hole")

    def report_no_key_frame(self, now: datetime, assignment: Assignment, lasting: float) -> None:
        """Report that pictures have come for `lasting` seconds of this connection, and none that a file can begin with.

        The connection stays: key frames may be far apart, and each new connection would begin in between.
        """
        why = i18n.translate("recording.no_key_frame")
        if self._outage.kind:
            self._outage.warn(now, assignment, why)
        elif lasting >= self._options.stall_seconds:
            self._outage.begin("stream.stalled", now - timedelta(seconds=lasting), why)
            log.warning("%s: %s", self._camera_id, why)

    def report_recording(self) -> None:
        """Report that pictures are being recorded: whatever was wrong has ended."""
        self._outage.end(self._clock.now())
        log.info("%s", i18n.translate("recording.records", camera_id=self._camera_id))


def _event_kind(error: CameraError) -> str:
    """Return the kind of event that says why nothing is recorded."""
    if isinstance(error, CameraExchanged):
        return "camera.exchanged"
    return "stream.stalled" if isinstance(error, Stalled) else "camera.down"
