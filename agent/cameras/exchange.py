"""Exchange of a camera by another unit: who may take over its ID, what is reported, and how it is accepted.

A camera is identified by its serial, not by its address. A unit of the same model that the list admits takes over the ID of
the camera in whose place it answers, so that no lesson is lost; the bureau is notified, and the view must be confirmed again.
Any other unit gets an ID and a verdict of its own, and nothing is recorded under the old ID.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from urllib.parse import urlsplit

from agent import words
from agent.cameras.device import Description
from agent.catalog import Catalog
from agent.clock import Clock
from agent.errors import InputError
from agent.model_alerts import AlertKind
from agent.model_cameras import Camera

EVENT = "camera.unit_changed"
"""Event of a camera whose unit changed: earlier confirmations of its view are void from then on."""


def in_place_of(camera: Camera, address: str, found: Description) -> bool:
    """Return whether the device described at `address` answers where `camera` is contacted or recorded."""
    mine = _place(camera.main_stream.uri) if camera.main_stream else None
    return address == camera.address or mine in {_place(stream.uri) for stream in found.streams}


def same_model(camera: Camera, found: Description | Camera) -> bool:
    """Return whether both have the same manufacturer and model, regardless of case and spaces."""
    return _plain(camera.manufacturer, camera.model) == _plain(found.manufacturer, found.model)


def other_unit(before: Camera, found: Description | Camera) -> bool:
    """Return whether the described device is another unit than `before`: by identity, or by model where that is the same."""
    return before.identity not in ("", found.identity) or (bool(before.model) and not same_model(before, found))


def note(catalog: Catalog, camera: Camera, before: Camera, now: datetime) -> None:
    """Record the event that `camera` is now another unit than `before` under the same ID."""
    detail = {"old_serial": before.identity, "serial": camera.identity, "model": camera.model}
    catalog.events.add(EVENT, now, camera_id=camera.camera_id, detail=detail)


def tell(catalog: Catalog, camera: Camera, now: datetime) -> None:
    """Update the alert `camera.exchanged` of a camera that answered.

    It stays open until the unit is accepted or the accepted one is back.
    """
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
    """Record and alert that `other`, which may not take over the ID, answers in the place of `camera`."""
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
    """Return why nothing is recorded from the camera in whose place `other` answers, in the box's language."""
    shown = {"serial": other.identity or "?", "model": other.model or "?"}
    return words.text("cameras.displaced", successor=other.camera_id, **shown)


def accept(catalog: Catalog, clock: Clock, camera_id: str, who: str) -> Camera:
    """Accept the unit that has `camera_id` now, on behalf of `who`; audited and reported to the bureau.

    Raises InputError if there is no such camera or nothing to accept.
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
        # the last text of the alert names the person who accepted the unit
        if catalog.alerts.open_one(AlertKind.CAMERA_EXCHANGED, camera_id):
            _raise(catalog, camera, text, now, {**detail, "who": who})
        catalog.alerts.clear(AlertKind.CAMERA_EXCHANGED, camera_id, now)
    return camera


def may_succeed(camera: Camera, address: str, found: Description, pinned: Collection[str]) -> bool:
    """Return whether an admitted unit may take over the ID of `camera`; `pinned`: IDs that the settings tie to a serial."""
    return (
        camera.camera_id not in pinned
        and bool(camera.identity)
        and in_place_of(camera, address, found)
        and same_model(camera, found)
    )


def _raise(catalog: Catalog, camera: Camera, text: str, now: datetime, evidence: Mapping[str, object]) -> None:
    catalog.alerts.raise_(
        AlertKind.CAMERA_EXCHANGED, camera.camera_id, text, now, camera_id=camera.camera_id, evidence=evidence
    )


def _place(uri: str) -> tuple[str, int, str, str]:
    """Return host, port, path and query of a stream: one NVR may serve the streams of many cameras at one port."""
    parts = urlsplit(uri)
    return parts.hostname or "", parts.port or 554, parts.path, parts.query


def _plain(*names: str) -> tuple[str, ...]:
    return tuple(" ".join(name.casefold().split()) for name in names)
