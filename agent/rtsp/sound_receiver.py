"""Takes the packets of the sound track and makes frames of them, on the connection's time line."""

from __future__ import annotations

from collections.abc import Callable

from agent.rtsp.formats import AudioFormat
from agent.rtsp.media_unit import MediaUnit, SoundDepacketizer
from agent.rtsp.rtp_receiver import RtpReceiver
from agent.rtsp.sound_offset import SoundOffset

MAX_FRAMES = 4096
"""Frames that wait to be handed out, at most; a camera sends some 50 a second."""


class SoundReceiver(RtpReceiver):
    """Receives the sound track. Sound goes to `deliver` once it is known where it lies beside the picture."""

    def __init__(
        self,
        payload_type: int,
        audio: AudioFormat,
        depacketizer: SoundDepacketizer,
        deliver: Callable[[MediaUnit], None],
        named_source: int | None = None,
    ) -> None:
        super().__init__(payload_type, audio.clock_rate, named_source)
        self.format = audio
        self._depacketizer = depacketizer
        self._deliver = deliver
        self._waiting: list[MediaUnit] = []

    @property
    def damaged(self) -> int:
        """Frames that were left out because something of them was missing or wrong."""
        return self._depacketizer.damaged

    def hand_out(self, offset: SoundOffset) -> None:
        """Hand out what has come since the last call; without a picture to lie beside it is left out."""
        waiting, self._waiting = self._waiting, []
        if offset.seconds is None:
            return
        shift = round(offset.seconds * self.clock.rate)
        for unit in waiting:
            unit.pts += shift
            unit.dts = unit.pts
            self._deliver(unit)

    def _take(self, data: bytearray, at: int, end: int, marker: int, gap: bool) -> None:
        frames = self._depacketizer.feed(bytes(data[at:end]), self.clock.ticks, bool(marker), gap)
        for frame in frames[: MAX_FRAMES - len(self._waiting)]:
            self._waiting.append(MediaUnit(frame.data, frame.stamp, frame.stamp, frame.duration, False))
