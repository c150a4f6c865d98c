"""Stamps for the pictures of a fragmented file, so that all players show all of them at their times.

With B-frames the first pictures are decoded before 0, where the file begins. An index written before the first picture
cannot say so: a file that grows, or was cut off, would show its pictures later than its sound. So no picture is decoded
before 0 here: the first ones follow each other by one tick until decode times have caught up, which no player minds.

FFmpeg's muxer ends the edit list of a finished file where the last fragment ends, though a picture of the fragment before may
be shown later and would be dropped. So each picture lasts, for the muxer, until the end of all that is shown so far; between
two pictures it writes the distance of their decode times whatever the duration is.

A file may end with a picture that is not shown, since others are decoded from it: the edit list ends where it begins.
"""

from __future__ import annotations

from math import gcd
from typing import NamedTuple

MOVIE_TIMESCALE = 48_000
"""Ticks a second in which the edit list counts."""


class MuxStamp(NamedTuple):
    """What the muxer is given for one picture, in ticks from the first picture of the file."""

    pts: int
    dts: int
    duration: int


class MuxStamps:
    """The stamps of one file's pictures, which come in order of decoding.

    start   where its first picture is shown, in ticks
    rate    ticks a second
    """

    def __init__(self, start: int, rate: int) -> None:
        self._start, self._rate = start, rate
        self._next = 0
        self._end = 0
        self._last: int | None = None

    def place(self, pts: int, dts: int, duration: int) -> MuxStamp | None:
        """Return the stamps in the file; None for a picture that is shown before the first one.

        Such pictures follow the key frame of an open group, and cannot be decoded in a file that begins with it.
        """
        pts, dts = pts - self._start, max(dts - self._start, self._next)
        if pts < 0:
            return None
        self._next = dts + 1
        self._end = max(self._end, pts + duration)
        if self._last is not None:
            self._end = min(self._end, self._last)
            if pts >= self._end:
                return None
        return MuxStamp(pts, dts, self._end - pts)

    def place_unseen(self, pts: int, dts: int) -> MuxStamp:
        """Return the stamps of a picture that is decoded and not shown: what is shown of the file ends where it would be."""
        pts, dts = pts - self._start, max(dts - self._start, self._next)
        # otherwise the muxer would round the end of what is shown up, to behind this picture
        pts -= pts % (self._rate // gcd(self._rate, MOVIE_TIMESCALE))
        self._next = dts + 1
        self._last = pts
        return MuxStamp(pts, dts, 0)
