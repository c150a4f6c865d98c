"""Why parts of an asked span have no video, as far as the box knows: causes for `gaps.explain`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from agent import clock as clocks
from agent.catalog import Catalog
from agent.drive import gaps as ledger
from agent.inspection import evidence, gaps
from agent.inspection.cut import Span
from agent.inspection.evidence import Lost
from agent.model_classes import TrainingClass
from agent.schedule import planned

Cause = tuple[Span, str]


def find_causes(
    catalog: Catalog,
    classes: Sequence[TrainingClass],
    class_id: str,
    camera_id: str,
    asked: Span,
    lost: Sequence[Lost],
    now: datetime,
) -> list[Cause]:
    """Return (span, reason) of every cause for missing video of one camera, the strongest first.

    `classes` are all of the box, `lost` the segments that cannot be used.
    """
    causes = [(Span(x.segment.start, x.segment.end or asked.end), x.reason) for x in lost]
    causes.append((Span(max(now, asked.start), max(now, asked.end)), "not_yet"))
    writing = evidence.being_recorded(catalog, camera_id, class_id, asked)
    if writing is not None:
        causes.append((Span(writing, max(writing, now)), "being_recorded"))
    return causes + _of_plan(catalog, classes, class_id, camera_id, asked, now)


def _of_plan(
    catalog: Catalog, classes: Sequence[TrainingClass], class_id: str, camera_id: str, asked: Span, now: datetime
) -> list[Cause]:
    """Reasons of the gap ledger for planned time; all other time was not planned."""
    day = clocks.local_day(asked.start, catalog.zone)
    found = ledger.of_class(catalog, classes, class_id, now, day)
    causes = [(Span(g.start, g.end), str(g.reason)) for g in found if g.camera_id == camera_id]
    places = [Span(p.start, p.end) for p in planned(classes, class_id) if p.camera_id == camera_id]
    return causes + [(span, "not_planned") for span in gaps.uncovered(asked, places)]
