"""What an alert shows for itself: its words, the look it rests on, and where the video of that moment is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from agent import words
from agent.attendance.alerting import Condition
from agent.attendance.judge import HalfDay
from agent.clock import rfc3339
from agent.model_classes import TrainingClass

CLIP_MARGIN = timedelta(seconds=30)


def of(half: HalfDay, condition: Condition, zone: ZoneInfo) -> dict[str, Any]:
    """JSON. `clip` holds what the `clip` command and the clip request take."""
    facts: dict[str, Any] = {
        "class_id": half.class_id, "date": half.date.isoformat(), "session": half.session.value,
        "present": condition.people, "expected": condition.against,
    }  # fmt: skip
    if condition.bench:
        facts["bench"] = condition.bench.name
    look = condition.look
    if look is None:
        return facts
    begin, end = (look.at - CLIP_MARGIN).astimezone(zone), (look.at + CLIP_MARGIN).astimezone(zone)
    return facts | {
        "room_id": look.room_id, "camera_id": look.camera_id, "look": rfc3339(look.at, zone), "people": look.people,
        "clip": {"class_id": half.class_id, "on": begin.date().isoformat(), "from": begin.strftime("%H:%M:%S"),
                 "to": end.strftime("%H:%M:%S"), "camera_id": look.camera_id},
    }  # fmt: skip


def message(cls: TrainingClass, half: HalfDay, condition: Condition) -> str:
    """The alert in one line."""
    return words.text(
        condition.kind.value, occupation=cls.occupation, number=cls.class_number, date=half.date.isoformat(),
        session=half.session.folder if words.language() == "zh" else half.session.value, people=condition.people,
        against=condition.against, bench=condition.bench.name if condition.bench else "",
    )  # fmt: skip
