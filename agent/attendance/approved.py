"""Import a class into the catalog, from a file or from the bureau.

The bureau's approval takes precedence over a file. Only the box knows which cameras are in a room, so cameras are taken from
the file. If an approval has no lessons, the institution supplies the course plan. Once its first lesson has begun, a class
can be changed only by amendments, whatever the source.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

from agent import i18n
from agent.attendance.classes import format_clock_time, parse_class, serialize_class
from agent.attendance.fields import ClassFileProblems, sanitize_value
from agent.attendance.json_types import ClassFileBody
from agent.catalog import Catalog
from agent.core.class_model import Room, TrainingClass

log = logging.getLogger(__name__)

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
ClassSource = Literal["file", "bureau"]


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


@dataclass(frozen=True, slots=True)
class ClassImport:
    """The result of an import: the class as it is in the catalog now.

    `differences`: where the given version did not take precedence (`kept` is the stored value).
    """

    cls: TrainingClass
    source: ClassSource
    new: bool
    differences: list[ClassDifference]


def import_class(catalog: Catalog, cls: TrainingClass, source: ClassSource, at: datetime, *, name: str) -> ClassImport:
    """Check a class as `settle` does, and store the resulting version."""
    taken = resolve_version(catalog, cls, source, at, name=name)
    with catalog.store.write():
        catalog.classes.put(cls.class_id, serialize_class(taken.cls, catalog.zone), taken.source, at)
        # a class that is imported late explains why nothing was recorded before
        catalog.events.add("class.imported", at, detail={"class_id": cls.class_id})
    return taken


def accept_approval(catalog: Catalog, body: Mapping[str, object], at: datetime) -> ClassFileBody:
    """Check a class sent by the bureau and return the body to store, with this box's cameras.

    Differences from a local file are logged. Raises ClassFileProblems.
    """
    cls = parse_class(body, catalog.zone, "bureau")
    taken = resolve_version(catalog, cls, "bureau", at, name="bureau")
    for difference in taken.differences:
        log.warning("%s: %s", cls.class_id, difference)
    return serialize_class(taken.cls, catalog.zone)


def resolve_version(
    catalog: Catalog, cls: TrainingClass, source: ClassSource, at: datetime, *, name: str
) -> ClassImport:
    """Determine which version of a class applies, without storing it.

    Raises ClassFileProblems (`name` names the source) if another class needs the same camera at the same time, or if an
    opened class would change without an amendment.
    """
    zone, row = catalog.zone, catalog.classes.get(cls.class_id)
    lost: list[ClassDifference] = []
    if row:
        known = parse_class(row.body, zone, cls.class_id)
        if source == "file" and row.source == "bureau":
            given = cls
            cls = apply_local_cameras(known, cls)
            if not known.lessons or known.plan_source == "file":
                cls = _add_plan(cls, given, zone, name)
                _refuse_silent_changes(known, cls, zone, at, name)
            lost = compare_classes(cls, given, zone)
        else:
            if source == "bureau" and not cls.lessons:
                cls = _add_plan(cls, known, zone, name)
            if source == "bureau" and row.source == "file":
                lost, cls = compare_classes(cls, known, zone), apply_local_cameras(cls, known)
            else:
                _refuse_silent_changes(known, cls, zone, at, name)
                cls = apply_local_cameras(cls, known) if source == "bureau" else cls
                if cls == known:
                    # at each connection the broker sends all approved classes: skip the comparison with all others
                    return ClassImport(cls, source, False, lost)
    _refuse_conflicts(cls, (parse_class(r.body, zone, r.class_id) for r in catalog.classes.all()), zone, name)
    held: ClassSource = "bureau" if source == "bureau" or (row and row.source == "bureau") else "file"
    return ClassImport(cls, held, row is None, lost)


def _add_plan(cls: TrainingClass, plan: TrainingClass, zone: ZoneInfo, name: str) -> TrainingClass:
    """Add the institution's lessons to the approved class. Raises ClassFileProblems if they do not fit it."""
    if not plan.lessons:
        return cls
    body = {**serialize_class(cls, zone), "lessons": serialize_class(plan, zone)["lessons"], "plan_source": "file"}
    return parse_class(body, zone, name)


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


def _refuse_silent_changes(known: TrainingClass, cls: TrainingClass, zone: ZoneInfo, at: datetime, name: str) -> None:
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


def _refuse_conflicts(cls: TrainingClass, others: Iterable[TrainingClass], zone: ZoneInfo, name: str) -> None:
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
