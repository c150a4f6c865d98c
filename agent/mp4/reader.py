"""Read an MP4 file: where each sample of a segment lies, when it plays, whether it is a key frame.

Reads what the recorder writes: the finished file (`ftyp free mdat moov`), the unfinished one and one cut off by a kill
(`ftyp moov moof mdat …`, ISO/IEC 14496-12). Nothing is decoded and no sample is read.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agent.core.errors import MediaError
from agent.drive import files
from agent.mp4.boxes import BadMp4Error, find_box, walk_boxes, walk_child_boxes
from agent.mp4.fragments import SampleDefaults, read_defaults, read_fragments
from agent.mp4.sample_tables import SampleRun, concatenate_runs, read_sample_table
from agent.mp4.samples import Int64Array, Mp4Track

MAX_INDEX_BYTES = 256 << 20
"""Largest index box in bytes that is accepted; an hour of 25 frames and 47 sound packets a second needs 3 MB."""


def read_tracks(path: Path) -> list[Mp4Track]:
    """Return the tracks of a file that hold samples: video first, then sound. Raises MediaError."""
    try:
        with files.open_for_reading(path, files.MAX_SEGMENT) as file:
            tracks = _read_file(file.descriptor, os.fstat(file.descriptor).st_size)
    except (BadMp4Error, struct.error, ValueError, IndexError, KeyError, OverflowError) as error:
        raise MediaError("media.unreadable", file=path, detail=error) from error
    except OSError as error:
        raise MediaError("media.unreadable", file=path, detail=error.strerror or error) from error
    if not any(t.kind == "vide" for t in tracks):
        raise MediaError("media.no_video", file=path)
    return sorted(tracks, key=lambda t: t.kind != "vide")


def _read_file(descriptor: int, length: int) -> list[Mp4Track]:
    moov: bytes | None = None
    fragments: list[tuple[int, bytes]] = []
    for box in walk_boxes(lambda at, size: os.pread(descriptor, size, at), length):
        if box.kind not in (b"moov", b"moof") or box.end > length:
            continue
        size = box.end - box.body
        if size > MAX_INDEX_BYTES:
            raise BadMp4Error(f"{box.kind.decode()} of {size} bytes")
        data = os.pread(descriptor, size, box.body)
        if box.kind == b"moov":
            moov = data
        else:
            fragments.append((box.start, data))
    if moov is None:
        raise BadMp4Error("no index (moov)")
    return _join_tracks(memoryview(moov), fragments, length)


def _join_tracks(moov: memoryview, fragments: list[tuple[int, bytes]], length: int) -> list[Mp4Track]:
    """Return the tracks of the index and the fragments that follow it in a file of `length` bytes."""
    defaults: dict[int, SampleDefaults] = {}
    for kind, body in walk_child_boxes(moov):
        if kind == b"mvex":
            defaults |= read_defaults(body)
    headers = _list_headers(moov)
    runs = read_fragments(fragments, defaults)
    found = [_build_track(header, body, runs.get(header.track_id), length) for header, body in headers]
    return [t for t in found if t is not None]


def read_track_heads(moov: memoryview) -> list[TrackHead]:
    """Return what the index states of each track of picture or sound. Raises BadMp4Error, IndexError, struct.error."""
    return [header for header, _ in _list_headers(moov)]


def _list_headers(moov: memoryview) -> list[tuple[TrackHead, memoryview]]:
    """(header, content of the `trak` box) of each track of picture or sound."""
    movie_scale = 1
    for kind, body in walk_child_boxes(moov):
        if kind == b"mvhd":
            movie_scale = struct.unpack_from(">I", body, 20 if body[0] else 12)[0]
    headers: list[tuple[TrackHead, memoryview]] = []
    for kind, body in walk_child_boxes(moov):
        if kind == b"trak":
            header = _read_track_header(body, movie_scale)
            if header is not None:
                headers.append((header, body))
    return headers


@dataclass(slots=True)
class TrackHead:
    """What a `trak` box states besides its samples.

    `empty`: delay before the track begins; `media_time`: first media time that is shown; `shown`: how much of it is, None
    where that is not said; all in ticks of `timescale`.
    """

    track_id: int
    kind: str
    timescale: int
    entry: bytes
    width: int
    height: int
    matrix: bytes
    empty: int
    media_time: int
    shown: int | None


def _build_track(header: TrackHead, trak: memoryview, run: SampleRun | None, file_length: int) -> Mp4Track | None:
    table = read_sample_table(find_box(trak, b"mdia", b"minf", b"stbl"))
    runs = [r for r in (table, run) if r is not None and r.size.size]
    if not runs:
        return None
    found = concatenate_runs(runs)
    # samples behind the end of the file were never written (the process was killed in the middle of a fragment)
    behind = found.offset + found.size > file_length
    bad = np.flatnonzero((found.offset < 0) | (found.size <= 0) | behind | (found.length < 0))
    stop = int(bad[0]) if bad.size else found.size.size
    if stop == 0:
        return None
    dts = found.dts[:stop] + (header.empty - header.media_time)
    pts = dts + found.shift[:stop]
    length = _compute_shown_lengths(pts, found.length[:stop])
    unseen = np.zeros(stop, np.bool_)
    if header.shown is not None and run is None and header.kind == "vide":
        unseen = pts >= header.empty + header.shown
        length = np.where(unseen, 1, length)
    return Mp4Track(
        header.kind,
        header.timescale,
        header.entry,
        header.width,
        header.height,
        header.matrix,
        offset=found.offset[:stop],
        size=found.size[:stop],
        dts=dts,
        pts=pts,
        length=length,
        key=found.key[:stop],
        unseen=unseen,
    )


def _compute_shown_lengths(pts: Int64Array, length: Int64Array) -> Int64Array:
    """How long each sample is shown; `length` is what the file states, the distance of decoding times."""
    if (np.diff(pts) >= 0).all():
        return length
    order = np.argsort(pts, kind="stable")
    shown = length.copy()
    shown[order[:-1]] = np.diff(pts[order])
    return shown


def _read_track_header(trak: memoryview, movie_scale: int) -> TrackHead | None:
    """None for tracks that are neither video nor sound."""
    tkhd, mdhd = find_box(trak, b"tkhd"), find_box(trak, b"mdia", b"mdhd")
    kind = bytes(find_box(trak, b"mdia", b"hdlr")[8:12]).decode("latin-1")
    if kind not in ("vide", "soun"):
        return None
    wide = bool(tkhd[0])
    track_id = struct.unpack_from(">I", tkhd, 20 if wide else 12)[0]
    matrix = bytes(tkhd[52 if wide else 40 :][:36])
    width, height = struct.unpack_from(">2I", tkhd, 88 if wide else 76)
    timescale = struct.unpack_from(">I", mdhd, 20 if mdhd[0] else 12)[0]
    stsd = find_box(trak, b"mdia", b"minf", b"stbl", b"stsd")
    if timescale == 0 or movie_scale == 0 or len(stsd) < 16:
        raise BadMp4Error("time scale or sample description missing")
    count, size = struct.unpack_from(">2I", stsd, 4)
    if count != 1 or size + 8 > len(stsd):
        raise BadMp4Error(f"{count} sample descriptions")
    empty, media_time, shown = _read_edits(find_box(trak, b"edts", b"elst"), movie_scale, timescale)
    entry = bytes(stsd[8 : 8 + size])
    return TrackHead(track_id, kind, timescale, entry, width, height, matrix, empty, media_time, shown)


def _read_edits(elst: memoryview, movie_scale: int, timescale: int) -> tuple[int, int, int | None]:
    """Return the delay before the track begins, the first media time shown, and how much is shown, in the track's ticks.

    Later edits are ignored.
    """
    empty = 0
    if len(elst) < 8:
        return 0, 0, None
    row = struct.Struct(">Qq4x" if elst[0] else ">Ii4x")
    for i in range(struct.unpack_from(">I", elst, 4)[0]):
        duration, media_time = row.unpack_from(elst, 8 + i * row.size)
        ticks = round(duration * timescale / movie_scale)
        if media_time >= 0:
            return empty, media_time, ticks or None
        empty += ticks
    return empty, 0, None
