"""Runs of looks at one place without change: what makes a thing, and what breath shows. Pure."""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import cv2
import numpy as np

from agent.counting.corners import is_same_place
from agent.counting.cover import find_free_pixels, is_free_enough
from agent.counting.stillness import (
    LEAST_CROP_PX,
    CameraNoise,
    Corners,
    CropChange,
    Grey,
    Mask,
    Plane,
    compare_crops,
    cut_crop,
    locate_crop,
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
_SPREAD_SHARE, _MOST_MOVES = 0.7, 90
"""Quantile of the distances from the middle movement that is taken for their standard deviation, which it is for noise and less
than it for breath. So three tenths of the looks may be spoilt by somebody who moves at the edge of a thing."""
RETURNED_AFTER, LEAST_RETURNS = 4.0, 3
"""A place that differed by more than the first, and so often shows the same pixels again, is a thing that was hidden: who moves
never comes back to a hundredth of a pixel. A thing never is elsewhere, so a run that was seen shifted is none."""
_SHIFT_REACH, _SHIFT_PART, _SHIFT_LIKENESS, _SHIFT_GAIN = 0.3, 0.7, 0.8, 0.1
"""Shift that is looked for, in parts of the box; middle part of the box that is looked for; correlation from which it is found,
and how much better than without a shift."""
_EXACT_DISTANCE = 0.2
_FREE_ERROR_PX = 0.07
"""Standard error of the movement up to which a part of a place says something: a flat part looks alike wherever it is."""


@dataclass(slots=True)
class StillRun:
    """Looks at one place since `start`, compared with the crop of the look at `start`.

    `compared`, `still`, `seen`: numbers of looks: in all, without change, with a candidate; `changed`: in a row with change
    and a candidate; `moves`: movements in the looks without change, with the squares of their errors. `free`: the pixels that
    nobody hid at `start`.

    A run that was broken off by movement can come back: `first`: its very first look, `alike`: looks without change since
    then, `returns`: how often it came back after a look that surely differed; `shifted`: its pixels were seen elsewhere;
    `same_at`: the last look without change; `before`: how long it lasted until it was broken off; `alive`: somebody had moved
    in the place before its very first look.
    """

    corners: Corners
    crop: Plane
    start: datetime
    compared: int = 0
    still: int = 0
    seen: int = 0
    changed: int = 0
    moves: deque[tuple[float, float, float]] = field(default_factory=lambda: deque(maxlen=_MOST_MOVES))
    free: Mask | None = None
    first: datetime | None = None
    alike: int = 1
    returns: int = 0
    away: bool = False
    shifted: bool = False
    same_at: datetime | None = None
    before: timedelta = timedelta()
    alive: bool = False

    def resume(self, at: datetime) -> None:
        """Begin anew with the same pixels."""
        self.first = self.first or self.start
        self.before += (self.same_at or self.start) - self.start
        self.same_at = None
        self.start, self.compared, self.still, self.seen, self.changed = at, 1, 1, 1, 0
        self.alike += 1
        self._count_return()

    def _count_return(self) -> None:
        self.returns += self.away
        self.away = False

    def add(self, found: CropChange, here: bool, seen: bool) -> bool:
        """Add one look; return whether it shows no change. `here`: a candidate is seen where it was, `seen`: in the place."""
        same = found.change <= STILL_CHANGE
        self.compared += 1
        self.still += same
        self.seen += here
        self.changed = 0 if same else self.changed + seen
        self.away |= found.change > RETURNED_AFTER
        if same:
            self.alike += 1
            self._count_return()
            self.moves.append((*found.moved, found.error2))
        return same

    def is_breathing(self) -> bool:
        """Return whether the looks without change move to and fro by more than their errors say.

        What they all have in common is no breath but the noise of the look that they are compared with, which is one of them.
        """
        if len(self.moves) < 2:
            return False
        across, down, errors2 = zip(*self.moves, strict=True)
        spread2 = _measure_spread(across) ** 2 + _measure_spread(down) ** 2
        error2 = sum(errors2) / len(errors2)
        return bool(spread2 - error2 > BREATH_PX**2 and spread2 > BREATH_RATIO * error2)

    def is_still(self) -> bool:
        """Return whether nearly all looks of the run show no change against one in which a candidate was seen."""
        enough = self.compared >= LEAST_RUN_LOOKS and self.seen >= LEAST_SEEN_LOOKS
        return enough and self.still >= STILL_SHARE * self.compared and not self.is_breathing()

    def has_returned(self) -> bool:
        """Return whether the same pixels came back often enough after others: a thing that is hidden at times."""
        enough = self.returns >= LEAST_RETURNS and self.alike >= LEAST_RUN_LOOKS
        return enough and not self.shifted and not self.is_breathing()


def _measure_spread(values: Sequence[float]) -> float:
    middle = statistics.median(values)
    return sorted(abs(v - middle) for v in values)[int(_SPREAD_SHARE * (len(values) - 1))]


@dataclass(frozen=True, slots=True)
class LookView:
    """The picture of one look as places are compared with it. `heads`: place and corners of each likely one."""

    plane: Grey
    noise: CameraNoise
    at: datetime
    heads: Sequence[tuple[int, Corners]] = ()

    def compare(self, corners: Corners, crop: Plane) -> CropChange:
        """Return the change of a part of the picture against `crop`."""
        now = cut_crop(self.plane, corners)
        return CropChange(math.inf) if now is None else compare_crops(crop, now, self.noise)

    def is_same(self, corners: Corners, crop: Plane) -> bool:
        """Return whether a part of the picture still looks like `crop`."""
        return self.compare(corners, crop).change <= STILL_CHANGE

    def find_free(self, corners: Corners, place_id: int, bodies: bool = True) -> Mask | None:
        """Return which pixels of a place no head of another place, and no body below one, lies before.

        A box with nearly the same middle is a second one on the same head.
        """
        others = [c for other, c in self.heads if other != place_id and not is_same_place(c, corners)]
        return find_free_pixels(self.plane, corners, others, bodies)

    def compare_free(self, corners: Corners, crop: Plane, then: Mask | None, place_id: int) -> CropChange | None:
        """Return the change of what nobody hides now nor hid then; None where that is too little or all."""
        free, now = self.find_free(corners, place_id), cut_crop(self.plane, corners)
        if free is None or now is None or now.shape != crop.shape:
            return None
        if then is not None and then.shape == free.shape:
            free = free & then
        if free.all() or not is_free_enough(free):
            return None
        found = compare_crops(crop, now, self.noise, free)
        return found if 0 < found.error2 <= _FREE_ERROR_PX**2 or math.isinf(found.change) else None

    def shows_free_part(self, corners: Corners, crop: Plane, then: Mask | None, place_id: int) -> bool:
        """Return whether what nobody hides of a place still looks like `crop`."""
        part = self.compare_free(corners, crop, then, place_id)
        return part is not None and part.change <= STILL_CHANGE

    def is_shifted(self, corners: Corners, crop: Plane) -> bool:
        """Return whether the middle of `crop` is seen some pixels beside its place."""
        left, top, right, bottom = locate_crop(self.plane, corners)
        if crop.shape != (bottom - top, right - left):
            return False
        reach = max(2, round(_SHIFT_REACH * min(crop.shape)))
        edge_x, edge_y = (round(side * (1 - _SHIFT_PART) / 2) for side in (crop.shape[1], crop.shape[0]))
        part = crop[edge_y : crop.shape[0] - edge_y, edge_x : crop.shape[1] - edge_x]
        x, y = left + edge_x - reach, top + edge_y - reach
        wider = self.plane[max(0, y) : y + part.shape[0] + 2 * reach, max(0, x) : x + part.shape[1] + 2 * reach]
        if part.std() < 3 or wider.shape[0] < part.shape[0] or wider.shape[1] < part.shape[1]:
            return False
        likeness = cv2.matchTemplate(wider.astype(np.float32), part, cv2.TM_CCOEFF_NORMED)
        row, column = reach + min(0, y), reach + min(0, x)
        if not (0 <= row < likeness.shape[0] and 0 <= column < likeness.shape[1]):
            return False
        return float(likeness.max()) >= max(_SHIFT_LIKENESS, float(likeness[row, column]) + _SHIFT_GAIN)

    def is_hidden(self, corners: Corners, place_id: int) -> bool:
        """Return whether the head of somebody else lies before most of a place."""
        free = self.find_free(corners, place_id, bodies=False)
        return free is not None and not is_free_enough(free)

    def shows_thing(
        self, corners: Corners, crop: Plane, seen: Corners | None, free: Mask | None = None, place_id: int = -1
    ) -> bool:
        """Return whether a known thing is still there: the whole of it, or two thirds where something stands before the rest.

        A head in its place fills all of its box. `seen`: the candidate; one that lies beside the thing may be a head before it.
        """
        if self.is_same(corners, crop) or self.shows_free_part(corners, crop, free, place_id):
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
