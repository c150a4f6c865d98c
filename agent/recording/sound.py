"""Converts sound for MP4: AAC is copied, everything else (mostly telephone codecs) is encoded to AAC.

MP4 has no place for G.711 that browsers and Windows would play.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Protocol

import av

from agent.media.containers import MediaPacket
from agent.recording.aac_track import LAYOUTS, AacTrack
from agent.recording.sound_encoder import SoundEncoder
from agent.recording.sound_line import MIN_GAP
from agent.rtsp.formats import AudioFormat
from agent.rtsp.payload.aac_config import AacFraming, read_framing

RUN_SECONDS = 0.25
"""Seconds of samples that are decoded and encoded at once: each call costs as much as many samples."""
_AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_USUAL_RATE, _UNKNOWN_RATE = 16000, 48000


class Sound(Protocol):
    """The sound of one connection.

    tick        seconds that one step of the stamps of its packets lasts
    left_out    how many blocks could not be decoded or encoded
    """

    codec: str
    tick: float
    left_out: int

    def add_to(self, container: av.container.OutputContainer) -> av.AudioStream:
        """Add a stream for it to a new file."""

    def feed(self, data: bytes, at: float, duration_s: float) -> list[MediaPacket]:
        """Return the packets to write for a frame or block that begins at `at` seconds; their stamps say where they lie.

        `at` grows from call to call.
        """

    def flush(self) -> list[MediaPacket]:
        """Return what is still inside, at the end of the connection."""


class CopiedSound:
    """AAC, copied."""

    codec = "aac"

    def __init__(self, audio: AudioFormat, framing: AacFraming) -> None:
        self._track = AacTrack(audio.config, framing.rate, framing.channels or audio.channels)
        self._samples = framing.samples
        self._tick = Fraction(1, framing.rate)
        self.tick = float(self._tick)
        self.left_out = 0

    def add_to(self, container: av.container.OutputContainer) -> av.AudioStream:
        return self._track.add_to(container)

    def feed(self, data: bytes, at: float, duration_s: float) -> list[MediaPacket]:
        packet: MediaPacket = av.Packet(data)
        packet.time_base = self._tick
        packet.pts = packet.dts = round(at / self.tick)
        packet.duration = self._samples
        packet.is_keyframe = True
        return [packet]

    def flush(self) -> list[MediaPacket]:
        return []


class EncodedSound:
    """Any other codec that FFmpeg decodes: mono AAC at its own rate, one encoder for all segments of a connection."""

    codec = "aac"

    def __init__(self, audio: AudioFormat) -> None:
        known = audio.sample_rate or _UNKNOWN_RATE
        self._rate = known if known in _AAC_RATES else _USUAL_RATE
        self.tick = 1 / self._rate
        self.left_out = 0
        self._decoder = _open_decoder(audio)
        self._encoder = SoundEncoder(self._rate)
        self._track = AacTrack(self._encoder.config, self._rate, 1)
        self._run_seconds = RUN_SECONDS if audio.payload == "samples" else 0.0
        self._run = list[bytes]()
        self._begin = self._end = 0.0

    def add_to(self, container: av.container.OutputContainer) -> av.AudioStream:
        return self._track.add_to(container)

    def feed(self, data: bytes, at: float, duration_s: float) -> list[MediaPacket]:
        made = self._encode_run() if self._run and at - self._end >= MIN_GAP else []
        if not self._run:
            self._begin = at
        self._run.append(data)
        self._end = at + duration_s
        if self._end - self._begin >= self._run_seconds:
            made += self._encode_run()
        return made

    def flush(self) -> list[MediaPacket]:
        made = [*self._encode_run(), *self._encoder.flush()]
        self._encoder = SoundEncoder(self._rate, self._encoder.last)
        return made

    def _encode_run(self) -> list[MediaPacket]:
        """Decode and encode the blocks that have come together."""
        data, at, made = b"".join(self._run), self._begin, list[MediaPacket]()
        self._run.clear()
        if not data:
            return made
        try:
            frames = self._decoder.decode(av.Packet(data))
        except av.FFmpegError:
            # damaged in transit: the picture goes on without this sound
            self.left_out += 1
            return made
        for frame in frames:
            made += self._encode(frame, at)
            at += frame.samples / frame.sample_rate
        return made

    def _encode(self, frame: av.AudioFrame, at: float) -> list[MediaPacket]:
        made = list[MediaPacket]()
        if not self._encoder.takes(frame):
            made = self._encoder.flush()
            self._encoder = SoundEncoder(self._rate, self._encoder.last)
        try:
            made += self._encoder.encode(frame, at)
        except (av.FFmpegError, ValueError):
            # channels that cannot be mixed; what an encoder counted before an error is of no use
            self.left_out += 1
            self._encoder = SoundEncoder(self._rate, self._encoder.last)
        return made


def build_sound(audio: AudioFormat | None) -> Sound | None:
    """Return how a sound track goes into MP4; None where there is none, or its codec is not one that FFmpeg decodes."""
    if audio is None:
        return None
    framing = read_framing(audio.config) if audio.codec == "aac" else None
    if framing is not None:
        return CopiedSound(audio, framing)
    try:
        return EncodedSound(audio)
    except (av.FFmpegError, ValueError):
        return None


def _open_decoder(audio: AudioFormat) -> av.AudioCodecContext:
    context = av.CodecContext.create(audio.codec, "r")
    if not isinstance(context, av.AudioCodecContext):
        raise ValueError(audio.codec)  # noqa: TRY004 (it is no type of the caller's that is wrong)
    if audio.sample_rate:
        context.sample_rate = audio.sample_rate
    if audio.channels in LAYOUTS:
        context.layout = LAYOUTS[audio.channels]
    if audio.bits:
        context.options = {"bits_per_coded_sample": str(audio.bits)}
    context.open()
    return context
