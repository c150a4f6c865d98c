"""Replacement of a camera by another unit on a person's word: which unit may take over its ID, and the takeover.

A unit of the same model in the same place takes over by itself (replacement.py). This is for the others: a unit at another
address, or of another approved model. Nothing that was recorded before changes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from agent.cameras import replacement, retired_ids
from agent.catalog import Catalog
from agent.core.camera_model import Camera, Verdict
from agent.core.class_model import TrainingClass
from agent.core.clock import Clock
from agent.core.errors import InputError

REPLACE_ACTION = "camera.replace"


@dataclass(frozen=True, slots=True)
class ReservedIds:
    """Camera IDs that are in use: `planned` by classes, `named` by the settings, `pinned` by them to one serial."""

    planned: Collection[str] = ()
    named: Collection[str] = ()
    pinned: Collection[str] = ()

    def with_classes(self, classes: Iterable[TrainingClass]) -> ReservedIds:
        """Return the same with the cameras of these classes as planned."""
        planned = {camera_id for cls in classes for room in cls.rooms for camera_id in room.cameras}
        return replace(self, planned=frozenset(planned))


def list_candidates(catalog: Catalog, camera: Camera, reserved: ReservedIds) -> list[Camera]:
    """Return the units that may take over the ID of a camera that is gone.

    Where another unit answers in its place, that one only.
    """
    if not _is_gone(camera) or camera.camera_id in reserved.pinned:
        return []
    others = [c for c in catalog.cameras.all() if c.camera_id != camera.camera_id]
    there = [c for c in others if c.camera_id == camera.successor] or others
    return [c for c in there if _is_fit(catalog, c, reserved)]


def replace_unit(
    catalog: Catalog, clock: Clock, camera_id: str, who: str, reserved: ReservedIds, chosen: str = ""
) -> Camera:
    """Give the ID `camera_id` to another unit on behalf of `who`; return its row.

    `chosen`: the present ID of that unit, needed where there are several. Audited and reported to the bureau; the view must
    be confirmed and the calibration be made anew. Raises InputError where no unit may take over.
    """
    with catalog.store.write():  # one transaction, so that no search comes between check and takeover
        camera = catalog.cameras.need(camera_id)
        if camera.exchanged and camera.verdict.recordable and chosen in ("", camera_id):
            return _accept_present(catalog, clock, camera, who)
        _check_replaceable(camera, reserved)
        unit = _choose_unit(catalog, camera, reserved, chosen)
        now = clock.now()
        made = replace(unit, camera_id=camera_id, accepted=unit.identity, up=False, successor="")
        catalog.cameras.take_over(camera_id, unit.camera_id, now)
        retired_ids.retire_camera_id(catalog, unit.camera_id, now)
        replacement.record_exchange(catalog, made, camera, now)
        detail = {
            "old_serial": camera.identity,
            "old_model": camera.model,
            "old_address": camera.address,
            "serial": made.identity,
            "model": made.model,
            "address": made.address,
            "was": unit.camera_id,
        }
        replacement.record_acceptance(catalog, now, made, REPLACE_ACTION, who, detail)
    return made


def _accept_present(catalog: Catalog, clock: Clock, camera: Camera, who: str) -> Camera:
    """Accept the unit of the same model that took over by itself."""
    detail = {"old_serial": camera.accepted, "serial": camera.identity, "model": camera.model}
    catalog.cameras.accept(camera.camera_id)
    replacement.record_acceptance(catalog, clock.now(), camera, REPLACE_ACTION, who, detail)
    return camera


def _check_replaceable(camera: Camera, reserved: ReservedIds) -> None:
    shown = {"camera_id": camera.camera_id, "serial": camera.identity or "?", "address": camera.address}
    if camera.verdict is Verdict.REFUSED:
        raise InputError("cameras.replace_refused", **shown, reasons="; ".join(camera.reasons))
    if not _is_gone(camera):
        raise InputError("cameras.replace_answers", **shown)
    if camera.camera_id in reserved.pinned:
        raise InputError("cameras.replace_pinned", **shown)


def _choose_unit(catalog: Catalog, camera: Camera, reserved: ReservedIds, chosen: str) -> Camera:
    """Return the unit that takes over. Raises InputError where there is none, or several and none is chosen."""
    if chosen:
        return _check_unit(catalog, camera, catalog.cameras.need(chosen), reserved)
    if camera.successor and (there := catalog.cameras.get(camera.successor)):
        return _check_unit(catalog, camera, there, reserved)
    found = list_candidates(catalog, camera, reserved)
    if len(found) > 1:
        units = ", ".join(describe_unit(c) for c in found)
        raise InputError("cameras.replace_several", camera_id=camera.camera_id, units=units)
    if not found:
        others = [
            c for c in catalog.cameras.all() if c.verdict is Verdict.REFUSED and not _find_use(catalog, c, reserved)
        ]
        for other in others:
            _check_unit(catalog, camera, other, reserved)
        raise InputError("cameras.replace_none", camera_id=camera.camera_id)
    return found[0]


def _check_unit(catalog: Catalog, camera: Camera, unit: Camera, reserved: ReservedIds) -> Camera:
    shown = {"camera_id": unit.camera_id, "serial": unit.identity or "?", "address": unit.address}
    if unit.verdict is Verdict.UNREACHABLE or unit.camera_id == camera.camera_id:
        raise InputError("cameras.replace_none", camera_id=camera.camera_id)
    use = _find_use(catalog, unit, reserved)
    if use:
        raise InputError(use, **shown)
    if not _is_fit(catalog, unit, reserved):
        raise InputError("cameras.replace_refused", **shown, reasons="; ".join(unit.reasons))
    return unit


def describe_unit(camera: Camera) -> str:
    """Return ID, model, serial and address of a unit in one line."""
    return f"{camera.camera_id} ({camera.model or '?'}, {camera.identity or '?'}, {camera.address})"


def _is_gone(camera: Camera) -> bool:
    """Return whether nothing answers or plays as this camera."""
    return camera.verdict is Verdict.UNREACHABLE and not camera.up


def _is_fit(catalog: Catalog, unit: Camera, reserved: ReservedIds) -> bool:
    return unit.verdict.recordable and bool(unit.identity) and not _find_use(catalog, unit, reserved)


def _find_use(catalog: Catalog, unit: Camera, reserved: ReservedIds) -> str:
    """Return the key of the sentence that says what needs a camera's own ID; "" where nothing does."""
    if unit.camera_id in reserved.planned:
        return "cameras.replace_planned"
    if unit.camera_id in reserved.named:
        return "cameras.replace_named"
    return "cameras.replace_recorded" if catalog.segments.recorded(unit.camera_id) else ""
