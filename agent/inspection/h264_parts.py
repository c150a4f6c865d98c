"""A part of a recorded file with its pictures as H.264, for browsers without H.265; sound is copied.

Settings are fixed and each part is encoded alone, so all parts of a file have the same parameter sets and any of them can be
made first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
import numpy as np

from agent.core.errors import MediaError
from agent.inspection import playback
from agent.inspection.playback import PlaybackFile
from agent.mp4.codec_names import build_h264_entry
from agent.mp4.fragment_writer import FragmentRun, build_media_segment
from agent.mp4.nal import split_annex_b
from agent.mp4.sample_entry import read_hvcc
from agent.mp4.samples import Mp4Track

WIDEST = 1280
"""Pictures are made at most this wide: one core of the box's processor encodes them as fast as they are watched."""
_OPTIONS = {"preset": "superfast", "crf": "25", "bf": "0", "x264-params": "keyint=infinite:scenecut=0"}
_SPS, _PPS = 7, 8


@lru_cache(maxsize=4)
def open_source(path: Path, modified: int) -> PlaybackFile:
    """Read the index of a file; `modified` tells its versions apart. Raises MediaError."""
    del modified
    return playback.open_playback(path)


def describe_as_h264(file: PlaybackFile) -> PlaybackFile:
    """Return the file as a player is told of it: with the codec, size and initialization segment of the parts made here."""
    width, height = _scale(file.video)
    encoder = _open_encoder(width, height, file.video.timescale)
    try:
        encoder.open()
        units = list(split_annex_b(bytes(encoder.extradata or b"")))
    except av.FFmpegError as error:
        raise MediaError("clip.cannot_encode", detail=error.strerror or error) from error
    sps = next(u for u in units if u[0] & 31 == _SPS)
    pps = next(u for u in units if u[0] & 31 == _PPS)
    return playback.with_entry(file, build_h264_entry(file.video.entry, width, height, sps, pps), width, height)


def encode_part(file: PlaybackFile, number: int, begins: float) -> bytes:
    """Return part `number` as a media segment with H.264; arguments as of `playback.read_part`. Raises MediaError."""
    try:
        frames = _decode_part(file, number)
        pictures, data = _encode(frames, file.video, begins)
    except (av.FFmpegError, ValueError) as error:
        raise MediaError("clip.cannot_encode", detail=error) from error
    runs, blocks = [pictures], [data]
    sound = playback.select_sound(file, number)
    if sound is not None:
        runs.append(playback.build_run(sound, slice(None), begins))
        blocks.append(playback.read_samples(file.path, sound, file.silence))
    return build_media_segment(number + 1, runs) + b"".join(blocks)


def _scale(video: Mp4Track) -> tuple[int, int]:
    """Return (width, height) of the pictures to be made, both even."""
    width, height = (int.from_bytes(video.entry[at : at + 2], "big") for at in (32, 34))
    if not 0 < width <= 16384 or not 0 < height <= 16384:
        raise MediaError("clip.cannot_encode", detail=f"{width} x {height}")
    made = min(width, WIDEST) // 2 * 2
    return max(2, made), max(2, round(height * made / width / 2) * 2)


def _decode_part(file: PlaybackFile, number: int) -> Iterator[av.VideoFrame]:
    """Yield the pictures of a part in the order they are shown; decoding begins at the last key frame before it."""
    first = number
    while first > 0 and not file.parts[first].key:
        first -= 1
    rows = slice(file.parts[first].begin, file.parts[number].end)
    video = file.video.select(rows)
    wanted = set(file.video.pts[file.parts[number].begin : file.parts[number].end].tolist())
    decoder = av.CodecContext.create("hevc" if file.video.codec.startswith("h") else "h264", "r")
    decoder.extradata = read_hvcc(file.video.entry)
    decoder.thread_count = 2
    # sample after sample: a part may hold as much as 32 MB
    for row in range(video.size.size):
        packet = av.Packet(playback.read_samples(file.path, video.select(slice(row, row + 1))))
        packet.pts, packet.dts = int(video.pts[row]), int(video.dts[row])
        yield from (f for f in decoder.decode(packet) if f.pts in wanted)
    yield from (f for f in decoder.decode(None) if f.pts in wanted)


def _open_encoder(width: int, height: int, timescale: int) -> av.VideoCodecContext:
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base = Fraction(1, timescale)
    encoder.framerate = Fraction(25)
    encoder.thread_count = 2
    encoder.options = _OPTIONS
    encoder.flags |= av.codec.context.Flags.global_header
    return encoder


def _encode(frames: Iterable[av.VideoFrame], video: Mp4Track, begins: float) -> tuple[FragmentRun, bytes]:
    """Return the run of the encoded pictures and their data; each is shown until the next."""
    width, height = _scale(video)
    encoder = _open_encoder(width, height, video.timescale)
    packets = []
    for frame in frames:
        fresh = frame.reformat(width=width, height=height, format="yuv420p")
        fresh.pts, fresh.time_base, fresh.pict_type = frame.pts, encoder.time_base, 0
        packets += encoder.encode(fresh)
    packets += encoder.encode(None)
    if not packets:
        raise ValueError("no picture could be decoded")
    samples = [b"".join(len(u).to_bytes(4, "big") + u for u in split_annex_b(bytes(p))) for p in packets]
    pts = np.array([p.pts for p in packets], np.int64)
    size = np.array([len(s) for s in samples], np.int64)
    key = np.zeros(size.size, np.bool_)
    key[0] = True
    length = np.append(np.diff(pts), np.median(video.length).astype(np.int64))
    begin = round(begins * video.timescale) + int(pts[0])
    return FragmentRun(begin, size, length, np.zeros(size.size, np.int64), key), b"".join(samples)
