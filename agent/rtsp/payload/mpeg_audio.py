"""MPEG audio (layers I to III) in RTP by RFC 2250, 3.5: several frames in a packet, or one in several packets."""

from __future__ import annotations

from typing import NamedTuple

from agent.rtsp.formats import AudioFormat
from agent.rtsp.media_unit import SoundFrame
from agent.rtsp.payload.frame_steps import FrameSteps

_RTP_HEADER, _FRAME_HEADER = 4, 4
_RATES = (44100, 48000, 32000)
_KBITS = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""By version (1; 2 for 2 and 2.5) and layer, for bit rate indexes 1 to 14."""


class MpegFrame(NamedTuple):
    """What the header of a frame says: its bytes, its samples, and their rate."""

    size: int
    samples: int
    rate: int


class MpegAudioDepacketizer:
    """Depacketises MPEG audio. Frames without a bit rate in their header are not taken: nothing says where they end."""

    def __init__(self, audio: AudioFormat) -> None:
        self._clock = audio.clock_rate
        self._part = b""
        self._stamp = 0
        self.damaged = 0

    def feed(self, payload: bytes, stamp: int, marker: bool, lost: bool) -> list[SoundFrame]:
        if self._part and (lost or stamp != self._stamp):
            self._drop_part()
        if payload[:1] == b"\xff":  # a camera that leaves RTP's own header out: it begins with zeros
            offset, body = 0, payload
        else:
            offset, body = int.from_bytes(payload[2:_RTP_HEADER], "big"), payload[_RTP_HEADER:]
        if not body or offset != len(self._part):
            self._drop_part()
        if not body or offset:
            return self._join(body, stamp) if body and self._part else self._count_damaged()
        return self._split(body, stamp)

    def _join(self, body: bytes, stamp: int) -> list[SoundFrame]:
        self._part += body
        frame = read_mpeg_frame(self._part, 0)
        assert frame is not None  # the part began with a header
        if len(self._part) < frame.size:
            return []
        part, self._part = self._part, b""
        if len(part) > frame.size:
            return self._count_damaged()
        return FrameSteps(frame.samples, self._clock, frame.rate).stamp([part], stamp)

    def _split(self, body: bytes, stamp: int) -> list[SoundFrame]:
        frames, at, offset = list[SoundFrame](), 0, 0
        while at < len(body):
            frame = read_mpeg_frame(body, at)
            if frame is None:
                self.damaged += 1
                break
            if at + frame.size > len(body):
                # only the first frame may go on in the next packet
                if at == 0:
                    self._part, self._stamp = body, stamp
                else:
                    self.damaged += 1
                break
            frames += FrameSteps(frame.samples, self._clock, frame.rate).stamp(
                [body[at : at + frame.size]], stamp + offset
            )
            offset += frames[-1].duration
            at += frame.size
        return frames

    def _count_damaged(self) -> list[SoundFrame]:
        self.damaged += 1
        return []

    def _drop_part(self) -> None:
        if self._part:
            self._part = b""
            self.damaged += 1


def read_mpeg_frame(data: bytes, at: int) -> MpegFrame | None:
    """Return what the frame header at `at` says (ISO/IEC 11172-3, 2.4.1.3); None where there is none."""
    head = data[at : at + _FRAME_HEADER]
    if len(head) < _FRAME_HEADER or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    bits, rate, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if version == 1 or layer == 4 or bits in (0, 15) or rate == 3:
        return None
    first = version == 3
    hertz = _RATES[rate] >> (0 if first else 1 if version == 2 else 2)
    bit_rate = _KBITS[1 if first else 2, layer][bits - 1] * 1000
    if layer == 1:
        return MpegFrame((12 * bit_rate // hertz + padding) * 4, 384, hertz)
    samples = 576 if layer == 3 and not first else 1152
    return MpegFrame(samples // 8 * bit_rate // hertz + padding, samples, hertz)
