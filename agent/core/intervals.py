"""Arithmetic of half-open intervals [start, end) of time or of bytes, and the cutting of holes by their causes. Pure.

`common`, `without` and `bridged` take what `union` returns: intervals in order and without overlap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TypeVar

T = TypeVar("T", int, datetime)
C = TypeVar("C")
Interval = tuple[datetime, datetime]


def merge_intervals(stretches: Iterable[tuple[T, T]]) -> list[tuple[T, T]]:
    """Return the intervals in order and without overlap; touching ones are merged, empty ones dropped."""
    found: list[tuple[T, T]] = []
    for start, end in sorted(s for s in stretches if s[0] < s[1]):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def intersect_intervals(one: Sequence[tuple[T, T]], two: Sequence[tuple[T, T]]) -> list[tuple[T, T]]:
    """Return the intersection of two unions."""
    found: list[tuple[T, T]] = []
    i = j = 0
    while i < len(one) and j < len(two):
        start, end = max(one[i][0], two[j][0]), min(one[i][1], two[j][1])
        if start < end:
            found.append((start, end))
        i, j = (i + 1, j) if one[i][1] < two[j][1] else (i, j + 1)
    return found


def subtract_intervals(whole: Sequence[tuple[T, T]], part: Sequence[tuple[T, T]]) -> list[tuple[T, T]]:
    """Return what of `whole` does not lie in `part`."""
    found: list[tuple[T, T]] = []
    j = 0
    for start, end in whole:
        while j < len(part) and part[j][1] <= start:
            j += 1
        at, k = start, j
        while k < len(part) and part[k][0] < end:
            if part[k][0] > at:
                found.append((at, part[k][0]))
            at, k = max(at, part[k][1]), k + 1
        if at < end:
            found.append((at, end))
    return found


def bridge_pauses(stretches: Sequence[Interval], most: timedelta) -> list[Interval]:
    """Return the intervals with pauses of at most `most` closed."""
    found: list[Interval] = []
    for start, end in stretches:
        if found and start - found[-1][1] <= most:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def sum_seconds(stretches: Iterable[Interval]) -> float:
    """Return the total in seconds; the intervals must not overlap."""
    return sum(((end - start) for start, end in stretches), timedelta()).total_seconds()


def find_holes(span: Interval, covered: Iterable[Interval], shortest: timedelta) -> list[Interval]:
    """Return the parts of `span` that nothing in `covered` touches, in order; those shorter than `shortest` are left out."""
    return [hole for hole in subtract_intervals([span], merge_intervals(covered)) if hole[1] - hole[0] >= shortest]


def cut_by_causes(hole: Interval, causes: Sequence[tuple[Interval, C]]) -> list[tuple[Interval, C | None]]:
    """Cut a hole where the causes behind it begin and end. The pieces together are exactly the hole.

    Each piece has the first cause in `causes` that covers it, or None.
    """
    inside = {t for span, _ in causes for t in span if hole[0] < t < hole[1]}
    marks = sorted({*hole, *inside})
    return [((a, b), _first_cause(a, b, causes)) for a, b in pairwise(marks)]


def _first_cause(start: datetime, end: datetime, causes: Sequence[tuple[Interval, C]]) -> C | None:
    return next((cause for span, cause in causes if span[0] <= start and span[1] >= end), None)


def fill_from_neighbours(
    pieces: Sequence[tuple[Interval, C | None]], reach: timedelta | None = None
) -> list[tuple[Interval, C | None]]:
    """Give a piece without a cause that of the next piece (it was noticed late), else of the last (it ended late).

    Without `reach` the next piece that has a cause counts, however far away it is. With `reach` only pieces of at most
    that length are filled, and only the adjacent pieces are looked at.
    """
    filled: list[tuple[Interval, C | None]] = []
    for number, (span, cause) in enumerate(pieces):
        if cause is None and (reach is None or span[1] - span[0] <= reach):
            following = pieces[number + 1 :] if reach is None else pieces[number + 1 : number + 2]
            cause = next((c for _, c in following if c is not None), filled[-1][1] if filled else None)
        filled.append((span, cause))
    return filled


def join_pieces(
    pieces: Iterable[tuple[Interval, C]], shortest: timedelta, join: Callable[[C, C], C | None]
) -> list[tuple[Interval, C]]:
    """Merge adjacent pieces whose causes belong together. Pieces below `shortest` first join a neighbour.

    `join` returns the cause of two adjacent pieces together, or None where they stay apart.
    """
    found: list[tuple[Interval, C]] = []
    for span, cause in _absorb_slivers(pieces, shortest):
        joined = join(found[-1][1], cause) if found else None
        if joined is None:
            found.append((span, cause))
        else:
            found[-1] = ((found[-1][0][0], span[1]), joined)
    return found


def _absorb_slivers(pieces: Iterable[tuple[Interval, C]], shortest: timedelta) -> Iterator[tuple[Interval, C]]:
    """Merge each piece below `shortest` into the one before it; at the beginning of the hole, into the one after it."""
    held: tuple[Interval, C] | None = None
    for span, cause in pieces:
        if held is None:
            held = span, cause
        elif span[1] - span[0] < shortest:
            held = (held[0][0], span[1]), held[1]
        elif held[0][1] - held[0][0] < shortest:
            held = (held[0][0], span[1]), cause
        else:
            yield held
            held = span, cause
    if held is not None:
        yield held
