"""Calibration of one camera by a few hand counts: the share of people that its looks find, and its standard error. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from agent.core.errors import InputError
from agent.core.model import Look

LEAST_COUNTS = 3
LEAST_PEOPLE = 10
NEAREST_LOOK = timedelta(seconds=60)
RECALL_BOUNDS = (0.5, 1.5)
INTERVAL_DEVIATIONS = 1.5
"""Half-width of the interval in standard deviations, as in a look's own interval."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """The calibration of one camera.

    `recall`: heads found per person present; `error`: its standard error; `counts`: number of hand counts, with `people` in
    all; `detector`: the weights that it was measured with, the only ones for which it holds.
    """

    recall: float
    error: float
    counts: int
    people: int
    detector: str = ""

    def to_text(self) -> str:
        """Return it as JSON text, for the catalog."""
        return json.dumps(asdict(self), sort_keys=True)

    @staticmethod
    def of(text: str | None, detector: str) -> Calibration | None:
        """Parse the stored text; None if there is none, or it was measured with other weights than `detector`."""
        found = Calibration(**json.loads(text)) if text else None
        return found if found and found.detector == detector else None

    def apply(self, people: int, low: int, high: int) -> tuple[int, int, int]:
        """Return (people, low, high) of a look, corrected; the interval includes the uncertainty of the recall."""
        corrected = people / self.recall
        doubt = INTERVAL_DEVIATIONS * corrected * self.error / self.recall
        down = math.hypot((people - low) / self.recall, doubt)
        up = math.hypot((high - people) / self.recall, doubt)
        middle = math.floor(corrected + 0.5)
        return (
            middle,
            min(middle, max(0, math.floor(corrected - down + 0.5))),
            max(middle, math.ceil(corrected + up - 0.5)),
        )


def find_nearest_look(looks: Sequence[Look], moment: datetime) -> Look | None:
    """Return the judged look nearest to an instant, at most NEAR away; else None."""
    near = [x for x in looks if x.judged and abs(x.at - moment) <= NEAREST_LOOK]
    return min(near, key=lambda x: abs(x.at - moment), default=None)


def fit_looks(counted: Sequence[tuple[Look, int]]) -> Calibration:
    """Fit a calibration to looks and the people that were counted in them by hand, things left out of the looks.

    Raises InputError as `fit_recall`, and if the looks were taken with different weights.
    """
    detectors = {look.detector for look, _ in counted}
    if len(detectors) > 1:
        raise InputError("counting.calibrate_mixed", versions=", ".join(sorted(detectors)))
    # the headcount of a look may be corrected already, so use the number of boxes
    return fit_recall([(len(look.counted_boxes), people) for look, people in counted], next(iter(detectors), ""))


def fit_recall(pairs: Sequence[tuple[int, int]], detector: str) -> Calibration:
    """Fit a calibration to pairs of (heads found, people counted by hand).

    Ratio estimator: the quotient of the sums; its standard error comes from the scatter of the pairs. Raises InputError if
    there are too few counts or people, or the recall is outside BOUNDS.
    """
    found, people = sum(f for f, _ in pairs), sum(h for _, h in pairs)
    if len(pairs) < LEAST_COUNTS or people < LEAST_PEOPLE:
        raise InputError("counting.calibrate_few", counts=LEAST_COUNTS, people=LEAST_PEOPLE)
    recall = found / people
    if not RECALL_BOUNDS[0] <= recall <= RECALL_BOUNDS[1]:
        raise InputError("counting.calibrate_far", found=found, people=people)
    scatter = sum((f - recall * h) ** 2 for f, h in pairs) * len(pairs) / (len(pairs) - 1)
    # a few pairs may agree by chance: the error is at least that of as many independent people
    chance = max(recall * (1 - recall), 0.0) / people
    return Calibration(
        round(recall, 4), round(math.sqrt(scatter / people**2 + chance), 4), len(pairs), people, detector
    )
