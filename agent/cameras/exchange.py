"""Another unit in a camera's place: who may take over its name, what is told, and how it is accepted.

A camera is its serial, not its address. A unit of the same model that the list admits takes over the name of the camera in
whose place it answers, so that a lesson is not lost; the bureau hears of it, and the view must be confirmed anew. Any other
unit gets a name and a verdict of its own, and nothing is recorded under the old name.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from agent import words
from agent.cameras.device import Description
from agent.catalog import Catalog
from agent.clock import Clock
from agent.errors import InputError
from agent.model import AlertKind, Camera

EVENT = "camera.unit_changed"
"""Event of the camera whose unit changed: from then on no earlier confirmation of its view counts."""


def in_place_of(camera: Camera, address: str, found: Description) -> bool:
    """Whether the device described at `address` answers where `camera` is asked or recorded."""
    mine = _place(camera.main_stream.uri) if camera.main_stream else None
    return address == camera.address or mine in {_place(stream.uri) for stream in found.streams}


def same_model(camera: Camera, found: Description | Camera) -> bool:
    """Whether both are of one maker and model, however they are spelt."""
    return _plain(camera.manufacturer, camera.model) == _plain(found.manufacturer, found.model)


def other_unit(before: Camera, found: Description | Camera) -> bool:
    """Whether the device described is another one than `before`: by its serial, or by its model where they share one."""
    return before.identity not in ("", found.identity) or (bool(before.model) and not same_model(before, found))


def note(catalog: Catalog, camera: Camera, before: Camera, now: datetime) -> None:
    """Record that `camera` now is another unit than `before` under the same name."""
    detail = {"old_serial": before.identity, "serial": camera.identity, "model": camera.model}
    catalog.events.add(EVENT, now, camera_id=camera.camera_id, detail=detail)


def tell(catalog: Catalog, camera: Camera, now: datetime) -> None:
    """Keep `camera.exchanged` true for a camera that answered: open until the unit is accepted or the accepted one is back."""
    if not camera.exchanged:
        catalog.alerts.clear(AlertKind.CAMERA_EXCHANGED, camera.camera_id, now)
        return
    text = words.text(
        "cameras.exchanged",
        camera_id=camera.camera_id,
        address=camera.address,
        model=camera.model,
        serial=camera.identity or "?",
        old_serial=camera.accepted,
    )
    _raise(
        catalog, camera, text, now, {"old_serial": camera.accepted, "serial": camera.identity, "model": camera.model}
    )


def tell_displaced(catalog: Catalog, camera: Camera, other: Camera, now: datetime) -> None:
    """Record that `other`, which may not take over the name, answers in the place of `camera`."""
    detail = {
        "old_serial": camera.identity,
        "serial": other.identity,
        "model": other.model,
        "successor": other.camera_id,
    }
    catalog.events.add(EVENT, now, camera_id=camera.camera_id, detail=detail)
    text = f"{camera.camera_id} ({camera.address}): {reason(other)}"
    _raise(catalog, camera, text, now, detail)


def reason(other: Camera) -> str:
    """Why nothing is recorded from the camera in whose place `other` answers, in the box's language."""
    shown = {"serial": other.identity or "?", "model": other.model or "?"}
    return words.text("cameras.displaced", successor=other.camera_id, **shown)


def accept(catalog: Catalog, clock: Clock, camera_id: str, who: str) -> Camera:
    """Accept the unit that stands under `camera_id` now, for `who`; audited, and the bureau is told.

    Raises InputError where there is no such camera or nothing to accept.
    """
    camera = catalog.cameras.get(camera_id)
    if camera is None:
        known = ", ".join(c.camera_id for c in catalog.cameras.all()) or "-"
        raise InputError("cameras.no_such", camera_id=camera_id, known=known)
    if not camera.exchanged:
        raise InputError("cameras.not_exchanged", camera_id=camera_id, serial=camera.identity or "?")
    now = clock.now()
    detail = {"old_serial": camera.accepted, "serial": camera.identity, "model": camera.model}
    with catalog.store.write():
        catalog.cameras.accept(camera_id)
        catalog.events.add("camera.accepted", now, camera_id=camera_id, detail={**detail, "who": who})
        catalog.audit.add(now, who, "camera.accept", camera_id, detail)
        text = words.text("cameras.accepted", camera_id=camera_id, serial=camera.identity or "?", who=who)
        # the last word about the matter names who took it upon himself
        if catalog.alerts.open_one(AlertKind.CAMERA_EXCHANGED, camera_id):
            _raise(catalog, camera, text, now, {**detail, "who": who})
        catalog.alerts.clear(AlertKind.CAMERA_EXCHANGED, camera_id, now)
    return camera


def may_succeed(camera: Camera, address: str, found: Description, pinned: Collection[str]) -> bool:
    """Whether an admitted unit may take over the name of `camera`; `pinned` are the names that settings tie to a serial."""
    return (
        camera.camera_id not in pinned
        and bool(camera.identity)
        and in_place_of(camera, address, found)
        and same_model(camera, found)
    )


def _raise(catalog: Catalog, camera: Camera, text: str, now: datetime, evidence: dict[str, Any]) -> None:
    catalog.alerts.raise_(
        AlertKind.CAMERA_EXCHANGED, camera.camera_id, text, now, camera_id=camera.camera_id, evidence=evidence
    )


def _place(uri: str) -> tuple[str, int, str, str]:
    """Host, port and path of a stream: one recorder of a site may hand out many cameras' streams at one port."""
    parts = urlsplit(uri)
    return parts.hostname or "", parts.port or 554, parts.path, parts.query


def _plain(*names: str) -> tuple[str, ...]:
    return tuple(" ".join(name.casefold().split()) for name in names)
