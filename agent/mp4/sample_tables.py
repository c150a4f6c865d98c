"""The sample table (`stbl`) of an ordinary MP4: sizes, times, offsets and key frames of a track's samples."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agent.mp4.boxes import BadMp4Error, walk_child_boxes
from agent.mp4.samples import BoolArray, Int64Array

MAX_SAMPLES = 20_000_000


@dataclass(slots=True)
class SampleRun:
    """Samples as `Track` holds them, without an edit list; `shift` is pts minus dts."""

    offset: Int64Array
    size: Int64Array
    dts: Int64Array
    shift: Int64Array
    length: Int64Array
    key: BoolArray


def concatenate_runs(runs: Sequence[SampleRun]) -> SampleRun:
    """Return the samples of all runs, one run after another."""
    return SampleRun(
        np.concatenate([r.offset for r in runs]),
        np.concatenate([r.size for r in runs]),
        np.concatenate([r.dts for r in runs]),
        np.concatenate([r.shift for r in runs]),
        np.concatenate([r.length for r in runs]),
        np.concatenate([r.key for r in runs]),
    )


def read_sample_table(stbl: memoryview) -> SampleRun | None:
    """Return the samples of a `stbl` box; None where it has none, as in a fragmented file.

    Raises BadMp4Error, KeyError, struct.error, ValueError on a broken table.
    """
    parts = dict(walk_child_boxes(stbl))
    if b"stsz" not in parts:
        return None
    fixed, count = struct.unpack_from(">2I", parts[b"stsz"], 4)
    if count == 0:
        return None
    if count > MAX_SAMPLES:
        raise BadMp4Error(f"{count} samples")
    size = np.full(count, fixed, np.int64) if fixed else _read_column(parts[b"stsz"], 12, ">u4", count)
    length = _expand_runs(parts[b"stts"], ">u4", count)
    shift = _expand_runs(parts[b"ctts"], ">i4", count) if b"ctts" in parts else np.zeros(count, np.int64)
    key = _read_key_frames(parts[b"stss"], count) if b"stss" in parts else np.ones(count, np.bool_)
    dts = np.cumsum(length) - length
    return SampleRun(_compute_offsets(parts, size), size, dts, shift, length, key)


def _read_key_frames(stss: memoryview, count: int) -> BoolArray:
    key = np.zeros(count, np.bool_)
    marks = _read_column(stss, 8, ">u4", struct.unpack_from(">I", stss, 4)[0]) - 1
    if marks.size and (marks.min() < 0 or marks.max() >= count):
        raise BadMp4Error("key frame outside the file")
    key[marks] = True
    return key


def _read_column(body: memoryview, at: int, kind: str, count: int) -> Int64Array:
    """`count` numbers of a numpy type from byte `at` on."""
    if at + count * np.dtype(kind).itemsize > len(body):
        raise BadMp4Error("index table cut off")
    return np.frombuffer(body, kind, count, at).astype(np.int64)


def _expand_runs(body: memoryview, kind: str, count: int) -> Int64Array:
    """Return a run-length table (`stts`, `ctts`) as one value per sample."""
    rows = struct.unpack_from(">I", body, 4)[0]
    pairs = _read_column(body, 8, ">u4", rows * 2).reshape(-1, 2)
    if int(pairs[:, 0].sum()) != count:
        raise BadMp4Error("index tables disagree")
    values = np.frombuffer(body, kind, rows * 2, 8).reshape(-1, 2)[:, 1].astype(np.int64)
    return np.repeat(values, pairs[:, 0])


def _compute_offsets(parts: dict[bytes, memoryview], size: Int64Array) -> Int64Array:
    """Where each sample lies: the chunk's offset plus the sizes of the samples before it in the chunk."""
    wide = b"co64" in parts
    table = parts[b"co64" if wide else b"stco"]
    chunks = _read_column(table, 8, ">u8" if wide else ">u4", struct.unpack_from(">I", table, 4)[0])
    rows = struct.unpack_from(">I", parts[b"stsc"], 4)[0]
    runs = _read_column(parts[b"stsc"], 8, ">u4", rows * 3).reshape(-1, 3)
    if rows == 0 or runs[0, 0] != 1 or (np.diff(runs[:, 0]) <= 0).any() or runs[-1, 0] > chunks.size:
        raise BadMp4Error("chunk table")
    spread = np.diff(np.append(runs[:, 0], chunks.size + 1))
    per_chunk = np.repeat(runs[:, 1], spread)
    if int(per_chunk.sum()) != size.size:
        raise BadMp4Error("chunk table disagrees with sizes")
    before = np.cumsum(size) - size
    first = np.cumsum(per_chunk) - per_chunk
    start = np.append(before, 0)[first]
    found: Int64Array = np.repeat(chunks - start, per_chunk) + before
    return found
