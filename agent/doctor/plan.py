"""Checks of classes and course plan: whether there is one, whether rooms have cameras, when the next recording begins."""

from __future__ import annotations

from datetime import timedelta

from agent import clock as clocks
from agent import schedule
from agent.doctor import machine
from agent.doctor.box import Box
from agent.doctor.finding import Finding, bad, good
from agent.model_classes import TrainingClass


def check(box: Box) -> list[Finding]:
    today = clocks.local_day(box.now, box.zone)
    current = [c for c in box.classes if c.last_day >= today]
    if not current:
        return [bad("schedule", "warning", "schedule.none")]
    found = [f for cls in current for f in _class(cls)]
    cameras = {c for cls in current for room in cls.rooms for c in room.cameras}
    starts = [s for c in cameras if (s := schedule.next_start(current, c, box.now))]
    due = {c for c in cameras if schedule.placement_at(current, c, box.now)}
    if due:
        found.append(_running(due, due & recorded(box)))
    elif starts:
        begin = min(starts).astimezone(box.zone).strftime("%Y-%m-%d %H:%M")
        found.append(good("schedule", "schedule.next", count=len(current), begin=begin))
    else:
        found.append(bad("schedule", "warning", "schedule.over"))
    return found


def recorded(box: Box) -> set[str]:
    """Return the cameras whose pictures are being written now, which may differ from those in the course plan."""
    if box.catalog is None or not machine.is_running(box):
        return set()
    writing = {segment.camera_id for segment in box.catalog.segments.opened()}
    return {c.camera_id for c in box.catalog.cameras.all() if c.up and c.camera_id in writing}


def _running(due: set[str], running: set[str]) -> Finding:
    """Return one finding for the recording as a whole; the fault itself is reported with the camera, drive or service."""
    shown = {"cameras": ", ".join(sorted(running)), "missing": ", ".join(sorted(due - running))}
    if due == running:
        return good("schedule", "schedule.running", **shown)
    return bad("schedule", "info", "schedule.partly" if running else "schedule.not_running", **shown)


def _class(cls: TrainingClass) -> list[Finding]:
    used = {x.room_id for x in cls.lessons if not x.cancelled}
    return [
        bad(f"schedule.{cls.class_id}", "critical", "schedule.no_camera", class_id=cls.class_id, room=room.name)
        for room in cls.rooms
        if room.room_id in used and not room.cameras
    ]


def planned_seconds(box: Box, cls: TrainingClass) -> float:
    """Return the camera seconds that the class's plan needs from now on, margins included."""
    cameras = {c for room in cls.rooms for c in room.cameras}
    places = [p for c in cameras for p in schedule.placements(box.classes, c) if p.class_id == cls.class_id]
    left = (p.end - max(p.start, box.now) for p in places if p.end > box.now)
    return sum(left, timedelta()).total_seconds()
