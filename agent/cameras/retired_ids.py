"""Retired camera IDs, which are never assigned again: recordings under one belong to the camera that had it."""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import datetime

from agent.catalog import Catalog

_FACT = "cameras.retired"


def list_retired_ids(catalog: Catalog) -> list[str]:
    """Return the IDs that cameras had and lost."""
    return list(json.loads(catalog.facts.get(_FACT) or "[]"))


def retire_camera_id(catalog: Catalog, camera_id: str, now: datetime, *, but: Collection[str] = ()) -> None:
    """Retire the ID of a camera whose row was removed: clear its alerts and remove its retained message.

    Only its recordings stay. IDs in `but` are in use again and are not retired.
    """
    with catalog.store.write():
        catalog.facts.put(_FACT, json.dumps(sorted({*list_retired_ids(catalog), camera_id} - set(but))))
        for alert in catalog.alerts.opened():
            if camera_id == alert.camera_id:
                catalog.alerts.clear(alert.kind, alert.subject, now)
        catalog.outbox.forget(f"camera/{camera_id}", now)


def forget_camera(catalog: Catalog, camera_id: str, now: datetime, who: str) -> None:
    """Remove a camera from the catalog; event and audit entry record who did it.

    A search in progress does not bring it back (see `Cameras.renew`).
    """
    with catalog.store.write():
        camera = catalog.cameras.get(camera_id)
        if camera is None:
            return
        catalog.cameras.remove(camera_id)
        retire_camera_id(catalog, camera_id, now)
        what = {"serial": camera.serial, "address": camera.address, "model": camera.model}
        catalog.events.add("camera.forgotten", now, camera_id=camera_id, detail={**what, "by": who})
        catalog.audit.add(now, who, "camera.forget", camera_id, what)
