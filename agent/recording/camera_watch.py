"""What is checked once a second although packets come: the unit, the key frames, the sound, what was lost."""

from __future__ import annotations

import logging

from agent import i18n
from agent.core.clock import Clock
from agent.recording.context import Connection
from agent.recording.failures import CameraExchanged, CameraWithdrawn, FailureReporter
from agent.recording.identity import RecordedUnit, UnitQuestion
from agent.recording.inputs import RecorderInputs
from agent.recording.options import StreamSource
from agent.recording.outage import SilenceWatch
from agent.recording.segmenter import Segmenter

log = logging.getLogger(__name__)
_LOSS_LINE_S = 60.0
"""Lost packets are logged this often at most: a bad cable loses some every second."""


class CameraWatch:
    """Checks the connections of one camera. `lost`: RTP packets that never came, on all of them."""

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
        self.lost = 0
        self._counted = self._unreported = 0, 0  # packets, and what was left out for want of them
        self._next_line = float("-inf")

    def begin(self) -> None:
        """Note that a new connection begins, which counts from nought."""
        self._counted = 0, 0

    def check_unit(self, source: StreamSource, unit: RecordedUnit) -> None:
        """Check that this is still the camera that may be recorded under this name. Raises Exchanged, Withdrawn."""
        now = self._inputs.source()
        if self._question.other or (now is not None and now.serial != source.serial):
            raise CameraExchanged("recording.exchanged", url=source.url, serial=source.serial or "?")
        if now is None:
            raise CameraWithdrawn("recording.withdrawn", url=source.url)
        unit.unchecked_since()

    def check_packets(self, connection: Connection, arrival: float) -> None:
        """Store that the camera signs its pictures, and log packets that were lost, once a minute at most.

        `arrival`: now, on the monotonic clock.
        """
        stream = connection.stream
        if stream.signed:
            connection.unit.note_signing()
        found = stream.lost, stream.damaged
        new = found[0] - self._counted[0], found[1] - self._counted[1]
        self._counted = found
        self.lost += new[0]
        lost, left_out = self._unreported[0] + new[0], self._unreported[1] + new[1]
        if lost and arrival >= self._next_line:
            self._next_line = arrival + _LOSS_LINE_S
            words = {"camera_id": connection.camera_id, "lost": lost, "left_out": left_out}
            log.warning("%s", i18n.translate("recording.packets_lost", **words))
            lost = left_out = 0
        self._unreported = lost, left_out

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
