"""Tables of samples (pictures or sound packets): where each one lies, when it plays, whether it is a key frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]
Marks = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Track:
    """One stream of a file.

    Arrays hold one entry per sample in decoding order: `offset` and `size` in bytes, `dts` and `pts` in ticks of `timescale`
    on the file's presentation time line (edit list applied), `key` True at key frames. `length` is each sample's duration in
    ticks. `entry` is the only entry of the sample description, unchanged.
    """

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
        """Four characters such as avc1, hvc1, hev1, mp4a."""
        return self.entry[4:8].decode("latin-1")

    def select(self, begin: int, stop: int) -> Track:
        """Return the track with only its samples [begin, stop)."""
        rows = slice(begin, stop)
        return replace(
            self,
            offset=self.offset[rows],
            size=self.size[rows],
            dts=self.dts[rows],
            pts=self.pts[rows],
            length=self.length[rows],
            key=self.key[rows],
        )

    def shift(self, ticks: int) -> Track:
        """Return the track with all times later by `ticks`."""
        return replace(self, dts=self.dts + ticks, pts=self.pts + ticks)


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples of one track of a file to be made.

    `source` is an index into the sources that they are read from; `dts` and `pts` count ticks of the track's time scale from
    the first frame of the file to be made.
    """

    source: Numbers
    offset: Numbers
    size: Numbers
    dts: Numbers
    pts: Numbers
    length: Numbers
    key: Marks

    def select(self, rows: Marks | slice) -> Samples:
        """Return some of the samples."""
        return Samples(
            self.source[rows],
            self.offset[rows],
            self.size[rows],
            self.dts[rows],
            self.pts[rows],
            self.length[rows],
            self.key[rows],
        )

    def shift(self, ticks: int) -> Samples:
        """Return the samples with all times later by `ticks`."""
        return replace(self, dts=self.dts + ticks, pts=self.pts + ticks)

    @property
    def end(self) -> int:
        """The tick at which the last one shown ends."""
        return int((self.pts + self.length).max())


def concatenate(parts: Sequence[Samples]) -> Samples:
    """Return the samples of all parts, one part after another."""
    return Samples(
        np.concatenate([p.source for p in parts]),
        np.concatenate([p.offset for p in parts]),
        np.concatenate([p.size for p in parts]),
        np.concatenate([p.dts for p in parts]),
        np.concatenate([p.pts for p in parts]),
        np.concatenate([p.length for p in parts]),
        np.concatenate([p.key for p in parts]),
    )
