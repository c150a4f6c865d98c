"""Checks of classes and course plan: whether there is one, whether rooms have cameras, when the next recording begins."""

from __future__ import annotations

from datetime import timedelta

from agent.core import clock as clocks
from agent.core import schedule
from agent.core.class_model import TrainingClass
from agent.doctor import machine
from agent.doctor.box import BoxFacts
from agent.doctor.finding import HealthFinding, report_ok, report_problem


def check_plan(box: BoxFacts) -> list[HealthFinding]:
    today = clocks.get_local_day(box.now, box.zone)
    current = [c for c in box.classes if c.last_day >= today]
    if not current:
        return [report_problem("schedule", "warning", "schedule.none")]
    found = [f for cls in current for f in _check_class(cls)]
    cameras = {c for cls in current for room in cls.rooms for c in room.cameras}
    starts = [s for c in cameras if (s := schedule.find_next_start(current, c, box.now))]
    due = {c for c in cameras if schedule.find_placement(current, c, box.now)}
    if due:
        found.append(_report_running(due, due & list_recorded_cameras(box)))
    elif starts:
        begin = min(starts).astimezone(box.zone).strftime("%Y-%m-%d %H:%M")
        found.append(report_ok("schedule", "schedule.next", count=len(current), begin=begin))
    else:
        found.append(report_problem("schedule", "warning", "schedule.over"))
    return found


def list_recorded_cameras(box: BoxFacts) -> set[str]:
    """Return the cameras whose pictures are being written now, which may differ from those in the course plan."""
    if box.catalog is None or not machine.is_running(box):
        return set()
    writing = {segment.camera_id for segment in box.catalog.segments.opened()}
    return {c.camera_id for c in box.catalog.cameras.all() if c.up and c.camera_id in writing}


def _report_running(due: set[str], running: set[str]) -> HealthFinding:
    """Return one finding for the recording as a whole; the fault itself is reported with the camera, drive or service."""
    shown = {"cameras": ", ".join(sorted(running)), "missing": ", ".join(sorted(due - running))}
    if due == running:
        return report_ok("schedule", "schedule.running", **shown)
    return report_problem("schedule", "info", "schedule.partly" if running else "schedule.not_running", **shown)


def _check_class(cls: TrainingClass) -> list[HealthFinding]:
    used = {x.room_id for x in cls.lessons if not x.cancelled}
    return [
        report_problem(
            f"schedule.{cls.class_id}", "critical", "schedule.no_camera", class_id=cls.class_id, room=room.name
        )
        for room in cls.rooms
        if room.room_id in used and not room.cameras
    ]


def sum_planned_seconds(box: BoxFacts, cls: TrainingClass) -> float:
    """Return the camera seconds that the class's plan needs from now on, margins included."""
    cameras = {c for room in cls.rooms for c in room.cameras}
    places = [p for c in cameras for p in schedule.list_placements(box.classes, c) if p.class_id == cls.class_id]
    left = (p.end - max(p.start, box.now) for p in places if p.end > box.now)
    return sum(left, timedelta()).total_seconds()
