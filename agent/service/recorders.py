"""The recorders of a running agent: one thread for each camera, replaced where it hangs."""

from __future__ import annotations

import logging
import threading
from datetime import datetime, timedelta

from agent import i18n
from agent.cameras.identity import IdentityCheck
from agent.catalog import Catalog
from agent.core.clock import Clock
from agent.core.errors import SiteAgentError
from agent.core.periodic import run_every
from agent.credentials.attempts import AttemptBudget
from agent.drive.monitor import DriveMonitor
from agent.recording.inputs import RecorderEvents, RecorderInputs
from agent.recording.recorder import Recorder
from agent.recording.recover import list_open_rows, recover_rows
from agent.service.supervisor import Supervisor
from agent.service.watchdog import STALE_S
from agent.settings import wiring
from agent.settings.schema import Settings

log = logging.getLogger(__name__)
_NEW_CAMERAS_S = 1.0
_MAX_HANGING = 2
"""With more hanging recorders than this the whole agent is restarted: each keeps memory and open files."""


class RecorderPool:
    """Starts a recorder for each camera that is known or planned, and recovers what nobody else will finish.

    `plans` answers what a camera has to record and from where.
    """

    def __init__(
        self,
        settings: Settings,
        catalog: Catalog,
        clock: Clock,
        *,
        plans: wiring.CameraPlans,
        drives: DriveMonitor,
        budget: AttemptBudget,
        supervisor: Supervisor,
    ) -> None:
        self._settings = settings
        self._catalog = catalog
        self._clock = clock
        self._plans = plans
        self._drives = drives
        self._budget = budget
        self._supervisor = supervisor
        self._identity = IdentityCheck(catalog, clock, wiring.build_camera_options(settings), budget)
        self._by_camera: dict[str, Recorder] = {}

    def run(self, stop: threading.Event) -> None:
        run_every(self._clock, stop, _NEW_CAMERAS_S, self.run_once)

    def run_once(self) -> None:
        """Start recorders for cameras that are new. Raises CatalogError."""
        ids = self._plans.planned_cameras() | {c.camera_id for c in self._catalog.cameras.all()}
        for camera_id in sorted(ids):
            if camera_id not in self._by_camera:
                self._start(camera_id)
        self._recover_others(ids)

    def still_s(self, camera_id: str) -> float:
        """Return for how many seconds the camera's recorder has made no progress."""
        recorder = self._by_camera.get(camera_id)
        return recorder.still_s() if recorder else 0.0

    def count_lost(self) -> dict[str, int]:
        """Return for each camera how many RTP packets its recorder has not got."""
        return {camera_id: recorder.lost for camera_id, recorder in self._by_camera.copy().items()}

    def replace(self, camera_id: str) -> bool:
        """Abandon a recorder that hangs and start another; return False where too many hang already."""
        hangs = self._by_camera.get(camera_id)
        if hangs is None or len(self._supervisor.hanging()) >= _MAX_HANGING:
            return False
        hangs.abandon()
        self._supervisor.abandon(_name_thread(camera_id))
        since = self._clock.now() - timedelta(seconds=STALE_S)
        self._start(camera_id, (since, i18n.translate("recording.hangs", camera_id=camera_id)))
        return True

    def _start(self, camera_id: str, trouble: tuple[datetime, str] | None = None) -> None:
        self._by_camera[camera_id] = recorder = self._recorder(camera_id, trouble)
        self._supervisor.start(_name_thread(camera_id), recorder.run)

    def _recover_others(self, camera_ids: set[str]) -> None:
        """Finish open segments on drives that are not in use, and those of cameras without a recorder.

        A recorder recovers its own on the drive in use.
        """
        for number, drive in enumerate(self._drives.healthy()):
            rows = [r for r in list_open_rows(self._catalog, drive) if number or r.camera_id not in camera_ids]
            try:
                recover_rows(self._catalog, drive, rows, self._clock)
            except SiteAgentError as error:
                log.warning("%s", error)

    def _recorder(self, camera_id: str, trouble: tuple[datetime, str] | None) -> Recorder:
        inputs = RecorderInputs(
            source=lambda: self._plans.source(camera_id),
            plan=lambda moment: self._plans.plan(camera_id, moment),
            drive=self._drives.current,
            identify=lambda: self._identity.ask(camera_id),
            budget=self._budget,
        )
        return Recorder(
            camera_id,
            inputs,
            self._catalog,
            self._clock,
            wiring.build_recording_options(self._settings),
            RecorderEvents(complain=self._drives.complain),
            trouble,
        )


def _name_thread(camera_id: str) -> str:
    return f"record {camera_id}"
