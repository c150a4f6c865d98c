"""AAC in RTP as LATM, by RFC 3016 and RFC 6416: elements of ISO/IEC 14496-3, 1.7.3, one or more in a packet or in several.

Where an element ends follows from the lengths in it; the marker says the same, but not every camera sets it.
"""

from __future__ import annotations

from typing import NamedTuple

from agent.rtsp.formats import AudioFormat
from agent.rtsp.media_unit import SoundFrame
from agent.rtsp.payload.aac_config import AacBits, AacFraming, read_framing, take_framing
from agent.rtsp.payload.frame_steps import FrameSteps

MAX_ELEMENT = 1 << 16
"""Bytes of the packets that one element may take."""
MAX_PARTS = 64
"""Packets that one element may take: each is read from the start with every part that comes."""
_MAX_CONFIG_DIGITS = 1024


class StreamMux(NamedTuple):
    """What a StreamMuxConfig says. `frames` in an element; `other_bits` behind them; `framing` of the AAC inside."""

    frames: int
    other_bits: int
    framing: AacFraming


class LatmDepacketizer:
    """Depacketises LATM.

    Where the configuration comes in band only, frames get an ADTS header each: so a decoder knows what they are.
    """

    def __init__(self, audio: AudioFormat) -> None:
        present = audio.parameters.get("cpresent", "0" if audio.config else "1").strip()
        self._in_band = present != "0"
        self._needs_header = not audio.config
        self._mux = _read_hex_mux(audio.parameters.get("config", ""))
        self._framing = read_framing(audio.config) or (self._mux.framing if self._mux else None)
        self._clock, self._rate = audio.clock_rate, audio.sample_rate
        self._part = b""
        self._stamp: int | None = None
        self._skipped: int | None = None
        self._count = self._parts = 0
        self._seen_whole = self._seen_parts = False
        self.damaged = 0

    def feed(self, payload: bytes, stamp: int, marker: bool, lost: bool) -> list[SoundFrame]:
        if self._part and (lost or stamp != self._stamp):
            self._drop_part()
        if lost and not (self._seen_whole and not self._seen_parts):
            self._skipped = stamp  # it may be the middle of an element, and nothing in it shows that
        if stamp == self._skipped or not payload:
            self.damaged += 1
            return []
        if stamp != self._stamp:
            self._stamp, self._skipped, self._count = stamp, None, 0
        self._seen_parts |= bool(self._part)
        part, self._part = self._part + payload, b""
        try:
            frames = self._take_elements(AacBits(part))
        except EOFError:
            self._hold(part, stamp)
            return []
        if frames is None:
            self.damaged += 1
            return []
        self._seen_whole, self._parts = True, 0
        return self._stamp_frames(frames, stamp)

    def _take_elements(self, bits: AacBits) -> list[bytes] | None:
        """Return the frames of all elements; None where they cannot be read. Raises EOFError where a part is missing."""
        frames = list[bytes]()
        while not frames or bits.left >= 8:
            if self._in_band and not bits.take(1):
                self._mux = _take_mux(bits)
                self._framing = self._mux.framing if self._mux else self._framing
            if self._in_band and self._mux is None:
                return None
            for _ in range(self._mux.frames if self._mux else 1):
                frames.append(bits.take_bytes(_take_length(bits)))
            if self._in_band or (self._mux and self._mux.other_bits):
                return frames  # what follows is other data and filling
        return frames

    def _stamp_frames(self, frames: list[bytes], stamp: int) -> list[SoundFrame]:
        framing = self._framing
        samples, rate = (framing.samples, framing.rate) if framing else (1024, self._rate)
        steps, first = FrameSteps(samples, self._clock, rate), self._count
        self._count += len(frames)
        if self._needs_header:
            frames = [framing.make_adts_header(len(frame)) + frame if framing else frame for frame in frames]
        return [frame for frame in steps.stamp(frames, stamp, first) if frame.data]

    def _hold(self, part: bytes, stamp: int) -> None:
        self._part = part
        self._parts += 1
        if len(part) > MAX_ELEMENT or self._parts > MAX_PARTS:
            self._drop_part()
            self._skipped = stamp

    def _drop_part(self) -> None:
        self._part, self._parts = b"", 0
        self.damaged += 1


def _take_length(bits: AacBits) -> int:
    length = 0
    while (byte := bits.take(8)) == 0xFF and length <= MAX_ELEMENT:
        length += byte
    return length + byte


def _read_hex_mux(text: str) -> StreamMux | None:
    """Return what a StreamMuxConfig in hexadecimal digits says; None where it cannot be read."""
    digits = text.strip()
    if len(digits) > _MAX_CONFIG_DIGITS:
        return None
    try:
        return _take_mux(AacBits(bytes.fromhex(digits + "0" * (len(digits) % 2))))
    except (ValueError, EOFError):
        return None


def _take_mux(bits: AacBits) -> StreamMux | None:
    """Read a StreamMuxConfig (1.7.3.1); None where it is of a kind that no camera sends. Raises EOFError."""
    version = bits.take(1)
    if version:
        if bits.take(1):  # audioMuxVersionA 1 is reserved
            return None
        _take_value(bits)
    bits.take(1)  # allStreamsSameTimeFraming
    frames = bits.take(6) + 1
    if bits.take(4) or bits.take(3):  # several programmes or layers
        return None
    framing = _take_sized_framing(bits) if version else take_framing(bits)
    if framing is None or bits.take(3):  # frameLengthType other than 0
        return None
    bits.take(8)  # latmBufferFullness
    other = _take_other_length(bits, version) if bits.take(1) else 0
    if bits.take(1):  # crcCheckPresent
        bits.take(8)
    return StreamMux(frames, other, framing)


def _take_sized_framing(bits: AacBits) -> AacFraming | None:
    end = _take_value(bits) + bits.at
    framing = take_framing(bits)
    bits.take(max(end - bits.at, 0))
    return framing


def _take_other_length(bits: AacBits, version: int) -> int:
    if version:
        return _take_value(bits)
    length, goes_on = 0, 1
    while goes_on:
        goes_on = bits.take(1)
        length = (length << 8) + bits.take(8)
    return length


def _take_value(bits: AacBits) -> int:
    return bits.take(8 * (bits.take(2) + 1))
