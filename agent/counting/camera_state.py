"""State of one camera between looks."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from agent.counting import fault_alerts, quality
from agent.counting.timeline import CameraTimeline


@dataclass(slots=True)
class CameraState:
    """What the worker keeps of a camera between looks.

    `due`: instant of the next look, None before the first; `reference`: the camera's usual view; `before`: view of the
    previous look; `still_since`, `moved_since`: begin of the present run of equal or moved views; `blended`: looks blended
    into the reference; `timeline`: places and liveness, from the first look that can be judged; `complained`: files whose
    error was already logged.
    """

    pictures: fault_alerts.QualityWatch
    sounds: fault_alerts.QualityWatch
    liveness: fault_alerts.LivenessAlerts
    due: datetime | None
    reference: quality.ViewFingerprint | None
    before: quality.ViewFingerprint | None = None
    still_since: datetime | None = None
    moved_since: datetime | None = None
    blended: int = 0
    timeline: CameraTimeline | None = None
    complained: set[str] = field(default_factory=set)
