"""A photograph where people sat and moved before, and rooms in which nobody moves that are none; drawn looks 20 s apart."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np

from agent.counting.timeline import FileTimeline
from tests.support.drawn_room import DrawnHead, DrawnRoom

START = datetime(2026, 9, 1, 0, 30, tzinfo=UTC)
STEP = timedelta(seconds=20)
ALIVE_LOOKS, NONE_LOOKS, QUARTER_LOOKS = 10, 38, 45
PEOPLE = [DrawnHead(60.0 + 80 * (n % 7), 100 + 120 * (n // 7), n) for n in range(14)]


def move(head: DrawnHead, k: int) -> DrawnHead:
    across, down = np.random.default_rng(100 * k + head.look).normal(0, 5, 2).clip(-9, 9).tolist()
    return DrawnHead(head.x + across, head.y + down, head.look)


def watch(looks: int, heads: Callable[[int], list[DrawnHead]]) -> list[tuple[int, str, datetime]]:
    """Return number of the look, reason and beginning of what is found."""
    room, kept, found = DrawnRoom(), FileTimeline(), []
    for k in range(looks):
        drawn = heads(k)
        finding = kept.feed(room.picture(drawn), [h.box for h in drawn], START + k * STEP).finding
        if finding is not None:
            found.append((k, finding.reason, datetime.fromtimestamp(finding.since, UTC)))
    return found


def test_a_photograph_with_heads_where_people_moved_is_found_within_a_quarter_of_an_hour() -> None:
    found = watch(ALIVE_LOOKS + QUARTER_LOOKS, lambda k: [move(p, k) if k < ALIVE_LOOKS else p for p in PEOPLE])
    assert found and {reason for _, reason, _ in found} == {"lifeless"}
    assert ALIVE_LOOKS + 30 <= found[0][0] <= ALIVE_LOOKS + QUARTER_LOOKS - 5
    # three looks that differ end what was there before, a fourth begins
    assert START + ALIVE_LOOKS * STEP <= found[0][2] <= START + (ALIVE_LOOKS + 4) * STEP
    assert len(found) == ALIVE_LOOKS + QUARTER_LOOKS - found[0][0], "it lasts as long as the photograph"


def test_a_class_of_whom_one_moves_is_none() -> None:
    """Now and then is enough: a person who writes is still for more than a minute each time."""
    sleepers, writer = PEOPLE[:7], PEOPLE[10]

    def heads(k: int) -> list[DrawnHead]:
        return [*(p if k >= ALIVE_LOOKS else move(p, k) for p in sleepers), move(writer, k // 5)]

    assert watch(ALIVE_LOOKS + NONE_LOOKS, heads) == []


def test_coats_on_the_chairs_of_a_class_that_left_are_none() -> None:
    """Fewer than half as many heads as there were: nobody would hold such a photograph before the lens."""
    coats = [DrawnHead(p.x, p.y, 50 + p.look) for p in PEOPLE[:6]]
    assert watch(ALIVE_LOOKS + NONE_LOOKS, lambda k: [move(p, k) for p in PEOPLE] if k < ALIVE_LOOKS else coats) == []
