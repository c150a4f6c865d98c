"""The readiness sheet of a class (`doctor --class ID`): whether it may open in these rooms, with this drive."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from agent.catalog import Catalog
from agent.core import clock as clocks
from agent.core import schedule
from agent.core.camera_model import Camera, Verdict
from agent.core.class_model import Room, TrainingClass
from agent.core.errors import DriveError
from agent.doctor import cameras as cameras_check
from agent.doctor import drives, plan
from agent.doctor.box import BoxFacts
from agent.doctor.finding import HealthFinding, compute_exit_status, report_ok, report_problem
from agent.drive import Drive

if TYPE_CHECKING:
    from agent.contract.health import ReadinessBody


def check_readiness(box: BoxFacts, cls: TrainingClass) -> list[HealthFinding]:
    assert box.catalog is not None
    cameras = {c.camera_id: c for c in box.catalog.cameras.all()}
    used = {x.room_id for x in cls.lessons if not x.cancelled}
    rooms = [room for room in cls.rooms if room.room_id in used]
    found = [] if rooms else [report_problem("class.plan", "critical", "class.no_plan", class_id=cls.class_id)]
    for room in rooms:
        found += _check_room(box, box.catalog, room, cameras)
    return [*found, _check_space(box, cls)]


def _check_room(box: BoxFacts, catalog: Catalog, room: Room, cameras: dict[str, Camera]) -> list[HealthFinding]:
    name = f"class.room.{room.room_id}"
    mine = [cameras[c] for c in room.cameras if c in cameras]
    admitted = [c for c in mine if c.verdict is Verdict.ADMITTED]
    found = [
        report_problem(f"class.camera.{c}", "critical", "class.no_such_camera", camera_id=c, room=room.name)
        for c in room.cameras
        if c not in cameras
    ]
    for camera in mine:
        if camera.verdict is not Verdict.ADMITTED:
            shown = {"camera_id": camera.camera_id, "room": room.name, "reasons": "；".join(camera.reasons) or "-"}
            found.append(report_problem(f"class.camera.{camera.camera_id}", "critical", "class.not_admitted", **shown))
    if not room.cameras:
        found.append(report_problem(name, "critical", "class.no_camera", room=room.name))
    if admitted and not any(c.main_stream and c.main_stream.audio for c in admitted):
        found.append(report_problem(f"{name}.sound", "critical", "class.no_sound", room=room.name))
    found += [
        report_problem(
            f"class.camera.{c.camera_id}", "critical", "cameras.not_recording", camera_id=c.camera_id, address=c.address
        )
        for c in admitted
        if not c.up and schedule.find_placement(box.classes, c.camera_id, box.now)
    ]
    found += [f for c in admitted if (f := _check_view(catalog, c, room))]
    found += [f for c in admitted if (f := cameras_check.check_identity(box, c))]
    shown_ids = ", ".join(c.camera_id for c in admitted)
    return found or [report_ok(name, "class.room_ok", room=room.name, cameras=shown_ids)]


def _check_view(catalog: Catalog, camera: Camera, room: Room) -> HealthFinding | None:
    name, shown = f"class.view.{camera.camera_id}", {"camera_id": camera.camera_id, "room": room.name}
    state = catalog.views.state(camera)
    if state == "open":
        return report_problem(name, "critical", "class.not_confirmed", **shown)
    return report_problem(name, "critical", "class.view_changed", **shown) if state == "changed" else None


def _check_space(box: BoxFacts, cls: TrainingClass) -> HealthFinding:
    """Check the space for the whole rest of the plan on the attached drives, with a tenth to spare."""
    cameras = {c for room in cls.rooms for c in room.cameras}
    known = box.catalog.cameras.all() if box.catalog else []
    each = drives.estimate_needed_bytes_s(box) / max(1, len(known))
    need = plan.sum_planned_seconds(box, cls) * each * 1.1
    free = 0
    for root in box.drives:
        try:
            drive = Drive.open(root)
            free += 0 if drive.is_sealed() else drive.free_bytes()
        except DriveError:
            continue
    shown = {"need": f"{need / 1e9:.0f}", "free": f"{free / 1e9:.0f}", "cameras": len(cameras)}
    if free < need:
        return report_problem("class.space", "critical", "class.space_short", **shown)
    return report_ok("class.space", "class.space_ok", **shown)


def build_readiness_sheet(box: BoxFacts, cls: TrainingClass, findings: Sequence[HealthFinding]) -> ReadinessBody:
    """Return the message for the bureau: topic `readiness/{class_id}`, retained."""
    return {
        "class_id": cls.class_id,
        "at": clocks.format_local(box.now, box.zone),
        "ready": compute_exit_status(findings) == 0,
        "findings": [f.as_data() for f in findings],
    }
