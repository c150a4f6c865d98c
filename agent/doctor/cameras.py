"""Checks of the cameras, as the service last saw them."""

from __future__ import annotations

from agent import i18n
from agent.cameras import model_list, unit_replacement
from agent.cameras.received_list import RECEIVED_NAME
from agent.core import schedule
from agent.core.camera_model import Camera, Verdict
from agent.core.errors import SettingsError
from agent.doctor.box import BoxFacts
from agent.doctor.finding import HealthFinding, HealthSeverity, report_error, report_line, report_ok, report_problem

_SEVERITY: dict[Verdict, HealthSeverity] = {
    Verdict.FAULTY: "warning",
    Verdict.REFUSED: "warning",
    Verdict.UNREACHABLE: "critical",
}


def check_cameras(box: BoxFacts) -> list[HealthFinding]:
    if box.catalog is None:
        return [_check_model_list(box)]
    cameras = box.catalog.cameras.all()
    planned = {c for cls in box.classes if cls.last_day >= box.now.date() for room in cls.rooms for c in room.cameras}
    known = {c.camera_id for c in cameras}
    found = [report_problem("cameras", "critical", "cameras.none")] if not cameras else []
    found += [_check_camera(box, c, c.camera_id in planned) for c in cameras]
    found += [f for c in cameras if (f := check_identity(box, c))]
    found += [
        report_problem(f"cameras.{c}", "critical", "cameras.unknown", camera_id=c) for c in sorted(planned - known)
    ]
    return [_check_model_list(box), *found]


def _check_camera(box: BoxFacts, camera: Camera, planned: bool) -> HealthFinding:
    name = f"cameras.{camera.camera_id}"
    if planned and (replaceable := _check_replaceable(box, camera)):
        return replaceable
    if camera.verdict is Verdict.UNREACHABLE and not planned and not camera.successor:
        return report_problem(name, "critical", "cameras.gone", camera_id=camera.camera_id, address=camera.address)
    if camera.verdict is not Verdict.ADMITTED:
        severity: HealthSeverity = _SEVERITY[camera.verdict]
        missed = not camera.up and schedule.find_placement(box.classes, camera.camera_id, box.now)
        if missed or (camera.verdict is Verdict.REFUSED and planned):
            severity = "critical"
        line = "；".join(camera.reasons) or i18n.translate(f"cameras.verdict.{camera.verdict.value}")
        return report_line(name, severity, _describe_camera(camera, line) + line)
    if schedule.find_placement(box.classes, camera.camera_id, box.now) and not camera.up:
        return report_problem(
            name, "critical", "cameras.not_recording", camera_id=camera.camera_id, address=camera.address
        )
    offset = camera.clock_offset_s
    if offset is not None and abs(offset) > box.clock_bound_s:
        return report_problem(name, "warning", "cameras.clock", camera_id=camera.camera_id, seconds=f"{offset:+.0f}")
    stream = camera.main_stream
    size = f"{stream.width or '?'}×{stream.height or '?'} {stream.codec or '?'}" if stream else "?"
    return report_ok(
        name, "cameras.ok", camera_id=camera.camera_id, address=camera.address, model=camera.model, size=size
    )


def _check_replaceable(box: BoxFacts, camera: Camera) -> HealthFinding | None:
    """Name the unit that has probably taken the place of a camera that is gone; return None where there is none."""
    if box.catalog is None:
        return None
    units = unit_replacement.list_candidates(box.catalog, camera, box.reserved)
    if not units:
        return None
    name, shown = f"cameras.{camera.camera_id}", {"camera_id": camera.camera_id, "address": camera.address}
    if len(units) > 1:
        listed = ", ".join(unit_replacement.describe_unit(c) for c in units)
        return report_problem(name, "critical", "cameras.replaceable_by", **shown, units=listed)
    unit = {"model": units[0].model or "?", "serial": units[0].identity, "there": units[0].address}
    return report_problem(
        name,
        "critical",
        "cameras.replaceable",
        **shown,
        **unit,
        successor=units[0].camera_id,
        old=camera.identity or "?",
    )


def check_identity(box: BoxFacts, camera: Camera) -> HealthFinding | None:
    """Check that the unit recorded under this name is the one that was accepted; return None where it is."""
    name = f"cameras.{camera.camera_id}.identity"
    if camera.exchanged and camera.verdict.recordable:
        shown = {"camera_id": camera.camera_id, "old": camera.accepted, "serial": camera.identity or "?"}
        return report_problem(name, "critical", "cameras.exchanged" if camera.up else "cameras.exchanged_idle", **shown)
    if camera.unverified_since:
        since = camera.unverified_since.astimezone(box.zone).strftime("%Y-%m-%d %H:%M:%S")
        return report_problem(name, "warning", "cameras.unverified", camera_id=camera.camera_id, since=since)
    return None


def _describe_camera(camera: Camera, line: str) -> str:
    """Return which camera `line` is about, with its address where the line does not contain it."""
    key = "doctor.cameras.named" if camera.address in line else "doctor.cameras.where"
    return i18n.translate(key, camera_id=camera.camera_id, address=camera.address)


def _check_model_list(box: BoxFacts) -> HealthFinding:
    try:
        received = box.state_dir / RECEIVED_NAME
        approved = model_list.load_newest_list(box.model_list, box.model_list_key, received=received).approved
    except SettingsError as error:
        return report_error("cameras.list", "critical", error)
    if not approved.models:
        return report_problem("cameras.list", "critical", "cameras.list_empty", file=box.model_list)
    return report_ok("cameras.list", "cameras.list_ok", count=len(approved.models), issuer=approved.issuer or "-")
