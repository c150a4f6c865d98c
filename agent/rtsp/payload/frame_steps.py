"""Stamps for several frames of sound in one packet."""

from __future__ import annotations

from collections.abc import Iterable

from agent.rtsp.media_unit import SoundFrame


class FrameSteps:
    """Frames of `samples` samples at `rate` a second, in ticks of a clock that may not divide by them."""

    def __init__(self, samples: int, clock_rate: int, rate: int) -> None:
        self._ticks, self._rate = samples * clock_rate, max(rate, 1)

    def get_offset(self, number: int) -> int:
        """Return the ticks from a packet's stamp to its frame `number`."""
        return number * self._ticks // self._rate

    def stamp(self, frames: Iterable[bytes], stamp: int, first: int = 0) -> list[SoundFrame]:
        """Return frames that follow one another, the first of which is frame `first` of the packet with this stamp."""
        made, begin = list[SoundFrame](), self.get_offset(first)
        for number, frame in enumerate(frames, first + 1):
            end = self.get_offset(number)
            made.append(SoundFrame(frame, stamp + begin, end - begin))
            begin = end
        return made
