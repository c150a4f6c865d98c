"""Tables of samples (pictures or sound packets): where each one lies, when it plays, whether it is a key frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

Int64Array = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Mp4Track:
    """One stream of a file.

    Arrays hold one entry per sample in decoding order: `offset` and `size` in bytes, `dts` and `pts` in ticks of `timescale`
    on the file's presentation time line (edit list applied), `key` True at key frames. `length` is how long each sample is
    shown or heard, in ticks: where pictures are reordered, the distance to the one shown next. `entry` is the only entry of
    the sample description, unchanged. `unseen` is True at a picture that is there only for others to be decoded from (what
    the file shows ends before it); it is one tick long.
    """

    kind: str
    timescale: int
    entry: bytes
    width: int
    height: int
    matrix: bytes
    offset: Int64Array
    size: Int64Array
    dts: Int64Array
    pts: Int64Array
    length: Int64Array
    key: BoolArray
    unseen: BoolArray

    @property
    def codec(self) -> str:
        """Four characters such as avc1, hvc1, hev1, mp4a."""
        return self.entry[4:8].decode("latin-1")

    def select(self, rows: BoolArray | slice) -> Mp4Track:
        """Return the track with only some of its samples."""
        return replace(
            self,
            offset=self.offset[rows],
            size=self.size[rows],
            dts=self.dts[rows],
            pts=self.pts[rows],
            length=self.length[rows],
            key=self.key[rows],
            unseen=self.unseen[rows],
        )

    def shift(self, ticks: int) -> Mp4Track:
        """Return the track with all times later by `ticks`."""
        return replace(self, dts=self.dts + ticks, pts=self.pts + ticks)


@dataclass(frozen=True, slots=True)
class Mp4Samples:
    """Samples of one track of a file to be made.

    `source` is an index into the sources that they are read from; `dts` and `pts` count ticks of the track's time scale from
    the first frame of the file to be made.
    """

    source: Int64Array
    offset: Int64Array
    size: Int64Array
    dts: Int64Array
    pts: Int64Array
    length: Int64Array
    key: BoolArray

    def select(self, rows: BoolArray | slice) -> Mp4Samples:
        """Return some of the samples."""
        return Mp4Samples(
            self.source[rows],
            self.offset[rows],
            self.size[rows],
            self.dts[rows],
            self.pts[rows],
            self.length[rows],
            self.key[rows],
        )

    def shift(self, ticks: int) -> Mp4Samples:
        """Return the samples with all times later by `ticks`."""
        return replace(self, dts=self.dts + ticks, pts=self.pts + ticks)

    @property
    def end(self) -> int:
        """The tick at which the last one shown ends."""
        return int((self.pts + self.length).max())


def concatenate_samples(parts: Sequence[Mp4Samples]) -> Mp4Samples:
    """Return the samples of all parts, one part after another."""
    return Mp4Samples(
        np.concatenate([p.source for p in parts]),
        np.concatenate([p.offset for p in parts]),
        np.concatenate([p.size for p in parts]),
        np.concatenate([p.dts for p in parts]),
        np.concatenate([p.pts for p in parts]),
        np.concatenate([p.length for p in parts]),
        np.concatenate([p.key for p in parts]),
    )
