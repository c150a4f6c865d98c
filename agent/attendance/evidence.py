"""The evidence of an attendance alert: its message, the look that it is based on, and where to find the video."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

from agent import i18n
from agent.attendance.alerting import AlertCondition
from agent.attendance.judge import JudgedHalfDay
from agent.core.class_model import TrainingClass
from agent.core.clock import format_local

CLIP_MARGIN = timedelta(seconds=30)


def build_evidence(half: JudgedHalfDay, condition: AlertCondition, zone: ZoneInfo) -> dict[str, object]:
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
        "look": format_local(look.at, zone),
        "people": look.people,
        "clip": {
            "class_id": half.class_id,
            "on": begin.date().isoformat(),
            "from": begin.strftime("%H:%M:%S"),
            "to": end.strftime("%H:%M:%S"),
            "camera_id": look.camera_id,
        },
    }


def format_alert_message(cls: TrainingClass, half: JudgedHalfDay, condition: AlertCondition) -> str:
    """Write the alert's message, in one line."""
    return i18n.translate(
        condition.kind.value,
        occupation=cls.occupation,
        number=cls.class_number,
        date=half.date.isoformat(),
        session=half.session.folder if i18n.get_language() == "zh" else half.session.value,
        people=condition.people,
        against=condition.against,
        bench=condition.bench.name if condition.bench else "",
    )
