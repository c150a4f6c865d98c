"""Which parts of an asked span have no video, and why. Pure functions over spans."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from agent.core.intervals import cut_by_causes, fill_from_neighbours, find_holes, join_pieces
from agent.inspection.cut import ClipSpan

SLIVER = timedelta(milliseconds=100)
"""Shorter holes come from frames that do not end on the asked millisecond."""
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class VideoHole:
    """Time without video.

    `reason` is one of the gap ledger's, or drive_not_attached, file_missing, file_damaged, being_recorded, not_yet,
    not_planned, unknown.
    """

    span: ClipSpan
    reason: str


def find_uncovered_spans(asked: ClipSpan, covered: Iterable[ClipSpan], sliver: timedelta = SLIVER) -> list[ClipSpan]:
    """Return the parts of `asked` that no covered span touches, in order; parts shorter than `sliver` are left out."""
    holes = find_holes((asked.start, asked.end), ((s.start, s.end) for s in covered), sliver)
    return [ClipSpan(*hole) for hole in holes]


def explain_holes(holes: Iterable[ClipSpan], causes: Sequence[tuple[ClipSpan, str]]) -> list[VideoHole]:
    """Split each hole by its causes; of several causes the first in `causes` applies.

    A part without a cause takes that of its neighbour in the same hole (causes are noticed late), at any distance, or
    is `unknown`.
    """
    known = [((span.start, span.end), reason) for span, reason in causes]
    found: list[VideoHole] = []
    for hole in holes:
        parts = fill_from_neighbours(cut_by_causes((hole.start, hole.end), known))
        named = [(span, reason or UNKNOWN) for span, reason in parts]
        found += [VideoHole(ClipSpan(*span), reason) for span, reason in join_pieces(named, SLIVER, _join_equal)]
    return found


def _join_equal(one: str, two: str) -> str | None:
    return one if one == two else None
