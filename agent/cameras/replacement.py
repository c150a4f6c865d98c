"""Exchange of a camera by another unit: who may take over its ID, what is reported, and how it is accepted.

A camera is identified by its serial, not by its address. A unit of the same model that the list admits takes over the ID of
the camera in whose place it answers, so that no lesson is lost; the bureau is notified, and the view must be confirmed again.
Any other unit gets an ID and a verdict of its own, and nothing is recorded under the old ID.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import datetime
from urllib.parse import urlsplit

from agent import i18n
from agent.cameras.device import DeviceDescription
from agent.catalog import Catalog, calibrations
from agent.core.alert_model import AlertKind
from agent.core.camera_model import Camera
from agent.core.clock import Clock
from agent.core.errors import InputError

UNIT_CHANGED_EVENT = "camera.unit_changed"
"""Event of a camera whose unit changed: earlier confirmations of its view are void from then on."""


def is_in_place_of(camera: Camera, address: str, found: DeviceDescription) -> bool:
    """Return whether the device described at `address` answers where `camera` is contacted or recorded."""
    mine = _parse_place(camera.main_stream.uri) if camera.main_stream else None
    return address == camera.address or mine in {_parse_place(stream.uri) for stream in found.streams}


def is_same_model(camera: Camera, found: DeviceDescription | Camera) -> bool:
    """Return whether both have the same manufacturer and model, regardless of case and spaces."""
    return _normalize_names(camera.manufacturer, camera.model) == _normalize_names(found.manufacturer, found.model)


def is_other_unit(before: Camera, found: DeviceDescription | Camera) -> bool:
    """Return whether the described device is another unit than `before`: by identity, or by model where that is the same."""
    return before.identity not in ("", found.identity) or (bool(before.model) and not is_same_model(before, found))


def record_exchange(catalog: Catalog, camera: Camera, before: Camera, now: datetime) -> None:
    """Record the event that `camera` is now another unit than `before` under the same ID."""
    detail = {"old_serial": before.identity, "serial": camera.identity, "model": camera.model}
    catalog.events.add(UNIT_CHANGED_EVENT, now, camera_id=camera.camera_id, detail=detail)


def update_exchange_alert(catalog: Catalog, camera: Camera, now: datetime) -> None:
    """Update the alert `camera.exchanged` of a camera that answered.

    It stays open until the unit is accepted or the accepted one is back.
    """
    if not camera.exchanged:
        catalog.alerts.clear(AlertKind.CAMERA_EXCHANGED, camera.camera_id, now)
        return
    text = i18n.translate(
        "cameras.exchanged",
        camera_id=camera.camera_id,
        address=camera.address,
        model=camera.model,
        serial=camera.identity or "?",
        old_serial=camera.accepted,
    )
    _raise_exchange_alert(
        catalog, camera, text, now, {"old_serial": camera.accepted, "serial": camera.identity, "model": camera.model}
    )


def report_displacement(catalog: Catalog, camera: Camera, other: Camera, now: datetime) -> None:
    """Record and alert that `other`, which may not take over the ID, answers in the place of `camera`."""
    detail = {
        "old_serial": camera.identity,
        "serial": other.identity,
        "model": other.model,
        "successor": other.camera_id,
    }
    catalog.events.add(UNIT_CHANGED_EVENT, now, camera_id=camera.camera_id, detail=detail)
    text = f"{camera.camera_id} ({camera.address}): {describe_displacement(camera, other)}"
    _raise_exchange_alert(catalog, camera, text, now, detail)


def describe_displacement(camera: Camera, other: Camera) -> str:
    """Return why nothing is recorded from `camera`, in whose place `other` answers, in the box's language."""
    shown = {"serial": other.identity or "?", "model": other.model or "?", "successor": other.camera_id}
    if other.verdict.recordable:
        return i18n.translate("cameras.displaced_admitted", camera_id=camera.camera_id, **shown)
    return i18n.translate("cameras.displaced", **shown)


def accept_unit(catalog: Catalog, clock: Clock, camera_id: str, who: str) -> Camera:
    """Accept the unit that has `camera_id` now, on behalf of `who`; audited and reported to the bureau.

    Raises InputError if there is no such camera or nothing to accept.
    """
    camera = catalog.cameras.need(camera_id)
    if not camera.exchanged:
        raise InputError("cameras.not_exchanged", camera_id=camera_id, serial=camera.identity or "?")
    detail = {"old_serial": camera.accepted, "serial": camera.identity, "model": camera.model}
    with catalog.store.write():
        catalog.cameras.accept(camera_id)
        record_acceptance(catalog, clock.now(), camera, "camera.accept", who, detail)
    return camera


def record_acceptance(
    catalog: Catalog, now: datetime, camera: Camera, action: str, who: str, detail: Mapping[str, object]
) -> None:
    """Record that `who` accepted the unit `camera`: event, audit entry, and the alert that tells the bureau.

    The calibration of the former unit ends: it holds for what that one saw.
    """
    camera_id = camera.camera_id
    ended = calibrations.end_calibration(catalog.facts, camera_id)
    detail = {**detail, "calibration": json.loads(ended)} if ended else detail
    catalog.events.add("camera.accepted", now, camera_id=camera_id, detail={**detail, "who": who})
    catalog.audit.add(now, who, action, camera_id, detail)
    text = i18n.translate("cameras.accepted", camera_id=camera_id, serial=camera.identity or "?", who=who)
    # the last text of the alert names the person who accepted the unit
    _raise_exchange_alert(catalog, camera, text, now, {**detail, "who": who})
    catalog.alerts.clear(AlertKind.CAMERA_EXCHANGED, camera_id, now)


def may_take_over(camera: Camera, address: str, found: DeviceDescription, pinned: Collection[str]) -> bool:
    """Return whether an admitted unit may take over the ID of `camera`; `pinned`: IDs that the settings tie to a serial."""
    return (
        camera.camera_id not in pinned
        and bool(camera.identity)
        and is_in_place_of(camera, address, found)
        and is_same_model(camera, found)
    )


def _raise_exchange_alert(
    catalog: Catalog, camera: Camera, text: str, now: datetime, evidence: Mapping[str, object]
) -> None:
    catalog.alerts.raise_(
        AlertKind.CAMERA_EXCHANGED, camera.camera_id, text, now, camera_id=camera.camera_id, evidence=evidence
    )


def _parse_place(uri: str) -> tuple[str, int, str, str]:
    """Return host, port, path and query of a stream: one NVR may serve the streams of many cameras at one port."""
    parts = urlsplit(uri)
    return parts.hostname or "", parts.port or 554, parts.path, parts.query


def _normalize_names(*names: str) -> tuple[str, ...]:
    return tuple(" ".join(name.casefold().split()) for name in names)
