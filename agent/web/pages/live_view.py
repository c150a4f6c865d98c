"""The page of the cameras as they are now, and their newest pictures."""

from __future__ import annotations

import threading
from datetime import timedelta

from starlette.exceptions import HTTPException
from starlette.responses import Response

from agent.catalog import Catalog, calibrations
from agent.core import clock as clocks
from agent.core.model import is_id
from agent.counting import calibrate
from agent.inspection import evidence, live
from agent.inspection.live import LivePicture
from agent.web.pages import camera_names, health_page
from agent.web.site import PageVisit

FRESH_S = 2.0
_STILL_LIVE = timedelta(seconds=10)
SMALL, LARGE = 800, 1920
"""Pixels of a picture's width."""
_WORDS = ("live_sound", "live_mute", "live_behind", "live_still", "live_waiting", "lost")


def describe_calibration(v: PageVisit, camera_id: str) -> str:
    """Describe in the reader's language whether a camera's headcounts are calibrated by hand counts, and how well."""
    catalog = v.site.catalog
    last = catalog.looks.last(camera_id, v.site.clock.now())
    found = calibrate.Calibration.of(
        catalog.facts.get(calibrations.make_calibration_key(camera_id)), last.detector if last else ""
    )
    if found is None:
        return v.t("web.uncalibrated")
    return v.t("web.calibrated", recall=f"{found.recall:.2f}", error=f"{found.error:.2f}", n=found.counts)


class LiveView:
    """Live pictures, each decoded at most every FRESH_S for all callers."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._kept: dict[tuple[str, int], tuple[float, LivePicture | None]] = {}
        self._lock = threading.Lock()

    def page(self, v: PageVisit) -> Response:
        site, catalog, now = v.site, v.site.catalog, v.site.clock.now()
        drives = evidence.find_attached_drives(site.options.drives)
        cameras = []
        for camera in catalog.cameras.all():
            look = catalog.looks.last(camera.camera_id, now)
            writing = catalog.segments.opened(camera.camera_id)
            calibration = describe_calibration(v, camera.camera_id)
            cameras.append((camera, look, writing[-1] if writing else None, calibration))
        rooms = camera_names.name_rooms(site.classes())
        names = {c[0].camera_id: camera_names.name_camera(c[0].camera_id, rooms) for c in cameras}
        large = v.query("camera") if any(c[0].camera_id == v.query("camera") and c[2] for c in cameras) else ""
        under_way = [x for c in site.classes() for x in c.lessons if not x.cancelled and x.start <= now < x.end]
        v.note_once("view.now")
        return v.page(
            "now.html",
            now=now,
            cameras=cameras,
            drives=list(drives.values()),
            known=catalog.drives.all(),
            lessons=under_way,
            names=names,
            large=large,
            words={name: v.t(f"player.{name}", at="{at}", seconds="{seconds}") for name in _WORDS},
            waiting=catalog.outbox.size(),
            alerts=catalog.alerts.opened(),
            light=health_page.assess_health(v),
        )

    def picture(self, v: PageVisit) -> Response:
        camera_id = v.request.path_params["camera_id"]
        if not is_id(camera_id):
            raise HTTPException(404)
        found = self._still(v, camera_id, LARGE if v.query("large") else SMALL)
        if found is None:
            raise HTTPException(404)
        headers = {"Cache-Control": "no-store", "X-Picture-Time": clocks.format_local(found.at, self._catalog.zone)}
        return Response(found.jpeg, media_type="image/jpeg", headers=headers)

    def _still(self, v: PageVisit, camera_id: str, width: int) -> LivePicture | None:
        with self._lock:
            at, kept = self._kept.get((camera_id, width), (float("-inf"), None))
            if v.site.clock.monotonic() - at > FRESH_S:
                drives = evidence.find_attached_drives(v.site.options.drives)
                found = live.read_latest_picture(self._catalog, drives, camera_id, width)
                # a file that has just begun holds no picture yet
                recent = kept is not None and v.site.clock.now() - kept.at < _STILL_LIVE
                kept = found or (kept if recent else None)
                self._kept[camera_id, width] = (v.site.clock.monotonic(), kept)
                while len(self._kept) > 64:
                    self._kept.pop(next(iter(self._kept)))
            return kept
