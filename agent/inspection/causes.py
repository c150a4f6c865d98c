"""Why parts of an asked span have no video, as far as the box knows: causes for `gaps.explain`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from agent.catalog import Catalog
from agent.core import clock as clocks
from agent.core.class_model import TrainingClass
from agent.core.schedule import list_planned_time
from agent.drive import class_gaps as ledger
from agent.inspection import evidence, gaps
from agent.inspection.cut import ClipSpan
from agent.inspection.evidence import LostSegment

GapCause = tuple[ClipSpan, str]


def find_causes(
    catalog: Catalog,
    classes: Sequence[TrainingClass],
    class_id: str,
    camera_id: str,
    asked: ClipSpan,
    lost: Sequence[LostSegment],
    now: datetime,
) -> list[GapCause]:
    """Return (span, reason) of every cause for missing video of one camera, the strongest first.

    `classes` are all of the box, `lost` the segments that cannot be used.
    """
    causes = [(ClipSpan(x.segment.start, x.segment.end or asked.end), x.reason) for x in lost]
    causes.append((ClipSpan(max(now, asked.start), max(now, asked.end)), "not_yet"))
    writing = evidence.find_recording_start(catalog, camera_id, class_id, asked)
    if writing is not None:
        causes.append((ClipSpan(writing, max(writing, now)), "being_recorded"))
    return causes + _list_plan_causes(catalog, classes, class_id, camera_id, asked, now)


def _list_plan_causes(
    catalog: Catalog, classes: Sequence[TrainingClass], class_id: str, camera_id: str, asked: ClipSpan, now: datetime
) -> list[GapCause]:
    """Reasons of the gap ledger for planned time; all other time was not planned."""
    day = clocks.get_local_day(asked.start, catalog.zone)
    found = ledger.find_class_gaps(catalog, classes, class_id, now, day)
    causes = [(ClipSpan(g.start, g.end), str(g.reason)) for g in found if g.camera_id == camera_id]
    places = [ClipSpan(p.start, p.end) for p in list_planned_time(classes, class_id) if p.camera_id == camera_id]
    return causes + [(span, "not_planned") for span in gaps.find_uncovered_spans(asked, places)]
