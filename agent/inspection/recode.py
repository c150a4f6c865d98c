"""The two cases in which pictures are encoded anew, both asked for: a clip that begins at the very frame, and H.264 for players
that know no H.265. Sound is copied in both.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from agent.drive import files
from agent.errors import InputError, MediaError
from agent.inspection.cut import Cut, Piece, Source, Span
from agent.mp4.nal import length_prefix_size, parameter_set_id, split_annex_b, split_avcc
from agent.mp4.sample_entry import avcc_of, with_parameter_sets
from agent.mp4.samples import Samples, Track
from agent.mp4.virtual_mp4 import VirtualMp4

EDGE_QUALITY = "17"
"""x264's constant rate factor for the few frames at the edge: no loss that a person sees."""
WHOLE_QUALITY = "23"
EDGE = -1
"""The encoded edge is the last of the sources, and by this index it still comes first in the file."""


class FilmFile(io.RawIOBase):
    """A film as a file that can be read and sought, for libraries that ask for one."""

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
    """What the muxer writes, kept until the reader of the stream takes it."""

    def __init__(self) -> None:
        self.waiting: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.waiting.append(bytes(data))
        return len(data)

    def take(self) -> list[bytes]:
        taken, self.waiting = self.waiting, []
        return taken


def as_h264(film: VirtualMp4, skip: float = 0.0) -> Iterator[bytes]:
    """The film with its pictures as H.264, as a fragmented MP4 that is made while it is read. `skip` leaves out so many
    seconds at its beginning. Raises MediaError."""
    chunks = _Chunks()
    try:
        with (
            av.open(FilmFile(film), "r", format="mp4") as source,
            av.open(
                chunks, "w", format="mp4", options={"movflags": "frag_keyframe+empty_moov+default_base_moof"}
            ) as target,
        ):
            yield from _encode_all(source, target, chunks, skip)
    except av.FFmpegError as error:
        raise MediaError("clip.cannot_encode", detail=error.strerror or error) from error
    yield from chunks.take()


def _encode_all(source: Any, target: Any, chunks: _Chunks, skip: float) -> Iterator[bytes]:
    seen = source.streams.video[0]
    sound = source.streams.audio[0] if source.streams.audio else None
    made = target.add_stream("libx264", rate=seen.average_rate or 25)
    made.width, made.height, made.pix_fmt = seen.width, seen.height, "yuv420p"
    made.codec_context.time_base = seen.time_base
    made.codec_context.options = {"preset": "veryfast", "crf": WHOLE_QUALITY, "bf": "0", "threads": "2"}
    copied = target.add_stream_from_template(sound) if sound else None
    for packet in source.demux(*(s for s in (seen, sound) if s)):
        if packet.stream is sound:
            shift = round(skip / packet.time_base)
            if packet.pts is not None and packet.pts >= shift:
                packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                packet.stream = copied
                target.mux(packet)
        else:
            for frame in packet.decode():
                shift = round(skip / frame.time_base)
                if frame.pts >= shift:
                    fresh = frame.reformat(format="yuv420p")
                    fresh.pts, fresh.time_base, fresh.pict_type = frame.pts - shift, frame.time_base, 0
                    target.mux(made.encode(fresh))
        yield from chunks.take()
    target.mux(made.encode(None))
    yield from chunks.take()


def exact_start(cut: Cut, sources: Sequence[Source], start: datetime) -> tuple[Cut, list[Source]]:
    """The cut beginning at the frame shown at `start`: the pictures from there to the next key frame are encoded anew.

    The sample description holds both sets of parameters, so one decoder plays the file through. Returns the new cut
    and its sources, of which the last is the edge. Raises InputError for other codecs than H.264, MediaError.
    """
    if cut.video.codec not in ("avc1", "avc3"):
        raise InputError("clip.exact_h265")
    part = cut.video_parts[0]
    ticks = cut.video.timescale
    # half a millisecond of grace: the catalog's times are rounded to one
    want = Fraction((start - cut.span.start) // timedelta(microseconds=1), 1_000_000) * ticks - Fraction(ticks, 2000)
    keys = np.flatnonzero(part.key)
    stop = int(keys[1]) if keys.size > 1 else part.size.size
    shown = np.flatnonzero(part.pts[:stop] >= int(want))
    begin = int(shown[np.argmin(part.pts[shown])]) if shown.size else stop
    if begin == 0:
        return cut, list(sources)
    cut_at = int(part.pts[begin]) if begin < part.size.size else int(part.pts.max())
    edge, data, entry = _edge(cut.video, part, stop, cut_at, sources)
    rest = [part.select(slice(stop, None)), *cut.video_parts[1:]]
    video = [p.shift(-cut_at) for p in ([edge, *rest] if edge.size.size else rest)]
    moved = Fraction(cut_at, ticks)
    result = Cut(replace(cut.video, entry=entry), cut.sound, video_parts=[p for p in video if p.size.size])
    result.holes = cut.holes
    result.sound_parts = _later_sound(cut, moved)
    result.pieces = [replace(p, at=float(max(Fraction(0), Fraction(p.at) - moved))) for p in cut.pieces]
    first = cut.pieces[0]
    begins = first.span.start + timedelta(microseconds=round(moved * 1_000_000))
    result.pieces[0] = Piece(first.source, Span(begins, first.span.end), 0.0)
    return result, [*sources, Source(Path(), start, data)]


def _later_sound(cut: Cut, moved: Fraction) -> list[Samples]:
    """Sound from `moved` seconds on, with one packet more in front for the decoder."""
    if cut.sound is None:
        return []
    shift = round(moved * cut.sound.timescale)
    kept = []
    for part in cut.sound_parts:
        part = part.shift(-shift)
        kept.append(part.select(part.dts + 2 * part.length > 0))
    return kept


def _edge(
    video: Track, part: Samples, stop: int, cut_at: int, sources: Sequence[Source]
) -> tuple[Samples, bytes, bytes]:
    """(samples in a source of their own, that source's bytes, sample description for both)."""
    avcc = avcc_of(video.entry)
    try:
        sps, pps, _ = split_avcc(avcc)
        used = {parameter_set_id(unit) for unit in [*sps, *pps]}
        free = next(i for i in range(32) if i not in used)
        frames = _decoded(avcc, part, stop, cut_at, sources)
        units, new_sps, new_pps = _encoded(frames, video.timescale, free, length_prefix_size(avcc))
    except (av.FFmpegError, IndexError, StopIteration, OSError) as error:
        raise MediaError("clip.cannot_encode", detail=error) from error
    sizes = np.array([len(data) for _, data in units], np.int64)
    pts = np.array([at for at, _ in units], np.int64)
    # the same distance of dts to pts as the key frame that follows, so that decoding times keep rising
    shift = int(part.pts[stop] - part.dts[stop]) if stop < part.size.size else 0
    end = int(part.pts[stop]) if stop < part.size.size else int((part.pts + part.length).max())
    key = np.zeros(sizes.size, np.bool_)
    key[:1] = True
    edge = Samples(
        np.full(sizes.size, EDGE, np.int64), np.cumsum(sizes) - sizes, sizes, pts - shift, pts,
        np.diff(np.append(pts, end)), key,
    )  # fmt: skip
    return edge, b"".join(data for _, data in units), with_parameter_sets(video.entry, new_sps, new_pps)


def _decoded(avcc: bytes, part: Samples, stop: int, cut_at: int, sources: Sequence[Source]) -> list[tuple[int, Any]]:
    """The frames from `cut_at` on among the first `stop` samples: (pts, frame), in order of showing."""
    decoder: Any = av.CodecContext.create("h264", "r")
    decoder.extradata = avcc
    decoder.thread_count = 1
    found: list[tuple[int, Any]] = []
    for i in range(stop):
        with files.opened(sources[int(part.source[i])].path, files.SEGMENT) as file:
            packet = av.Packet(os.pread(file.descriptor, int(part.size[i]), int(part.offset[i])))
        packet.pts, packet.dts = int(part.pts[i]), int(part.dts[i])
        found += [(f.pts, f) for f in decoder.decode(packet)]
    found += [(f.pts, f) for f in decoder.decode(None)]
    return sorted(((at, f) for at, f in found if at >= cut_at), key=lambda row: row[0])


def _encoded(
    frames: list[tuple[int, Any]], timescale: int, set_id: int, prefix: int
) -> tuple[list[tuple[int, bytes]], list[bytes], list[bytes]]:
    """(pts and sample of each frame, SPS, PPS), NAL units behind lengths of `prefix` bytes, as MP4 holds them."""
    first = frames[0][1]
    encoder: Any = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = first.width, first.height, first.format.name
    encoder.time_base = Fraction(1, timescale)
    encoder.framerate = Fraction(25)
    encoder.thread_count = 1
    encoder.options = {
        "preset": "veryfast", "crf": EDGE_QUALITY, "bf": "0", "x264-params": f"sps-id={set_id}:keyint=infinite:scenecut=0",
    }  # fmt: skip
    packets = []
    for at, frame in frames:
        frame.pts, frame.time_base, frame.pict_type = at, encoder.time_base, 0
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    samples, sps, pps = [], [], []
    for packet in packets:
        units = list(split_annex_b(bytes(packet)))
        sps += [u for u in units if u[0] & 31 == 7]
        pps += [u for u in units if u[0] & 31 == 8]
        slices = [u for u in units if u[0] & 31 in (1, 5)]
        samples.append((packet.pts, b"".join(len(u).to_bytes(prefix, "big") + u for u in slices)))
    return samples, sps[:1], pps[:1]
