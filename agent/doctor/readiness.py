"""The readiness sheet of a class (`doctor --class ID`): whether it may open in these rooms, with this drive."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from agent import clock as clocks
from agent import schedule
from agent.catalog import Catalog
from agent.doctor import cameras as cameras_check
from agent.doctor import drives, plan
from agent.doctor.box import Box
from agent.doctor.finding import Finding, bad, exit_status, good
from agent.drive import Drive
from agent.errors import DriveError
from agent.model_cameras import Camera, Verdict
from agent.model_classes import Room, TrainingClass

if TYPE_CHECKING:
    from agent.contract.health import ReadinessBody


def check(box: Box, cls: TrainingClass) -> list[Finding]:
    assert box.catalog is not None
    cameras = {c.camera_id: c for c in box.catalog.cameras.all()}
    used = {x.room_id for x in cls.lessons if not x.cancelled}
    rooms = [room for room in cls.rooms if room.room_id in used]
    found = [] if rooms else [bad("class.plan", "critical", "class.no_plan", class_id=cls.class_id)]
    for room in rooms:
        found += _room(box, box.catalog, room, cameras)
    return [*found, _space(box, cls)]


def _room(box: Box, catalog: Catalog, room: Room, cameras: dict[str, Camera]) -> list[Finding]:
    name = f"class.room.{room.room_id}"
    mine = [cameras[c] for c in room.cameras if c in cameras]
    admitted = [c for c in mine if c.verdict is Verdict.ADMITTED]
    found = [
        bad(f"class.camera.{c}", "critical", "class.no_such_camera", camera_id=c, room=room.name)
        for c in room.cameras
        if c not in cameras
    ]
    for camera in mine:
        if camera.verdict is not Verdict.ADMITTED:
            shown = {"camera_id": camera.camera_id, "room": room.name, "reasons": "；".join(camera.reasons) or "-"}
            found.append(bad(f"class.camera.{camera.camera_id}", "critical", "class.not_admitted", **shown))
    if not room.cameras:
        found.append(bad(name, "critical", "class.no_camera", room=room.name))
    if admitted and not any(c.main_stream and c.main_stream.audio for c in admitted):
        found.append(bad(f"{name}.sound", "critical", "class.no_sound", room=room.name))
    found += [
        bad(
            f"class.camera.{c.camera_id}", "critical", "cameras.not_recording", camera_id=c.camera_id, address=c.address
        )
        for c in admitted
        if not c.up and schedule.placement_at(box.classes, c.camera_id, box.now)
    ]
    found += [f for c in admitted if (f := _view(catalog, c, room))]
    found += [f for c in admitted if (f := cameras_check.identity(box, c))]
    shown_ids = ", ".join(c.camera_id for c in admitted)
    return found or [good(name, "class.room_ok", room=room.name, cameras=shown_ids)]


def _view(catalog: Catalog, camera: Camera, room: Room) -> Finding | None:
    name, shown = f"class.view.{camera.camera_id}", {"camera_id": camera.camera_id, "room": room.name}
    state = catalog.views.state(camera)
    if state == "open":
        return bad(name, "critical", "class.not_confirmed", **shown)
    return bad(name, "critical", "class.view_changed", **shown) if state == "changed" else None


def _space(box: Box, cls: TrainingClass) -> Finding:
    """Check the space for the whole rest of the plan on the attached drives, with a tenth to spare."""
    cameras = {c for room in cls.rooms for c in room.cameras}
    known = box.catalog.cameras.all() if box.catalog else []
    each = drives.needed_bytes_s(box) / max(1, len(known))
    need = plan.planned_seconds(box, cls) * each * 1.1
    free = 0
    for root in box.drives:
        try:
            drive = Drive.open(root)
            free += 0 if drive.is_sealed() else drive.free_bytes()
        except DriveError:
            continue
    shown = {"need": f"{need / 1e9:.0f}", "free": f"{free / 1e9:.0f}", "cameras": len(cameras)}
    if free < need:
        return bad("class.space", "critical", "class.space_short", **shown)
    return good("class.space", "class.space_ok", **shown)


def sheet(box: Box, cls: TrainingClass, findings: Sequence[Finding]) -> ReadinessBody:
    """Return the message for the bureau: topic `readiness/{class_id}`, retained."""
    return {
        "class_id": cls.class_id,
        "at": clocks.rfc3339(box.now, box.zone),
        "ready": exit_status(findings) == 0,
        "findings": [f.as_data() for f in findings],
    }
