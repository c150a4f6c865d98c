"""What is checked once a second although packets come: the unit, the key frames, the sound."""

from __future__ import annotations

from agent.core.clock import Clock
from agent.recording.failures import CameraExchanged, CameraWithdrawn, FailureReporter
from agent.recording.identity import RecordedUnit, UnitQuestion
from agent.recording.inputs import RecorderInputs
from agent.recording.options import StreamSource
from agent.recording.outage import SilenceWatch
from agent.recording.segmenter import Segmenter


class CameraWatch:
    """Checks the connections of one camera."""

    def __init__(
        self,
        inputs: RecorderInputs,
        question: UnitQuestion,
        failures: FailureReporter,
        silence: SilenceWatch,
        clock: Clock,
    ) -> None:
        self._inputs, self._question = inputs, question
        self._failures, self._silence, self._clock = failures, silence, clock

    def check_unit(self, source: StreamSource, unit: RecordedUnit) -> None:
        """Check that this is still the camera that may be recorded under this name. Raises Exchanged, Withdrawn."""
        now = self._inputs.source()
        if self._question.other or (now is not None and now.serial != source.serial):
            raise CameraExchanged("recording.exchanged", url=source.url, serial=source.serial or "?")
        if now is None:
            raise CameraWithdrawn("recording.withdrawn", url=source.url)
        unit.unchecked_since()

    def check_stream(self, segmenter: Segmenter, source: StreamSource, arrival: float) -> None:
        """Report missing key frames, and missing sound where it is required. `arrival`: now, on the monotonic clock."""
        now = self._clock.now()
        assignment = self._inputs.plan(now)
        if assignment is None:
            return
        if not segmenter.recording:
            self._failures.report_no_key_frame(now, assignment, arrival - segmenter.began)
        elif source.audio_required:
            self._silence.see(now, assignment, arrival - segmenter.last_sound, segmenter.has_sound)
