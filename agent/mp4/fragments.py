"""The fragments (`moof`) of a fragmented MP4: the samples that each one adds to the tracks."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from agent.mp4.boxes import BadMp4Error, find_box, walk_child_boxes
from agent.mp4.sample_tables import SampleRun, concatenate_runs

MAX_RUN_SAMPLES = 100_000
"""Samples of one run that are accepted."""

# tfhd flags (ISO/IEC 14496-12, 8.8.7)
_BASE_OFFSET, _DESCRIPTION, _LENGTH, _SIZE, _FLAGS = 0x1, 0x2, 0x8, 0x10, 0x20
# trun flags (8.8.8): offset and first sample's flags, then what each sample states for itself
_DATA_OFFSET, _FIRST_FLAGS = 0x1, 0x4
_EACH_LENGTH, _EACH_SIZE, _EACH_FLAGS, _EACH_SHIFT = 0x100, 0x200, 0x400, 0x800
_NOT_A_KEY_FRAME = 0x10000


class SampleDefaults(NamedTuple):
    """What samples have where a fragment does not state it: duration (ticks), size (bytes), flags."""

    length: int = 0
    size: int = 0
    flags: int = 0


def read_defaults(mvex: memoryview) -> dict[int, SampleDefaults]:
    """Return the sample defaults of each track out of an `mvex` box, by track ID. Raises BadMp4Error, struct.error."""
    found = {}
    for kind, trex in walk_child_boxes(mvex):
        if kind == b"trex":
            track_id, _, length, size, flags = struct.unpack_from(">5I", trex, 4)
            found[track_id] = SampleDefaults(length, size, flags)
    return found


def read_fragments(
    fragments: Sequence[tuple[int, bytes]], defaults: Mapping[int, SampleDefaults]
) -> dict[int, SampleRun]:
    """Return the samples of all fragments, by track ID. `fragments` are (offset of the `moof` box, its content).

    Raises BadMp4Error, IndexError, struct.error, ValueError on a broken fragment.
    """
    collected: dict[int, list[SampleRun]] = {}
    for start, moof in fragments:
        for kind, traf in walk_child_boxes(memoryview(moof)):
            if kind == b"traf":
                track_id, runs = _read_track_fragment(traf, start, defaults)
                collected.setdefault(track_id, []).extend(runs)
    return {track_id: concatenate_runs(runs) for track_id, runs in collected.items() if runs}


def _read_track_fragment(
    traf: memoryview, start: int, defaults: Mapping[int, SampleDefaults]
) -> tuple[int, list[SampleRun]]:
    """(track ID, its runs) of a `traf` box."""
    tfhd = find_box(traf, b"tfhd")
    flags, track_id = struct.unpack_from(">2I", tfhd)
    flags &= 0xFFFFFF
    length, size, sample_flags = defaults.get(track_id, SampleDefaults())
    base, at = start, 8
    if flags & _BASE_OFFSET:
        base, at = struct.unpack_from(">Q", tfhd, at)[0], at + 8
    if flags & _DESCRIPTION:
        at += 4
    if flags & _LENGTH:
        length, at = struct.unpack_from(">I", tfhd, at)[0], at + 4
    if flags & _SIZE:
        size, at = struct.unpack_from(">I", tfhd, at)[0], at + 4
    if flags & _FLAGS:
        sample_flags = struct.unpack_from(">I", tfhd, at)[0]
    tfdt = find_box(traf, b"tfdt")
    dts = struct.unpack_from(">Q" if tfdt[0] else ">I", tfdt, 4)[0] if len(tfdt) else 0
    runs: list[SampleRun] = []
    offset = base
    for kind, trun in walk_child_boxes(traf):
        if kind == b"trun":
            run, offset = _read_run(trun, base, offset, dts, SampleDefaults(length, size, sample_flags))
            if run.size.size:
                runs.append(run)
                dts = int(run.dts[-1] + run.length[-1])
    return track_id, runs


def _read_run(trun: memoryview, base: int, offset: int, dts: int, default: SampleDefaults) -> tuple[SampleRun, int]:
    """One run and the offset of the byte behind it. `offset` is where it begins unless it states that itself."""
    word, count = struct.unpack_from(">2I", trun)
    flags, at = word & 0xFFFFFF, 8
    if flags & _DATA_OFFSET:
        offset, at = base + struct.unpack_from(">i", trun, at)[0], at + 4
    first_flags = default.flags
    if flags & _FIRST_FLAGS:
        first_flags, at = struct.unpack_from(">I", trun, at)[0], at + 4
    present = [bit for bit in (_EACH_LENGTH, _EACH_SIZE, _EACH_FLAGS, _EACH_SHIFT) if flags & bit]
    if count > MAX_RUN_SAMPLES or (present and at + count * 4 * len(present) > len(trun)):
        raise BadMp4Error("fragment table cut off")
    rows = np.frombuffer(trun, ">u4", count * len(present), at).reshape(count, len(present)).astype(np.int64)
    column = {bit: rows[:, i] for i, bit in enumerate(present)}
    length = column.get(_EACH_LENGTH, np.full(count, default.length, np.int64))
    size = column.get(_EACH_SIZE, np.full(count, default.size, np.int64))
    sample_flags = column.get(_EACH_FLAGS, np.full(count, default.flags, np.int64)).copy()
    if flags & _FIRST_FLAGS and count:
        sample_flags[0] = first_flags
    shift = column.get(_EACH_SHIFT, np.zeros(count, np.int64))
    # signed in version 1; the unsigned shifts of version 0 never get so large
    shift = np.where(shift >= 1 << 31, shift - (1 << 32), shift)
    key = (sample_flags & _NOT_A_KEY_FRAME) == 0
    places = offset + np.cumsum(size) - size
    run = SampleRun(places, size, dts + np.cumsum(length) - length, shift, length, key)
    return run, offset + int(size.sum())
