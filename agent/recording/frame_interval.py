"""How far apart the pictures of a stream usually are, and what is too far: a hole."""

from __future__ import annotations

SEAM = 0.2
"""Seconds without a picture before a cut that may be a picture sent late; from there on it is a hole."""
_WEIGHT = 0.1


class FrameInterval:
    """The usual time between two pictures, followed slowly.

    `usual`: seconds, at first the stream's nominal interval. `hole_seconds`: a longer step is a hole.
    """

    def __init__(self, nominal: float, hole_seconds: float) -> None:
        self.usual = nominal
        self._hole_seconds = hole_seconds

    def observe(self, step: float) -> bool:
        """Take in the time from one picture to the next; return True where it is a hole, which changes nothing."""
        if step > self._hole_seconds:
            return True
        self.usual += _WEIGHT * (step - self.usual)
        return False

    @property
    def seam(self) -> float:
        """Seconds that may lie between a segment's last picture and the next segment without being a hole."""
        return max(SEAM, 2 * self.usual)
