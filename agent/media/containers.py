"""Shared access to `av`: opening files, key frames as pictures, names of codecs.

A segment is a fragmented MP4 while it is written and an ordinary one afterwards; everything here reads both, also while
another thread writes. A reader does not see a file grow, so each call opens it again.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import av
from av.stream import Disposition, Stream

from agent.core.errors import MediaError

# recorders need no pixels, and importing numpy would cost them memory
if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from av.video.codeccontext import VideoCodecContext

BgrImage: TypeAlias = "npt.NDArray[np.uint8]"
"""Pixels of shape (height, width, 3), blue-green-red, as OpenCV takes them."""

MediaPacket: TypeAlias = "av.Packet[Any]"
"""Coded data of any stream with its stamps. One type for all: packets of picture and sound go the same way."""

CODEC_NAMES = {"hevc": "h265", "pcm_alaw": "g711a", "pcm_mulaw": "g711u", "mjpeg": "jpeg"}


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """What a file holds.

    duration        in seconds
    video, audio    codecs by the project's names (h264, h265, aac …); `audio` None: no sound
    """

    duration: float
    video: str
    width: int
    height: int
    audio: str | None


@dataclass(frozen=True, slots=True)
class MediaPace:
    """Measured figures of part of a file.

    fps             pictures a second
    keyframe_s      longest time between two key frames, in seconds; None where there are fewer than two
    bitrate_kbps    of all streams together
    audio           whether there are sound packets
    """

    fps: float
    keyframe_s: float | None
    bitrate_kbps: float
    audio: bool


def to_codec_name(ffmpeg_name: str) -> str:
    """Return the project's name of a codec: FFmpeg's, except h265, g711a, g711u and jpeg."""
    return CODEC_NAMES.get(ffmpeg_name, ffmpeg_name)


@contextmanager
def open_media(path: Path | str, *, trusting: bool = False) -> Iterator[av.container.InputContainer]:
    """Open a file for reading. Raises MediaError where it is missing, cut off before its index, or not a media file.

    `trusting`: believe the file's header and decode nothing to check it, which takes a tenth of the time: for our own
    recordings.
    """
    try:
        mode = Path(path).stat().st_mode
    except (OSError, ValueError) as error:
        raise MediaError("media.unreadable", file=path, detail=getattr(error, "strerror", None) or error) from error
    if not stat.S_ISREG(mode):  # opening a pipe in place of a file would block without end
        raise MediaError("media.no_file", file=path)
    try:
        # `file:` prefix: names may contain colons. Titles may be in any encoding (GBK), and are not used
        options = {"probesize": "32"} if trusting else {}
        with av.open(f"file:{path}", options=options, metadata_errors="replace") as container:
            yield container
    except av.FFmpegError as error:
        raise MediaError("media.unreadable", file=path, detail=error.strerror or error) from error


def find_video_stream(container: av.container.InputContainer, path: Path | str) -> av.VideoStream:
    """Return the first video stream, skipping attached pictures (covers). Raises MediaError where there is none."""
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams:
        raise MediaError("media.no_video", file=path)
    stream = streams[0]
    stream.codec_context.thread_count = 1
    return stream


def probe_media(path: Path | str) -> MediaInfo:
    """Return what the file holds. Raises MediaError, also where it holds no picture."""
    with open_media(path) as container:
        video = find_video_stream(container, path)
        audio = container.streams.audio[0] if container.streams.audio else None
        length = video.duration * video.time_base if video.duration and video.time_base else 0
        return MediaInfo(
            duration=float(length) or (container.duration or 0) / av.time_base,
            video=to_codec_name(video.codec_context.name),
            width=video.codec_context.width,
            height=video.codec_context.height,
            audio=to_codec_name(audio.codec_context.name) if audio else None,
        )


def measure_video_seconds(path: Path | str) -> float | None:
    """Return the seconds of picture that can be read, from the first frame to the end of the last; None without a picture.

    Works for a file that was cut off too, whose header gives no duration. Raises MediaError.
    """
    with open_media(path) as container:
        video = find_video_stream(container, path)
        container.seek(10**15, backward=True)
        ends = [
            _get_seconds(p, video) + float((p.duration or 0) * (p.time_base or 0))
            for p in _iter_packets(container, video)
        ]
        return max(ends, default=None)


def measure_pace(path: Path | str, seconds: float = 20.0) -> MediaPace | None:
    """Measure the last `seconds` of a finished file; None where less than a second can be read. Raises MediaError."""
    with open_media(path) as container:
        video = find_video_stream(container, path)
        length = float((video.duration or 0) * (video.time_base or 0))
        if length > seconds:
            container.seek(round((length - seconds) * av.time_base), backward=True)
        times, keys, size, audio = list[float](), list[float](), 0, False
        for packet in _iter_packets(container, *container.streams.video[:1], *container.streams.audio[:1]):
            size += packet.size
            if packet.stream.type == "audio":
                audio = True
                continue
            times.append(_get_seconds(packet, video))
            if packet.is_keyframe:
                keys.append(times[-1])
        span = max(times) - min(times) if len(times) > 1 else 0.0
        if span < 1:
            return None
        longest = max((b - a for a, b in pairwise(keys)), default=None)
        return MediaPace((len(times) - 1) / span, longest, size * 8 / 1000 / span, audio)


def iter_key_frames(path: Path | str, every: float = 0.0) -> Iterator[tuple[float, BgrImage]]:
    """Yield key frames in order, at least `every` seconds apart: (seconds after the first frame, picture).

    Ends without an error where a file was cut off. Raises MediaError.
    """
    with open_media(path) as container:
        video = find_video_stream(container, path)
        due = float("-inf")
        for at, packet in _iter_timed(container, video):
            if not packet.is_keyframe or at < due:
                continue
            picture = _decode_picture(video, packet)
            if picture is not None:
                due = at + every - 1e-6
                yield at, picture


def read_still(path: Path | str) -> BgrImage | None:
    """Return the picture of a file such as HEIC; None where it is damaged.

    Raises MediaError, also where the picture is stored as tiles, which would be read as separate pictures.
    """
    with open_media(path) as container:
        video = find_video_stream(container, path)
        if video.disposition & Disposition.dependent:
            raise MediaError("media.tiles", file=path)
        packet = next(_iter_packets(container, video), None)
        return _decode_picture(video, packet) if packet else None


def read_key_frame_at(path: Path | str, seconds: float) -> tuple[float, BgrImage] | None:
    """Return the last key frame at or before `seconds` after a recording's first frame: (its seconds, picture), or None."""
    with open_media(path, trusting=True) as container:
        video = find_video_stream(container, path)
        base = float((video.start_time or 0) * (video.time_base or 0))
        container.seek(min(10**15, round((base + seconds) * av.time_base)), backward=True)
        found = next((p for p in _iter_packets(container, video) if p.is_keyframe), None)
        picture = _decode_picture(video, found) if found is not None else None
        return (_get_seconds(found, video), picture) if found is not None and picture is not None else None


def read_last_key_frame(path: Path | str) -> tuple[float, BgrImage] | None:
    """Return the newest key frame of a file that may still be growing, as `key_frame_at`; some 1.2 s behind its writer."""
    return read_key_frame_at(path, 10**9)


class PictureDecoder:
    """Decodes a stream of access units. `codec` as FFmpeg names it; `extradata`: its parameter sets with start codes."""

    def __init__(self, codec: str, extradata: bytes) -> None:
        self._context = cast("VideoCodecContext", av.CodecContext.create(codec, "r"))
        self._context.thread_count = 1
        self._context.extradata = extradata

    def decode(self, unit: bytes) -> BgrImage | None:
        """Take in an access unit; return a picture that is complete now, None where none is."""
        try:
            frames = self._context.decode(av.Packet(unit))
        except av.FFmpegError:
            return None
        return cast("BgrImage", frames[0].to_ndarray(format="bgr24")) if frames else None


def _iter_timed(container: av.container.InputContainer, video: av.VideoStream) -> Iterator[tuple[float, MediaPacket]]:
    """Yield (seconds after the first frame, packet).

    A raw H.264 or H.265 stream has no times, and some recorders write few: there they are counted by the frame rate.
    """
    step = 1 / float(video.guessed_rate or 25)
    at = -step
    for packet in _iter_packets(container, video, timeless=True):
        at = at + step if packet.pts is None else _get_seconds(packet, video)
        yield at, packet


def _iter_packets(
    container: av.container.InputContainer, *streams: Stream, timeless: bool = False
) -> Iterator[MediaPacket]:
    """Yield packets with data (and a time, unless `timeless`), to the end or to the first that cannot be read.

    A file that was cut off inside a fragment ends with such a packet.
    """
    packets = container.demux(*streams)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:
            return
        if packet is None:
            return
        if packet.size and (timeless or packet.pts is not None):
            yield packet


def _get_seconds(packet: MediaPacket, video: av.VideoStream) -> float:
    assert packet.pts is not None
    return float((packet.pts - (video.start_time or 0)) * (packet.time_base or 0))


def _decode_picture(video: av.VideoStream, packet: MediaPacket) -> BgrImage | None:
    """Decode one key packet alone; None where it is damaged."""
    context = video.codec_context
    try:
        frames = [*context.decode(packet), *context.decode(None)]
    except av.FFmpegError:
        frames = []
    context.flush_buffers()
    if not frames:
        return None
    return _turn_upright(cast("BgrImage", frames[0].to_ndarray(format="bgr24")), frames[0].rotation)


def _turn_upright(picture: BgrImage, rotation: int) -> BgrImage:
    """Turn a picture as a player shows it. `rotation`: degrees anticlockwise, from a phone that was held on its side."""
    turned = picture
    for _ in range(round(rotation / 90) % 4):
        turned = turned.swapaxes(0, 1)[::-1]
    return turned if turned.flags.c_contiguous else turned.copy()
