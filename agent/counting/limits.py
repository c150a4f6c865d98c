"""From where a measure of picture or sound is a fault: the section `[counting.limits]` of the settings.

Apart from `quality`, so that whoever reads settings does without OpenCV.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Units and what was seen: `quality` and docs/counting.md."""

    dark_light: float = 45
    washed_contrast: float = 45
    covered_flat: float = 0.75
    blurred_sharpness: float = 1.3
    frozen_s: float = 60
    moved_likeness: float = 0.25
    silent_dbfs: float = -60
    clipped_share: float = 0.002


LIMITS = Limits()
