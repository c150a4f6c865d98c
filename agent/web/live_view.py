"""The page of the cameras as they are now, and their newest pictures."""

from __future__ import annotations

import threading
from datetime import datetime

from starlette.exceptions import HTTPException
from starlette.responses import Response

from agent import clock as clocks
from agent import words
from agent.catalog import Catalog
from agent.counting import calibrate
from agent.inspection import evidence, live
from agent.inspection.live import Still
from agent.model import is_id
from agent.web import health
from agent.web.site import Visit

FRESH_S = 2.0


def calibrated(catalog: Catalog, camera_id: str, now: datetime) -> str:
    """Describe whether a camera's headcounts are calibrated by hand counts, and how well."""
    last = catalog.looks.last(camera_id, now)
    found = calibrate.Calibration.of(catalog.facts.get(calibrate.fact(camera_id)), last.detector if last else "")
    if found is None:
        return words.text("web.uncalibrated")
    return words.text("web.calibrated", recall=f"{found.recall:.2f}", error=f"{found.error:.2f}", n=found.counts)


class Now:
    """Live pictures, each decoded at most every FRESH_S for all callers."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._kept: dict[str, tuple[float, Still | None]] = {}
        self._lock = threading.Lock()

    def page(self, v: Visit) -> Response:
        site, catalog, now = v.site, v.site.catalog, v.site.clock.now()
        drives = evidence.attached(site.options.drives)
        cameras = []
        for camera in catalog.cameras.all():
            look = catalog.looks.last(camera.camera_id, now)
            writing = catalog.segments.opened(camera.camera_id)
            told = calibrated(catalog, camera.camera_id, now)
            cameras.append((camera, look, writing[-1] if writing else None, told))
        rooms = [x for c in site.classes() for x in c.lessons if not x.cancelled and x.start <= now < x.end]
        v.note_once("view.now")
        return v.page(
            "now.html",
            now=now,
            cameras=cameras,
            drives=list(drives.values()),
            known=catalog.drives.all(),
            lessons=rooms,
            waiting=catalog.outbox.size(),
            alerts=catalog.alerts.opened(),
            light=health.light(v),
        )

    def picture(self, v: Visit) -> Response:
        camera_id = v.request.path_params["camera_id"]
        if not is_id(camera_id):
            raise HTTPException(404)
        found = self._still(v, camera_id)
        if found is None:
            raise HTTPException(404)
        headers = {"Cache-Control": "no-store", "X-Picture-Time": clocks.rfc3339(found.at, self._catalog.zone)}
        return Response(found.jpeg, media_type="image/jpeg", headers=headers)

    def _still(self, v: Visit, camera_id: str) -> Still | None:
        with self._lock:
            at, kept = self._kept.get(camera_id, (float("-inf"), None))
            if v.site.clock.monotonic() - at > FRESH_S:
                kept = live.still(self._catalog, evidence.attached(v.site.options.drives), camera_id)
                self._kept[camera_id] = (v.site.clock.monotonic(), kept)
                while len(self._kept) > 64:
                    self._kept.pop(next(iter(self._kept)))
            return kept
