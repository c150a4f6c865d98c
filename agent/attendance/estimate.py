"""Combine the headcounts of single looks into one estimate; no other module does this."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from agent.core.class_model import Room
from agent.core.headcounts import PlacedLook, combine_placed
from agent.core.model import Look


@dataclass(frozen=True, slots=True)
class PeopleEstimate:
    """People in a room, staff included, over a stretch of time."""

    people: int
    low: int
    high: int


def estimate_block(looks: Sequence[Look]) -> PeopleEstimate | None:
    """Return the estimate of one camera over one block from its judged looks, by places; None without any.

    `looks`: in order of time, with things marked.
    """
    judged = [PlacedLook.of(look) for look in looks if look.judged]
    return PeopleEstimate(*combine_placed(judged)) if judged else None


def compute_upper_median(pairs: Iterable[tuple[int, float]]) -> int:
    """Compute the weighted median of (value, weight), the upper one of two that tie. Raises ValueError without values."""
    rows = sorted(pairs)
    if not rows:
        raise ValueError("median of nothing")
    half, so_far = sum(weight for _, weight in rows) / 2, 0.0
    for value, weight in rows:
        so_far += weight
        if so_far > half + 1e-9:
            return value
    return rows[-1][0]


def estimate_room(
    room: Room, looks: Sequence[Look], start: datetime, end: datetime, *, reach_s: float, share: float
) -> PeopleEstimate | None:
    """Estimate the people in a room over [start, end), staff included; None if it cannot be judged.

    A camera is used if its judged looks cover at least `share` of the time (each covers `reach_s` around it). If each camera
    sees the whole room, the highest estimate is taken; if each sees a part, all are needed and are added.
    """
    views = []
    for camera in room.cameras:
        mine = [x for x in looks if x.camera_id == camera and start <= x.at < end]
        if compute_coverage(mine, start, end, reach_s) >= share:
            views.append(estimate_block(mine))
    seen = [view for view in views if view is not None]
    if not seen or (room.view == "part" and len(seen) < len(room.cameras)):
        return None
    if room.view == "whole":
        return max(seen, key=lambda view: (view.people, view.low, view.high))
    return _add_estimates(seen)


def _add_estimates(parts: Sequence[PeopleEstimate]) -> PeopleEstimate:
    """Add estimates of different cameras; their errors are independent, so the squares of the spreads are added."""
    people = sum(v.people for v in parts)
    down = math.sqrt(sum((v.people - v.low) ** 2 for v in parts))
    up = math.sqrt(sum((v.high - v.people) ** 2 for v in parts))
    return PeopleEstimate(people, max(0, math.floor(people - down)), math.ceil(people + up))


def compute_coverage(looks: Iterable[Look], start: datetime, end: datetime, reach_s: float) -> float:
    """Compute the part (0 to 1) of [start, end) that judged looks cover, each for half of `reach_s` before and after."""
    reach = timedelta(seconds=reach_s / 2)
    total, until = timedelta(), start
    for look in sorted((x for x in looks if x.judged), key=lambda x: x.at):
        begin, finish = max(look.at - reach, until), min(look.at + reach, end)
        if finish > begin:
            total += finish - begin
            until = finish
    return total / (end - start) if end > start else 0.0
