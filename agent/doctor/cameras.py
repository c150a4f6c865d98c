"""Checks of the cameras, as the service last saw them."""

from __future__ import annotations

from agent import schedule, words
from agent.cameras import model_list
from agent.doctor.box import Box
from agent.doctor.finding import Finding, Severity, bad, good, of_error, of_line
from agent.errors import SettingsError
from agent.model_cameras import Camera, Verdict

_SEVERITY: dict[Verdict, Severity] = {
    Verdict.FAULTY: "warning",
    Verdict.REFUSED: "warning",
    Verdict.UNREACHABLE: "critical",
}


def check(box: Box) -> list[Finding]:
    if box.catalog is None:
        return [_model_list(box)]
    cameras = box.catalog.cameras.all()
    planned = {c for cls in box.classes if cls.last_day >= box.now.date() for room in cls.rooms for c in room.cameras}
    known = {c.camera_id for c in cameras}
    found = [bad("cameras", "critical", "cameras.none")] if not cameras else []
    found += [_camera(box, c, c.camera_id in planned) for c in cameras]
    found += [f for c in cameras if (f := identity(box, c))]
    found += [bad(f"cameras.{c}", "critical", "cameras.unknown", camera_id=c) for c in sorted(planned - known)]
    return [_model_list(box), *found]


def _camera(box: Box, camera: Camera, planned: bool) -> Finding:
    name = f"cameras.{camera.camera_id}"
    if camera.verdict is Verdict.UNREACHABLE and not planned and not camera.successor:
        return bad(name, "critical", "cameras.gone", camera_id=camera.camera_id, address=camera.address)
    if camera.verdict is not Verdict.ADMITTED:
        severity: Severity = _SEVERITY[camera.verdict]
        missed = not camera.up and schedule.placement_at(box.classes, camera.camera_id, box.now)
        if missed or (camera.verdict is Verdict.REFUSED and planned):
            severity = "critical"
        line = "；".join(camera.reasons) or words.text(f"cameras.verdict.{camera.verdict.value}")
        return of_line(name, severity, _where(camera, line) + line)
    if schedule.placement_at(box.classes, camera.camera_id, box.now) and not camera.up:
        return bad(name, "critical", "cameras.not_recording", camera_id=camera.camera_id, address=camera.address)
    offset = camera.clock_offset_s
    if offset is not None and abs(offset) > box.clock_bound_s:
        return bad(name, "warning", "cameras.clock", camera_id=camera.camera_id, seconds=f"{offset:+.0f}")
    stream = camera.main_stream
    size = f"{stream.width or '?'}×{stream.height or '?'} {stream.codec or '?'}" if stream else "?"
    return good(name, "cameras.ok", camera_id=camera.camera_id, address=camera.address, model=camera.model, size=size)


def identity(box: Box, camera: Camera) -> Finding | None:
    """Check that the unit recorded under this name is the one that was accepted; return None where it is."""
    name = f"cameras.{camera.camera_id}.identity"
    if camera.exchanged and camera.verdict.recordable:
        shown = {"camera_id": camera.camera_id, "old": camera.accepted, "serial": camera.identity or "?"}
        return bad(name, "critical", "cameras.exchanged" if camera.up else "cameras.exchanged_idle", **shown)
    if camera.unverified_since:
        since = camera.unverified_since.astimezone(box.zone).strftime("%Y-%m-%d %H:%M:%S")
        return bad(name, "warning", "cameras.unverified", camera_id=camera.camera_id, since=since)
    return None


def _where(camera: Camera, line: str) -> str:
    """Return which camera `line` is about, with its address where the line does not contain it."""
    key = "doctor.cameras.named" if camera.address in line else "doctor.cameras.where"
    return words.text(key, camera_id=camera.camera_id, address=camera.address)


def _model_list(box: Box) -> Finding:
    try:
        approved = model_list.load(box.model_list, box.model_list_key).approved
    except SettingsError as error:
        return of_error("cameras.list", "critical", error)
    if not approved.models:
        return bad("cameras.list", "critical", "cameras.list_empty", file=box.model_list)
    return good("cameras.list", "cameras.list_ok", count=len(approved.models), issuer=approved.issuer or "-")
