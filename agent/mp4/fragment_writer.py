"""Write fragmented MP4 for Media Source Extensions: an initialization segment, then media segments of recorded samples.

Built after ISO/IEC 14496-12 and the W3C's ISO BMFF Byte Stream Format. The sample data is handed in, and nothing is decoded.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agent.mp4.boxes import BOX_HEADER_SIZE, make_box, make_full_box
from agent.mp4.samples import BoolArray, Int64Array, Mp4Track
from agent.mp4.writer import build_description, build_movie_header, build_track

_KEY_FLAGS, _OTHER_FLAGS = 0x02000000, 0x01010000
"""Sample flags (8.8.3.1): depends on no other; depends on others and is not a key frame."""
_BASE_IS_MOOF = 0x020000
_RUN_FLAGS = 0x1 | 0x100 | 0x200 | 0x400 | 0x800
"""trun: data offset; duration, size, flags and composition offset of each sample."""


@dataclass(frozen=True, slots=True)
class FragmentRun:
    """Samples of one track that follow each other, in order of decoding.

    `begin` is the decode time of the first one, `length` what each one adds to it, `shift` pts minus dts; all in ticks.
    """

    begin: int
    size: Int64Array
    length: Int64Array
    shift: Int64Array
    key: BoolArray


def build_initialization_segment(tracks: Sequence[Mp4Track]) -> bytes:
    """Return `ftyp` and a `moov` without samples; the tracks are numbered from 1 in this order."""
    ftyp = make_box(b"ftyp", b"iso6" + struct.pack(">I", 0) + b"iso6mp41")
    empty = [
        make_full_box(b"stts", bytes(4)),
        make_full_box(b"stsc", bytes(4)),
        make_full_box(b"stsz", bytes(8)),
        make_full_box(b"stco", bytes(4)),
    ]
    traks = [
        build_track(number, track, make_box(b"stbl", build_description(track), *empty))
        for number, track in enumerate(tracks, 1)
    ]
    trex = [make_full_box(b"trex", struct.pack(">5I", number, 1, 0, 0, 0)) for number in range(1, len(tracks) + 1)]
    return ftyp + make_box(b"moov", build_movie_header(0, len(tracks)), *traks, make_box(b"mvex", *trex))


def build_media_segment(number: int, runs: Sequence[FragmentRun]) -> bytes:
    """Return `moof` and the head of `mdat`, behind which the sample data of all runs follows in their order.

    `runs[i]` belongs to track i + 1; a run may be empty.
    """
    head = len(_build_moof(number, runs, 0)) + BOX_HEADER_SIZE
    total = sum(int(run.size.sum()) for run in runs)
    return _build_moof(number, runs, head) + struct.pack(">I4s", total + BOX_HEADER_SIZE, b"mdat")


def _build_moof(number: int, runs: Sequence[FragmentRun], offset: int) -> bytes:
    """Return the `moof` box; `offset` is where the data of the first run begins, counted from the box."""
    trafs = []
    for track_id, run in enumerate(runs, 1):
        if not run.size.size:
            continue
        tfhd = make_full_box(b"tfhd", struct.pack(">I", track_id), flags=_BASE_IS_MOOF)
        tfdt = make_full_box(b"tfdt", struct.pack(">Q", run.begin), version=1)
        trafs.append(make_box(b"traf", tfhd, tfdt, _build_trun(run, offset)))
        offset += int(run.size.sum())
    return make_box(b"moof", make_full_box(b"mfhd", struct.pack(">I", number)), *trafs)


def _build_trun(run: FragmentRun, offset: int) -> bytes:
    flags = np.where(run.key, _KEY_FLAGS, _OTHER_FLAGS)
    rows = np.stack([run.length, run.size, flags, run.shift], axis=1).astype(">i4").tobytes()
    return make_full_box(b"trun", struct.pack(">Ii", run.size.size, offset) + rows, version=1, flags=_RUN_FLAGS)
