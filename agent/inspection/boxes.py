"""Reading MP4: where each sample of a segment lies, when it plays, whether it is a key frame.

Reads what the recorder writes: the finished file (`ftyp free mdat moov`), the unfinished one and one cut off by a kill
(`ftyp moov moof mdat …`, ISO/IEC 14496-12). Nothing is decoded and no sample is read. Files come from removable disks, so every
length is checked before it is believed.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from agent.drive import files
from agent.errors import MediaError

Numbers = npt.NDArray[np.int64]
Marks = npt.NDArray[np.bool_]

MAX_INDEX = 256 << 20
"""Bytes of one index box that are believed; an hour of 25 frames and 47 sound packets a second needs 3 MB."""
MAX_SAMPLES = 20_000_000
MAX_RUN = 100_000


@dataclass(frozen=True, slots=True)
class Track:
    """One stream of a file. Arrays hold one entry a sample in decoding order: `offset` and `size` in bytes, `dts` and
    `pts` in ticks of `timescale` on the file's presentation time line (edit list applied), `key` 1 at key frames.
    `length` is each sample's duration in ticks. `entry` is the sample description's only entry, as it stands."""

    kind: str
    timescale: int
    entry: bytes
    width: int
    height: int
    matrix: bytes
    offset: Numbers
    size: Numbers
    dts: Numbers
    pts: Numbers
    length: Numbers
    key: Marks

    @property
    def codec(self) -> str:
        """Four characters: avc1, hvc1, hev1, mp4a …"""
        return self.entry[4:8].decode("latin-1")


def read(path: Path) -> list[Track]:
    """The tracks of a file that hold samples: video first, then sound. Raises MediaError."""
    try:
        with files.opened(path, files.SEGMENT) as file:
            tracks = _Reader(file.descriptor).tracks()
    except (_BadFileError, struct.error, ValueError, IndexError, KeyError, OverflowError) as error:
        raise MediaError("media.unreadable", file=path, detail=error) from error
    except OSError as error:
        raise MediaError("media.unreadable", file=path, detail=error.strerror or error) from error
    if not any(t.kind == "vide" for t in tracks):
        raise MediaError("media.no_video", file=path)
    return sorted(tracks, key=lambda t: t.kind != "vide")


class _BadFileError(Exception):
    """The file is not what it should be; the text says where."""


@dataclass(slots=True)
class _Header:
    """What a `trak` says, before its samples."""

    track_id: int
    kind: str
    timescale: int
    entry: bytes
    width: int
    height: int
    matrix: bytes
    empty: int
    media_time: int


class _Reader:
    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._end = os.fstat(fd).st_size

    def tracks(self) -> list[Track]:
        moov: bytes | None = None
        fragments: list[tuple[int, bytes]] = []
        for name, start, body, end in self._top():
            if name in (b"moov", b"moof"):
                if end - body > MAX_INDEX:
                    raise _BadFileError(f"{name.decode()} of {end - body} bytes")
                data = os.pread(self._fd, end - body, body)
                if name == b"moov":
                    moov = data
                else:
                    fragments.append((start, data))
        if moov is None:
            raise _BadFileError("no index (moov)")
        return self._join(moov, fragments)

    def _top(self) -> Iterator[tuple[bytes, int, int, int]]:
        """Boxes of the file that are whole: (name, start, start of body, end); a media box cut off at the end counts too."""
        at = 0
        while at + 8 <= self._end:
            head = os.pread(self._fd, 16, at)
            size, name = struct.unpack_from(">I4s", head)
            body = at + 8
            if size == 1:
                size, body = struct.unpack_from(">Q", head, 8)[0], at + 16
            end = at + size if size else self._end
            if end < body:
                raise _BadFileError(f"box of {size} bytes at {at}")
            if end <= self._end:
                yield name, at, body, end
            at = end

    def _join(self, moov: bytes, fragments: list[tuple[int, bytes]]) -> list[Track]:
        movie_scale, defaults = 1, {}
        headers: list[tuple[_Header, memoryview]] = []
        view = memoryview(moov)
        for name, body in boxes(view):
            if name == b"mvhd":
                movie_scale = struct.unpack_from(">I", body, 20 if body[0] else 12)[0]
            elif name == b"mvex":
                for inner, trex in boxes(body):
                    if inner == b"trex":
                        track_id, _, length, size, flags = struct.unpack_from(">5I", trex, 4)
                        defaults[track_id] = (length, size, flags)
        for name, body in boxes(view):
            if name == b"trak":
                header = _header(body, movie_scale)
                if header is not None:
                    headers.append((header, body))
        runs = _fragments(fragments, defaults)
        found = [self._track(header, body, runs.get(header.track_id)) for header, body in headers]
        return [t for t in found if t is not None]

    def _track(self, header: _Header, trak: memoryview, run: _Run | None) -> Track | None:
        table = _table(_inside(trak, b"mdia", b"minf", b"stbl"))
        runs = [r for r in (table, run) if r is not None and r.size.size]
        if not runs:
            return None
        offset, size, dts, shift, length, key = (
            np.concatenate([getattr(r, name) for r in runs])
            for name in ("offset", "size", "dts", "shift", "length", "key")
        )
        # what lies behind the end was never written (a kill in the middle of a fragment)
        bad = np.flatnonzero((offset < 0) | (size <= 0) | (offset + size > self._end) | (length < 0))
        stop = int(bad[0]) if bad.size else size.size
        if stop == 0:
            return None
        base = header.empty - header.media_time
        dts, shift = dts[:stop] + base, shift[:stop]
        return Track(
            header.kind, header.timescale, header.entry, header.width, header.height, header.matrix,
            offset[:stop], size[:stop], dts, dts + shift, length[:stop], key[:stop],
        )  # fmt: skip


def boxes(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """The boxes inside a box: (name, body)."""
    at = 0
    while at + 8 <= len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        body = at + 8
        if size == 1:
            size, body = struct.unpack_from(">Q", data, body)[0], at + 16
        end = at + size if size else len(data)
        if end < body or end > len(data):
            raise _BadFileError(f"{bytes(name)!r} of {size} bytes in {len(data)}")
        yield bytes(name), data[body:end]
        at = end


def _inside(data: memoryview, *path: bytes) -> memoryview:
    """The body of the first box at a path; empty where there is none."""
    for step in path:
        data = next((body for name, body in boxes(data) if name == step), memoryview(b""))
    return data


def _header(trak: memoryview, movie_scale: int) -> _Header | None:
    """None for tracks that are neither picture nor sound."""
    tkhd, mdhd = _inside(trak, b"tkhd"), _inside(trak, b"mdia", b"mdhd")
    kind = bytes(_inside(trak, b"mdia", b"hdlr")[8:12]).decode("latin-1")
    if kind not in ("vide", "soun"):
        return None
    wide = bool(tkhd[0])
    track_id = struct.unpack_from(">I", tkhd, 20 if wide else 12)[0]
    matrix = bytes(tkhd[52 if wide else 40 :][:36])
    width, height = struct.unpack_from(">2I", tkhd, 88 if wide else 76)
    timescale = struct.unpack_from(">I", mdhd, 20 if mdhd[0] else 12)[0]
    stsd = _inside(trak, b"mdia", b"minf", b"stbl", b"stsd")
    if timescale == 0 or movie_scale == 0 or len(stsd) < 16:
        raise _BadFileError("time scale or sample description missing")
    count, size = struct.unpack_from(">2I", stsd, 4)
    if count != 1 or size + 8 > len(stsd):
        raise _BadFileError(f"{count} sample descriptions")
    empty, media_time = _edits(_inside(trak, b"edts", b"elst"), movie_scale, timescale)
    return _Header(
        track_id, kind, timescale, bytes(stsd[8 : 8 + size]), width, height, matrix, empty, media_time,
    )  # fmt: skip


def _edits(elst: memoryview, movie_scale: int, timescale: int) -> tuple[int, int]:
    """(delay before the track begins, first media time shown), both in the track's ticks. Later edits are not used here."""
    empty = 0
    if len(elst) < 8:
        return 0, 0
    row = struct.Struct(">Qq4x" if elst[0] else ">Ii4x")
    for i in range(struct.unpack_from(">I", elst, 4)[0]):
        duration, media_time = row.unpack_from(elst, 8 + i * row.size)
        if media_time >= 0:
            return empty, media_time
        empty += round(duration * timescale / movie_scale)
    return empty, 0


@dataclass(slots=True)
class _Run:
    """Samples as `Track` holds them; `shift` is pts minus dts."""

    offset: Numbers
    size: Numbers
    dts: Numbers
    shift: Numbers
    length: Numbers
    key: Marks


def _table(stbl: memoryview) -> _Run | None:
    """The samples of an ordinary MP4."""
    parts = dict(boxes(stbl))
    if b"stsz" not in parts:
        return None
    fixed, count = struct.unpack_from(">2I", parts[b"stsz"], 4)
    if count == 0:
        return None
    if count > MAX_SAMPLES:
        raise _BadFileError(f"{count} samples")
    size = np.full(count, fixed, np.int64) if fixed else _column(parts[b"stsz"], 12, ">u4", count)
    length = _expand(parts[b"stts"], ">u4", count)
    shift = np.zeros(count, np.int64)
    if b"ctts" in parts:
        shift = _expand(parts[b"ctts"], ">i4", count)
    key = np.ones(count, np.bool_)
    if b"stss" in parts:
        key[:] = False
        rows = struct.unpack_from(">I", parts[b"stss"], 4)[0]
        marks = _column(parts[b"stss"], 8, ">u4", rows) - 1
        if marks.size and (marks.min() < 0 or marks.max() >= count):
            raise _BadFileError("key frame outside the file")
        key[marks] = True
    dts = np.cumsum(length) - length
    return _Run(_offsets(parts, size), size, dts, shift, length, key)


def _column(body: memoryview, at: int, kind: str, count: int) -> Numbers:
    if at + count * np.dtype(kind).itemsize > len(body):
        raise _BadFileError("index table cut off")
    return np.frombuffer(body, kind, count, at).astype(np.int64)


def _expand(body: memoryview, kind: str, count: int) -> Numbers:
    """A run-length table (`stts`, `ctts`) as one value a sample."""
    rows = struct.unpack_from(">I", body, 4)[0]
    pairs = _column(body, 8, ">u4", rows * 2).reshape(-1, 2)
    if int(pairs[:, 0].sum()) != count:
        raise _BadFileError("index tables disagree")
    values = np.frombuffer(body, kind, rows * 2, 8).reshape(-1, 2)[:, 1].astype(np.int64)
    return np.repeat(values, pairs[:, 0])


def _offsets(parts: dict[bytes, memoryview], size: Numbers) -> Numbers:
    """Where each sample lies: the chunk's place plus what lies before it in the chunk."""
    wide = b"co64" in parts
    table = parts[b"co64" if wide else b"stco"]
    chunks = _column(table, 8, ">u8" if wide else ">u4", struct.unpack_from(">I", table, 4)[0])
    rows = struct.unpack_from(">I", parts[b"stsc"], 4)[0]
    runs = _column(parts[b"stsc"], 8, ">u4", rows * 3).reshape(-1, 3)
    if rows == 0 or runs[0, 0] != 1 or (np.diff(runs[:, 0]) <= 0).any() or runs[-1, 0] > chunks.size:
        raise _BadFileError("chunk table")
    spread = np.diff(np.append(runs[:, 0], chunks.size + 1))
    per_chunk = np.repeat(runs[:, 1], spread)
    if int(per_chunk.sum()) != size.size:
        raise _BadFileError("chunk table disagrees with sizes")
    before = np.cumsum(size) - size
    first = np.cumsum(per_chunk) - per_chunk
    start = np.append(before, 0)[first]
    found: Numbers = np.repeat(chunks - start, per_chunk) + before
    return found


def _fragments(fragments: list[tuple[int, bytes]], defaults: dict[int, tuple[int, int, int]]) -> dict[int, _Run]:
    """The samples of all fragments by track ID."""
    collected: dict[int, list[_Run]] = {}
    for start, moof in fragments:
        for name, traf in boxes(memoryview(moof)):
            if name == b"traf":
                track_id, run = _traf(traf, start, defaults)
                collected.setdefault(track_id, []).extend(run)
    names = ("offset", "size", "dts", "shift", "length", "key")
    return {
        track_id: _Run(*(np.concatenate([getattr(r, n) for r in runs]) for n in names))
        for track_id, runs in collected.items()
        if runs
    }


def _traf(traf: memoryview, start: int, defaults: dict[int, tuple[int, int, int]]) -> tuple[int, list[_Run]]:
    tfhd = _inside(traf, b"tfhd")
    flags, track_id = struct.unpack_from(">2I", tfhd)
    flags &= 0xFFFFFF
    length, size, sample_flags = defaults.get(track_id, (0, 0, 0))
    base, at = start, 8
    if flags & 0x1:
        base, at = struct.unpack_from(">Q", tfhd, at)[0], at + 8
    if flags & 0x2:
        at += 4
    if flags & 0x8:
        length, at = struct.unpack_from(">I", tfhd, at)[0], at + 4
    if flags & 0x10:
        size, at = struct.unpack_from(">I", tfhd, at)[0], at + 4
    if flags & 0x20:
        sample_flags = struct.unpack_from(">I", tfhd, at)[0]
    tfdt = _inside(traf, b"tfdt")
    clock = struct.unpack_from(">Q" if tfdt[0] else ">I", tfdt, 4)[0] if len(tfdt) else 0
    runs: list[_Run] = []
    place = base
    for name, trun in boxes(traf):
        if name == b"trun":
            run, place = _trun(trun, base, place, clock, (length, size, sample_flags))
            if run.size.size:
                runs.append(run)
                clock = int(run.dts[-1] + run.length[-1])
    return track_id, runs


def _trun(trun: memoryview, base: int, place: int, clock: int, default: tuple[int, int, int]) -> tuple[_Run, int]:
    """One run and the place behind it."""
    word, count = struct.unpack_from(">2I", trun)
    flags, at = word & 0xFFFFFF, 8
    if flags & 0x1:
        place, at = base + struct.unpack_from(">i", trun, at)[0], at + 4
    first_flags = default[2]
    if flags & 0x4:
        first_flags, at = struct.unpack_from(">I", trun, at)[0], at + 4
    present = [bit for bit in (0x100, 0x200, 0x400, 0x800) if flags & bit]
    if count > MAX_RUN or (present and at + count * 4 * len(present) > len(trun)):
        raise _BadFileError("fragment table cut off")
    rows = np.frombuffer(trun, ">u4", count * len(present), at).reshape(count, len(present)).astype(np.int64)
    column = {bit: rows[:, i] for i, bit in enumerate(present)}
    length = column.get(0x100, np.full(count, default[0], np.int64))
    size = column.get(0x200, np.full(count, default[1], np.int64))
    sample_flags = column.get(0x400, np.full(count, default[2], np.int64)).copy()
    if flags & 0x4 and count:
        sample_flags[0] = first_flags
    shift = column.get(0x800, np.zeros(count, np.int64))
    shift = np.where(shift >= 1 << 31, shift - (1 << 32), shift)  # version 1 signs them; version 0 never gets so far
    run = _Run(
        place + np.cumsum(size) - size, size, clock + np.cumsum(length) - length, shift, length,
        (sample_flags & 0x10000) == 0,
    )  # fmt: skip
    return run, place + int(size.sum())
