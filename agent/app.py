"""The composition root: creates the workers from the settings, starts them, and stops them in reverse order."""

from __future__ import annotations

import logging
import threading
import uuid
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

from agent import __version__, attempts, notify, wiring, words
from agent.answers import Answers
from agent.attendance import approved
from agent.attendance.watch import AttendanceWatch
from agent.bureau.heartbeat import Heartbeat
from agent.bureau.link import BureauLink
from agent.cameras.worker import CameraWatch
from agent.catalog import Catalog, copies
from agent.catalog.reserve import Reserve
from agent.clock import Clock, SystemClock, local_day
from agent.counting import regions, weights
from agent.counting.detector import OpenVinoDetector
from agent.counting.worker import Counter
from agent.crew import Crew
from agent.doctor.box import Box, of_settings
from agent.doctor.rounds import Rounds
from agent.drive.closer import HalfDayCloser
from agent.drive.watch import DriveWatch
from agent.errors import CatalogError, InputError
from agent.inspection.clip import Clips
from agent.life import Life
from agent.metrics import MetricsServer
from agent.periodic import ErrorLog, run_every
from agent.pulse import Pulse
from agent.recorders import Recorders
from agent.recording.memory import bound_heap
from agent.room import RoomWatch
from agent.settings import Settings
from agent.settings_file import DEFAULT_FILE

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
        self._clock = the_clock or SystemClock()
        self._book = wiring.ClassBook(catalog)
        self._plans = wiring.CameraPlans(settings, catalog, self._clock, self._book)
        self._life = Life(catalog, self._clock)
        self._budget = attempts.kept(catalog, self._clock)
        self.late: list[str] = []
        self._weights = weights.check(settings.counting.model, settings.counting.sha256)
        self._drives = DriveWatch(catalog, self._clock, self._book.all, wiring.for_drives(settings))
        self._clips = Clips(catalog, self._clock, wiring.for_clips(settings), self._book.all)
        self._link = self._make_link(str(uuid.uuid4())) if settings.bureau.enabled else None

    def run(self, stop: threading.Event) -> int:
        """Start every worker, wait for `stop`, join the workers in reverse order."""
        crew = Crew(stop)
        bound_heap()
        self._life.begin(__version__)
        self._clear_other_drives()
        # check the drives once first, so that recorders do not start with a false alarm
        self._drives.run_once()
        self._start(crew)
        log.info("%s", words.text("run.started", version=__version__, file=self._file))
        notify.tell("READY=1")
        stop.wait()
        notify.tell("STOPPING=1", f"STATUS={words.text('run.stopping')}")
        self.late = crew.join(STOP_S)
        self._life.end()
        if self.late:
            log.error("%s", words.text("run.slow", names=", ".join(self.late)))
        if crew.failed.is_set():
            log.error("%s", words.text("run.broke"))
        return 1 if crew.failed.is_set() or self.late else 0

    def _clear_other_drives(self) -> None:
        """Clear alerts for mount points removed from the settings; nothing else would."""
        named = {str(root) for root in self._settings.recording.drives}
        for alert in self._catalog.alerts.opened():
            if alert.kind.value.startswith("drive.") and alert.subject.startswith("/") and alert.subject not in named:
                self._catalog.alerts.clear(alert.kind, alert.subject, self._clock.now())

    def _start(self, crew: Crew) -> None:
        settings, catalog, now = self._settings, self._catalog, self._clock
        crew.start("life", self._life.run)
        crew.start("room", RoomWatch(catalog, now, settings.state_dir).run)
        crew.start("copies", self._copies)
        crew.start("drives", self._drives.run)
        if self._link:
            crew.start("bureau", self._link.run)
            crew.start("heartbeat", self._heartbeat.run)
        else:
            crew.start("unreported", self._unreported)
        closer = HalfDayCloser(catalog, now, self._book.all, self._drives.healthy, wiring.for_closer(settings))
        crew.start("closer", closer.run)
        crew.start("attendance", AttendanceWatch(catalog, self._book.all, now, wiring.for_attendance(settings)).run)
        crew.start("counting", self._counter().run)
        cameras = CameraWatch(
            catalog,
            now,
            wiring.for_cameras(settings),
            busy=self._plans.is_busy,
            file_of=partial(wiring.segment_file, self._drives),
            budget=self._budget,
            planned=self._book.camera_ids,
        )
        crew.start("cameras", cameras.run)
        self._metrics(crew)
        crew.start("doctor", Rounds(catalog, now, self._box, self._plans.is_any_due).run)
        recorders = Recorders(
            settings, catalog, now, plans=self._plans, drives=self._drives, budget=self._budget, crew=crew
        )
        crew.start("recorders", recorders.run)
        link = self._link
        watchdog = Pulse(
            catalog,
            now,
            self._book,
            self._drives,
            plan=self._plans.plan,
            link=lambda: link.status().connected if link else None,
            replace=recorders.replace,
            still_s=recorders.still_s,
        )
        crew.start("pulse", watchdog.run)

    def _metrics(self, crew: Crew) -> None:
        """Serve metrics on the loopback; a port in use is logged and does not stop the recording."""
        port = self._settings.serve.metrics_port
        try:
            if port:
                crew.start("metrics", MetricsServer(self._catalog, self._clock, self._drives.report, port).run)
        except InputError as error:
            log.error("%s", error)  # noqa: TRY400 - the project's own errors say it all

    def _counter(self) -> Counter:
        own = self._settings.counting
        leave_out = regions.load(own.regions) if own.regions else None
        return Counter(
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
        """Make today's copy where there is none. Raises CatalogError."""
        day = local_day(self._clock.now(), self._catalog.zone)
        # while the disk is full a copy would take the space that the catalog needs
        space = Reserve(self._settings.state_dir).keep()
        # asked by day, not by the newest: a clock that was ahead has left a copy of a day that is yet to come
        if space and not copies.of_day(self._settings.copies_dir, day).exists():
            copies.make(self._catalog.store, self._settings.copies_dir, day)

    def _unreported(self, stop: threading.Event) -> None:
        """Delete messages that have waited too long for somebody to set the bureau up."""
        run_every(self._clock, stop, _COPY_CHECK_S, self._drop_unreported)

    def _drop_unreported(self) -> None:
        self._catalog.outbox.drop(self._clock.now() - _UNREPORTED_KEPT)

    def _box(self) -> Box:
        """Return what the doctor examines, with the current state of the link to the bureau."""
        box = of_settings(self._file, self._settings, self._catalog, self._clock, self._book.all())
        return replace(box, link=self._link.status() if self._link else None)

    def _make_link(self, boot_id: str) -> BureauLink:
        options = wiring.for_bureau(self._settings)
        self._heartbeat = Heartbeat(
            self._catalog, self._clock, options, boot_id=boot_id, facts=lambda: {"drive": self._drives.report()}
        )
        return BureauLink(
            self._catalog,
            self._clock,
            options,
            boot_id=boot_id,
            version=__version__,
            classes=self._book.all,
            accept_class=lambda body: approved.accept(self._catalog, body, self._clock.now()),
            requests=Answers(self._catalog, self._clock, self._book.all, self._clips).handlers(),
        )
