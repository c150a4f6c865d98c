"""The evidence of an attendance alert: its message, the look that it is based on, and where to find the video."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

from agent import words
from agent.attendance.alerting import Condition
from agent.attendance.judge import HalfDay
from agent.clock import rfc3339
from agent.model_classes import TrainingClass

CLIP_MARGIN = timedelta(seconds=30)


def of(half: HalfDay, condition: Condition, zone: ZoneInfo) -> dict[str, object]:
    """Build the evidence as JSON; `clip` holds the arguments of the `clip` command and the clip request."""
    facts: dict[str, object] = {
        "class_id": half.class_id,
        "date": half.date.isoformat(),
        "session": half.session.value,
        "present": condition.people,
        "expected": condition.against,
    }
    if condition.bench:
        facts["bench"] = condition.bench.name
    look = condition.look
    if look is None:
        return facts
    begin, end = (look.at - CLIP_MARGIN).astimezone(zone), (look.at + CLIP_MARGIN).astimezone(zone)
    return facts | {
        "room_id": look.room_id,
        "camera_id": look.camera_id,
        "look": rfc3339(look.at, zone),
        "people": look.people,
        "clip": {
            "class_id": half.class_id,
            "on": begin.date().isoformat(),
            "from": begin.strftime("%H:%M:%S"),
            "to": end.strftime("%H:%M:%S"),
            "camera_id": look.camera_id,
        },
    }


def message(cls: TrainingClass, half: HalfDay, condition: Condition) -> str:
    """Write the alert's message, in one line."""
    return words.text(
        condition.kind.value,
        occupation=cls.occupation,
        number=cls.class_number,
        date=half.date.isoformat(),
        session=half.session.folder if words.language() == "zh" else half.session.value,
        people=condition.people,
        against=condition.against,
        bench=condition.bench.name if condition.bench else "",
    )
