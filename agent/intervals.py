"""Arithmetic of half-open intervals [start, end) of time or of bytes. Pure.

`common` and `without` take what `union` gives: in order, without overlap.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

T = TypeVar("T", int, datetime)


def union(stretches: Iterable[tuple[T, T]]) -> list[tuple[T, T]]:
    """In order, without overlap; touching ones are one, empty ones none."""
    found: list[tuple[T, T]] = []
    for start, end in sorted(s for s in stretches if s[0] < s[1]):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def common(one: Sequence[tuple[T, T]], two: Sequence[tuple[T, T]]) -> list[tuple[T, T]]:
    """What lies in both."""
    found: list[tuple[T, T]] = []
    i = j = 0
    while i < len(one) and j < len(two):
        start, end = max(one[i][0], two[j][0]), min(one[i][1], two[j][1])
        if start < end:
            found.append((start, end))
        i, j = (i + 1, j) if one[i][1] < two[j][1] else (i, j + 1)
    return found


def without(whole: Sequence[tuple[T, T]], part: Sequence[tuple[T, T]]) -> list[tuple[T, T]]:
    """What of `whole` does not lie in `part`."""
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


def bridged(stretches: Sequence[tuple[datetime, datetime]], most: timedelta) -> list[tuple[datetime, datetime]]:
    """The same with pauses of at most `most` closed."""
    found: list[tuple[datetime, datetime]] = []
    for start, end in stretches:
        if found and start - found[-1][1] <= most:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def length(stretches: Iterable[tuple[datetime, datetime]]) -> float:
    """Seconds together; they must not overlap."""
    return sum(((end - start) for start, end in stretches), timedelta()).total_seconds()
