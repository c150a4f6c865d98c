"""The gap ledger: planned time without video, with reasons. Pure: plan, segments and events in, gaps out.

A hole in the planned time of one camera is cut where its causes begin and end. A piece of up to a minute without a
cause (the ten seconds until a stall is noticed, the time to reconnect) takes the cause of its neighbour in the same
hole.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate

from agent.core.clock import parse_time
from agent.core.intervals import Interval, bridge_pauses, cut_by_causes, fill_from_neighbours, find_holes, join_pieces
from agent.core.model import Event, Gap, GapReason, Segment
from agent.core.schedule import Placement

FRAME = timedelta(milliseconds=40)
# documents show times to the second: a shorter piece of a hole joins its neighbour
SHORTEST_PIECE = timedelta(seconds=1)
# trouble may be noticed this late, and it may take this long until video returns
CAUSE_REACH = timedelta(seconds=60)
# a step is noticed when the sign of life is next written, and video resumes at the first key frame after it
STEP_SLACK = timedelta(seconds=15)
PLAN_REACH = timedelta(hours=24)

# earlier entries explain better: without power no camera could have been seen to fail
GAP_REASONS: Mapping[str, GapReason] = {
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
_RANK = {kind: rank for rank, kind in enumerate(GAP_REASONS)}
# an event that a crash left open ends when the agent starts again, or when the camera's next trouble begins
_TROUBLES = {"camera.refused", "stream.stalled", "camera.down", "camera.exchanged"}
# a verdict of the camera search holds until the next one
_VERDICTS: Mapping[str, GapReason] = {"refused": "not_admitted", "unreachable": "camera_offline"}


@dataclass(frozen=True, slots=True)
class GapCause:
    """Why there may be no video in a span. `camera_id` None: every camera. A lower `rank` explains better."""

    start: datetime
    end: datetime
    reason: GapReason
    event: int | None
    camera_id: str | None
    rank: int


def find_gaps(
    planned: Iterable[Placement],
    segments: Iterable[Segment],
    events: Sequence[Event],
    *,
    now: datetime,
    down_since: datetime | None = None,
    frame: timedelta = FRAME,
) -> list[Gap]:
    """Return every stretch of planned time up to `now` that no segment covers, by camera and time.

    `planned` is `schedule.planned` of the class. An open segment covers up to `now`; holes shorter than one `frame`
    are ignored. `down_since`: when the agent last ran, where it does not run now.
    """
    by_camera: dict[str, list[Segment]] = {}
    for segment in segments:
        by_camera.setdefault(segment.camera_id, []).append(segment)
    shelves = {camera: _SegmentIndex.of(rows, now) for camera, rows in by_camera.items()}
    found: list[Gap] = []
    for place in sorted(planned, key=lambda p: (p.camera_id, p.start)):
        span = (place.start, min(place.end, now))
        if span[1] <= span[0]:
            continue
        shelf = shelves.get(place.camera_id)
        holes = find_uncovered(span, shelf.near(*span) if shelf else (), now=now, frame=frame)
        reasons = list_causes(events, place, now) if holes else []
        if down_since is not None:
            reasons = [GapCause(down_since, now, "agent_down", None, None, -1), *reasons]
        for hole in holes:
            found += [
                Gap(place.camera_id, place.date, place.session, start, end, reason, event, place.room_id)
                for start, end, reason, event in explain_hole(hole, reasons)
            ]
    return found


@dataclass(frozen=True, slots=True)
class _SegmentIndex:
    """A camera's segments by start, to find those of a span quickly.

    A class of half a year has tens of thousands, of which a half-day touches a few. `ends[i]` is the latest end among
    the first i + 1.
    """

    segments: list[Segment]
    starts: list[datetime]
    ends: list[datetime]

    @classmethod
    def of(cls, segments: Iterable[Segment], now: datetime) -> _SegmentIndex:
        rows = sorted(segments, key=lambda s: s.start)
        return cls(rows, [s.start for s in rows], list(accumulate((s.end or now for s in rows), max)))

    def near(self, start: datetime, end: datetime) -> list[Segment]:
        """Return all segments that touch [start, end), and perhaps some more."""
        return self.segments[bisect_right(self.ends, start) : bisect_left(self.starts, end)]


def find_uncovered(
    span: Interval, segments: Iterable[Segment], *, now: datetime, frame: timedelta = FRAME
) -> list[Interval]:
    """Return the parts of `span` without video, in order. Video shorter than a frame does not split a hole."""
    holes = find_holes(span, ((s.start, s.end or now) for s in segments), frame)
    return bridge_pauses(holes, frame - timedelta.resolution)


def list_causes(events: Sequence[Event], place: Placement, now: datetime) -> list[GapCause]:
    """Return what the events say about one camera's planned time, best explanation first."""
    found = []
    for event in events:
        reason = _find_reason(event, place)
        if reason is not None:
            start, end = _find_extent(event, events, now)
            found.append(GapCause(start, end, reason, event.event_id, event.camera_id, _RANK[event.kind]))
    return sorted(found, key=lambda c: (c.rank, c.start))


def _find_reason(event: Event, place: Placement) -> GapReason | None:
    """Return the reason for which an event may explain this camera's time; None where it explains nothing."""
    if event.camera_id is not None and event.camera_id != place.camera_id:
        return None
    reason = GAP_REASONS.get(event.kind)
    if reason == "schedule" and event.detail.get("class_id") != place.class_id:
        return None
    if event.kind == "camera.verdict":
        verdict = str(event.detail.get("verdict"))
        # another unit answered in its place, and was not accepted under its name
        return "camera_exchanged" if event.detail.get("successor") else _VERDICTS.get(verdict)
    return reason


def _find_extent(event: Event, events: Sequence[Event], now: datetime) -> tuple[datetime, datetime]:
    if event.kind == "clock.stepped":
        skipped = timedelta(seconds=max(0.0, float(event.detail.get("seconds", 0))))
        begin = parse_time(str(event.detail["from"])) if "from" in event.detail else event.at - skipped
        return begin - STEP_SLACK, event.at + STEP_SLACK
    if GAP_REASONS[event.kind] == "schedule":
        # the class became known, or was changed, after it had begun
        return event.at - PLAN_REACH, event.at
    if event.until is not None:
        return event.at, event.until
    later = (e.at for e in events if (e.at, e.event_id) > (event.at, event.event_id) and _is_over(e, event))
    return event.at, min(later, default=max(now, event.at))


def _is_over(later: Event, event: Event) -> bool:
    """Return whether `later` shows that the open `event` is over."""
    if later.kind == event.kind == "camera.verdict":
        return later.camera_id == event.camera_id
    if event.kind == "camera.verdict":
        return False
    if event.kind.startswith("drive."):
        return later.kind in ("agent.started", "drive.returned")
    return later.kind == "agent.started" or (later.kind in _TROUBLES and later.camera_id == event.camera_id)


def explain_hole(hole: Interval, reasons: Sequence[GapCause]) -> list[tuple[datetime, datetime, GapReason, int | None]]:
    """Cut a hole by its causes; the pieces together are exactly the hole.

    Adjacent pieces with one reason become one: a reader of the ledger asks why there is no video, not how many attempts
    failed.
    """
    pieces = cut_by_causes(hole, [((c.start, c.end), c) for c in reasons])
    if len(pieces) == 1 and pieces[0][1] is None:
        nearest = _find_nearest(hole, reasons)
        return [(*hole, nearest.reason, nearest.event)]
    filled = [(span, cause or _assume_unseen(*span)) for span, cause in fill_from_neighbours(pieces, CAUSE_REACH)]
    return [(*span, cause.reason, cause.event) for span, cause in join_pieces(filled, SHORTEST_PIECE, _join_reasons)]


def _join_reasons(one: GapCause, two: GapCause) -> GapCause | None:
    """Keep the first event that is known as the cause of both."""
    if one.reason != two.reason:
        return None
    return one if one.event is not None else two


def _find_nearest(hole: Interval, reasons: Sequence[GapCause]) -> GapCause:
    """Return the cause of a hole that no cause touches: for a short one, what happened just before or after it."""
    touching = [c for c in reasons if c.start <= hole[1] + CAUSE_REACH and c.end >= hole[0] - CAUSE_REACH]
    return touching[0] if touching and hole[1] - hole[0] <= CAUSE_REACH else _assume_unseen(*hole)


def _assume_unseen(start: datetime, end: datetime) -> GapCause:
    """Return the cause where no event is known: a camera that does not answer, and nobody recorded when it failed."""
    return GapCause(start, end, "camera_offline", None, None, len(GAP_REASONS))
