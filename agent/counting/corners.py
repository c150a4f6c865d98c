"""Boxes of successive looks: whether two lie on each other, and which belong together. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from agent.counting.stillness import Corners

SAME_DISTANCE, JOIN_DISTANCE = 0.5, 0.9
"""Distance of centres over the size up to which a box lies where a thing or a run is, and up to which somebody who moved is
joined to the place."""
_JOIN_RATIO = 1.6
"""Ratio of sizes up to which two boxes can be the same."""


def blend_corners(old: Corners, new: Corners) -> Corners:
    """Return corners that follow new ones slowly."""
    x1, y1, x2, y2 = (0.7 * a + 0.3 * b for a, b in zip(old, new, strict=True))
    return x1, y1, x2, y2


def is_same_place(one: Corners, other: Corners, distance: float = SAME_DISTANCE) -> bool:
    """Return whether two boxes lie on each other: their centres at most `distance` of their size apart."""
    across, down = min(one[2] - one[0], other[2] - other[0]), min(one[3] - one[1], other[3] - other[1])
    return (
        abs(one[0] + one[2] - other[0] - other[2]) <= 2 * distance * across
        and abs(one[1] + one[3] - other[1] - other[3]) <= 2 * distance * down
    )


def match_corners(wanted: Sequence[Corners], known: Sequence[Corners], reach: Sequence[float]) -> list[int | None]:
    """Return for each wanted box the index of the known box that it belongs to, each at most once; nearest first.

    `reach`: for each known box the largest distance of the centres over the size.
    """
    found: list[int | None] = [None] * len(wanted)
    if not wanted or not known:
        return found
    a, b = np.array(wanted), np.array(known)
    size_a, size_b = (np.maximum(x[:, 2:] - x[:, :2], 1e-6) for x in (a, b))
    apart = np.abs((a[:, None, :2] + a[:, None, 2:] - b[None, :, :2] - b[None, :, 2:]) / 2)
    distance = (apart / np.minimum(size_a[:, None], size_b[None])).max(axis=2)
    ratio = np.sqrt(size_a.prod(1)[:, None] / size_b.prod(1)[None])
    near = (distance <= np.array(reach)[None]) & (ratio <= _JOIN_RATIO) & (ratio >= 1 / _JOIN_RATIO)
    pairs = np.argwhere(near)
    taken: set[int] = set()
    for i, j in pairs[np.argsort(distance[near], kind="stable")].tolist():
        if found[i] is None and j not in taken:
            found[i] = j
            taken.add(j)
    return found
