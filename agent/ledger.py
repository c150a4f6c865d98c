"""The gap ledger: planned time without video, with reasons. Pure: plan, segments and events in, gaps out.

A hole in the planned time of one camera is cut where the causes behind it change. Up to a minute that no cause covers (the
ten seconds until a stall is noticed, the moments of reconnecting) goes to its neighbour in the same hole.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate, pairwise

from agent.clock import parse
from agent.model import Event, Gap, GapReason, Segment
from agent.schedule import Placement

FRAME = timedelta(milliseconds=40)
# papers give times to the second: a shorter piece of a hole is told with its neighbour
SHORTEST = timedelta(seconds=1)
# so late may trouble be noticed, and so long may it take until video comes again
NEAR = timedelta(seconds=60)
# a step is noticed when the sign of life is next written, and found again at the first key frame after it
STEP_SLACK = timedelta(seconds=15)
PLAN_REACH = timedelta(hours=24)

# earlier in this table explains better: without power no camera could have been seen to fail
REASONS: Mapping[str, GapReason] = {
    "clock.stepped": "clock_step",
    "power.lost": "power_loss",
    "agent.down": "agent_down",
    "drive.full": "drive_full",
    "drive.missing": "drive_missing",
    "drive.wrong": "drive_missing",
    "drive.read_only": "drive_missing",
    "drive.denied": "drive_missing",
    "drive.error": "drive_missing",
    "camera.exchanged": "camera_exchanged",
    "camera.verdict": "camera_offline",
    "camera.refused": "not_admitted",
    "stream.stalled": "stream_stalled",
    "camera.down": "camera_offline",
    "class.approved": "schedule",
    "class.imported": "schedule",
}
_RANK = {kind: rank for rank, kind in enumerate(REASONS)}
# an event that a crash left open is over when the agent starts again, or when the next trouble of the camera begins
_TROUBLES = {"camera.refused", "stream.stalled", "camera.down", "camera.exchanged"}
# the search's verdict holds until the next one
_VERDICTS: Mapping[str, GapReason] = {"refused": "not_admitted", "unreachable": "camera_offline"}


@dataclass(frozen=True, slots=True)
class Cause:
    """`camera_id` None: every camera. Lower `rank` explains better."""

    start: datetime
    end: datetime
    reason: GapReason
    event: int | None
    camera_id: str | None
    rank: int


def gaps(
    planned: Iterable[Placement],
    segments: Iterable[Segment],
    events: Sequence[Event],
    *,
    now: datetime,
    down_since: datetime | None = None,
    frame: timedelta = FRAME,
) -> list[Gap]:
    """Every stretch of planned time up to `now` that no segment covers, by camera and time.

    `planned` is `schedule.planned` of the class; an open segment covers up to `now`; holes under one `frame` are none.
    `down_since`: the agent does not run now, and last did then.
    """
    by_camera: dict[str, list[Segment]] = {}
    for segment in segments:
        by_camera.setdefault(segment.camera_id, []).append(segment)
    shelves = {camera: _Shelf.of(rows, now) for camera, rows in by_camera.items()}
    found: list[Gap] = []
    for place in sorted(planned, key=lambda p: (p.camera_id, p.start)):
        span = (place.start, min(place.end, now))
        if span[1] <= span[0]:
            continue
        shelf = shelves.get(place.camera_id)
        holes = uncovered(span, shelf.near(*span) if shelf else (), now=now, frame=frame)
        reasons = causes(events, place, now) if holes else []
        if down_since is not None:
            reasons = [Cause(down_since, now, "agent_down", None, None, -1), *reasons]
        for hole in holes:
            found += [
                Gap(place.camera_id, place.date, place.session, start, end, reason, event, place.room_id)
                for start, end, reason, event in explain(hole, reasons)
            ]
    return found


@dataclass(frozen=True, slots=True)
class _Shelf:
    """A camera's segments by start: a class of half a year has tens of thousands, of which a half-day touches a few.
    `ends[i]` is the latest end among the first i + 1."""

    segments: list[Segment]
    starts: list[datetime]
    ends: list[datetime]

    @classmethod
    def of(cls, segments: Iterable[Segment], now: datetime) -> _Shelf:
        rows = sorted(segments, key=lambda s: s.start)
        return cls(rows, [s.start for s in rows], list(accumulate((s.end or now for s in rows), max)))

    def near(self, start: datetime, end: datetime) -> list[Segment]:
        """All that touch [start, end), and perhaps some beside."""
        return self.segments[bisect_right(self.ends, start) : bisect_left(self.starts, end)]


def uncovered(
    span: tuple[datetime, datetime], segments: Iterable[Segment], *, now: datetime, frame: timedelta = FRAME
) -> list[tuple[datetime, datetime]]:
    """The parts of `span` without video, in order. Video shorter than a frame between two holes does not part them."""
    at, end = span
    holes: list[tuple[datetime, datetime]] = []
    for segment in sorted(segments, key=lambda s: s.start):
        until = segment.end or now
        if until <= at or segment.start >= end:
            continue
        if segment.start - at >= frame:
            holes.append((at, segment.start))
        at = max(at, until)
    if end - at >= frame:
        holes.append((at, end))
    merged: list[tuple[datetime, datetime]] = []
    for hole in holes:
        if merged and hole[0] - merged[-1][1] < frame:
            merged[-1] = (merged[-1][0], hole[1])
        else:
            merged.append(hole)
    return merged


def causes(events: Sequence[Event], place: Placement, now: datetime) -> list[Cause]:
    """What the events say about one camera's planned time, best explanation first."""
    found = []
    for event in events:
        reason = _reason(event, place)
        if reason is not None:
            start, end = _extent(event, events, now)
            found.append(Cause(start, end, reason, event.event_id, event.camera_id, _RANK[event.kind]))
    return sorted(found, key=lambda c: (c.rank, c.start))


def _reason(event: Event, place: Placement) -> GapReason | None:
    """What an event may explain of this camera's time; None: nothing."""
    if event.camera_id is not None and event.camera_id != place.camera_id:
        return None
    reason = REASONS.get(event.kind)
    if reason == "schedule" and event.detail.get("class_id") != place.class_id:
        return None
    if event.kind == "camera.verdict":
        verdict = str(event.detail.get("verdict"))
        # another unit stood in its place, which did not take over its name
        return "camera_exchanged" if event.detail.get("successor") else _VERDICTS.get(verdict)
    return reason


def _extent(event: Event, events: Sequence[Event], now: datetime) -> tuple[datetime, datetime]:
    if event.kind == "clock.stepped":
        skipped = timedelta(seconds=max(0.0, float(event.detail.get("seconds", 0))))
        begin = parse(str(event.detail["from"])) if "from" in event.detail else event.at - skipped
        return begin - STEP_SLACK, event.at + STEP_SLACK
    if REASONS[event.kind] == "schedule":
        # the class became known, or was changed, when it had begun
        return event.at - PLAN_REACH, event.at
    if event.until is not None:
        return event.at, event.until
    later = (e.at for e in events if (e.at, e.event_id) > (event.at, event.event_id) and _ends(e, event))
    return event.at, min(later, default=max(now, event.at))


def _ends(later: Event, event: Event) -> bool:
    """Whether `later` shows that the open `event` is over."""
    if later.kind == event.kind == "camera.verdict":
        return later.camera_id == event.camera_id
    if event.kind == "camera.verdict":
        return False
    if event.kind.startswith("drive."):
        return later.kind in ("agent.started", "drive.returned")
    return later.kind == "agent.started" or (later.kind in _TROUBLES and later.camera_id == event.camera_id)


def explain(
    hole: tuple[datetime, datetime], reasons: Sequence[Cause]
) -> list[tuple[datetime, datetime, GapReason, int | None]]:
    """Cut a hole by its causes; the pieces together are exactly the hole."""
    inside = {t for c in reasons for t in (c.start, c.end) if hole[0] < t < hole[1]}
    marks = sorted({hole[0], hole[1], *inside})
    pieces = [(a, b, _cause_at(a, b, reasons)) for a, b in pairwise(marks)]
    if len(pieces) == 1 and pieces[0][2] is None:
        return _joined([(*hole, _nearest(hole, reasons))])
    return _joined(_filled(pieces))


def _cause_at(start: datetime, end: datetime, reasons: Sequence[Cause]) -> Cause | None:
    return next((c for c in reasons if c.start <= start and c.end >= end), None)


def _nearest(hole: tuple[datetime, datetime], reasons: Sequence[Cause]) -> Cause:
    """For a hole that no cause touches: what happened just before or after a short one."""
    touching = [c for c in reasons if c.start <= hole[1] + NEAR and c.end >= hole[0] - NEAR]
    return touching[0] if touching and hole[1] - hole[0] <= NEAR else _unseen(*hole)


def _unseen(start: datetime, end: datetime) -> Cause:
    """A camera that does not answer, and nobody was there to see it go."""
    return Cause(start, end, "camera_offline", None, None, len(REASONS))


def _filled(pieces: Sequence[tuple[datetime, datetime, Cause | None]]) -> list[tuple[datetime, datetime, Cause]]:
    """Give each short piece without a cause the next one's (it was noticed late), else the last one's (it returned late)."""
    filled: list[tuple[datetime, datetime, Cause]] = []
    for number, (start, end, cause) in enumerate(pieces):
        if cause is None and end - start <= NEAR:
            following = pieces[number + 1][2] if number + 1 < len(pieces) else None
            cause = following or (filled[-1][2] if filled else None)
        filled.append((start, end, cause or _unseen(start, end)))
    return filled


def _joined(
    pieces: Iterable[tuple[datetime, datetime, Cause]],
) -> list[tuple[datetime, datetime, GapReason, int | None]]:
    """Touching pieces of one reason are one: whoever reads the ledger asks why there is no video, not how many attempts failed.
    The first event that is known stays its cause."""
    found: list[tuple[datetime, datetime, GapReason, int | None]] = []
    for start, end, cause in _without_slivers(pieces):
        if found and found[-1][2] == cause.reason:
            begin, _, reason, event = found[-1]
            found[-1] = (begin, end, reason, cause.event if event is None else event)
        else:
            found.append((start, end, cause.reason, cause.event))
    return found


def _without_slivers(
    pieces: Iterable[tuple[datetime, datetime, Cause]],
) -> Iterator[tuple[datetime, datetime, Cause]]:
    """A piece of under a second goes to the one before it, at the begin of the hole to the one behind it."""
    held: tuple[datetime, datetime, Cause] | None = None
    for start, end, cause in pieces:
        if held is None:
            held = (start, end, cause)
        elif end - start < SHORTEST:
            held = (held[0], end, held[2])
        elif held[1] - held[0] < SHORTEST:
            held = (held[0], end, cause)
        else:
            yield held
            held = (start, end, cause)
    if held is not None:
        yield held
