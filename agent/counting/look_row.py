"""The row of the catalog for one look."""

from __future__ import annotations

from datetime import datetime

from agent.core.model import Look, Segment
from agent.counting.detector import HeadDetector
from agent.counting.look import LookResult
from agent.counting.quality import QualityVerdict
from agent.counting.timeline import TimedLook


def build_look(
    segment: Segment,
    at: datetime,
    seen: LookResult,
    heard: QualityVerdict,
    timed: TimedLook | None,
    detector: HeadDetector,
) -> Look:
    """Build the row: the figures of the picture alone, its places, and whether it can be judged."""
    measures = dict(seen.measures) | {f"sound.{name}": value for name, value in heard.measures.items()}
    measures["sure"] = detector.doubt.sure
    finding = timed.finding if timed else None
    return Look(
        camera_id=segment.camera_id,
        room_id=segment.room_id,
        class_id=segment.class_id,
        date=segment.date,
        session=segment.session,
        at=at,
        people=seen.people,
        low=seen.low,
        high=seen.high,
        judged=seen.judged and finding is None,
        reason=finding.reason if finding else seen.reason,
        boxes=seen.boxes,
        width=seen.width,
        height=seen.height,
        quality=measures,
        detector=detector.version,
        sightings=timed.sightings if timed else None,
    )
