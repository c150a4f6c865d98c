"""What the watch tells: catalog rows, events, alerts with a life, and the retained message of each camera."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from agent import words
from agent.cameras.camera_clock import complaint
from agent.catalog import Catalog
from agent.clock import Clock, is_set
from agent.model import AlertKind, Camera, Verdict

log = logging.getLogger(__name__)
_RETIRED = "cameras.retired"
_REPLACED_FOR = timedelta(days=7)


class Reporter:
    def __init__(self, catalog: Catalog, clock: Clock, clock_bound_s: float) -> None:
        self._catalog = catalog
        self._clock = clock
        self._clock_bound_s = clock_bound_s
        self._published: dict[str, Mapping[str, Any]] = {}

    def take(self, camera: Camera, before: Camera | None, replaces: Camera | None, *, busy: bool = False) -> None:
        """A camera that answered, with its verdict. `busy`: its recorder is at work, and knows better whether pictures come."""
        now = self._clock.now()
        if replaces is not None:
            change = {"old": replaces.camera_id, "old_serial": replaces.serial, "serial": camera.serial}
            self._catalog.events.add("camera.replaced", now, camera_id=camera.camera_id, detail=change)
        camera = replace(camera, reasons=(*camera.reasons, *self._replacement(camera)))
        self._catalog.cameras.put(camera, now)
        if before is None or before.verdict is not camera.verdict:
            was = before.verdict.value if before else None
            detail: dict[str, Any] = {"was": was, "verdict": camera.verdict.value, "reasons": list(camera.reasons)}
            self._catalog.events.add("camera.verdict", now, camera_id=camera.camera_id, detail=detail)
            log.info(
                "%s (%s): %s %s", camera.camera_id, camera.address, camera.verdict.value, "; ".join(camera.reasons)
            )
        if before is not None and before.address != camera.address:
            move = {"was": before.address, "address": camera.address}
            self._catalog.events.add("camera.moved", now, camera_id=camera.camera_id, detail=move)
        self._alert(AlertKind.CAMERA_REFUSED, camera, camera.verdict is Verdict.REFUSED)
        self._alert(AlertKind.CAMERA_FAULTY, camera, camera.verdict is Verdict.FAULTY)
        offline = self._catalog.alerts.open_one(AlertKind.CAMERA_OFFLINE, camera.camera_id)
        if offline and not (busy and offline.class_id):
            self._alert(AlertKind.CAMERA_OFFLINE, camera, False)
        offset = camera.clock_offset_s
        wrong = offset is not None and abs(offset) > self._clock_bound_s
        # a box that has no time itself cannot say whose clock is wrong
        if is_set(self._clock):
            self._alert(AlertKind.CAMERA_CLOCK, camera, wrong, complaint(camera.camera_id, offset or 0.0))

    def rename(self, camera: Camera, camera_id: str) -> None:
        """The settings gave a camera another ID: of the old one nothing stays but what was recorded under it."""
        now, old = self._clock.now(), camera.camera_id
        self._catalog.cameras.rename(old, camera_id)
        self._catalog.events.add("camera.renamed", now, camera_id=camera_id, detail={"was": old})
        self._catalog.facts.put(_RETIRED, json.dumps(sorted({*self.retired(), old} - {camera_id})))
        for alert in self._catalog.alerts.opened():
            if alert.subject == old and alert.camera_id == old:
                self._catalog.alerts.clear(alert.kind, old, now)
        self._catalog.outbox.forget(f"camera/{old}", now)
        self._published.pop(old, None)
        log.info("%s is now %s", old, camera_id)

    def retired(self) -> list[str]:
        """IDs that cameras had and lost."""
        return list(json.loads(self._catalog.facts.get(_RETIRED) or "[]"))

    def lose(self, camera: Camera, *, wanted: bool) -> None:
        """A camera that no longer answers and whose stream is down; `wanted` ones raise an alert."""
        reason = self._loss(camera)
        seen = self._catalog.cameras.seen_at(camera.camera_id) or self._clock.now()
        lost = replace(camera, verdict=Verdict.UNREACHABLE, reasons=(reason,))
        self._catalog.cameras.put(lost, seen)
        if camera.verdict is not Verdict.UNREACHABLE:
            detail = {"was": camera.verdict.value, "verdict": lost.verdict.value, "reasons": [reason]}
            self._catalog.events.add("camera.verdict", self._clock.now(), camera_id=camera.camera_id, detail=detail)
            log.info("%s (%s): %s", camera.camera_id, camera.address, lost.verdict.value)
        for kind in (AlertKind.CAMERA_REFUSED, AlertKind.CAMERA_FAULTY, AlertKind.CAMERA_CLOCK):
            self._alert(kind, lost, False)
        if wanted:
            self._alert(AlertKind.CAMERA_OFFLINE, lost, True)

    def _loss(self, camera: Camera) -> str:
        """In words; where another camera is at the address now, it was probably exchanged."""
        where = {"camera_id": camera.camera_id, "address": camera.address}
        for other in self._catalog.cameras.all():
            if other.address == camera.address and other.camera_id != camera.camera_id and other.serial:
                return words.text("cameras.lost_replaced", successor=other.camera_id, serial=other.serial, **where)
        return words.text("cameras.lost", **where)

    def ask_again(self, camera: Camera) -> None:
        """Not met this time: the recorder's wish is answered, and it may wish again."""
        self._catalog.cameras.put(camera, self._catalog.cameras.seen_at(camera.camera_id) or self._clock.now())

    def publish(self) -> None:
        """Renew the retained message of each camera of which something changed, `up` included (the recorder's mark)."""
        for camera in self._catalog.cameras.all():
            data = {
                "camera_id": camera.camera_id, "serial": camera.serial, "manufacturer": camera.manufacturer,
                "model": camera.model, "firmware": camera.firmware, "verdict": camera.verdict.value,
                "reasons": list(camera.reasons), "up": camera.up,
            }  # fmt: skip
            if self._published.get(camera.camera_id) != data:
                topic = f"camera/{camera.camera_id}"
                self._catalog.outbox.put(topic, "camera", data, self._clock.now(), retained=True)
                self._published[camera.camera_id] = data

    def _replacement(self, camera: Camera) -> list[str]:
        """Named for a week: long enough for whoever plans the rooms to notice."""
        event = self._catalog.events.last("camera.replaced", camera.camera_id)
        if event is None or event.detail["serial"] != camera.serial or self._clock.now() - event.at > _REPLACED_FOR:
            return []
        old = {"old": event.detail["old"], "old_serial": event.detail["old_serial"]}
        return [words.text("cameras.replaced", serial=camera.serial or "?", **old)]

    def _alert(self, kind: AlertKind, camera: Camera, on: bool, message: str = "") -> None:
        now = self._clock.now()
        if on:
            text = message or f"{camera.camera_id} ({camera.address}): " + "; ".join(camera.reasons)
            self._catalog.alerts.raise_(kind, camera.camera_id, text, now, camera_id=camera.camera_id)
        else:
            self._catalog.alerts.clear(kind, camera.camera_id, now)
