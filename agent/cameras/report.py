"""Reporting of what the camera watch found: catalog rows, events, alerts, and the retained message of each camera."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from agent import i18n
from agent.cameras import replacement, retired_ids
from agent.cameras.camera_clock import describe_clock_error
from agent.catalog import Catalog
from agent.catalog.cameras import build_camera_object
from agent.core.alert_model import AlertKind
from agent.core.camera_model import Camera, Verdict
from agent.core.clock import Clock, is_set

log = logging.getLogger(__name__)
_REPLACED_FOR = timedelta(days=7)
_UNVERIFIED = timedelta(minutes=3)
"""How long a camera may be recorded without a check of its identity before there is an alert: a reboot takes a minute."""


class CameraReporter:
    """Writes the results of searches to the catalog; not thread-safe. `clock_bound_s`: largest clock error without an alert."""

    def __init__(self, catalog: Catalog, clock: Clock, clock_bound_s: float) -> None:
        self._catalog = catalog
        self._clock = clock
        self._clock_bound_s = clock_bound_s
        self._published: dict[str, Mapping[str, object]] = {}
        self._unverified: dict[str, bool] = {}

    def take(
        self,
        camera: Camera,
        before: Camera | None,
        replaces: Camera | None,
        *,
        busy: bool = False,
        identified: bool = True,
        asked_on: datetime | None = None,
    ) -> None:
        """Record a camera that answered, with its verdict.

        `identified`: model and serial were read too; `asked_on`: begin of the recorder's connection during which it was
        asked. `busy`: it is being recorded, and the recorder knows better whether pictures arrive.
        """
        now = self._clock.now()
        if replaces is not None:
            change = {"old": replaces.camera_id, "old_serial": replaces.serial, "serial": camera.serial}
            self._catalog.events.add("camera.replaced", now, camera_id=camera.camera_id, detail=change)
        camera = replace(camera, reasons=(*camera.reasons, *self._describe_replacement(camera)))
        exchanged = before is not None and identified and replacement.is_other_unit(before, camera)
        if before is None:
            self._catalog.cameras.put(camera, now)
        elif not self._catalog.cameras.renew(camera, now, other_unit=exchanged):
            return
        if identified:
            self._catalog.cameras.checked(camera.camera_id, camera.identity, now, asked_on)
        if before is not None and exchanged:
            replacement.record_exchange(self._catalog, camera, before, now)
        replacement.update_exchange_alert(self._catalog, camera, now)
        if before is None or before.verdict is not camera.verdict:
            was = before.verdict.value if before else None
            detail: dict[str, object] = {"was": was, "verdict": camera.verdict.value, "reasons": list(camera.reasons)}
            self._catalog.events.add("camera.verdict", now, camera_id=camera.camera_id, detail=detail)
            _log_verdict(camera)
        if before is not None and before.address != camera.address:
            move = {"was": before.address, "address": camera.address}
            self._catalog.events.add("camera.moved", now, camera_id=camera.camera_id, detail=move)
        self._set_alert(AlertKind.CAMERA_REFUSED, camera, camera.verdict is Verdict.REFUSED)
        self._set_alert(AlertKind.CAMERA_FAULTY, camera, camera.verdict is Verdict.FAULTY)
        offline = self._catalog.alerts.open_one(AlertKind.CAMERA_OFFLINE, camera.camera_id)
        if offline and not (busy and offline.class_id):
            self._set_alert(AlertKind.CAMERA_OFFLINE, camera, False)
        offset = camera.clock_offset_s
        wrong = offset is not None and abs(offset) > self._clock_bound_s
        # a box whose own clock is not set cannot determine which of the two is wrong
        if is_set(self._clock):
            self._set_alert(
                AlertKind.CAMERA_CLOCK, camera, wrong, describe_clock_error(camera.camera_id, offset or 0.0)
            )

    def rename(self, camera: Camera, camera_id: str) -> None:
        """Move a camera to the ID that the settings give it; only recordings stay under the old one."""
        now, old = self._clock.now(), camera.camera_id
        self._catalog.cameras.rename(old, camera_id)
        self._catalog.events.add("camera.renamed", now, camera_id=camera_id, detail={"was": old})
        retired_ids.retire_camera_id(self._catalog, old, now, but=(camera_id,))
        self._published.pop(old, None)
        log.info("%s", i18n.translate("cameras.renamed", old=old, camera_id=camera_id))

    def retired(self) -> list[str]:
        """Return the IDs that cameras had and lost."""
        return retired_ids.list_retired_ids(self._catalog)

    def displace(self, camera: Camera, successor: str, *, wanted: bool, moved: bool) -> None:
        """Report that another unit, which does not take over this camera's ID, answers where the camera was.

        `moved`: that unit had another address before, as happens when DHCP reassigns addresses; then there is no alert.
        """
        other = self._catalog.cameras.get(successor)
        if other is None:
            self.unmet(camera)
            return
        news = wanted and camera.successor != successor
        self._record_unreachable(
            replace(camera, successor=successor), replacement.describe_displacement(camera, other), news
        )
        if news and not moved:
            replacement.report_displacement(self._catalog, camera, other, self._clock.now())

    def lose(self, camera: Camera, *, wanted: bool) -> None:
        """Report a camera that no longer answers and whose stream is down; with `wanted`, raise an alert."""
        self._record_unreachable(camera, i18n.translate("cameras.lost"), wanted)

    def _record_unreachable(self, camera: Camera, reason: str, wanted: bool) -> None:
        seen = self._catalog.cameras.seen_at(camera.camera_id) or self._clock.now()
        lost = replace(camera, verdict=Verdict.UNREACHABLE, reasons=(reason,))
        if not self._catalog.cameras.renew(lost, seen):
            return
        if camera.verdict is not Verdict.UNREACHABLE:
            detail: dict[str, object] = {
                "was": camera.verdict.value,
                "verdict": lost.verdict.value,
                "reasons": [reason],
            }
            detail |= {"successor": camera.successor} if camera.successor else {}
            self._catalog.events.add("camera.verdict", self._clock.now(), camera_id=camera.camera_id, detail=detail)
            _log_verdict(lost)
        for kind in (AlertKind.CAMERA_REFUSED, AlertKind.CAMERA_FAULTY, AlertKind.CAMERA_CLOCK):
            self._set_alert(kind, lost, False)
        if wanted:
            self._set_alert(AlertKind.CAMERA_OFFLINE, lost, True)

    def unmet(self, camera: Camera) -> None:
        """Note that a camera was not found in this search.

        The recorder's request for a search counts as answered, so that it may ask again. A camera that is being recorded is
        not unreachable.
        """
        if camera.up and camera.verdict is Verdict.UNREACHABLE and camera.recordable:
            camera = replace(camera, verdict=camera.judged, reasons=())
        self._catalog.cameras.renew(camera, self._catalog.cameras.seen_at(camera.camera_id) or self._clock.now())

    def publish(self) -> None:
        """Put the retained message of each camera that has changed into the outbox; `up`, set by the recorder, counts too."""
        cameras = self._catalog.cameras.all()
        self._published = {c.camera_id: self._published.get(c.camera_id, {}) for c in cameras}
        for camera in cameras:
            self._update_unverified_alert(camera)
            data = build_camera_object(camera, self._catalog.zone)
            if self._published.get(camera.camera_id) != data:
                topic = f"camera/{camera.camera_id}"
                with self._catalog.store.write():
                    if self._catalog.cameras.get(camera.camera_id):  # not forgotten just now
                        self._catalog.outbox.put(topic, "camera", data, self._clock.now(), retained=True)
                self._published[camera.camera_id] = data

    def _update_unverified_alert(self, camera: Camera) -> None:
        """Update the alert `camera.unverified`: recorded for minutes, while its identity could not be checked."""
        since, now = camera.unverified_since, self._clock.now()
        if since is None or camera.connected_at is None:
            if self._unverified.pop(camera.camera_id, True):
                self._set_alert(AlertKind.CAMERA_UNVERIFIED, camera, False)
            self._unverified[camera.camera_id] = False
        elif now - camera.connected_at >= _UNVERIFIED:
            at = since.astimezone(self._catalog.zone).strftime("%Y-%m-%d %H:%M:%S")
            text = i18n.translate("cameras.unverified", camera_id=camera.camera_id, address=camera.address, since=at)
            self._set_alert(AlertKind.CAMERA_UNVERIFIED, camera, True, text)
            self._unverified[camera.camera_id] = True

    def _describe_replacement(self, camera: Camera) -> list[str]:
        """Return the sentence that names the replaced camera, for a week: long enough for the planner to notice."""
        event = self._catalog.events.last("camera.replaced", camera.camera_id)
        if event is None or event.detail["serial"] != camera.serial or self._clock.now() - event.at > _REPLACED_FOR:
            return []
        old = {"old": event.detail["old"], "old_serial": event.detail["old_serial"]}
        return [i18n.translate("cameras.replaced", serial=camera.serial or "?", **old)]

    def _set_alert(self, kind: AlertKind, camera: Camera, on: bool, message: str = "") -> None:
        now = self._clock.now()
        if on:
            text = message or f"{camera.camera_id} ({camera.address}): " + "; ".join(camera.reasons)
            self._catalog.alerts.raise_(kind, camera.camera_id, text, now, camera_id=camera.camera_id)
        else:
            self._catalog.alerts.clear(kind, camera.camera_id, now)


def _log_verdict(camera: Camera) -> None:
    verdict = i18n.translate(f"cameras.verdict.{camera.verdict.value}")
    reasons = i18n.translate("cameras.reason_joint").join(camera.reasons)
    log.info(
        "%s",
        i18n.translate(
            "cameras.judged", camera_id=camera.camera_id, address=camera.address, verdict=verdict, reasons=reasons
        ),
    )
