"""Versions of a class: how they differ, and what may change once the class has opened. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from agent import i18n
from agent.class_files.classes import format_clock_time, parse_class, serialize_class
from agent.class_files.fields import ClassFileProblems, sanitize_value
from agent.core.class_model import Room, TrainingClass

APPROVED_FIELDS = (
    "project",
    "occupation",
    "class_number",
    "institution",
    "place",
    "first_day",
    "last_day",
    "expected",
    "head_teacher",
    "staff",
)


@dataclass(frozen=True, slots=True)
class ClassDifference:
    """One difference between two versions, as texts; an empty text means missing."""

    key: str
    kept: str
    other: str

    def __str__(self) -> str:
        nothing = i18n.translate("classes.nothing")
        return i18n.translate(
            "classes.difference", key=self.key, kept=self.kept or nothing, other=self.other or nothing
        )


def apply_local_cameras(cls: TrainingClass, local: TrainingClass) -> TrainingClass:
    """Take cameras, view and benches from the local version, for rooms that exist in both."""
    mine = {room.room_id: room for room in local.rooms}

    def fitted(room: Room) -> Room:
        own = mine.get(room.room_id)
        return replace(room, cameras=own.cameras, view=own.view, benches=own.benches) if own and own.cameras else room

    return replace(cls, rooms=tuple(fitted(room) for room in cls.rooms))


def compare_classes(kept: TrainingClass, other: TrainingClass, zone: ZoneInfo) -> list[ClassDifference]:
    """Compare two versions of a class in what an approval covers (not in cameras)."""
    found = []
    for key in APPROVED_FIELDS:
        one, two = getattr(kept, key), getattr(other, key)
        if one != two:
            found.append(ClassDifference(key, _to_text(one), _to_text(two)))
    pairs: list[tuple[str, dict[str, str], dict[str, str]]] = [
        ("rooms", _describe_rooms(kept), _describe_rooms(other)),
        ("lessons", _describe_lessons(kept, zone), _describe_lessons(other, zone)),
        ("amendments", _describe_amendments(kept, zone), _describe_amendments(other, zone)),
    ]
    for name, one, two in pairs:
        for key in sorted(one.keys() | two.keys()):
            if one.get(key) != two.get(key):
                found.append(ClassDifference(f"{name}[{key}]", one.get(key, ""), two.get(key, "")))
    return found


def _to_text(value: object) -> str:
    return "、".join(value) if isinstance(value, tuple) else str(value)


def _describe_rooms(cls: TrainingClass) -> dict[str, str]:
    return {room.room_id: f"{room.name} {room.kind}" for room in cls.rooms}


def _describe_lessons(cls: TrainingClass, zone: ZoneInfo) -> dict[str, str]:
    return {
        f"{x.date} {format_clock_time(x.start, zone)} {x.room_id}{' ×' if x.cancelled else ''}": (
            f"–{format_clock_time(x.end, zone)} {x.session.value} {x.kind} {x.content} {x.teacher} {x.staff_in_room}"
        )
        for x in cls.lessons
    }


def _describe_amendments(cls: TrainingClass, zone: ZoneInfo) -> dict[str, str]:
    return {
        f"{a['first_date']} {a['first_session']} {sanitize_value(a['reason'])}": ", ".join(
            f"{k} {v}" for k, v in a.items()
        )
        for a in serialize_class(cls, zone)["amendments"]
    }


def _undo_applied(amendment: dict[str, object]) -> dict[str, object]:
    """Return an amendment whose lesson changes are still to be made."""
    applied = amendment.get("applied")
    rest = {key: value for key, value in amendment.items() if key != "applied"}
    return {**rest, **applied} if isinstance(applied, Mapping) else rest


def refuse_silent_changes(known: TrainingClass, cls: TrainingClass, zone: ZoneInfo, at: datetime, name: str) -> None:
    """Raise ClassFileProblems if an opened class differs by more than new amendments and their effects."""
    if not known.lessons or at < min(x.start for x in known.lessons):
        return
    new = [b for b in serialize_class(cls, zone)["amendments"] if b not in serialize_class(known, zone)["amendments"]]
    body = serialize_class(known, zone)
    body["amendments"] += [_undo_applied(amendment) for amendment in new]
    try:
        explained = parse_class(body, zone, name)
    except ClassFileProblems:
        explained = known
    rest = compare_classes(explained, cls, zone)
    if rest:
        raise ClassFileProblems(
            name,
            [
                f"{name}: {d.key}: "
                + i18n.translate(
                    "classes.only_by_amendment",
                    kept=d.kept or i18n.translate("classes.nothing"),
                    other=d.other or i18n.translate("classes.nothing"),
                )
                for d in rest
            ],
        )


def refuse_conflicts(cls: TrainingClass, others: Iterable[TrainingClass], zone: ZoneInfo, name: str) -> None:
    """Raise ClassFileProblems if another class uses one of the cameras at the same time."""
    problems = []
    for other in others:
        if other.class_id == cls.class_id or not (other.lessons and cls.lessons):
            continue
        for mine in (x for x in cls.lessons if not x.cancelled):
            cameras = set(cls.room(mine.room_id).cameras)
            for theirs in (x for x in other.lessons if not x.cancelled and x.start < mine.end and mine.start < x.end):
                for camera in sorted(cameras.intersection(other.room(theirs.room_id).cameras)):
                    problems.append(
                        f"{name}: "
                        + i18n.translate(
                            "classes.overlap_other",
                            day=mine.date,
                            start=format_clock_time(mine.start, zone),
                            camera_id=camera,
                            other=other.class_id,
                            other_start=format_clock_time(theirs.start, zone),
                            other_end=format_clock_time(theirs.end, zone),
                        )
                    )
    if problems:
        raise ClassFileProblems(name, problems)
