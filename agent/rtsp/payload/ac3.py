"""AC-3 in RTP by RFC 4184: several frames in a packet, or one in several packets."""

from __future__ import annotations

from agent.rtsp.formats import AudioFormat
from agent.rtsp.media_unit import SoundFrame
from agent.rtsp.payload.frame_steps import FrameSteps

_RTP_HEADER = 2
AC3_SAMPLES = 1536
_WHOLE, _FOLLOWING = 0, 3
_RATES = (48000, 44100, 32000)
_KBITS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)
_FULL_RATE, _MAX_VERSION = 8, 10
"""`bsid` up to which rates are whole (above, a half or a quarter), and up to which this is AC-3 at all."""


class Ac3Depacketizer:
    """Depacketises AC-3."""

    def __init__(self, audio: AudioFormat) -> None:
        self._clock = audio.clock_rate
        self._part = b""
        self._stamp = 0
        self.damaged = 0

    def feed(self, payload: bytes, stamp: int, marker: bool, lost: bool) -> list[SoundFrame]:
        kind, body = (payload[0] & 3 if payload else _WHOLE), payload[_RTP_HEADER:]
        follows = kind == _FOLLOWING and not lost and stamp == self._stamp
        if self._part and not (follows and body):
            self._part = b""
            self.damaged += 1
            if kind == _FOLLOWING:
                return []
        if not body or (kind == _FOLLOWING and not self._part):
            return self._count_damaged()
        if kind == _WHOLE:
            return self._split(body, stamp)
        return self._join(body, stamp, marker)

    def _split(self, body: bytes, stamp: int) -> list[SoundFrame]:
        frames, at, offset = list[SoundFrame](), 0, 0
        while at < len(body):
            size, rate = read_ac3_frame(body, at)
            if not size or at + size > len(body):
                self.damaged += 1
                break
            frames += FrameSteps(AC3_SAMPLES, self._clock, rate).stamp([body[at : at + size]], stamp + offset)
            offset += frames[-1].duration
            at += size
        return frames

    def _join(self, body: bytes, stamp: int, marker: bool) -> list[SoundFrame]:
        self._part, self._stamp = self._part + body, stamp
        size, rate = read_ac3_frame(self._part, 0)
        if size and len(self._part) < size and not marker:
            return []
        part, self._part = self._part, b""
        if not size or len(part) != size:
            return self._count_damaged()
        return FrameSteps(AC3_SAMPLES, self._clock, rate).stamp([part], stamp)

    def _count_damaged(self) -> list[SoundFrame]:
        self.damaged += 1
        return []


def read_ac3_frame(data: bytes, at: int) -> tuple[int, int]:
    """Return size and rate of the frame whose header (ATSC A/52, 5.3) is at `at`; (0, 0) where there is none."""
    head = data[at : at + 6]
    if len(head) < 6 or head[:2] != b"\x0b\x77":
        return 0, 0
    version = head[5] >> 3
    rate, code = head[4] >> 6, head[4] & 0x3F
    if version > _MAX_VERSION or rate >= len(_RATES) or code >= 2 * len(_KBITS):
        return 0, 0
    bit_rate, hertz = _KBITS[code // 2] * 1000, _RATES[rate]
    words = AC3_SAMPLES * bit_rate // (16 * hertz)
    return 2 * (words + (code & 1 if hertz == 44100 else 0)), hertz >> max(version - _FULL_RATE, 0)
