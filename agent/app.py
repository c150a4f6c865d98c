"""The composition root: settings in, running threads out, stop in reverse."""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import uuid
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from agent import __version__, attempts, notify, wiring, words
from agent.answers import Answers
from agent.attendance import approved
from agent.attendance.watch import AttendanceWatch
from agent.bureau.heartbeat import Heartbeat
from agent.bureau.link import BureauLink
from agent.cameras.identity import IdentityCheck
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
from agent.drive import Drive, keys, rebuild
from agent.drive.closer import HalfDayCloser
from agent.drive.watch import DriveWatch
from agent.errors import CatalogError, DriveError, InputError, SiteAgentError
from agent.inspection.clip import Clips
from agent.life import Life
from agent.metrics import MetricsServer
from agent.model import Segment
from agent.pulse import STALE_S, Pulse
from agent.recording.inputs import RecorderEvents, RecorderInputs
from agent.recording.memory import bound_heap
from agent.recording.options import Source
from agent.recording.recorder import Recorder
from agent.recording.recover import open_rows, recover_rows
from agent.room import RoomWatch
from agent.settings import Settings
from agent.settings_file import DEFAULT_FILE

log = logging.getLogger(__name__)
STOP_S = 14.0
_NEW_CAMERAS_S = 1.0
_MAX_HANGING = 2
"""So many recorders may hang before the whole agent is started again: each keeps memory and files."""
_COPY_CHECK_S = 3600.0
_UNREPORTED_KEPT = timedelta(days=30)


class App:
    """One box. `run` returns the exit status once `stop` is set or a worker broke. `file` is where the settings lie."""

    def __init__(
        self, settings: Settings, catalog: Catalog, the_clock: Clock | None = None, file: Path = DEFAULT_FILE
    ) -> None:
        self._settings = settings
        self._file = file
        self._catalog = catalog
        self._clock = the_clock or SystemClock()
        self._book = wiring.ClassBook(catalog)
        self._life = Life(catalog, self._clock)
        self._budget = attempts.kept(catalog, self._clock)
        self._identity = IdentityCheck(catalog, self._clock, wiring.for_cameras(settings), self._budget)
        self.late: list[str] = []
        self._weights = weights.check(settings.counting.model, settings.counting.sha256)
        self._drives = DriveWatch(catalog, self._clock, self._book.all, wiring.for_drives(settings))
        self._clips = Clips(catalog, self._clock, wiring.for_clips(settings), self._book.all)
        self._link = self._make_link(str(uuid.uuid4())) if settings.bureau.enabled else None

    def run(self, stop: threading.Event) -> int:
        """Start every worker, wait for `stop`, join in reverse."""
        crew = Crew(stop)
        bound_heap()
        self._life.begin(__version__)
        self._clear_other_drives()
        # one look at the drives first, so that recorders do not begin with a false alarm
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
        """Nobody watches a mount point any more that the settings no longer name: its alert would stay open for ever."""
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
            catalog, now, wiring.for_cameras(settings), busy=self._busy, file_of=self._file_of, budget=self._budget,
            planned=self._book.camera_ids,
        )  # fmt: skip
        crew.start("cameras", cameras.run)
        self._metrics(crew)
        crew.start("doctor", Rounds(catalog, now, self._box, self._recording_due).run)
        self._recorded_by: dict[str, Recorder] = {}
        crew.start("recorders", lambda stop: self._recorders(crew, stop))
        link = self._link
        crew.start(
            "pulse",
            Pulse(
                catalog,
                now,
                self._book,
                self._drives,
                plan=self._plan,
                link=lambda: link.status().connected if link else None,
                replace=lambda camera_id: self._replace(crew, camera_id),
                still_s=self._still_s,
            ).run,
        )

    def _metrics(self, crew: Crew) -> None:
        """Figures on the loopback; a port that is taken is told and costs no recording."""
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
            self._catalog, self._clock, lambda: OpenVinoDetector(self._weights, own.threads), own.interval, leave_out,
            own.limits,
        )  # fmt: skip

    def _copies(self, stop: threading.Event) -> None:
        """A copy of the catalog for each day, made within the hour."""
        while not stop.is_set():
            day = local_day(self._clock.now(), self._catalog.zone)
            # not the newest: a clock that was ahead has left one of a day that is yet to come
            # while the disk is full a copy would take what the catalog needs
            room = Reserve(self._settings.state_dir).keep()
            if room and not copies.of_day(self._settings.copies_dir, day).exists():
                try:
                    copies.make(self._catalog.store, self._settings.copies_dir, day)
                except CatalogError as error:
                    log.warning("%s", error)
            self._clock.wait(stop, _COPY_CHECK_S)

    def _unreported(self, stop: threading.Event) -> None:
        """Where nothing is reported, messages wait a while for somebody to set the bureau up, and not for ever."""
        while not stop.is_set():
            self._catalog.outbox.drop(self._clock.now() - _UNREPORTED_KEPT)
            self._clock.wait(stop, _COPY_CHECK_S)

    def _recorders(self, crew: Crew, stop: threading.Event) -> None:
        """A recorder for each camera that is known or planned, as they appear."""
        while not stop.is_set():
            ids = self._book.camera_ids() | {c.camera_id for c in self._catalog.cameras.all()}
            for camera_id in sorted(ids):
                if camera_id not in self._recorded_by:
                    self._record(crew, camera_id)
            self._recover_others(ids)
            self._clock.wait(stop, _NEW_CAMERAS_S)

    def _record(self, crew: Crew, camera_id: str, trouble: tuple[datetime, str] | None = None) -> None:
        self._recorded_by[camera_id] = recorder = self._recorder(camera_id, trouble)
        crew.start(_recorder_name(camera_id), recorder.run)

    def _still_s(self, camera_id: str) -> float:
        recorder = self._recorded_by.get(camera_id)
        return recorder.still_s() if recorder else 0.0

    def _replace(self, crew: Crew, camera_id: str) -> bool:
        """A recorder that hangs is left to itself, and another begins; False where too many hang already."""
        hangs = self._recorded_by.get(camera_id)
        if hangs is None or len(crew.hanging()) >= _MAX_HANGING:
            return False
        hangs.abandon()
        crew.abandon(_recorder_name(camera_id))
        since = self._clock.now() - timedelta(seconds=STALE_S)
        self._record(crew, camera_id, (since, words.text("recording.hangs", camera_id=camera_id)))
        return True

    def _recover_others(self, camera_ids: set[str]) -> None:
        """Recorders finish what they left on the drive in use; here the same for other attached drives, and for cameras
        that nobody records any more."""
        for number, drive in enumerate(self._drives.healthy()):
            rows = [r for r in open_rows(self._catalog, drive) if number or r.camera_id not in camera_ids]
            try:
                recover_rows(self._catalog, drive, rows, self._clock)
            except SiteAgentError as error:
                log.warning("%s", error)

    def _recorder(self, camera_id: str, trouble: tuple[datetime, str] | None) -> Recorder:
        inputs = RecorderInputs(
            source=lambda: self._source(camera_id),
            plan=lambda moment: self._plan(camera_id, moment),
            drive=self._drives.current,
            identify=lambda: self._identity.ask(camera_id),
            budget=self._budget,
        )
        return Recorder(
            camera_id,
            inputs,
            self._catalog,
            self._clock,
            wiring.for_recording(self._settings),
            RecorderEvents(complain=self._drives.complain),
            trouble,
        )

    def _plan(self, camera_id: str, moment: datetime) -> wiring.Plan | None:
        # a camera that the settings renamed has no row any more: its recorder rests
        if self._settings.recording.always and self._catalog.cameras.get(camera_id):
            return self._book.always(camera_id, moment, self._settings.institution)
        return self._book.plan(camera_id, moment)

    def _source(self, camera_id: str) -> Source | None:
        """The admitted camera's main stream with its account; None while it may not be recorded."""
        camera = self._catalog.cameras.get(camera_id)
        return wiring.source(self._settings, camera) if camera and camera.recordable else None

    def _file_of(self, segment: Segment) -> Path | None:
        """Where a segment lies, on whichever of its drives is attached and well."""
        root = next((d.root for d in self._drives.healthy() if d.drive_id == segment.drive_id), None)
        return root / (segment.path if segment.state == "finished" else segment.temporary) if root else None

    def _busy(self, camera_id: str) -> bool:
        return self._book.plan(camera_id, self._clock.now()) is not None

    def _recording_due(self) -> bool:
        """Whether any camera has something to record now."""
        now = self._clock.now()
        return any(self._plan(c.camera_id, now) for c in self._catalog.cameras.all())

    def _box(self) -> Box:
        """What the doctor looks at, with the link as it stands."""
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


def _recorder_name(camera_id: str) -> str:
    return f"record {camera_id}"


class OnlyOne:
    """A lock in the state folder: two agents on one catalog would record everything twice."""

    def __init__(self, settings: Settings) -> None:
        self._path = settings.state_dir / "lock"

    def __enter__(self) -> None:
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            raise InputError("run.twice", path=self._path.parent) from None

    def __exit__(self, *_: object) -> None:
        os.close(self._file)


def open_catalog(settings: Settings, the_clock: Clock) -> Catalog:
    """The box's catalog; one that is missing or damaged is made again from the attached drives, and that is told."""
    reserve = Reserve(settings.state_dir)
    if reserve.full() and reserve.spend():
        log.warning("%s", words.text("run.reserve_spent", path=settings.state_dir))
    with notify.more_time():
        catalog, report = rebuild.open_or_rebuild(
            settings.catalog_file, settings.zone, _own_drives(settings), the_clock
        )
        if report is None:
            return catalog
        copy = copies.newest(settings.copies_dir, local_day(the_clock.now(), settings.zone))
        rows = report.rows + (copies.take_back(catalog.store, copy) if copy else 0)
    if rows:
        catalog.events.add("catalog.rebuilt", the_clock.now(), detail={"rows": rows})
        log.warning("%s", words.text("run.rebuilt", file=settings.catalog_file, rows=rows))
    return catalog


def _own_drives(settings: Settings) -> list[Drive]:
    """Attached drives that were made with this box's key (or unsigned)."""
    mine = keys.ensure(settings.key_dir)
    found = []
    for root in settings.recording.drives:
        with suppress(DriveError):
            drive = Drive.open(root)
            if drive.public_key in ("", mine):
                found.append(drive)
    return found
