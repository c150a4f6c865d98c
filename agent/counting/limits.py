"""Thresholds above or below which a measure of picture or sound is a fault: `[counting.limits]` in the settings.

Separate from `quality`, so that the settings can be read without importing OpenCV.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The thresholds; for units and measured values see `quality` and docs/reference/counting.md."""

    dark_light: float = 45
    washed_contrast: float = 45
    covered_flat: float = 0.75
    blurred_sharpness: float = 1.3
    frozen_s: float = 60
    moved_likeness: float = 0.25
    silent_dbfs: float = -60
    clipped_share: float = 0.002


LIMITS = Limits()
