"""The counting worker of the daemon: it takes the looks that are due and writes a row for each into the catalog.

A look reads a key frame from the recording. One thread takes one look at a time, at low priority: on a busy machine looks are
late, but recording is not. Late looks are taken from the recorded video, up to LATEST afterwards.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from agent.catalog import Catalog, calibrations
from agent.core.clock import Clock
from agent.core.errors import MediaError
from agent.core.model import Look, Segment
from agent.core.periodic import run_every
from agent.counting import calibrate, estimate, fault_alerts, quality, sound
from agent.counting.camera_state import CameraState
from agent.counting.detector import HeadDetector
from agent.counting.estimate import Polygon
from agent.counting.limits import LIMITS, Limits
from agent.counting.look import LookResult, take_look
from agent.counting.look_row import build_look
from agent.counting.timeline import CameraTimeline, TimedLook
from agent.media import containers
from agent.media.containers import BgrImage

_YOUNG_FILE = timedelta(seconds=10)
POLL_S = 1.0
LATEST_LOOK = timedelta(minutes=10)
CLOCK_STEP = timedelta(minutes=1)
"""If the next look is due later than this after its interval, the clock was set back."""
ACCEPT_VIEW_AFTER = timedelta(minutes=30)
SAVE_VIEW_LOOKS = 30
NICENESS = 15
_log = logging.getLogger(__name__)


class CountingWorker:
    """Counts people at the cameras that are being recorded, every `interval` seconds.

    `make_detector` is called in the worker's thread, so that the network's threads inherit its priority. `leave_out`:
    polygons by camera ID, in parts of width and height.
    """

    def __init__(
        self,
        catalog: Catalog,
        clock: Clock,
        make_detector: Callable[[], HeadDetector],
        interval: float,
        leave_out: Mapping[str, Sequence[Polygon]] | None = None,
        limits: Limits = LIMITS,
    ) -> None:
        self._catalog, self._clock, self._make_detector = catalog, clock, make_detector
        self._interval = timedelta(seconds=interval)
        self._leave_out = leave_out or {}
        self._limits = limits
        self._states: dict[str, CameraState] = {}
        self._detector: HeadDetector | None = None

    def run(self, stop: threading.Event) -> None:
        """Count until `stop` is set.

        Raises ModelError if the detector cannot be made; errors of single recordings are logged.
        """
        lower_priority()
        self.prepare()
        run_every(self._clock, stop, POLL_S, lambda: self.run_once(stop))

    def prepare(self) -> None:
        """Make the detector. Raises ModelError."""
        self._detector = self._make_detector()

    def run_once(self, stop: threading.Event | None = None) -> int:
        """Take every look that is due now; return how many were taken."""
        taken = 0
        while not (stop and stop.is_set()):
            ready = [s for s in map(self._find_due_look, self._list_cameras()) if s]
            for segment, wanted in ready:
                if stop and stop.is_set():
                    break
                taken += self._take_look(segment, wanted)
            if not ready:
                break
        return taken

    def _list_cameras(self) -> list[str]:
        """Return the cameras with an open segment and the known ones, whose last looks may still be due."""
        opened = {s.camera_id for s in self._catalog.segments.opened()}
        return sorted(opened | {c.camera_id for c in self._catalog.cameras.all()})

    def _find_due_look(self, camera_id: str) -> tuple[Segment, datetime] | None:
        """Return segment and instant of a camera's next look, if it is due and there is video of it."""
        now = self._clock.now()
        state = self._load_state(camera_id)
        if state.due and state.due - now > self._interval + CLOCK_STEP:
            state.due = self._compute_due(camera_id)
        start = max(state.due or now - LATEST_LOOK, now - LATEST_LOOK)
        segments = self._catalog.segments.between(camera_id, start, now, finished=False)
        ready = [
            (segment, wanted)
            for segment in segments
            if (wanted := max(start, segment.start)) <= now and (segment.end is None or wanted < segment.end)
        ]
        # two segments of the same instant, because the clock was set back: the newest one is right
        return min(ready, key=lambda pair: (pair[1], -pair[0].segment_id), default=None)

    def _compute_due(self, camera_id: str) -> datetime | None:
        """Return when the next look is due, by the last one; looks in the future are from before the clock was set back."""
        last = self._catalog.looks.last(camera_id, self._clock.now())
        return last.at + self._interval if last else None

    def _load_state(self, camera_id: str) -> CameraState:
        if camera_id not in self._states:
            text = self._catalog.facts.get(_make_view_key(camera_id))
            self._states[camera_id] = CameraState(
                fault_alerts.QualityWatch(
                    self._catalog, camera_id, fault_alerts.PICTURE_ALERTS, fault_alerts.PICTURE_HOLD
                ),
                fault_alerts.QualityWatch(self._catalog, camera_id, fault_alerts.SOUND_ALERTS, fault_alerts.SOUND_HOLD),
                fault_alerts.LivenessAlerts(self._catalog, camera_id),
                due=self._compute_due(camera_id),
                reference=quality.ViewFingerprint.from_text(text) if text else None,
            )
        return self._states[camera_id]

    def _take_look(self, segment: Segment, wanted: datetime) -> int:
        """Take one look; return 1 if a row was written, else 0."""
        state = self._states[segment.camera_id]
        try:
            found = self._read(segment, wanted)
        except MediaError as error:
            state.due = wanted + self._interval
            young = segment.state == "open" and self._clock.now() - segment.start < _YOUNG_FILE
            # the first fragment of a new file may not be written yet: try again
            if not young and segment.path not in state.complained:
                state.complained.add(segment.path)
                _log.warning("%s: %s", segment.camera_id, error)
            return 0
        if found is None:
            # no key frame yet (or none so late in the file): try again a little later
            state.due = wanted + timedelta(seconds=POLL_S)
            return 0
        picture, samples, at = found
        state.complained.clear()
        state.due = max(wanted, at) + self._interval
        self._judge(segment, state, picture, at, samples)
        return 1

    def _read(self, segment: Segment, wanted: datetime) -> tuple[BgrImage, quality.Samples | None, datetime] | None:
        """Read picture, sound before it and instant of the key frame for `wanted`.

        That is the newest key frame of an open file; in a finished one, or if the worker is late, the one at or before
        `wanted`. None: there is no new one, or the file was just renamed. Raises MediaError.
        """
        path = self._get_path(segment)
        # not Path.exists, which raises if the drive fails (EIO, ENOTCONN): the drive watch reports that
        if segment.state == "open" and not os.access(path, os.R_OK):
            return None
        try:
            return self._read_file(path, segment, wanted)
        except MediaError:
            if segment.state == "open" and not os.access(path, os.F_OK):
                return None  # recovery renamed the file while it was read: not an error
            raise

    def _read_file(
        self, path: Path, segment: Segment, wanted: datetime
    ) -> tuple[BgrImage, quality.Samples | None, datetime] | None:
        late = segment.state == "finished" or self._clock.now() - wanted > self._interval
        found = (
            containers.read_key_frame_at(path, (wanted - segment.start).total_seconds())
            if late
            else containers.read_last_key_frame(path)
        )
        last = self._catalog.looks.last(segment.camera_id, self._clock.now())
        if found is None:
            return None
        seconds, picture = found
        at = segment.start + timedelta(seconds=seconds)
        if last and at <= last.at:
            return None
        return picture, sound.read_sound_before(path, seconds) if segment.audio_codec else None, at

    def _get_path(self, segment: Segment) -> Path:
        drive = self._catalog.drives.get(segment.drive_id)
        if drive is None:
            raise MediaError("counting.drive_unknown", drive_id=segment.drive_id, file=segment.path)
        return Path(drive.path) / (segment.temporary if segment.state == "open" else segment.path)

    def _judge(
        self, segment: Segment, state: CameraState, picture: BgrImage, at: datetime, samples: quality.Samples | None
    ) -> None:
        assert self._detector is not None
        grey = quality.convert_to_luma(picture)
        now = quality.make_view_fingerprint(grey)
        if state.before is None or state.still_since is None or not quality.is_unchanged(state.before, now):
            state.still_since = at
        state.still_since = min(state.still_since, at)
        state.before = now
        seen = take_look(
            picture,
            self._detector,
            leave_out=self._leave_out.get(segment.camera_id, ()),
            reference=state.reference,
            still_s=(at - state.still_since).total_seconds(),
            grey=grey,
            limits=self._limits,
        )
        heard = quality.judge_sound(samples, sound.SAMPLE_RATE, self._limits)
        timed = self._compare_over_time(segment, state, picture, seen, at)
        row = build_look(segment, at, seen, heard, timed, self._detector)
        self._catalog.looks.add(self._apply_calibration(row))
        state.pictures.feed(seen.reason, at, segment)
        state.sounds.feed(heard.reason, at, segment)
        self._update_reference(segment.camera_id, state, seen, now, at)

    def _compare_over_time(
        self, segment: Segment, state: CameraState, picture: BgrImage, seen: LookResult, at: datetime
    ) -> TimedLook | None:
        """Return what time says of a look; None if its picture cannot be judged."""
        if not seen.judged:
            state.liveness.feed(None, at, segment)
            return None
        if state.timeline is None or at < state.timeline.last:  # the clock was set back
            state.timeline = CameraTimeline(self._catalog, segment.camera_id, at)
        leave_out = self._leave_out.get(segment.camera_id, ())
        timed = state.timeline.feed(
            picture, estimate.filter_outside(seen.candidates, leave_out, seen.width, seen.height), at
        )
        return replace(timed, finding=state.liveness.feed(timed.finding, at, segment))

    def _apply_calibration(self, look: Look) -> Look:
        """Return the look corrected by its camera's calibration; the recall is added to its measures."""
        calibration = calibrate.Calibration.of(
            self._catalog.facts.get(calibrations.make_calibration_key(look.camera_id)), look.detector
        )
        if calibration is None:
            return look
        people, low, high = calibration.apply(look.people, look.low, look.high)
        measures = dict(look.quality) | {"recall": calibration.recall}
        return replace(look, people=people, low=low, high=high, quality=measures)

    def _update_reference(
        self, camera_id: str, state: CameraState, seen: LookResult, now: quality.ViewFingerprint, at: datetime
    ) -> None:
        """Update the reference view slowly; a view that stays moved becomes the new reference."""
        if seen.reason == "moved":
            state.moved_since = min(state.moved_since or at, at)
            if at - state.moved_since < ACCEPT_VIEW_AFTER:
                return
            state.reference = None
            self._catalog.events.add("picture.view_accepted", at, camera_id=camera_id)
        elif not seen.judged:
            return
        state.moved_since = None
        state.blended = 0 if state.reference is None else state.blended + 1
        state.reference = now if state.reference is None else quality.blend_views(state.reference, now)
        if state.blended % SAVE_VIEW_LOOKS == 0:
            self._catalog.facts.put(_make_view_key(camera_id), state.reference.to_text())


def _make_view_key(camera_id: str) -> str:
    return f"view.{camera_id}"


def lower_priority() -> None:
    """Lower the priority of this thread and of the threads that it will start: recording has priority.

    Linux keeps niceness and scheduling policy per thread.
    """
    thread = threading.get_native_id()
    os.setpriority(os.PRIO_PROCESS, thread, NICENESS)
    os.sched_setscheduler(thread, os.SCHED_BATCH, os.sched_param(0))
