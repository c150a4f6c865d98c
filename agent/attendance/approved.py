"""Taking a class into the catalog, from a file or from the bureau.

What the bureau approved wins over a file; which cameras look into a room only the box knows, so those stay as the file
says. An approval without lessons leaves the course plan to the institution. Once its first lesson has begun, a class
changes only by amendments, whoever sends it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from agent import words
from agent.attendance.classes import body_of, clock_text, parse
from agent.attendance.fields import ClassFileProblems, shown
from agent.catalog import Catalog
from agent.model_classes import Room, TrainingClass

log = logging.getLogger(__name__)

HEAD = (
    "project", "occupation", "class_number", "institution", "place", "first_day", "last_day", "expected", "head_teacher",
    "staff",
)  # fmt: skip
Source = Literal["file", "bureau"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing in which two versions differ, as texts; an empty one is missing there."""

    key: str
    kept: str
    other: str

    def __str__(self) -> str:
        nothing = words.text("classes.nothing")
        return words.text("classes.difference", key=self.key, kept=self.kept or nothing, other=self.other or nothing)


@dataclass(frozen=True, slots=True)
class Taken:
    """The class as it is now in the catalog. `differences`: where what was given did not win (`kept` is what counts)."""

    cls: TrainingClass
    source: Source
    new: bool
    differences: list[Difference]


def take(catalog: Catalog, cls: TrainingClass, source: Source, at: datetime, *, name: str) -> Taken:
    """Check a class as `settle` does, and store what counts."""
    taken = settle(catalog, cls, source, at, name=name)
    with catalog.store.write():
        catalog.classes.put(cls.class_id, body_of(taken.cls, catalog.zone), taken.source, at)
        # a class that is filed late explains why nothing was recorded before
        catalog.events.add("class.imported", at, detail={"class_id": cls.class_id})
    return taken


def accept(catalog: Catalog, body: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    """The body to store for a class that the bureau pushed: checked, with this box's cameras. What a local file said
    otherwise is logged. Raises ClassFileProblems."""
    cls = parse(body, catalog.zone, "bureau")
    taken = settle(catalog, cls, "bureau", at, name="bureau")
    for difference in taken.differences:
        log.warning("%s: %s", cls.class_id, difference)
    return body_of(taken.cls, catalog.zone)


def settle(catalog: Catalog, cls: TrainingClass, source: Source, at: datetime, *, name: str) -> Taken:
    """Which version counts. Raises ClassFileProblems (`name` names the source) where its cameras are wanted by another
    class at the same time, or where an opened class would change without an amendment."""
    zone, row = catalog.zone, catalog.classes.get(cls.class_id)
    lost: list[Difference] = []
    if row:
        known = parse(row.body, zone, cls.class_id)
        if source == "file" and row.source == "bureau":
            given = cls
            cls = with_cameras(known, cls)
            if not known.lessons or known.plan_source == "file":
                cls = _with_plan(cls, given, zone, name)
                _refuse_silent_changes(known, cls, zone, at, name)
            lost = differences(cls, given, zone)
        else:
            if source == "bureau" and not cls.lessons:
                cls = _with_plan(cls, known, zone, name)
            if source == "bureau" and row.source == "file":
                lost, cls = differences(cls, known, zone), with_cameras(cls, known)
            else:
                _refuse_silent_changes(known, cls, zone, at, name)
                cls = with_cameras(cls, known) if source == "bureau" else cls
                if cls == known:
                    # a broker brings all that is approved each time: nothing to compare with all other classes
                    return Taken(cls, source, False, lost)
    _refuse_conflicts(cls, (parse(r.body, zone, r.class_id) for r in catalog.classes.all()), zone, name)
    held: Source = "bureau" if source == "bureau" or (row and row.source == "bureau") else "file"
    return Taken(cls, held, row is None, lost)


def _with_plan(cls: TrainingClass, plan: TrainingClass, zone: ZoneInfo, name: str) -> TrainingClass:
    """The approved class with the lessons that the institution gave. Raises ClassFileProblems where they do not fit it."""
    if not plan.lessons:
        return cls
    body = {**body_of(cls, zone), "lessons": body_of(plan, zone)["lessons"], "plan_source": "file"}
    return parse(body, zone, name)


def with_cameras(cls: TrainingClass, local: TrainingClass) -> TrainingClass:
    """The class with cameras, view and benches of its rooms as the local version has them, where that knows the room."""
    mine = {room.room_id: room for room in local.rooms}

    def fitted(room: Room) -> Room:
        own = mine.get(room.room_id)
        return replace(room, cameras=own.cameras, view=own.view, benches=own.benches) if own and own.cameras else room

    return replace(cls, rooms=tuple(fitted(room) for room in cls.rooms))


def differences(kept: TrainingClass, other: TrainingClass, zone: ZoneInfo) -> list[Difference]:
    """Where two versions of a class differ in what an approval covers (not in cameras)."""
    found = []
    for key in HEAD:
        one, two = getattr(kept, key), getattr(other, key)
        if one != two:
            found.append(Difference(key, _plain(one), _plain(two)))
    pairs: list[tuple[str, dict[str, str], dict[str, str]]] = [
        ("rooms", _rooms(kept), _rooms(other)), ("lessons", _lessons(kept, zone), _lessons(other, zone)),
        ("amendments", _amendments(kept, zone), _amendments(other, zone)),
    ]  # fmt: skip
    for name, one, two in pairs:
        for key in sorted(one.keys() | two.keys()):
            if one.get(key) != two.get(key):
                found.append(Difference(f"{name}[{key}]", one.get(key, ""), two.get(key, "")))
    return found


def _plain(value: Any) -> str:
    return "、".join(value) if isinstance(value, tuple) else str(value)


def _rooms(cls: TrainingClass) -> dict[str, str]:
    return {room.room_id: f"{room.name} {room.kind}" for room in cls.rooms}


def _lessons(cls: TrainingClass, zone: ZoneInfo) -> dict[str, str]:
    return {
        f"{x.date} {clock_text(x.start, zone)} {x.room_id}{' ×' if x.cancelled else ''}": (
            f"–{clock_text(x.end, zone)} {x.session.value} {x.kind} {x.content} {x.teacher} {x.staff_in_room}"
        )
        for x in cls.lessons
    }


def _amendments(cls: TrainingClass, zone: ZoneInfo) -> dict[str, str]:
    return {
        f"{b['first_date']} {b['first_session']} {shown(b['reason'])}": ", ".join(f"{k} {v}" for k, v in b.items())
        for b in body_of(cls, zone)["amendments"]
    }


def _refuse_silent_changes(known: TrainingClass, cls: TrainingClass, zone: ZoneInfo, at: datetime, name: str) -> None:
    """An opened class may differ from what is known by new amendments and by what those make of it, no more."""
    if not known.lessons or at < min(x.start for x in known.lessons):
        return
    new = [b for b in body_of(cls, zone)["amendments"] if b not in body_of(known, zone)["amendments"]]
    body = body_of(known, zone)
    body["amendments"] += [{**{k: v for k, v in b.items() if k != "applied"}, **b.get("applied", {})} for b in new]
    try:
        explained = parse(body, zone, name)
    except ClassFileProblems:
        explained = known
    rest = differences(explained, cls, zone)
    if rest:
        raise ClassFileProblems(
            name,
            [
                f"{name}: {d.key}: "
                + words.text(
                    "classes.only_by_amendment",
                    kept=d.kept or words.text("classes.nothing"),
                    other=d.other or words.text("classes.nothing"),
                )
                for d in rest
            ],
        )


def _refuse_conflicts(cls: TrainingClass, others: Iterable[TrainingClass], zone: ZoneInfo, name: str) -> None:
    """A camera serves one class at a time."""
    problems = []
    for other in others:
        if other.class_id == cls.class_id or not (other.lessons and cls.lessons):
            continue
        for mine in (x for x in cls.lessons if not x.cancelled):
            cameras = set(cls.room(mine.room_id).cameras)
            for theirs in (x for x in other.lessons if not x.cancelled and x.start < mine.end and mine.start < x.end):
                for camera in sorted(cameras.intersection(other.room(theirs.room_id).cameras)):
                    problems.append(f"{name}: " + words.text(
                        "classes.overlap_other", day=mine.date, start=clock_text(mine.start, zone), camera_id=camera,
                        other=other.class_id, other_start=clock_text(theirs.start, zone),
                        other_end=clock_text(theirs.end, zone),
                    ))  # fmt: skip
    if problems:
        raise ClassFileProblems(name, problems)
