"""The change of a drive: a check list, and a button that has the agent seal and verify it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from starlette.responses import Response

from agent.core.drive_change import DriveChange, find_busy_class
from agent.core.errors import DriveError, InputError
from agent.drive import Drive
from agent.inspection import evidence
from agent.web.site import PageVisit


@dataclass(frozen=True, slots=True)
class AttachedDrive:
    """An attached drive. `open_classes`: classes on it that are not sealed; `change`: its change, if one was asked for."""

    drive: Drive
    sealed: bool
    open_classes: int
    free: int
    change: DriveChange | None


def show_drives(v: PageVisit) -> Response:
    """Show the attached drives with the steps of a change."""
    v.note_once("view.drives")
    return _page(v)


def _page(v: PageVisit, status: int = 200, fault: str = "", to: str = "") -> Response:
    busy = find_busy_class(v.site.classes(), v.site.clock.now())
    change = v.site.catalog.drive_changes.last()
    rows = [_describe(drive, change) for drive in _attached(v).values()]
    return v.page(
        "drives.html", status, rows=rows, busy=busy, change=change, fault=fault, to=to, configured=v.site.options.drives
    )


def _attached(v: PageVisit) -> dict[str, Drive]:
    return evidence.find_attached_drives(v.site.options.drives)


def _describe(drive: Drive, change: DriveChange | None) -> AttachedDrive:
    mine = change if change and change.drive_id == drive.drive_id else None
    try:
        opened = sum(not drive.is_sealed(folder) for folder in drive.class_folders())
        return AttachedDrive(drive, drive.is_sealed(), opened, drive.free_bytes(), mine)
    except (DriveError, OSError):
        return AttachedDrive(drive, False, 0, 0, mine)


def ask_change(v: PageVisit) -> Response:
    """Ask the agent to seal and verify a drive; what is wrong is said, and what was typed kept."""
    to = v.form.get("to", "").strip()[:100]
    try:
        change = _read_change(v, to)
    except InputError as error:
        return _page(v, 400, v.say(error), to)
    v.site.catalog.drive_changes.put(change)
    v.note("drive.change", change.drive_id, {"to": to})
    return v.go("/drives")


def _read_change(v: PageVisit, to: str) -> DriveChange:
    drive = _attached(v).get(v.form.get("drive", ""))
    last = v.site.catalog.drive_changes.last()
    if drive is None:
        raise InputError("drive.change_gone")
    if v.form.get("agreed") != "yes":
        raise InputError("drive.change_agree")
    if last and last.running:
        raise InputError("drive.change_running")
    if busy := find_busy_class(v.site.classes(), v.site.clock.now()):
        raise InputError("drive.change_busy", class_id=busy)
    by = v.me.name if v.me else ""
    found = DriveChange(drive.drive_id, str(drive.root), to, by, v.site.clock.now())
    return replace(found, state="asked")
