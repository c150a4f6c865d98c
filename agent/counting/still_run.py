"""Runs of looks at one place without change: what makes a thing, and what breath shows. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

from agent.counting.corners import is_same_place
from agent.counting.stillness import (
    LEAST_CROP_PX,
    CameraNoise,
    Corners,
    CropChange,
    Grey,
    Plane,
    compare_crops,
    cut_crop,
    measure_change,
)

LEAST_RUN_LOOKS = 8
STILL_CHANGE = 2.0
"""A change up to this is the camera's noise."""
STILL_SHARE = 0.7
LEAST_SEEN_LOOKS = 3
BREATH_PX, BREATH_RATIO = 0.035, 2.5
"""Movement over the looks of a run, as a standard deviation beyond its error, and as a variance over the square of the error,
from which it is breath: simulated breathers have 0.08 to 0.13 and 8 to 40, things that nobody is near up to 0.03 and 5."""
_EXACT_DISTANCE = 0.2


@dataclass(slots=True)
class StillRun:
    """Looks at one place since `start`, compared with the crop of the look at `start`.

    `compared`, `still`, `seen`: numbers of looks: in all, without change, with a candidate; `changed`: in a row with change
    and a candidate; `moved2`, `across`, `down`, `error2`: sums over the looks without change, of the squares of the movement,
    of its two parts, and of the squares of its error.
    """

    corners: Corners
    crop: Plane
    start: datetime
    compared: int = 0
    still: int = 0
    seen: int = 0
    changed: int = 0
    moved2: float = 0.0
    across: float = 0.0
    down: float = 0.0
    error2: float = 0.0

    def add(self, found: CropChange, here: bool, seen: bool) -> bool:
        """Add one look; return whether it shows no change. `here`: a candidate is seen where it was, `seen`: in the place."""
        same = found.change <= STILL_CHANGE
        self.compared += 1
        self.still += same
        self.seen += here
        self.changed = 0 if same else self.changed + seen
        if same:
            across, down = found.moved
            self.moved2 += across**2 + down**2
            self.across += across
            self.down += down
            self.error2 += found.error2
        return same

    def is_breathing(self) -> bool:
        """Return whether the looks without change move to and fro by more than their errors say.

        What they all have in common is no breath but the noise of the look that they are compared with, which is one of them.
        """
        looks = max(self.still - 1, 2)
        spread2 = (self.moved2 - (self.across**2 + self.down**2) / looks) / (looks - 1)
        error2 = self.error2 / looks
        return spread2 - error2 > BREATH_PX**2 and spread2 > BREATH_RATIO * error2

    def is_still(self) -> bool:
        """Return whether nearly all looks of the run show no change against one in which a candidate was seen."""
        enough = self.compared >= LEAST_RUN_LOOKS and self.seen >= LEAST_SEEN_LOOKS
        return enough and self.still >= STILL_SHARE * self.compared and not self.is_breathing()


@dataclass(frozen=True, slots=True)
class LookView:
    """The picture of one look as places are compared with it."""

    plane: Grey
    noise: CameraNoise
    at: datetime

    def compare(self, corners: Corners, crop: Plane) -> CropChange:
        """Return the change of a part of the picture against `crop`."""
        now = cut_crop(self.plane, corners)
        return CropChange(math.inf) if now is None else compare_crops(crop, now, self.noise)

    def is_same(self, corners: Corners, crop: Plane) -> bool:
        """Return whether a part of the picture still looks like `crop`."""
        return self.compare(corners, crop).change <= STILL_CHANGE

    def shows_thing(self, corners: Corners, crop: Plane, seen: Corners | None) -> bool:
        """Return whether a known thing is still there: the whole of it, or two thirds where something stands before the rest.

        A head in its place fills all of its box. `seen`: the candidate; one that lies beside the thing may be a head before it.
        """
        if self.is_same(corners, crop):
            return True
        if seen is not None and not is_same_place(seen, corners, _EXACT_DISTANCE):
            return False
        now = cut_crop(self.plane, corners)
        if now is None or now.shape != crop.shape:
            return False
        parts = list_large_parts(crop.shape)
        return any(measure_change(crop[part], now[part], self.noise) <= STILL_CHANGE for part in parts)


def list_large_parts(shape: tuple[int, ...]) -> list[tuple[slice, slice]]:
    """Return the upper, lower, left and right two thirds of a crop, those that are large enough to be compared."""
    height, width = shape[0] * 2 // 3, shape[1] * 2 // 3
    whole = slice(None)
    rows = [(slice(0, height), whole), (slice(-height, None), whole)] if height >= LEAST_CROP_PX else []
    columns = [(whole, slice(0, width)), (whole, slice(-width, None))] if width >= LEAST_CROP_PX else []
    return rows + columns
