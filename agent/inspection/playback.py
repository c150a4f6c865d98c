"""What a player gets of one recorded file: parts of a few seconds, each a fragment of MP4 that is made when it is asked for.

Stream copy: no picture and no sound is changed. Times are placed on a time line that the caller chooses, so that the parts of
all files of a half-day fall where they belong and gaps stay gaps.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from agent.core.errors import MediaError
from agent.drive import files
from agent.inspection.silence import fill_with_silence
from agent.mp4.codec_names import name_codec
from agent.mp4.fragment_writer import FragmentRun, build_initialization_segment, build_media_segment
from agent.mp4.reader import read_tracks
from agent.mp4.samples import Int64Array, Mp4Track

PART_S, LONGEST_PART_S = 4, 12
"""A part ends at the first key frame after PART_S; where none comes until LONGEST_PART_S it ends without one."""
LARGEST_PART = 32 << 20
"""Bytes of a part that are accepted; 12 s of 20 Mbit/s."""
_SILENT = -1
"""Offset of a sound packet that is not in the file."""


@dataclass(frozen=True, slots=True)
class MediaPart:
    """Pictures [begin, end) in order of decoding, shown from `start` to `stop`, in seconds after the file's first picture.

    `key`: decoding can begin here; other parts continue the one before.
    """

    begin: int
    end: int
    start: float
    stop: float
    key: bool


@dataclass(frozen=True, slots=True)
class PlaybackFile:
    """A recorded file as a player gets it; the times of its tracks count from the first picture.

    `sound` has a packet at any time: where the recording has none, it is `silence` (see `silence.py`).
    """

    path: Path
    video: Mp4Track
    sound: Mp4Track | None
    silence: bytes
    parts: tuple[MediaPart, ...]

    @property
    def tracks(self) -> list[Mp4Track]:
        return [self.video] if self.sound is None else [self.video, self.sound]

    @property
    def codecs(self) -> str:
        """Names of the codecs for `MediaSource.isTypeSupported`."""
        return ",".join(name_codec(track.entry) for track in self.tracks)

    @property
    def frame_s(self) -> float:
        """The usual time between two pictures."""
        return float(np.median(self.video.length)) / self.video.timescale

    @property
    def initialization(self) -> bytes:
        return build_initialization_segment(self.tracks)


def open_playback(path: Path) -> PlaybackFile:
    """Read the index of a recorded file. Raises MediaError."""
    return build_playback(path, read_tracks(path))


def build_playback(path: Path, tracks: Sequence[Mp4Track]) -> PlaybackFile:
    """Divide a file into parts; `tracks` as `read_tracks` returns them. Raises MediaError."""
    keys = np.flatnonzero(tracks[0].key)
    if not keys.size:
        raise MediaError("media.no_video", file=path)
    # behind the first key frame may lie pictures that are shown before it; they cannot be decoded
    origin = int(tracks[0].pts[: keys[0] + 1].min())
    video = tracks[0].shift(-origin).select(slice(int(keys[0]), None))
    video = video.select(video.pts >= video.pts[0])
    sound = next((t for t in tracks if t.kind == "soun"), None)
    silence = b""
    if sound is not None:
        sound = sound.shift(-int(Fraction(origin, video.timescale) * sound.timescale))
        seconds = float((video.pts + video.length).max()) / video.timescale
        sound, silence = fill_with_silence(sound, seconds, _SILENT)
    return PlaybackFile(path, video, sound, silence, tuple(split_parts(video)))


def split_parts(video: Mp4Track) -> list[MediaPart]:
    """Divide the pictures into parts: at key frames where there are enough of them."""
    ticks, times = video.timescale, video.dts
    bounds = [0]
    for key in [*np.flatnonzero(video.key)[1:].tolist(), video.size.size]:
        until = int(times[key]) if key < video.size.size else int(times[-1])
        while until - int(times[bounds[-1]]) > LONGEST_PART_S * ticks:
            bounds.append(int(np.searchsorted(times, times[bounds[-1]] + PART_S * ticks)))
        # key frames do not come to the millisecond: a tenth of a second early counts
        if key < video.size.size and until - int(times[bounds[-1]]) >= (PART_S - 0.1) * ticks:
            bounds.append(key)
    ends = [*bounds[1:], video.size.size]
    starts = [float(video.pts[a:b].min()) / ticks for a, b in zip(bounds, ends, strict=True)]
    stops = [*starts[1:], float((video.pts + video.length).max()) / ticks]
    return [
        MediaPart(a, b, start, stop, bool(video.key[a]))
        for a, b, start, stop in zip(bounds, ends, starts, stops, strict=True)
    ]


def read_part(file: PlaybackFile, number: int, begins: float) -> bytes:
    """Return part `number` as a media segment; `begins` is the time of the file's first picture on the time line, in seconds.

    Raises MediaError where the file was cut short or no longer exists.
    """
    part = file.parts[number]
    rows = slice(part.begin, part.end)
    sound = select_sound(file, number)
    pictures = file.video.select(rows)
    _check_size(file, int(pictures.size.sum()) + (int(sound.size.sum()) if sound is not None else 0))
    runs, data = [build_run(file.video, rows, begins)], [read_samples(file.path, pictures)]
    if sound is not None:
        runs.append(build_run(sound, slice(None), begins))
        data.append(read_samples(file.path, sound, file.silence))
    return build_media_segment(number + 1, runs) + b"".join(data)


def _check_size(file: PlaybackFile, size: int) -> None:
    if size > LARGEST_PART:
        raise MediaError("media.unreadable", file=file.path, detail=f"{size} bytes")


def select_sound(file: PlaybackFile, number: int) -> Mp4Track | None:
    """Return the sound that begins while part `number` is shown."""
    if file.sound is None:
        return None
    part, sound = file.parts[number], file.sound
    ticks = sound.timescale
    # in front of the first picture one more packet: a decoder needs it to give correct sound from there on
    first = -2 * int(sound.length[0]) if number == 0 else round(part.start * ticks)
    begin = int(np.searchsorted(sound.dts, first))
    last = number == len(file.parts) - 1
    end = sound.dts.size if last else int(np.searchsorted(sound.dts, round(part.stop * ticks)))
    return sound.select(slice(begin, end))


def build_run(track: Mp4Track, rows: slice, begins: float) -> FragmentRun:
    """Return a run of samples of a track, placed on the time line."""
    distance: Int64Array = np.append(np.diff(track.dts), track.length[-1:])[rows]
    dts = track.dts[rows]
    # never before the time line's 0, which a decode time cannot say
    begin = max(0, round(begins * track.timescale) + (int(dts[0]) if dts.size else 0))
    return FragmentRun(begin, track.size[rows], distance, track.pts[rows] - dts, track.key[rows])


def read_samples(path: Path, track: Mp4Track, silence: bytes = b"") -> bytes:
    """Read the data of samples; those without a place in the file are `silence`. Raises MediaError."""
    follows = (track.offset[1:] == track.offset[:-1] + track.size[:-1]) & (track.offset[1:] >= 0)
    begins = np.flatnonzero(np.append(True, ~follows)) if track.size.size else np.zeros(0, np.int64)
    lengths = np.add.reduceat(track.size, begins) if begins.size else begins
    blocks = []
    try:
        with files.open_for_reading(path, files.MAX_SEGMENT) as file:
            for offset, length in zip(track.offset[begins].tolist(), lengths.tolist(), strict=True):
                block = silence if offset == _SILENT else os.pread(file.descriptor, length, offset)
                if len(block) != length:
                    raise MediaError("clip.source_changed", file=path)
                blocks.append(block)
    except (OSError, struct.error) as error:
        raise MediaError("media.unreadable", file=path, detail=error) from error
    return b"".join(blocks)


def with_entry(file: PlaybackFile, entry: bytes, width: int, height: int) -> PlaybackFile:
    """Return the file as if its pictures were coded otherwise: for its codec's name and initialization segment."""
    return replace(file, video=replace(file.video, entry=entry, width=width << 16, height=height << 16))
