"""What people hide of a place: the pixels of a box that no head or body of somebody else lies before. Pure.

A rucksack or a chair back behind a person is partly hidden, each time elsewhere. Of such a place the free pixels are compared:
outside the boxes of all other heads seen in the look and outside the bodies below them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from agent.counting.stillness import SMALL_BOX_PX, Corners, Grey, Mask, locate_crop

COVERING_CHANCE = 0.4
"""Probability from which a candidate may hide what is behind it."""
LEAST_FREE = 0.5
"""Share of the ellipse in a box that must be free for a comparison: a head behind a screen or a desk has more than half of
its own pixels in that ellipse, and they move with it."""
_HEAD_MARGIN, _SHOULDER_REACH, _BODY_HEIGHT = 0.25, 0.9, 1.6
"""In sizes of a head: how far hair and small movements reach beyond its box, shoulders to each side, and the body down."""


def find_free_pixels(plane: Grey, corners: Corners, others: Sequence[Corners], bodies: bool = True) -> Mask | None:
    """Return which pixels of the crop of `corners` no head or body of `others` lies before; None for a small box.

    `bodies`: False: heads alone.
    """
    height, width = plane.shape
    if min((corners[2] - corners[0]) * width, (corners[3] - corners[1]) * height) < SMALL_BOX_PX:
        return None
    left, top, right, bottom = locate_crop(plane, corners)
    free = np.ones((bottom - top, right - left), np.bool_)
    for head in others:
        for x1, y1, x2, y2 in _list_zones(head)[: 2 if bodies else 1]:
            rows = slice(max(0, round(y1 * height) - top), max(0, round(y2 * height) - top))
            free[rows, max(0, round(x1 * width) - left) : max(0, round(x2 * width) - left)] = False
    return free


def _list_zones(head: Corners) -> tuple[Corners, Corners]:
    """Return the parts of the picture that a person with this head fills: head and hair, shoulders and body."""
    x1, y1, x2, y2 = head
    across, down = x2 - x1, y2 - y1
    edge_x, edge_y, side = _HEAD_MARGIN * across, _HEAD_MARGIN * down, _SHOULDER_REACH * across
    return (x1 - edge_x, y1 - edge_y, x2 + edge_x, y2 + edge_y), (x1 - side, y2, x2 + side, y2 + _BODY_HEIGHT * down)


def is_free_enough(free: Mask) -> bool:
    """Return whether enough of the ellipse in the box is free."""
    rows, columns = free.shape
    down, across = np.ogrid[0:rows, 0:columns]
    inside = ((down + 0.5) / rows - 0.5) ** 2 + ((across + 0.5) / columns - 0.5) ** 2 <= 0.25
    return float(free[inside].mean()) >= LEAST_FREE
