"""Encode pictures again, in the two cases where somebody asks for it; sound is copied in both.

A clip begins at the very frame (`exact_start`), or is made H.264 for players without H.265 (`as_h264`).
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import av
import numpy as np
from av.container import InputContainer, OutputContainer

from agent.core.errors import InputError, MediaError
from agent.drive import files
from agent.inspection.cut import ClipPiece, ClipSource, ClipSpan, Cut
from agent.mp4.nal import read_length_size, read_parameter_set_id, split_annex_b, split_avcc
from agent.mp4.sample_entry import add_parameter_sets, read_avcc
from agent.mp4.samples import Mp4Samples, Mp4Track
from agent.mp4.virtual_mp4 import VirtualMp4

if TYPE_CHECKING:
    from typing_extensions import Buffer

TimedFrame: TypeAlias = tuple[int, av.VideoFrame]
"""(pts in ticks of the track, picture)."""
EDGE_QUALITY = "17"
"""Constant rate factor of x264 for the few frames at the edge: without visible loss."""
WHOLE_QUALITY = "23"
EDGE_INDEX = -1
"""The encoded edge is the last of the sources; with this index it still comes first in the file."""


class VirtualFile(io.RawIOBase):
    """A virtual MP4 as a file that can be read and sought, for libraries that need one."""

    def __init__(self, film: VirtualMp4) -> None:
        self._film = film
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = max(0, offset + (0, self._at, self._film.size)[whence])
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        stop = self._film.size if size < 0 else self._at + size
        data = b"".join(self._film.read(self._at, stop))
        self._at += len(data)
        return data


class _Chunks(io.RawIOBase):
    """Collects what the muxer writes until the reader of the stream takes it."""

    def __init__(self) -> None:
        self.waiting: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Buffer) -> int:
        self.waiting.append(bytes(data))
        return len(self.waiting[-1])

    def take(self) -> list[bytes]:
        taken, self.waiting = self.waiting, []
        return taken


def encode_as_h264(film: VirtualMp4, skip: float = 0.0) -> Iterator[bytes]:
    """Yield the film with its pictures as H.264: a fragmented MP4 that is made while it is read.

    `skip` leaves out so many seconds at its beginning. Raises MediaError.
    """
    chunks = _Chunks()
    try:
        with (
            av.open(VirtualFile(film), "r", format="mp4") as source,
            av.open(
                chunks, "w", format="mp4", options={"movflags": "frag_keyframe+empty_moov+default_base_moof"}
            ) as target,
        ):
            yield from _encode_all(source, target, chunks, skip)
    except av.FFmpegError as error:
        raise MediaError("clip.cannot_encode", detail=error.strerror or error) from error
    yield from chunks.take()


def _encode_all(source: InputContainer, target: OutputContainer, chunks: _Chunks, skip: float) -> Iterator[bytes]:
    seen = source.streams.video[0]
    sound = source.streams.audio[0] if source.streams.audio else None
    made = target.add_stream("libx264", rate=seen.average_rate or 25)
    made.width, made.height, made.pix_fmt = seen.width, seen.height, "yuv420p"
    assert seen.time_base is not None
    made.codec_context.time_base = seen.time_base
    made.codec_context.options = {"preset": "veryfast", "crf": WHOLE_QUALITY, "bf": "0", "threads": "2"}
    copied = target.add_stream_from_template(sound) if sound else None
    for packet in source.demux(*(s for s in (seen, sound) if s)):
        if copied is not None and packet.stream is sound:
            shift = _to_ticks(skip, packet.time_base)
            if packet.pts is not None and packet.dts is not None and packet.pts >= shift:
                packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                packet.stream = copied
                target.mux(packet)
        else:
            for frame in seen.decode(packet):
                shift = _to_ticks(skip, frame.time_base)
                if frame.pts is not None and frame.pts >= shift:
                    fresh = frame.reformat(format="yuv420p")
                    fresh.pts, fresh.time_base, fresh.pict_type = frame.pts - shift, frame.time_base, 0
                    target.mux(made.encode(fresh))
        yield from chunks.take()
    target.mux(made.encode(None))
    yield from chunks.take()


def _to_ticks(seconds: float, time_base: Fraction | None) -> int:
    return round(seconds / (time_base or Fraction(1)))


def encode_exact_start(cut: Cut, sources: Sequence[ClipSource], start: datetime) -> tuple[Cut, list[ClipSource]]:
    """Return the cut beginning at the frame shown at `start`, and its sources, of which the last is the edge.

    The pictures from there to the next key frame are encoded again. The sample entry holds both sets of parameters, so
    one decoder plays the whole file. Raises InputError for other codecs than H.264, MediaError.
    """
    if cut.video.codec not in ("avc1", "avc3"):
        raise InputError("clip.exact_h265")
    part = cut.video_parts[0]
    ticks = cut.video.timescale
    # half a millisecond of tolerance: the catalog rounds times to one millisecond
    want = Fraction((start - cut.span.start) // timedelta(microseconds=1), 1_000_000) * ticks - Fraction(ticks, 2000)
    keys = np.flatnonzero(part.key)
    stop = int(keys[1]) if keys.size > 1 else part.size.size
    shown = np.flatnonzero(part.pts[:stop] >= int(want))
    begin = int(shown[np.argmin(part.pts[shown])]) if shown.size else stop
    if begin == 0:
        return cut, list(sources)
    cut_at = int(part.pts[begin]) if begin < part.size.size else int(part.pts.max())
    edge, data, entry = _encode_edge(cut.video, part, stop, cut_at, sources)
    rest = [part.select(slice(stop, None)), *cut.video_parts[1:]]
    video = [p.shift(-cut_at) for p in ([edge, *rest] if edge.size.size else rest)]
    moved = Fraction(cut_at, ticks)
    result = Cut(replace(cut.video, entry=entry), cut.sound, video_parts=[p for p in video if p.size.size])
    result.holes = cut.holes
    result.sound_parts = _cut_sound(cut, moved)
    result.pieces = [replace(p, at=float(max(Fraction(0), Fraction(p.at) - moved))) for p in cut.pieces]
    first = cut.pieces[0]
    begins = first.span.start + timedelta(microseconds=round(moved * 1_000_000))
    result.pieces[0] = ClipPiece(first.source, ClipSpan(begins, first.span.end), 0.0)
    return result, [*sources, ClipSource(Path(), start, data)]


def _cut_sound(cut: Cut, moved: Fraction) -> list[Mp4Samples]:
    """Sound from `moved` seconds on, with one more packet in front for the decoder."""
    if cut.sound is None:
        return []
    shift = round(moved * cut.sound.timescale)
    kept = []
    for part in cut.sound_parts:
        part = part.shift(-shift)
        kept.append(part.select(part.dts + 2 * part.length > 0))
    return kept


def _encode_edge(
    video: Mp4Track, part: Mp4Samples, stop: int, cut_at: int, sources: Sequence[ClipSource]
) -> tuple[Mp4Samples, bytes, bytes]:
    """Return (samples in a source of their own, that source's bytes, sample entry for both)."""
    avcc = read_avcc(video.entry)
    try:
        sps, pps, _ = split_avcc(avcc)
        used = {read_parameter_set_id(unit) for unit in [*sps, *pps]}
        free = next(i for i in range(32) if i not in used)
        frames = _decode(avcc, part, stop, cut_at, sources)
        units, new_sps, new_pps = _encode(frames, video.timescale, free, read_length_size(avcc))
    except (av.FFmpegError, IndexError, ValueError, struct.error, StopIteration, OSError) as error:
        raise MediaError("clip.cannot_encode", detail=error) from error
    sizes = np.array([len(data) for _, data in units], np.int64)
    pts = np.array([at for at, _ in units], np.int64)
    # the same distance of dts to pts as the key frame that follows, so that decoding times keep rising
    shift = int(part.pts[stop] - part.dts[stop]) if stop < part.size.size else 0
    end = int(part.pts[stop]) if stop < part.size.size else int((part.pts + part.length).max())
    key = np.zeros(sizes.size, np.bool_)
    key[:1] = True
    edge = Mp4Samples(
        source=np.full(sizes.size, EDGE_INDEX, np.int64),
        offset=np.cumsum(sizes) - sizes,
        size=sizes,
        dts=pts - shift,
        pts=pts,
        length=np.diff(np.append(pts, end)),
        key=key,
    )
    return edge, b"".join(data for _, data in units), add_parameter_sets(video.entry, new_sps, new_pps)


def _decode(avcc: bytes, part: Mp4Samples, stop: int, cut_at: int, sources: Sequence[ClipSource]) -> list[TimedFrame]:
    """Return (pts, frame) of the frames from `cut_at` on among the first `stop` samples, in the order they are shown."""
    decoder = av.CodecContext.create("h264", "r")
    decoder.extradata = avcc
    decoder.thread_count = 1
    found: list[TimedFrame] = []
    for i in range(stop):
        with files.open_for_reading(sources[int(part.source[i])].path, files.MAX_SEGMENT) as file:
            packet = av.Packet(os.pread(file.descriptor, int(part.size[i]), int(part.offset[i])))
        packet.pts, packet.dts = int(part.pts[i]), int(part.dts[i])
        found += [(f.pts, f) for f in decoder.decode(packet) if f.pts is not None]
    found += [(f.pts, f) for f in decoder.decode(None) if f.pts is not None]
    return sorted(((at, f) for at, f in found if at >= cut_at), key=lambda row: row[0])


def _encode(
    frames: list[TimedFrame], timescale: int, set_id: int, prefix: int
) -> tuple[list[tuple[int, bytes]], list[bytes], list[bytes]]:
    """Return (pts and sample of each frame, SPS, PPS); NAL units follow lengths of `prefix` bytes, as MP4 holds them."""
    first = frames[0][1]
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = first.width, first.height, first.format.name
    encoder.time_base = Fraction(1, timescale)
    encoder.framerate = Fraction(25)
    encoder.thread_count = 1
    encoder.options = {
        "preset": "veryfast",
        "crf": EDGE_QUALITY,
        "bf": "0",
        "x264-params": f"sps-id={set_id}:keyint=infinite:scenecut=0",
    }
    packets = []
    for at, frame in frames:
        frame.pts, frame.time_base, frame.pict_type = at, encoder.time_base, 0
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    samples, sps, pps = [], [], []
    for packet in packets:
        assert packet.pts is not None
        units = list(split_annex_b(bytes(packet)))
        sps += [u for u in units if u[0] & 31 == 7]
        pps += [u for u in units if u[0] & 31 == 8]
        slices = [u for u in units if u[0] & 31 in (1, 5)]
        samples.append((packet.pts, b"".join(len(u).to_bytes(prefix, "big") + u for u in slices)))
    return samples, sps[:1], pps[:1]
