"""Write the index of an ordinary MP4 that is played while it is downloaded: `ftyp`, `moov` and the head of `mdat`.

Built after ISO/IEC 14496-12.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agent.mp4.boxes import make_box, make_full_box
from agent.mp4.sample_entry import tag_for_players
from agent.mp4.samples import Int64Array, Mp4Samples, Mp4Track

MOVIE_SCALE = 48_000
NARROW = 1 << 32
"""Files below this size have offsets of 32 bits, which the oldest players require."""
_UNITY = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_LANGUAGE = 0x55C4  # undetermined


@dataclass(frozen=True, slots=True)
class ChunkTable:
    """The chunks of one track: `place` is where each begins in the media data, `count` how many samples it holds."""

    place: Int64Array
    count: Int64Array


def build_header(tracks: Sequence[tuple[Mp4Track, Mp4Samples]], chunks: Sequence[ChunkTable], total: int) -> bytes:
    """Return `ftyp`, `moov` and the head of `mdat`, behind which `total` bytes of media data follow.

    `tracks` are descriptions with their samples, `chunks[i]` belongs to `tracks[i]`.
    """
    brand = b"isomiso2mp41" + (b"hvc1" if tracks[0][0].codec.startswith("h") else b"avc1")
    ftyp = make_box(b"ftyp", b"isom" + struct.pack(">I", 0x200) + brand)
    head = 16 if total + 16 >= NARROW else 8
    size = len(ftyp) + len(_build_moov(tracks, chunks, 0, wide=False)) + head
    wide = size + total >= NARROW
    if wide:
        size = len(ftyp) + len(_build_moov(tracks, chunks, 0, wide=True)) + head
    wide_mdat, narrow_mdat = struct.Struct(">I4sQ"), struct.Struct(">I4s")
    mdat = wide_mdat.pack(1, b"mdat", total + 16) if head == 16 else narrow_mdat.pack(total + 8, b"mdat")
    return ftyp + _build_moov(tracks, chunks, size, wide=wide) + mdat


def compute_track_seconds(track: Mp4Track, samples: Mp4Samples) -> float:
    """Return when the last of the samples has been shown, in seconds."""
    return float(samples.end) / track.timescale


def _build_moov(
    tracks: Sequence[tuple[Mp4Track, Mp4Samples]], chunks: Sequence[ChunkTable], base: int, *, wide: bool
) -> bytes:
    """Return the `moov` box. `base` is the offset of the media data, `wide` says that offsets take 64 bits."""
    lengths = [round(compute_track_seconds(track, samples) * MOVIE_SCALE) for track, samples in tracks]
    traks = [
        _build_trak(number + 1, track, samples, chunks[number], base, lengths[number], wide=wide)
        for number, (track, samples) in enumerate(tracks)
    ]
    return make_box(b"moov", build_movie_header(max(lengths), len(tracks)), *traks)


def build_movie_header(shown: int, tracks: int) -> bytes:
    """Return the `mvhd` box of a film with so many tracks; `shown` is its duration in ticks of MOVIE_SCALE."""
    mvhd = struct.pack(">QQIQ", 0, 0, MOVIE_SCALE, shown) + struct.pack(">IH10x", 0x10000, 0x100) + _UNITY
    return make_full_box(b"mvhd", mvhd + bytes(24) + struct.pack(">I", tracks + 1), version=1)


def _build_trak(
    number: int, track: Mp4Track, samples: Mp4Samples, chunks: ChunkTable, base: int, shown: int, *, wide: bool
) -> bytes:
    """Return the `trak` box. `shown` is the track's duration in ticks of MOVIE_SCALE."""
    delta = np.append(np.diff(samples.dts), samples.length[-1])
    table = _build_stbl(track, samples, delta, chunks, base, wide=wide)
    return build_track(number, track, table, _build_edits(track, samples, shown), shown, int(delta.sum()))


def build_track(
    number: int, track: Mp4Track, table: bytes, edits: bytes = b"", shown: int = 0, ticks: int = 0
) -> bytes:
    """Return a `trak` box around a sample table (`stbl`) and an edit list (`edts`).

    `shown` is the duration in ticks of MOVIE_SCALE, `ticks` in those of the track; both are 0 where fragments follow.
    """
    sound = track.kind == "soun"
    tkhd = struct.pack(">QQI4xQ8xHHH2x", 0, 0, number, shown, 0, int(sound), 0x100 if sound else 0) + track.matrix
    tkhd += struct.pack(">2I", track.width, track.height)
    mdhd = struct.pack(">QQIQHH", 0, 0, track.timescale, ticks, _LANGUAGE, 0)
    name = b"SoundHandler\0" if sound else b"VideoHandler\0"
    hdlr = struct.pack(">4x4s12x", track.kind.encode()) + name
    media = make_full_box(b"smhd", bytes(4)) if sound else make_full_box(b"vmhd", bytes(8), flags=1)
    url = make_full_box(b"url ", b"", flags=1)
    dinf = make_box(b"dinf", make_full_box(b"dref", struct.pack(">I", 1) + url))
    minf = make_box(b"minf", media, dinf, table)
    mdia = make_box(b"mdia", make_full_box(b"mdhd", mdhd, version=1), make_full_box(b"hdlr", hdlr), minf)
    return make_box(b"trak", make_full_box(b"tkhd", tkhd, version=1, flags=3), edits, mdia)


def build_description(track: Mp4Track) -> bytes:
    """Return the `stsd` box with the track's only sample entry."""
    return make_full_box(b"stsd", struct.pack(">I", 1) + tag_for_players(track.entry))


def _build_edits(track: Mp4Track, samples: Mp4Samples, shown: int) -> bytes:
    """Where the track begins on the file's time line: later than its first frame, or a little into the first packet."""
    first_pts, first_dts = int(samples.pts[0]), int(samples.dts[0])
    rows = []
    if first_pts > 0:
        delay = round(first_pts * MOVIE_SCALE / track.timescale)
        rows = [(delay, -1), (shown - delay, first_pts - first_dts)]
    else:
        rows = [(shown, -first_dts)]
    body = b"".join(struct.pack(">QqHH", duration, media, 1, 0) for duration, media in rows)
    return make_box(b"edts", make_full_box(b"elst", struct.pack(">I", len(rows)) + body, version=1))


def _build_stbl(
    track: Mp4Track, samples: Mp4Samples, delta: Int64Array, chunks: ChunkTable, base: int, *, wide: bool
) -> bytes:
    shift = samples.pts - samples.dts
    parts = [build_description(track), make_full_box(b"stts", _encode_run_lengths(delta, ">u4"))]
    if shift.any():
        parts.append(make_full_box(b"ctts", _encode_run_lengths(shift, ">i4"), version=1))
    if not samples.key.all():
        keys = np.flatnonzero(samples.key) + 1
        parts.append(make_full_box(b"stss", struct.pack(">I", keys.size) + keys.astype(">u4").tobytes()))
    rows = np.flatnonzero(np.append(True, np.diff(chunks.count) != 0))
    stsc = np.stack([rows + 1, chunks.count[rows], np.ones_like(rows)], axis=1).astype(">u4")
    parts.append(make_full_box(b"stsc", struct.pack(">I", rows.size) + stsc.tobytes()))
    sizes = samples.size.astype(">u4").tobytes()
    parts.append(make_full_box(b"stsz", struct.pack(">2I", 0, samples.size.size) + sizes))
    offsets = (chunks.place + base).astype(">u8" if wide else ">u4").tobytes()
    parts.append(make_full_box(b"co64" if wide else b"stco", struct.pack(">I", chunks.place.size) + offsets))
    return make_box(b"stbl", *parts)


def _encode_run_lengths(values: Int64Array, kind: str) -> bytes:
    """Return the values as a run-length table (`stts`, `ctts`)."""
    begins = np.flatnonzero(np.append(True, np.diff(values) != 0))
    counts = np.diff(np.append(begins, values.size))
    rows = np.empty((begins.size, 2), ">u4")
    rows[:, 0] = counts
    rows[:, 1] = values[begins].astype(kind).view(">u4")
    return struct.pack(">I", begins.size) + rows.tobytes()
