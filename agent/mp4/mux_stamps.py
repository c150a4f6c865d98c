"""Stamps for the pictures of a fragmented file, so that all players show all of them at their times.

With B-frames the first pictures are decoded before 0, where the file begins. An index written before the first picture
cannot say so: a file that grows, or was cut off, would show its pictures later than its sound. So no picture is decoded
before 0 here: the first ones follow each other by one tick until decode times have caught up, which no player minds.

FFmpeg's muxer ends the edit list of a finished file where the last fragment ends, though a picture of the fragment before may
be shown later and would be dropped. So each picture lasts, for the muxer, until the end of all that is shown so far; between
two pictures it writes the distance of their decode times whatever the duration is.
"""

from __future__ import annotations

from typing import NamedTuple


class MuxStamp(NamedTuple):
    """What the muxer is given for one picture, in ticks from the first picture of the file."""

    pts: int
    dts: int
    duration: int


class MuxStamps:
    """The stamps of one file's pictures, which come in order of decoding; `start`: where its first is shown."""

    def __init__(self, start: int) -> None:
        self._start = start
        self._next = 0
        self._end = 0

    def place(self, pts: int, dts: int, duration: int) -> MuxStamp | None:
        """Return the stamps in the file; None for a picture that is shown before the first one.

        Such pictures follow the key frame of an open group, and cannot be decoded in a file that begins with it.
        """
        pts, dts = pts - self._start, max(dts - self._start, self._next)
        if pts < 0:
            return None
        self._next = dts + 1
        self._end = max(self._end, pts + duration)
        return MuxStamp(pts, dts, self._end - pts)
