"""Encodes decoded sound to mono AAC, in one run of samples, and says where on the time line each packet lies."""

from __future__ import annotations

from collections import deque
from fractions import Fraction

import av

from agent.media.containers import MediaPacket
from agent.recording.sound_line import MIN_GAP

AAC_FRAME = 1024
_MAX_SILENCE = 0.5
"""Seconds of silence that are put in where sound is missing; a longer gap is left between two packets."""
_BITS_A_SAMPLE, _MAX_BIT_RATE = 4, 96_000
# `twoloop`, FFmpeg's default, takes eight times as long and is not better at these bit rates; see tests/recording/test_sound.py
_OPTIONS = {"aac_coder": "fast", "aac_tns": "0", "aac_pns": "0"}


class SoundEncoder:
    """One AAC encoder. Errors of FFmpeg pass through.

    The encoder sees a stream without gaps; `_anchors` maps counts of samples to places on the time line.
    """

    def __init__(self, rate: int, after: int | None = None) -> None:
        """`rate`: of the AAC; `after`: stamp of the last packet of an encoder before this one."""
        self._rate = rate
        self._context = av.CodecContext.create("aac", "w")
        self._context.sample_rate = rate
        self._context.layout = "mono"
        self._context.format = "fltp"
        self._context.bit_rate = min(rate * _BITS_A_SAMPLE, _MAX_BIT_RATE)
        self._context.options = dict(_OPTIONS)
        self._context.open()
        self._kind: tuple[str, str, int] | None = None
        self._anchors: deque[tuple[int, float]] = deque()
        self._fed = self._made = 0
        self._end = 0.0
        self.last = after
        self._tick = Fraction(1, rate)

    @property
    def config(self) -> bytes:
        """The AudioSpecificConfig of what it makes."""
        return self._context.extradata or b""

    def takes(self, frame: av.AudioFrame) -> bool:
        """Return False where an encoder of its own is needed for this frame: it is of another kind than those before."""
        return self._kind in (None, _get_kind(frame))

    def encode(self, frame: av.AudioFrame, at: float) -> list[MediaPacket]:
        """Return packets with stamps in ticks of 1/rate; `at`: where the frame begins."""
        made = list[MediaPacket]()
        if self._kind is None:
            self._kind = _get_kind(frame)
        elif at - self._end >= MIN_GAP:
            made = self._fill(frame, at - self._end)
        self._anchors.append((self._fed, at))
        self._end = at + frame.samples / frame.sample_rate
        return [*made, *self._feed(frame)]

    def flush(self) -> list[MediaPacket]:
        """Return what is still inside; nothing can be encoded afterwards."""
        return self._place(self._context.encode(None)) if self._kind else []

    def _fill(self, like: av.AudioFrame, gap: float) -> list[MediaPacket]:
        """Put silence where sound is missing; before a long gap as much as completes the packet that was begun."""
        count = round(gap * like.sample_rate)
        if gap > _MAX_SILENCE:
            length = AAC_FRAME * like.sample_rate // self._rate
            count = -self._fed % length
        if not count:
            return []
        silence = av.AudioFrame(format=like.format.name, layout=like.layout.name, samples=count)
        silence.sample_rate = like.sample_rate
        for plane in silence.planes:
            plane.update(bytes(plane.buffer_size))
        return self._feed(silence)

    def _feed(self, frame: av.AudioFrame) -> list[MediaPacket]:
        frame.pts, frame.time_base = self._fed, Fraction(1, frame.sample_rate)
        self._fed += frame.samples
        return self._place(self._context.encode(frame))

    def _place(self, packets: list[MediaPacket]) -> list[MediaPacket]:
        for packet in packets:
            stamp = round(self._locate(self._made - 1) * self._rate)
            # two packets may lie closer than they last where the line goes back, but never on each other
            stamp = stamp if self.last is None else max(stamp, self.last + AAC_FRAME // 2)
            packet.pts = packet.dts = self.last = stamp
            packet.duration, packet.time_base = AAC_FRAME, self._tick
            self._made += 1
        return packets

    def _locate(self, number: int) -> float:
        """Return where packet `number` begins; -1 is what the encoder needs to get going, and lies before all sound."""
        assert self._kind is not None
        rate, anchors = self._kind[2], self._anchors
        position = number * AAC_FRAME * rate // self._rate
        while len(anchors) > 1 and anchors[1][0] <= position:
            anchors.popleft()
        count, at = anchors[0]
        return at + (position - count) / rate


def _get_kind(frame: av.AudioFrame) -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate
