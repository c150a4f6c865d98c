"""`site-agent discover --fix`: sets camera parameters that differ from the requirement of the bureau's list."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from agent import i18n
from agent.cameras import admission, parameters
from agent.cameras.device import DeviceDescription, describe_device
from agent.cameras.discovery import ProbeMatch
from agent.cameras.parameters import ParameterChange
from agent.cameras.registry import NamedSighting
from agent.cameras.search import CameraFinder
from agent.commands import common
from agent.core.camera_models import ModelList, Requirement
from agent.core.errors import CameraError


def fix_all(cameras: Sequence[NamedSighting], finder: CameraFinder, approved: ModelList, ntp: str) -> int:
    """Show what differs from the requirement, ask, set, read back; return 1 where something could not be set."""
    failed = False
    for named in cameras:
        found = named.sighting.description
        require = admission.find_requirement(found, approved) if found else None
        if found is None or require is None:
            continue
        camera = _CameraFix(named, finder, require, ntp)
        try:
            failed |= not _offer_changes(camera, found)
        except CameraError as error:
            common.print_message(f"{named.camera_id}: {error}")
            failed = True
    return int(failed)


class _CameraFix:
    """One camera whose parameters are being set."""

    def __init__(self, named: NamedSighting, finder: CameraFinder, require: Requirement, ntp: str) -> None:
        self.camera_id, self.address = named.camera_id, named.sighting.address
        self._match = ProbeMatch(named.sighting.endpoint, named.sighting.host, (f"http://{self.address}",))
        self._finder, self._require, self._ntp = finder, require, ntp

    def plan(self, found: DeviceDescription) -> list[ParameterChange]:
        session = self._finder.session(found.url, self._match)
        session.read_clock()
        return parameters.plan_changes(session, self._finder.transport, found, self._require, self._ntp)

    def look_again(self, found: DeviceDescription) -> DeviceDescription:
        return describe_device(self._finder.session(found.url, self._match), self._finder.transport)


def _offer_changes(camera: _CameraFix, found: DeviceDescription) -> bool:
    changes = camera.plan(found)
    if not changes:
        common.print_message(i18n.translate("cameras.fix_none", camera_id=camera.camera_id))
        return True
    for change in changes:
        common.print_message(
            i18n.translate("cameras.fix_change", name=change.name, before=change.before, after=change.after)
        )
    sys.stderr.write(i18n.translate("cameras.fix_ask", camera_id=camera.camera_id, address=camera.address))
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() != "yes":
        common.print_message(i18n.translate("cameras.fix_skipped", camera_id=camera.camera_id))
        return True
    problems = {change.name: problem for change in changes if (problem := _apply_change(change))}
    # a camera may report success and change nothing
    kept = {change.name for change in camera.plan(camera.look_again(found))}
    for change in changes:
        problem = problems.get(change.name) or (i18n.translate("cameras.fix_kept") if change.name in kept else "")
        key = "cameras.fix_failed" if problem else "cameras.fix_done"
        common.print_message(i18n.translate(key, name=change.name, after=change.after, detail=problem))
        problems[change.name] = problem
    return not any(problems.values())


def _apply_change(change: ParameterChange) -> str:
    try:
        change.apply()
    except CameraError as error:
        return str(error)
    return ""
