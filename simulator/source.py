"""The media that a virtual camera plays: packets of a media file, held in memory, never decoded.

The simulator is to import nothing of the agent that it tests, so the small NAL splitter below stays its own
(agent/mp4/nal.py is the agent's).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import av

Kind = Literal["video", "audio"]

VIDEO_CODECS = {"h264": "H264", "hevc": "H265"}
AUDIO_CODECS = {"aac": "MPEG4-GENERIC", "pcm_alaw": "PCMA", "pcm_mulaw": "PCMU", "g722": "G722", "pcm_s16be": "L16"}
AUDIO_CODECS |= {"g726": "G726-32", "opus": "opus", "mp3float": "MPA", "mp2": "MPA", "ac3": "AC3"}
RTP_CLOCKS = {"g722": 8000, "opus": 48_000, "mp3float": 90_000, "mp2": 90_000}
"""Clock rates in Hz that are not the sample rate (RFC 3551, 7587)."""
MAX_BYTES = 300_000_000
PACKET_S = 0.04
"""Seconds of sound in a packet of a codec without frames, as most cameras send."""


@dataclass(frozen=True)
class SourceTrack:
    """One stream of a source: codec name (FFmpeg's), RTP clock rate in Hz, parameter sets or AudioSpecificConfig.

    `byte_rate`: bytes a second of sound without frames, 0 for other codecs; `rate`: samples a second.
    """

    kind: Kind
    codec: str
    clock: int
    channels: int = 1
    parameter_sets: tuple[bytes, ...] = ()
    config: bytes = b""
    width: int = 0
    height: int = 0
    fps: float = 0.0
    rate: int = 0
    byte_rate: int = 0


@dataclass(frozen=True)
class SourceSample:
    """One frame: `due` and `pts` in seconds from the start of the file; video as NAL units, sound as one unit.

    Several units of sound are frames that travel in one packet.
    """

    kind: Kind
    due: float
    pts: float
    key: bool
    units: tuple[bytes, ...]


@dataclass(frozen=True)
class MediaSource:
    """A whole file: at most one track of each kind, samples sorted by `due`, duration of one round in seconds."""

    path: Path
    video: SourceTrack | None
    audio: SourceTrack | None
    samples: tuple[SourceSample, ...]
    duration: float

    def track(self, kind: Kind) -> SourceTrack | None:
        """Return the track of a kind."""
        return self.video if kind == "video" else self.audio

    def same_format(self, other: MediaSource) -> bool:
        """Return True where a client could continue with `other` without a new request: same codecs and clock rates."""
        return _describe_format(self.video) == _describe_format(other.video) and _describe_format(
            self.audio
        ) == _describe_format(other.audio)


def _describe_format(track: SourceTrack | None) -> tuple[object, ...] | None:
    return (track.codec, track.clock, track.channels, track.config) if track else None


@lru_cache(maxsize=8)
def _load_packets(path: Path, stamp: tuple[int, int]) -> MediaSource:
    with av.open(str(path)) as container:
        video = next((s for s in container.streams.video if s.codec_context.name in VIDEO_CODECS), None)
        audio = next((s for s in container.streams.audio if s.codec_context.name in AUDIO_CODECS), None)
        if video is None and audio is None:
            raise ValueError(f"{path.name} holds neither H.264 or H.265 video nor sound that RTP carries")
        video_track = _build_video_track(video) if video else None
        audio_track = _build_audio_track(audio) if audio else None
        pictures: list[SourceSample] = []
        sounds: list[SourceSample] = []
        size = 0
        end = 0.0
        for packet in container.demux([s for s in (video, audio) if s]):
            if packet.size == 0 or packet.pts is None:
                continue
            size += packet.size
            if size > MAX_BYTES:
                break
            base = packet.time_base
            due = float((packet.dts if packet.dts is not None else packet.pts) * base)
            pts = float(packet.pts * base)
            length = float(packet.duration * base) if packet.duration else 0.0
            data = bytes(packet)
            if packet.stream is video and video_track:
                units = tuple(split_units(data, video.codec_context.extradata or b"", video_track.codec))
                pictures.append(SourceSample("video", due, pts, packet.is_keyframe, units))
                end = max(end, due + (length or 1 / video_track.fps))
            else:
                sounds.append(SourceSample("audio", pts, pts, True, (data,)))
                if video is None:
                    end = max(end, pts + length)
    return _assemble(path, video_track, audio_track, pictures, sounds, end)


def _assemble(
    path: Path,
    video: SourceTrack | None,
    audio: SourceTrack | None,
    pictures: list[SourceSample],
    sounds: list[SourceSample],
    end: float,
) -> MediaSource:
    """Begin at the first key frame (else the first sound), and keep the sound that lies within one round."""
    while pictures and not pictures[0].key:
        pictures.pop(0)
    zero = pictures[0].due if pictures else max(0.0, sounds[0].due)
    if audio and audio.byte_rate:
        sounds = list(_rechunk_sound(sounds, audio.byte_rate))
    # encoder delay before the first picture and sound beyond the end would be played twice at each new round
    sounds = [s for s in sounds if -1e-6 <= s.due - zero < end - zero - 1e-6]
    samples = sorted(pictures + sounds, key=lambda s: s.due)
    moved = tuple(SourceSample(s.kind, s.due - zero, s.pts - zero, s.key, s.units) for s in samples)
    return MediaSource(path, video if pictures else None, audio if sounds else None, moved, end - zero)


def load_source(path: Path) -> MediaSource:
    """Read the packets of `path` (at most 300 MB). Raises ValueError without a usable stream, av.FFmpegError."""
    stat = path.stat()
    return _load_packets(path, (stat.st_mtime_ns, stat.st_size))


def _build_video_track(stream: av.VideoStream) -> SourceTrack:
    context = stream.codec_context
    extradata = context.extradata or b""
    sets = tuple(split_parameter_sets(extradata, context.name))
    fps = float(stream.average_rate or 25)
    return SourceTrack(
        "video", context.name, 90_000, parameter_sets=sets, width=context.width, height=context.height, fps=fps
    )


def _build_audio_track(stream: av.AudioStream) -> SourceTrack:
    context = stream.codec_context
    rate, channels, name = context.sample_rate, context.channels or 1, context.name  # NUT names no channels for G.726
    sizes = {"pcm_alaw": rate, "pcm_mulaw": rate, "pcm_s16be": 2 * rate, "g722": rate // 2, "g726": rate // 2}
    config = (context.extradata or b"") if name == "aac" else b""
    clock, byte_rate = RTP_CLOCKS.get(name, rate), sizes.get(name, 0) * channels
    return SourceTrack("audio", name, clock, channels=channels, config=config, rate=rate, byte_rate=byte_rate)


def _rechunk_sound(sounds: list[SourceSample], byte_rate: int) -> Iterator[SourceSample]:
    whole = b"".join(s.units[0] for s in sounds)
    start = sounds[0].pts if sounds else 0.0
    size = round(byte_rate * PACKET_S)
    for at in range(0, len(whole) - size + 1, size):
        moment = start + at / byte_rate
        yield SourceSample("audio", moment, moment, True, (whole[at : at + size],))


def split_units(data: bytes, extradata: bytes, codec: str) -> Iterator[bytes]:
    """Yield the NAL units of a packet, length-prefixed (MP4, MKV) or after start codes."""
    if extradata[:1] != b"\x01":
        yield from split_annex_b(data)
        return
    width = (extradata[4 if codec == "h264" else 21] & 3) + 1
    at = 0
    while at + width <= len(data):
        length = int.from_bytes(data[at : at + width], "big")
        yield data[at + width : at + width + length]
        at += width + length


def split_annex_b(data: bytes) -> Iterator[bytes]:
    """Yield the NAL units of a byte stream with start codes."""
    for part in data.replace(b"\x00\x00\x00\x01", b"\x00\x00\x01").split(b"\x00\x00\x01")[1:]:
        if part:
            yield part


def split_parameter_sets(extradata: bytes, codec: str) -> Iterator[bytes]:
    """Yield VPS, SPS and PPS out of avcC, hvcC or Annex B extradata."""
    if extradata[:1] != b"\x01":
        yield from split_annex_b(extradata)
    elif codec == "h264":
        at = 5
        for mask in (0x1F, 0xFF):
            count = extradata[at] & mask
            at += 1
            for _ in range(count):
                length = int.from_bytes(extradata[at : at + 2], "big")
                yield extradata[at + 2 : at + 2 + length]
                at += 2 + length
    else:
        at = 23
        for _ in range(extradata[22]):
            count = int.from_bytes(extradata[at + 1 : at + 3], "big")
            at += 3
            for _ in range(count):
                length = int.from_bytes(extradata[at : at + 2], "big")
                yield extradata[at + 2 : at + 2 + length]
                at += 2 + length
