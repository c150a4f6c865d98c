"""Which time of a clip a viewer can have seen, computed from the bytes that were sent. Pure.

A picture counts where all its bytes were sent, and those of every picture since the key frame that it depends on; the header,
the index and the sound of the file do not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np

from agent.core.intervals import bridge_pauses, intersect_intervals, merge_intervals
from agent.inspection.clip import ClipPlan
from agent.inspection.gaps import SLIVER
from agent.mp4.samples import BoolArray, Int64Array
from agent.mp4.virtual_mp4 import VirtualMp4

TimeRange = tuple[datetime, datetime]


def compute_delivered_spans(plan: ClipPlan, ranges: Sequence[tuple[int, int]]) -> list[TimeRange]:
    """Return the time that these bytes [start, stop) of the clip show, within what was asked for.

    `ranges` are as `intervals.union` returns them.
    """
    shown = _mark_usable(plan.film, ranges)
    if not shown.any():
        return []
    samples, ticks = plan.film.pictures.samples, plan.film.pictures.timescale
    begins, ends = samples.pts[shown] / ticks, (samples.pts[shown] + samples.length[shown]) / ticks
    found: list[TimeRange] = []
    edges = [*(p.at for p in plan.cut.pieces[1:]), float("inf")]
    for piece, until in zip(plan.cut.pieces, edges, strict=True):
        # half a millisecond of tolerance: places are rounded to ticks
        mine = (begins >= piece.at - 0.0005) & (begins < until - 0.0005)
        wall = merge_intervals(
            (piece.span.start + timedelta(seconds=a - piece.at), piece.span.start + timedelta(seconds=b - piece.at))
            for a, b in zip(begins[mine].tolist(), ends[mine].tolist(), strict=True)
        )
        found += intersect_intervals(bridge_pauses(wall, SLIVER), [(piece.span.start, piece.span.end)])
    return intersect_intervals(bridge_pauses(merge_intervals(found), SLIVER), plan.existing)


def _mark_usable(film: VirtualMp4, ranges: Sequence[tuple[int, int]]) -> BoolArray:
    """Which pictures a decoder that has these bytes can show."""
    place, samples = film.pictures.place, film.pictures.samples
    if not ranges:
        return np.zeros(place.size, np.bool_)
    starts, stops = (np.array(x, np.int64) for x in zip(*ranges, strict=True))
    row = np.searchsorted(starts, place, side="right") - 1
    lost = (row < 0) | (place + samples.size > stops[np.maximum(row, 0)])
    count: Int64Array = np.cumsum(lost)
    key: Int64Array = np.maximum.accumulate(np.where(samples.key, np.arange(place.size), 0))
    usable: BoolArray = count - (count[key] - lost[key]) == 0
    return usable
