"""A clip as bytes that need not exist: an ordinary MP4 with its index in front, whose pictures and sound are read out of the
segments when they are asked for.

The size is known before the first byte, any range can be read at any time, nothing is buffered on a disk, and the same
request gives the same bytes. Built after ISO/IEC 14496-12.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Generator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np

from agent.drive import files
from agent.errors import MediaError
from agent.inspection.boxes import Numbers, Track
from agent.inspection.cut import Cut, Samples, Source
from agent.inspection.entries import playable

BLOCK = 1 << 20
MOVIE_SCALE = 48_000
NARROW = 1 << 32
"""Files below this size have offsets of 32 bits, which the oldest players ask for."""
_UNITY = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_LANGUAGE = 0x55C4  # undetermined


@dataclass(frozen=True, slots=True)
class Pictures:
    """Where each picture lies: `place` is the film's byte at which `samples[i]` begins; times in ticks of `timescale`."""

    place: Numbers
    samples: Samples
    timescale: int


class Film:
    """`size` in bytes, `duration` in seconds. Threads may read it at once: it keeps no file open between calls."""

    def __init__(self, cut: Cut, sources: Sequence[Source]) -> None:
        self._sources = sources
        tracks = [(cut.video, _gather(cut.video_parts))]
        if cut.sound is not None and any(p.size.size for p in cut.sound_parts):
            tracks.append((cut.sound, _gather(cut.sound_parts)))
        layout = _Layout([samples for _, samples in tracks])
        self._header = _header(tracks, layout)
        self._source, self._offset, self._length = layout.source, layout.offset, layout.length
        self._place = len(self._header) + np.cumsum(self._length) - self._length
        self.pictures = Pictures(len(self._header) + layout.places[0], tracks[0][1], cut.video.timescale)
        self.size = len(self._header) + int(self._length.sum())
        self.duration = max(_shown(track, samples) for track, samples in tracks)

    def read(self, start: int = 0, stop: int | None = None) -> Generator[bytes]:
        """The bytes [start, stop) in blocks of at most 1 MiB. Raises MediaError where a segment was cut short or has gone."""
        stop = self.size if stop is None else min(stop, self.size)
        if start < len(self._header):
            yield self._header[start : min(stop, len(self._header))]
        index = max(0, int(np.searchsorted(self._place, start, side="right")) - 1)
        with ExitStack() as stack:
            opened: dict[int, int] = {}
            while index < self._place.size and (place := int(self._place[index])) < stop:
                skip = max(0, start - place)
                size = min(int(self._length[index]), stop - place)
                number = int(self._source[index])
                yield from self._range(number, int(self._offset[index]) + skip, size - skip, opened, stack)
                index += 1

    def _range(self, number: int, offset: int, size: int, opened: dict[int, int], stack: ExitStack) -> Generator[bytes]:
        source = self._sources[number]
        if source.data is not None:
            yield source.data[offset : offset + size]
            return
        try:
            if number not in opened:
                opened[number] = stack.enter_context(files.opened(source.path, files.SEGMENT)).descriptor
            while size > 0:
                block = os.pread(opened[number], min(size, BLOCK), offset)
                if not block:
                    raise MediaError("clip.source_changed", file=source.path)
                yield block
                offset, size = offset + len(block), size - len(block)
        except OSError as error:
            raise MediaError("media.unreadable", file=source.path, detail=error.strerror) from error


def _gather(parts: Sequence[Samples]) -> Samples:
    names = ("source", "offset", "size", "dts", "pts", "length", "key")
    return Samples(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))


def _shown(track: Track, samples: Samples) -> float:
    return float((samples.pts + samples.length).max()) / track.timescale


class _Layout:
    """The order of the media data: as it lies in the segments, so that reading runs straight through them.

    `source`, `offset`, `length`: what is read, in order. `chunks[t]`: (place in the media data, samples in it) of track t;
    `places[t]`: where each of its samples begins in the media data.
    """

    def __init__(self, tracks: list[Samples]) -> None:
        source = np.concatenate([s.source for s in tracks])
        offset = np.concatenate([s.offset for s in tracks])
        size = np.concatenate([s.size for s in tracks])
        track = np.repeat(np.arange(len(tracks)), [s.size.size for s in tracks])
        order = np.lexsort((offset, source))
        source, offset, size, track = source[order], offset[order], size[order], track[order]
        place = np.cumsum(size) - size
        own = np.empty_like(place)
        own[order] = place
        self.places = np.split(own, np.cumsum([s.size.size for s in tracks])[:-1])
        follows = (source[1:] == source[:-1]) & (offset[1:] == offset[:-1] + size[:-1])
        begins = np.flatnonzero(np.append(True, ~follows))
        self.source, self.offset = source[begins], offset[begins]
        self.length = np.add.reduceat(size, begins)
        chunk = np.flatnonzero(np.append(True, ~(follows & (track[1:] == track[:-1]))))
        counts = np.diff(np.append(chunk, size.size))
        self.chunks = [(place[chunk[track[chunk] == t]], counts[track[chunk] == t]) for t in range(len(tracks))]
        self.total = int(size.sum())


def _header(tracks: list[tuple[Track, Samples]], layout: _Layout) -> bytes:
    """ftyp, moov and the head of mdat."""
    brand = b"isomiso2mp41" + (b"hvc1" if tracks[0][0].codec.startswith("h") else b"avc1")
    ftyp = _box(b"ftyp", b"isom" + struct.pack(">I", 0x200) + brand)
    head = 16 if layout.total + 16 >= NARROW else 8
    size = len(ftyp) + len(_moov(tracks, layout, 0, wide=False)) + head
    wide = size + layout.total >= NARROW
    if wide:
        size = len(ftyp) + len(_moov(tracks, layout, 0, wide=True)) + head
    mdat = (
        struct.pack(">I4sQ", 1, b"mdat", layout.total + 16)
        if head == 16
        else struct.pack(">I4s", layout.total + 8, b"mdat")
    )
    return ftyp + _moov(tracks, layout, size, wide=wide) + mdat


def _moov(tracks: list[tuple[Track, Samples]], layout: _Layout, base: int, *, wide: bool) -> bytes:
    lengths = [round(_shown(track, samples) * MOVIE_SCALE) for track, samples in tracks]
    mvhd = struct.pack(">QQIQ", 0, 0, MOVIE_SCALE, max(lengths)) + struct.pack(">IH10x", 0x10000, 0x100) + _UNITY
    mvhd += bytes(24) + struct.pack(">I", len(tracks) + 1)
    traks = [
        _trak(number + 1, track, samples, layout.chunks[number], base, lengths[number], wide=wide)
        for number, (track, samples) in enumerate(tracks)
    ]
    return _box(b"moov", _full(b"mvhd", mvhd, version=1), *traks)


def _trak(
    number: int, track: Track, samples: Samples, chunks: tuple[Numbers, Numbers], base: int, shown: int, *, wide: bool
) -> bytes:
    sound = track.kind == "soun"
    tkhd = struct.pack(">QQI4xQ8xHHH2x", 0, 0, number, shown, 0, int(sound), 0x100 if sound else 0) + track.matrix
    tkhd += struct.pack(">2I", track.width, track.height)
    delta = np.append(np.diff(samples.dts), samples.length[-1])
    mdhd = struct.pack(">QQIQHH", 0, 0, track.timescale, int(delta.sum()), _LANGUAGE, 0)
    name = b"SoundHandler\0" if sound else b"VideoHandler\0"
    hdlr = struct.pack(">4x4s12x", track.kind.encode()) + name
    media = _full(b"smhd", bytes(4)) if sound else _full(b"vmhd", bytes(8), flags=1)
    dinf = _box(b"dinf", _full(b"dref", struct.pack(">I", 1) + _full(b"url ", b"", flags=1)))
    minf = _box(b"minf", media, dinf, _stbl(track, samples, delta, chunks, base, wide=wide))
    mdia = _box(b"mdia", _full(b"mdhd", mdhd, version=1), _full(b"hdlr", hdlr), minf)
    return _box(b"trak", _full(b"tkhd", tkhd, version=1, flags=3), _edits(track, samples, shown), mdia)


def _edits(track: Track, samples: Samples, shown: int) -> bytes:
    """Where the track begins on the clip's time line: later than its first frame, or a little into the first packet."""
    first_pts, first_dts = int(samples.pts[0]), int(samples.dts[0])
    rows = []
    if first_pts > 0:
        delay = round(first_pts * MOVIE_SCALE / track.timescale)
        rows = [(delay, -1), (shown - delay, first_pts - first_dts)]
    else:
        rows = [(shown, -first_dts)]
    body = b"".join(struct.pack(">QqHH", duration, media, 1, 0) for duration, media in rows)
    return _box(b"edts", _full(b"elst", struct.pack(">I", len(rows)) + body, version=1))


def _stbl(
    track: Track, samples: Samples, delta: Numbers, chunks: tuple[Numbers, Numbers], base: int, *, wide: bool
) -> bytes:
    shift = samples.pts - samples.dts
    parts = [_full(b"stsd", struct.pack(">I", 1) + playable(track.entry)), _full(b"stts", _run_lengths(delta, ">u4"))]
    if shift.any():
        parts.append(_full(b"ctts", _run_lengths(shift, ">i4"), version=1))
    if not samples.key.all():
        keys = np.flatnonzero(samples.key) + 1
        parts.append(_full(b"stss", struct.pack(">I", keys.size) + keys.astype(">u4").tobytes()))
    places, counts = chunks
    rows = np.flatnonzero(np.append(True, np.diff(counts) != 0))
    stsc = np.stack([rows + 1, counts[rows], np.ones_like(rows)], axis=1).astype(">u4")
    parts += [
        _full(b"stsc", struct.pack(">I", rows.size) + stsc.tobytes()),
        _full(b"stsz", struct.pack(">2I", 0, samples.size.size) + samples.size.astype(">u4").tobytes()),
        _full(b"co64" if wide else b"stco",
              struct.pack(">I", places.size) + (places + base).astype(">u8" if wide else ">u4").tobytes()),
    ]  # fmt: skip
    return _box(b"stbl", *parts)


def _run_lengths(values: Numbers, kind: str) -> bytes:
    begins = np.flatnonzero(np.append(True, np.diff(values) != 0))
    counts = np.diff(np.append(begins, values.size))
    rows = np.empty((begins.size, 2), ">u4")
    rows[:, 0] = counts
    rows[:, 1] = values[begins].astype(kind).view(">u4")
    return struct.pack(">I", begins.size) + rows.tobytes()


def _box(name: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", len(body) + 8, name) + body


def _full(name: bytes, body: bytes, *, version: int = 0, flags: int = 0) -> bytes:
    return _box(name, struct.pack(">I", version << 24 | flags), body)
