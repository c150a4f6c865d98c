"""The composition root: creates the workers from the settings, starts them, and stops them in reverse order."""

from __future__ import annotations

import logging
import threading
import uuid
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

from agent import __version__, i18n
from agent.attendance import approved
from agent.attendance.worker import AttendanceWorker
from agent.bureau.handlers import BureauHandlers
from agent.bureau.heartbeat import Heartbeat
from agent.bureau.link import BureauLink
from agent.cameras.worker import CameraWorker
from agent.catalog import Catalog, copies
from agent.catalog.disk_reserve import DiskReserve
from agent.catalog.statements import STATEMENTS_KEPT
from agent.core import sd_notify
from agent.core.clock import Clock, SystemClock, get_local_day
from agent.core.errors import CatalogError, InputError
from agent.core.periodic import ErrorLog, run_every
from agent.counting import regions, weights
from agent.counting.detector import OpenVinoDetector
from agent.counting.worker import CountingWorker
from agent.credentials import attempts
from agent.doctor.box import BoxFacts, build_box_facts
from agent.doctor.rounds import ExaminationRounds
from agent.drive.closer import HalfDayCloser
from agent.drive.monitor import DriveMonitor
from agent.inspection.clip import ClipService
from agent.recording.memory import limit_heap
from agent.service.backup_worker import BackupWorker
from agent.service.call_requests import CallRequests
from agent.service.call_watch import CallWatch
from agent.service.clip_uploads import ClipUploads
from agent.service.disk_space import DiskSpaceMonitor
from agent.service.drive_change import DriveChangeWorker
from agent.service.metrics import MetricsServer
from agent.service.recorders import RecorderPool
from agent.service.request_handlers import RequestHandlers
from agent.service.run_history import RunHistory
from agent.service.statement_requests import StatementRequests
from agent.service.supervisor import Supervisor
from agent.service.watchdog import Watchdog
from agent.settings import wiring
from agent.settings.config_file import DEFAULT_FILE
from agent.settings.schema import Settings

log = logging.getLogger(__name__)
STOP_S = 14.0
_COPY_CHECK_S = 3600.0
_UNREPORTED_KEPT = timedelta(days=30)


class App:
    """The agent of one box.

    `run` returns the exit status once `stop` is set or a worker failed. `file` is the settings file.
    """

    def __init__(
        self, settings: Settings, catalog: Catalog, the_clock: Clock | None = None, file: Path = DEFAULT_FILE
    ) -> None:
        self._settings = settings
        self._file = file
        self._catalog = catalog
        catalog.load_all()
        self._clock = the_clock or SystemClock()
        self._book = wiring.ClassBook(catalog)
        self._plans = wiring.CameraPlans(settings, catalog, self._clock, self._book)
        self._run_history = RunHistory(catalog, self._clock)
        self._budget = attempts.open_box_budget(catalog, self._clock)
        self.late: list[str] = []
        self._weights = weights.check_weights(settings.counting.model, settings.counting.sha256)
        self._drives = DriveMonitor(catalog, self._clock, self._book.all, wiring.build_drive_options(settings))
        self._clips = ClipService(catalog, self._clock, wiring.build_clip_options(settings), self._book.all)
        self._received = wiring.build_received_list(settings)
        self._link = self._make_link(str(uuid.uuid4())) if settings.bureau.enabled else None

    def run(self, stop: threading.Event) -> int:
        """Start every worker, wait for `stop`, join the workers in reverse order."""
        supervisor = Supervisor(stop)
        limit_heap()
        self._run_history.begin(__version__)
        self._clear_other_drives()
        # check the drives once first, so that recorders do not start with a false alarm
        self._drives.run_once()
        self._start(supervisor)
        log.info("%s", i18n.translate("run.started", version=__version__, file=self._file))
        sd_notify.notify_systemd("READY=1")
        stop.wait()
        sd_notify.notify_systemd("STOPPING=1", f"STATUS={i18n.translate('run.stopping')}")
        self.late = supervisor.join(STOP_S)
        self._run_history.end()
        if self.late:
            log.error("%s", i18n.translate("run.slow", names=", ".join(self.late)))
        if supervisor.failed.is_set():
            log.error("%s", i18n.translate("run.broke"))
        return 1 if supervisor.failed.is_set() or self.late else 0

    def _clear_other_drives(self) -> None:
        """Clear alerts for mount points removed from the settings; nothing else would."""
        named = {str(root) for root in self._settings.recording.drives}
        for alert in self._catalog.alerts.opened():
            if alert.kind.value.startswith("drive.") and alert.subject.startswith("/") and alert.subject not in named:
                self._catalog.alerts.clear(alert.kind, alert.subject, self._clock.now())

    def _start(self, supervisor: Supervisor) -> None:
        settings, catalog, now = self._settings, self._catalog, self._clock
        supervisor.start("run history", self._run_history.run)
        supervisor.start("disk space", DiskSpaceMonitor(catalog, now, settings.state_dir).run)
        supervisor.start("copies", self._copies)
        supervisor.start("drives", self._drives.run)
        if self._link:
            supervisor.start("bureau", self._link.run)
            supervisor.start("heartbeat", self._heartbeat.run)
            for name, work in self._uploads.workers():
                supervisor.start(name, work)
            supervisor.start("calls", CallWatch(catalog, now).run)
        else:
            supervisor.start("unreported", self._unreported)
        closer = HalfDayCloser(
            catalog, now, self._book.all, self._drives.healthy, wiring.build_closer_options(settings)
        )
        supervisor.start("closer", closer.run)
        supervisor.start(
            "attendance", AttendanceWorker(catalog, self._book.all, now, wiring.build_attendance_options(settings)).run
        )
        supervisor.start("counting", self._counter().run)
        cameras = CameraWorker(
            catalog,
            now,
            wiring.build_camera_options(settings),
            busy=self._plans.is_busy,
            file_of=partial(wiring.find_segment_file, self._drives),
            budget=self._budget,
            planned=self._book.camera_ids,
        )
        supervisor.start("cameras", cameras.run)
        recorders = RecorderPool(
            settings, catalog, now, plans=self._plans, drives=self._drives, budget=self._budget, supervisor=supervisor
        )
        self._metrics(supervisor, recorders)
        supervisor.start("doctor", ExaminationRounds(catalog, now, self._box, self._plans.is_any_due).run)
        supervisor.start("recorders", recorders.run)
        changes = DriveChangeWorker(catalog, now, self._book.all, settings.key_dir)
        supervisor.start("drive change", changes.run)
        backups = BackupWorker(
            settings, self._file, catalog, now, drives=self._drives.healthy, busy=self._plans.is_any_due
        )
        supervisor.start("backup", backups.run)
        link = self._link
        watchdog = Watchdog(
            catalog,
            now,
            self._book,
            self._drives,
            plan=self._plans.plan,
            link=lambda: link.status().connected if link else None,
            replace=recorders.replace,
            still_s=recorders.still_s,
        )
        supervisor.start("watchdog", watchdog.run)

    def _metrics(self, supervisor: Supervisor, recorders: RecorderPool) -> None:
        """Serve metrics on the loopback; a port in use is logged and does not stop the recording."""
        port = self._settings.serve.metrics_port
        try:
            if port:
                server = MetricsServer(self._catalog, self._clock, self._drives.report, recorders.count_lost, port)
                supervisor.start("metrics", server.run)
        except InputError as error:
            log.error("%s", error)  # noqa: TRY400 - the project's own errors say it all

    def _counter(self) -> CountingWorker:
        own = self._settings.counting
        leave_out = regions.load_regions(own.regions) if own.regions else None
        return CountingWorker(
            self._catalog,
            self._clock,
            lambda: OpenVinoDetector(self._weights, own.threads),
            own.interval,
            leave_out,
            own.limits,
        )

    def _copies(self, stop: threading.Event) -> None:
        """Keep a copy of the catalog for each day; a missing one is made within the hour."""
        run_every(self._clock, stop, _COPY_CHECK_S, self._copy, errors=ErrorLog(log, expected=(CatalogError,)))

    def _copy(self) -> None:
        """Prune old statements; make today's copy where there is none. Raises CatalogError."""
        self._catalog.statements.prune(self._clock.now() - STATEMENTS_KEPT)
        day = get_local_day(self._clock.now(), self._catalog.zone)
        # while the disk is full a copy would take the space that the catalog needs
        space = DiskReserve(self._settings.state_dir).keep()
        # asked by day, not by the newest: a clock that was ahead has left a copy of a day that is yet to come
        if space and not copies.build_copy_path(self._settings.copies_dir, day).exists():
            copies.make_copy(self._catalog.store, self._settings.copies_dir, day)

    def _unreported(self, stop: threading.Event) -> None:
        """Delete messages that have waited too long for somebody to set the bureau up."""
        run_every(self._clock, stop, _COPY_CHECK_S, self._drop_unreported)

    def _drop_unreported(self) -> None:
        self._catalog.outbox.drop(self._clock.now() - _UNREPORTED_KEPT)

    def _box(self) -> BoxFacts:
        """Return what the doctor examines, with the current state of the link to the bureau."""
        box = build_box_facts(self._file, self._settings, self._catalog, self._clock, self._book.all())
        return replace(box, link=self._link.status() if self._link else None)

    def _make_link(self, boot_id: str) -> BureauLink:
        options = wiring.build_bureau_options(self._settings)
        self._heartbeat = Heartbeat(
            self._catalog, self._clock, options, boot_id=boot_id, facts=lambda: {"drive": self._drives.report()}
        )
        handlers = RequestHandlers(self._catalog, self._clock, self._book.all, self._clips)
        self._uploads = self._make_uploads(handlers)
        return BureauLink(
            self._catalog,
            self._clock,
            options,
            boot_id=boot_id,
            version=__version__,
            classes=self._book.all,
            handlers=BureauHandlers(
                accept_class=lambda body: approved.accept_approval(self._catalog, body, self._clock.now()),
                keep_models=self._received.keep,
                requests={
                    **handlers.handlers(),
                    "call": CallRequests(self._catalog, self._clock, self._book.all).answer,
                    "statements": StatementRequests(self._catalog, self._drives.healthy, options.source).answer,
                },
                long_requests={"clip": self._uploads.clip, "picture": self._uploads.picture},
            ),
        )

    def _make_uploads(self, handlers: RequestHandlers) -> ClipUploads:
        settings = self._settings
        return ClipUploads(
            self._catalog,
            self._clock,
            wiring.build_upload_options(settings),
            handlers=handlers,
            clips=self._clips,
            classes=self._book.all,
            drives=self._drives.healthy,
            folder=settings.state_dir / "uploads",
            key_dir=settings.key_dir,
            box=settings.box,
        )
