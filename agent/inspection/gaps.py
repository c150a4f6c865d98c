"""Which parts of an asked span have no video, and why. Pure functions over spans."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from agent.inspection.cut import Span

SLIVER = timedelta(milliseconds=100)
"""Shorter holes come from frames that do not end on the asked millisecond."""
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Hole:
    """Time without video. `reason` is one of the gap ledger's, or drive_not_attached, file_missing, file_damaged,
    being_recorded, not_yet, not_planned, unknown."""

    span: Span
    reason: str


def uncovered(asked: Span, covered: Iterable[Span], sliver: timedelta = SLIVER) -> list[Span]:
    """The parts of `asked` that no covered span touches, in order; shorter ones than `sliver` left out."""
    at, found = asked.start, []
    for span in sorted(covered, key=lambda s: s.start):
        if span.start - at >= sliver:
            found.append(Span(at, min(span.start, asked.end)))
        at = max(at, span.end)
        if at >= asked.end:
            return found
    if asked.end - at >= sliver:
        found.append(Span(at, asked.end))
    return found


def explain(holes: Iterable[Span], causes: Sequence[tuple[Span, str]]) -> list[Hole]:
    """Split each hole by the causes, of which the first that fits rules. What none fits goes to its neighbour in the same
    hole (causes are noticed late), or is `unknown`."""
    found: list[Hole] = []
    for hole in holes:
        edges = {hole.start, hole.end}
        edges |= {t for span, _ in causes for t in (span.start, span.end) if hole.start < t < hole.end}
        marks = sorted(edges)
        parts = [Hole(Span(a, b), _cause(a, causes)) for a, b in pairwise(marks)]
        found += _merged(_filled(parts))
    return found


def _filled(parts: list[Hole]) -> list[Hole]:
    """What has no cause takes the following part's, at the end the one before's."""
    known = [part.reason for part in parts if part.reason != UNKNOWN]
    found, rest = [], list(known)
    for part in parts:
        if part.reason != UNKNOWN:
            rest.pop(0)
            found.append(part)
        else:
            found.append(Hole(part.span, (rest or known[-1:] or [UNKNOWN])[0]))
    return found


def _cause(moment: datetime, causes: Sequence[tuple[Span, str]]) -> str:
    return next((reason for span, reason in causes if span.start <= moment < span.end), UNKNOWN)


def _merged(parts: list[Hole]) -> list[Hole]:
    """Neighbours of one reason become one; slivers join what stands before (or behind) them."""
    found: list[Hole] = []
    for part in parts:
        if found and (found[-1].reason == part.reason or part.span.end - part.span.start < SLIVER):
            found[-1] = Hole(Span(found[-1].span.start, part.span.end), found[-1].reason)
        elif found and found[-1].span.end - found[-1].span.start < SLIVER:
            found[-1] = Hole(Span(found[-1].span.start, part.span.end), part.reason)
        else:
            found.append(part)
    return found
