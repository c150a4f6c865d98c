"""Made classes and looks for the attendance tests."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from agent.class_files.classes import parse_class
from agent.core.class_model import TrainingClass
from agent.core.model import Look, Session

ZONE = ZoneInfo("Asia/Shanghai")
DAY = date(2026, 11, 23)


def at(text: str, day: date = DAY) -> datetime:
    """Local wall clock time as UTC."""
    return datetime.combine(day, time.fromisoformat(text), ZONE).astimezone(UTC)


def lesson(start: str, end: str, day: date = DAY, **more: Any) -> dict[str, Any]:
    return {"date": day.isoformat(), "start": start, "end": end, "kind": "theory", **more}


THEORY = {"room_id": "R1", "kind": "theory", "cameras": ["cam1"]}
PRACTICE = {"room_id": "W1", "kind": "practice", "cameras": ["cam2"]}


def body(*lessons: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "class_id": "C1", "project": "技能提升", "occupation": "电工", "class_number": 3, "institution": "学校",
        "place": "东街", "first_day": "2026-11-23", "last_day": "2026-11-27", "expected": 30,
        "rooms": [THEORY, PRACTICE], "lessons": list(lessons), **more,
    }  # fmt: skip


def a_class(*lessons: dict[str, Any], **more: Any) -> TrainingClass:
    return parse_class(body(*lessons, **more), ZONE, "test")


Seen = int | None


def look(moment: datetime, people: Seen, camera: str = "cam1", **more: Any) -> Look:
    """A look that saw so many people, staff included; None: the picture could not be judged."""
    room = {"cam1": "R1", "cam2": "W1"}.get(camera, "R1")
    local = moment.astimezone(ZONE)
    count = people or 0
    given: dict[str, Any] = {
        "room_id": room,
        "class_id": "C1",
        "date": local.date(),
        "session": Session.of(local),
        "low": max(0, count - 1),
        "high": count + 2,
        "judged": people is not None,
        "reason": None if people is not None else "covered",
        **more,
    }
    return Look(camera_id=camera, at=moment, people=count, **given)


def looks(
    start: datetime, end: datetime, people: Seen | Callable[[datetime], Seen], camera: str = "cam1", every: float = 20
) -> list[Look]:
    """Looks each `every` seconds in [start, end)."""
    found = []
    while start < end:
        found.append(look(start, people(start) if callable(people) else people, camera))
        start += timedelta(seconds=every)
    return found


def steps(*pairs: tuple[str, Seen], day: date = DAY) -> Callable[[datetime], Seen]:
    """So many people from each time on."""
    table = [(at(text, day), count) for text, count in pairs]

    def people(moment: datetime) -> Seen:
        return next((count for since, count in reversed(table) if moment >= since), 0)

    return people


def flat(parts: Iterable[Iterable[Look]]) -> list[Look]:
    return [x for part in parts for x in part]
