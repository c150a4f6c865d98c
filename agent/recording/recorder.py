"""The recorder of one camera: connects in planned time, records, reports failures, and always tries again."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from datetime import datetime

from agent.catalog import Catalog
from agent.core import shortage
from agent.core.camera_model import UnitCheck
from agent.core.clock import Clock
from agent.core.errors import CameraDenied, CameraError, DriveError, Shortage, SiteAgentError
from agent.credentials import attempts
from agent.drive import Drive
from agent.recording.camera_watch import CameraWatch
from agent.recording.context import Connection, Storage
from agent.recording.failures import CameraExchanged, CameraWithdrawn, FailureReporter, Stalled
from agent.recording.finisher import Finisher
from agent.recording.identity import RecordedUnit, UnitQuestion
from agent.recording.inputs import RecorderEvents, RecorderInputs
from agent.recording.options import RecordingOptions, StreamSource
from agent.recording.outage import SilenceWatch
from agent.recording.progress import Progress
from agent.recording.segmenter import Segmenter
from agent.recording.stream import connect
from agent.recording.syncer import Syncer
from agent.recording.writer import check_space
from agent.rtsp.connection import RtspConnection
from agent.rtsp.dial import probe
from agent.rtsp.media_unit import MediaUnit
from agent.rtsp.refusal import UNREACHABLE
from agent.rtsp.urls import normalize_rtsp_url

log = logging.getLogger(__name__)

_POLL = 1.0
_PROBE_S = 1.5
"""How long a camera that could not be reached is given to take a connection: on its own network it takes some milliseconds."""


class Recorder:
    """Records one camera. Give every camera one, and run it in a thread of its own.

    `trouble`: since when, and why, nothing is recorded when this recorder begins.
    """

    def __init__(
        self,
        camera_id: str,
        inputs: RecorderInputs,
        catalog: Catalog,
        clock: Clock,
        options: RecordingOptions | None = None,
        events: RecorderEvents | None = None,
        trouble: tuple[datetime, str] | None = None,
    ) -> None:
        events = events or RecorderEvents()
        self._camera_id, self._inputs, self._catalog, self._clock = camera_id, inputs, catalog, clock
        self._options = options or RecordingOptions()
        self._budget = inputs.budget or attempts.make_private_budget(clock)
        self._complain = events.complain
        self._trouble = trouble
        self._failures = FailureReporter(camera_id, catalog, clock, inputs.plan, self._options)
        self._finisher = Finisher(camera_id, catalog, clock, events.finished, events.complain)
        self._question = UnitQuestion(camera_id, inputs.identify)
        silence = SilenceWatch(camera_id, catalog, self._options.silent_seconds)
        self._watch = CameraWatch(inputs, self._question, self._failures, silence, clock)
        self._progress = Progress(clock)
        self._pause = self._options.first_pause
        self._recovered: Drive | None = None
        self._stream: RtspConnection | None = None
        self._unreachable, self._next_report = False, 0.0

    def run(self, stop: threading.Event) -> None:
        """Record until `stop` is set; the open segment is finished then, some seconds later at most."""
        self._finisher.start()
        try:
            if self._trouble is not None:
                self._failures.report_earlier(*self._trouble)
            while not self._progress.is_over(stop):
                self._progress.touch()
                pause = self._step(stop)
                self._progress.touch()
                self._clock.wait(stop, pause)
        finally:
            self._failures.close()
            self._finisher.close()

    def still_s(self) -> float:
        """Return the seconds since this recorder last went on: longer than any of its waits where it hangs."""
        return self._progress.still_s()

    @property
    def lost(self) -> int:
        """RTP packets of this camera that never came."""
        return self._watch.lost

    def abandon(self) -> None:
        """From another thread, where this recorder hangs: cut its connection, and let it end should it come back."""
        self._progress.abandon()
        self._failures.close()
        if stream := self._stream:
            stream.cut()

    def _step(self, stop: threading.Event) -> float:
        """Make one attempt to record; return the seconds to wait before the next."""
        try:
            with shortage.convert_shortage():
                return self._try(stop)
        except SiteAgentError as error:
            # the catalog is in trouble and cannot take the event, so it is only logged
            log.warning("%s: %s", self._camera_id, error)
            if isinstance(error, Shortage):
                self._recovered = None  # what was left half-way is taken up when there is room again
            return self._longer_pause()

    def _try(self, stop: threading.Event) -> float:
        now = self._clock.now()
        drive: Drive | None = None
        try:
            assignment = self._inputs.plan(now)
            if assignment is None:
                self._recover_idle()
                return _POLL
            drive = self._inputs.drive()
            drive.check()
            self._recover(drive)
            check_space(drive, self._options.reserve_bytes)
            source = self._inputs.source()
            if source is None:
                self._failures.report_no_source(now, assignment)
                return _POLL
            return self._attempt(source, drive, stop)
        except DriveError as error:
            if self._complain and drive is not None:
                self._complain(drive, error)
            self._failures.report_drive(error)
            self._recovered = None
            return _POLL

    def _recover(self, drive: Drive) -> None:
        """Finish what was left open on `drive`, once after each start, each return of the drive and each failed finish."""
        if drive != self._recovered or self._finisher.left:
            self._finisher.recover(drive)
            self._recovered = drive

    def _recover_idle(self) -> None:
        """Do the same outside the plan, where a missing drive is no trouble."""
        if self._recovered is None or self._finisher.left:
            with suppress(DriveError):
                drive = self._inputs.drive()
                drive.check()
                self._recover(drive)

    def _attempt(self, source: StreamSource, drive: Drive, stop: threading.Event) -> float:
        """Connect and record until the stream, the plan or the service ends; return the pause before the next attempt."""
        asked = self._clock.now()
        try:
            if self._unreachable:
                # cheap, so often: the camera is recorded again soon after it comes back
                probe(normalize_rtsp_url(source.url), source.url, _PROBE_S, stop)
            self._unreachable = False
            unit = self._identify(source)
            with (
                connect(source, self._options.timeout, self._budget, self._options.nap, stop) as stream,
                Syncer(self._camera_id, self._clock) as syncer,
            ):
                self._stream = stream
                storage = Storage(drive, self._catalog, self._finisher, syncer)
                self._record(Connection(self._camera_id, stream, unit), storage, source, stop)
        except CameraWithdrawn as error:
            log.info("%s: %s", self._camera_id, error)
            return 0.0
        except CameraError as error:
            if self._progress.is_over(stop):
                return 0.0  # the connection was cut for that
            if error.key == UNREACHABLE:
                return self._wait_for_return(error, asked)
            self._failures.report_camera(error, asked)
            return self._options.refused_pause if isinstance(error, CameraDenied) else self._longer_pause()
        return 0.0

    def _wait_for_return(self, error: CameraError, asked: datetime) -> float:
        """Report a camera that cannot be reached, with a search for it, at most each `last_pause`; return a short pause."""
        now = self._clock.monotonic()
        if not self._unreachable or now >= self._next_report:
            self._next_report = now + self._options.last_pause
            self._failures.report_camera(error, asked)
        self._unreachable = True
        return self._options.first_pause

    def _identify(self, source: StreamSource) -> RecordedUnit:
        """Return the unit that is about to be recorded. Raises Exchanged where another one answers in its place."""
        since = self._clock.now()
        # before the question: an answer to an earlier one says nothing of this connection
        self._catalog.cameras.connected(self._camera_id, since)
        if self._question.put(self._options.identity_wait) is UnitCheck.OTHER:
            raise CameraExchanged("recording.exchanged", url=source.url, serial=source.serial or "?")
        return RecordedUnit(self._catalog, self._camera_id, source.serial, since)

    def _record(self, connection: Connection, storage: Storage, source: StreamSource, stop: threading.Event) -> None:
        segmenter = Segmenter(connection, storage, self._inputs.plan, self._clock, self._options)
        try:
            self._pump(connection, segmenter, source, stop)
        finally:
            self._failures.last_picture = segmenter.end_of_video() or self._failures.last_picture
            segmenter.close()

    def _pump(self, connection: Connection, segmenter: Segmenter, source: StreamSource, stop: threading.Event) -> None:
        """Move units from the stream to the segmenter; after each read do the rest."""
        options, monotonic, progress, stream = self._options, self._clock.monotonic, self._progress, connection.stream
        next_watch = 0.0
        self._watch.begin()
        try:
            while not (progress.is_over(stop) or segmenter.over):
                progress.touch()
                units = stream.read()
                arrival = monotonic()
                self._feed(segmenter, units)
                segmenter.tick(arrival)
                if arrival - segmenter.last_video >= options.stall_seconds:
                    raise Stalled("recording.stalled", url=source.url, seconds=round(options.stall_seconds))
                if arrival >= next_watch:
                    next_watch = arrival + _POLL
                    self._watch.check_unit(source, connection.unit)
                    self._watch.check_stream(segmenter, source, arrival)
                    self._watch.check_packets(connection, arrival)
        finally:
            self._feed(segmenter, stream.end())

    def _feed(self, segmenter: Segmenter, units: list[MediaUnit]) -> None:
        """Feed what was read, and report what came of it."""
        was_recording = segmenter.recording
        for unit in units:
            segmenter.feed(unit, unit.arrival)
            if segmenter.over:
                break
            if segmenter.hole:
                self._failures.report_hole(segmenter.hole.start)
                was_recording = False
            if not was_recording and segmenter.recording:
                was_recording = True
                self._pause = self._options.first_pause
                self._failures.report_recording()

    def _longer_pause(self) -> float:
        pause = self._pause
        self._pause = min(self._options.last_pause, 2 * pause)
        return pause
