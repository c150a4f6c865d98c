"""The recorder of one camera: connects in planned time, records, notices trouble, comes back for ever."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

from agent import attempts, shortage, words
from agent.attempts import RESTING, Budget
from agent.catalog import Catalog
from agent.clock import Clock
from agent.drive import Drive
from agent.errors import CameraDenied, CameraError, CatalogError, DriveError, Shortage, SiteAgentError
from agent.model import Segment, UnitCheck, Verdict
from agent.recording.assignment import Assignment, AssignmentLookup
from agent.recording.context import Connection, Storage
from agent.recording.finisher import Finisher
from agent.recording.guard import Stalled
from agent.recording.identity import RecordedUnit, UnitQuestion
from agent.recording.options import Options, Source
from agent.recording.outage import Outage, SilenceWatch
from agent.recording.segmenter import Segmenter
from agent.recording.stream import LiveStream, connect
from agent.recording.syncer import Syncer
from agent.recording.writer import check_space

log = logging.getLogger(__name__)

_POLL = 1.0
_WAITED = 0.004


class Exchanged(CameraError):
    """Another unit answers where the camera was recorded from."""


class Withdrawn(CameraError):
    """The camera may not be recorded any more."""


class Recorder:
    """Records one camera. Give every camera one, and run it in a thread of its own.

    `source`: the admitted camera's stream, None while it is not admitted. `plan`: what the camera records for at an
    instant, None outside the plan. `drive`: the drive to write to; raises DriveError. `finished` hears of each segment.
    `budget` is shared with whoever else gives passwords to cameras. `complain` hears of a drive that could not be written to.
    `identify` asks which unit answers where the stream comes from, before each connection.
    `trouble`: since when, and why, nothing is recorded when this recorder begins.
    """

    def __init__(
        self, camera_id: str, source: Callable[[], Source | None], plan: AssignmentLookup,
        drive: Callable[[], Drive], catalog: Catalog, clock: Clock, options: Options | None = None,
        finished: Callable[[Segment], None] | None = None, budget: Budget | None = None,
        complain: Callable[[Drive, DriveError], None] | None = None,
        identify: Callable[[], UnitCheck] | None = None, trouble: tuple[datetime, str] | None = None,
    ) -> None:  # fmt: skip
        self._camera_id, self._source, self._plan, self._drive = camera_id, source, plan, drive
        self._catalog, self._clock, self._options = catalog, clock, options or Options()
        self._outage = Outage(camera_id, catalog, clock, plan, self._options.offline_seconds)
        self._silence = SilenceWatch(camera_id, catalog, self._options.silent_seconds)
        self._budget = budget or attempts.alone(clock)
        self._finisher = Finisher(camera_id, catalog, clock, finished, complain)
        self._complain = complain
        self._question = UnitQuestion(camera_id, identify)
        self._pause = self._options.first_pause
        self._recovered: Drive | None = None
        self._last_picture: datetime | None = None
        self._started = self._moved = clock.monotonic()
        self._trouble = trouble
        self._stream: LiveStream | None = None
        self._abandoned = threading.Event()

    def run(self, stop: threading.Event) -> None:
        """Until `stop`: then the open segment is finished, some seconds later at most."""
        self._finisher.start()
        try:
            self._tell_trouble()
            while not self._over(stop):
                self._moved = self._clock.monotonic()
                pause = self._step(stop)
                self._moved = self._clock.monotonic()
                self._clock.wait(stop, pause)
        finally:
            self._outage.close()
            self._finisher.close()

    def still_s(self) -> float:
        """Seconds since this recorder last went on: longer than any of its waits, where it hangs."""
        return self._clock.monotonic() - self._moved

    def abandon(self) -> None:
        """From another thread, where this recorder hangs: its connection is cut, and should it come back, it ends."""
        self._abandoned.set()
        self._outage.close()
        if stream := self._stream:
            stream.cut()

    def _tell_trouble(self) -> None:
        if self._trouble is None:
            return
        since, why = self._trouble
        try:
            self._outage.begin("camera.down", since, why)
            if plan := self._plan(self._clock.now()):
                self._outage.warn(self._clock.now(), plan, why)
        except CatalogError as error:
            log.warning("%s: %s", self._camera_id, error)

    def _over(self, stop: threading.Event) -> bool:
        return stop.is_set() or self._abandoned.is_set()

    def _step(self, stop: threading.Event) -> float:
        """One attempt to record; returns the seconds to wait before the next."""
        try:
            with shortage.told():
                return self._try(stop)
        except SiteAgentError as error:
            # the catalog is in trouble: nothing can be told to it, so the log has to do
            log.warning("%s: %s", self._camera_id, error)
            if isinstance(error, Shortage):
                self._recovered = None  # what was left half-way is taken up when there is room again
            return self._longer_pause()

    def _try(self, stop: threading.Event) -> float:
        now = self._clock.now()
        drive: Drive | None = None
        try:
            plan = self._plan(now)
            if plan is None:
                self._recover_idle()
                return _POLL
            drive = self._drive()
            drive.check()
            self._recover(drive)
            check_space(drive, self._options.reserve_bytes)
            source = self._source()
            if source is None:
                self._no_source(now, plan)
                return _POLL
            return self._attempt(source, drive, stop)
        except DriveError as error:
            if self._complain and drive is not None:
                self._complain(drive, error)
            return self._drive_failed(error)

    def _no_source(self, now: datetime, plan: Assignment) -> None:
        """Refused, exchanged, or not there: the ledger keeps them apart. The first search after the start gets its time."""
        camera = self._catalog.cameras.get(self._camera_id)
        if camera is not None and camera.successor:
            why = "; ".join(camera.reasons)
            self._outage.begin("camera.exchanged", now, why)
            self._outage.warn(now, plan, why)
        elif camera is not None and camera.verdict is Verdict.REFUSED:
            self._outage.begin("camera.refused", now, "not admitted")
        elif camera is not None or self._clock.monotonic() - self._started >= self._options.offline_seconds:
            why = words.text("recording.not_found")
            self._outage.begin("camera.down", now, why)
            self._outage.warn(now, plan, why)

    def _recover(self, drive: Drive) -> None:
        """Finish what was left open on `drive`, once after each start, each return of the drive and each failed finish."""
        if drive != self._recovered or self._finisher.left:
            self._finisher.recover(drive)
            self._recovered = drive

    def _recover_idle(self) -> None:
        """The same outside the plan, where a missing drive is nobody's trouble."""
        if self._recovered is None or self._finisher.left:
            with suppress(DriveError):
                drive = self._drive()
                drive.check()
                self._recover(drive)

    def _attempt(self, source: Source, drive: Drive, stop: threading.Event) -> float:
        """Connect and record until the stream, the plan or the service ends; returns the pause before the next attempt."""
        asked = self._clock.now()
        try:
            unit = self._unit(source)
            with (
                connect(source, self._options.timeout, self._budget, self._options.nap, stop) as stream,
                Syncer(self._camera_id, self._clock) as syncer,
            ):
                self._stream = stream
                self._record(stream, source, drive, syncer, unit, stop)
        except Withdrawn as error:
            log.info("%s: %s", self._camera_id, error)
            return 0.0
        except CameraError as error:
            if self._over(stop):
                return 0.0  # cut off for that
            self._camera_failed(_kind(error), error, asked)
            return self._options.refused_pause if isinstance(error, CameraDenied) else self._longer_pause()
        return 0.0

    def _unit(self, source: Source) -> RecordedUnit:
        """The unit that is about to be recorded. Raises Exchanged where another one answers in its place."""
        since = self._clock.now()
        # before the question: an answer to an earlier one says nothing of this connection
        self._catalog.cameras.connected(self._camera_id, since)
        if self._question.put(self._options.identity_wait) is UnitCheck.OTHER:
            raise Exchanged("recording.exchanged", url=source.url, serial=source.serial or "?")
        return RecordedUnit(self._catalog, self._camera_id, source.serial, since)

    def _record(
        self, stream: LiveStream, source: Source, drive: Drive, syncer: Syncer, unit: RecordedUnit, stop: threading.Event
    ) -> None:  # fmt: skip
        connection = Connection(self._camera_id, stream, unit)
        storage = Storage(drive, self._catalog, self._finisher, syncer)
        segmenter = Segmenter(connection, storage, self._plan, self._clock, self._options)
        try:
            self._pump(stream, segmenter, source, unit, stop)
        finally:
            self._last_picture = segmenter.end_of_video() or self._last_picture
            segmenter.close()

    def _pump(
        self, stream: LiveStream, segmenter: Segmenter, source: Source, unit: RecordedUnit, stop: threading.Event
    ) -> None:
        options, monotonic = self._options, self._clock.monotonic
        recording, next_tick, next_watch = False, 0.0, 0.0
        while not (self._over(stop) or segmenter.over):
            self._moved = asked = monotonic()
            packet = stream.read()
            arrival = monotonic()
            if packet is not None:
                # when nothing comes any more FFmpeg gives out what it still held: that came before the silence
                silent = arrival - asked >= options.timeout
                segmenter.feed(packet, asked if silent else arrival)
            if segmenter.hole:
                self._outage.begin("stream.stalled", segmenter.hole.start, "hole")
                recording = False
            if not recording and segmenter.recording:
                recording = True
                self._begun()
            waited = arrival - asked > _WAITED
            if not waited and arrival < next_tick:
                continue
            next_tick = arrival + options.nap
            segmenter.tick(arrival)
            if arrival - segmenter.last_video >= options.stall_seconds:
                raise Stalled("recording.stalled", url=source.url, seconds=round(options.stall_seconds))
            if arrival >= next_watch:
                next_watch = arrival + _POLL
                self._check_unit(source, unit)
                self._watch(segmenter, source, arrival)

    def _check_unit(self, source: Source, unit: RecordedUnit) -> None:
        """Once a second: is this still the camera that may be recorded under this name? Raises Exchanged, Withdrawn."""
        now = self._source()
        if self._question.other or (now is not None and now.serial != source.serial):
            raise Exchanged("recording.exchanged", url=source.url, serial=source.serial or "?")
        if now is None:
            raise Withdrawn("recording.withdrawn", url=source.url)
        unit.unchecked_since()

    def _begun(self) -> None:
        self._pause = self._options.first_pause
        self._outage.end(self._clock.now())
        log.info("%s: recording", self._camera_id)

    def _watch(self, segmenter: Segmenter, source: Source, arrival: float) -> None:
        """Once a second: what should be told although packets come."""
        now = self._clock.now()
        plan = self._plan(now)
        if plan is None:
            return
        if not segmenter.recording:
            self._no_key_frame(now, plan, arrival - segmenter.began)
        elif segmenter.recording and source.audio_required:
            self._silence.see(now, plan, arrival - segmenter.last_sound, segmenter.has_sound)

    def _no_key_frame(self, now: datetime, plan: Assignment, lasting: float) -> None:
        """Pictures come and nothing can begin with them, for `lasting` seconds of this connection. It stays: key frames may be
        far apart, and each new connection would begin in between."""
        why = words.text("recording.no_key_frame")
        if self._outage.kind:
            self._outage.warn(now, plan, why)
        elif lasting >= self._options.stall_seconds:
            self._outage.begin("stream.stalled", now - timedelta(seconds=lasting), why)
            log.warning("%s: %s", self._camera_id, why)

    def _camera_failed(self, kind: str, error: CameraError, asked: datetime) -> None:
        """`asked`: when the attempt began; a camera may have kept it waiting, and the alert is due by the pictures' absence."""
        now = self._clock.now()
        since = now if self._outage.kind else self._last_picture or min(asked, now)
        if self._outage.begin(kind, since, str(error)):
            log.warning("%s: %s", self._camera_id, error)
        self._catalog.cameras.ask(self._camera_id, now)
        plan = self._plan(now)
        if plan:
            self._outage.warn(now, plan, str(error), rests=error.key == RESTING)

    def _drive_failed(self, error: DriveError) -> float:
        if self._outage.begin(error.kind, self._clock.now(), str(error)):
            log.warning("%s: %s", self._camera_id, error)
        self._recovered = None
        return _POLL

    def _longer_pause(self) -> float:
        pause = self._pause
        self._pause = min(self._options.last_pause, 2 * pause)
        return pause


def _kind(error: CameraError) -> str:
    """The kind of event that tells why nothing is recorded."""
    if isinstance(error, Exchanged):
        return "camera.exchanged"
    return "stream.stalled" if isinstance(error, Stalled) else "camera.down"
