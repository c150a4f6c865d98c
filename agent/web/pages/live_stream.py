"""Live picture and sound of a camera: the newest fragments of the file that is being recorded, for the page's script."""

from __future__ import annotations

import base64
import threading
from collections.abc import Sequence

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from agent.core.errors import SiteAgentError
from agent.core.model import Segment, is_id
from agent.inspection import evidence
from agent.inspection.growing_file import GrowingFile, GrowingFragment, list_newest
from agent.web.pages import player_views
from agent.web.site import PageVisit

FOLLOW_S = 0.4
"""A file is looked at so often at most, for all readers together."""
BEHIND_S = 1.5
"""A reader begins so far before the end, so that the next fragments arrive in time."""
_MOST_FILES = 64


class LiveStream:
    """Follows the growing file of each camera that somebody watches."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: dict[str, tuple[Segment, GrowingFile, float]] = {}

    def send_index(self, v: PageVisit) -> Response:
        """Send which fragments there are: those behind byte `after` of file `segment`, else from a key frame near the end."""
        camera_id = _read_camera(v)
        try:
            with self._lock:
                followed = self._follow(v, camera_id)
                if followed is None:
                    return JSONResponse({"fragments": []}, headers={"Cache-Control": "no-store"})
                segment, file = followed
                known = v.query("segment") == str(segment.segment_id) and v.query("after").isascii()
                after = int(v.query("after")) if known and v.query("after").isdigit() else None
                found: Sequence[GrowingFragment] = (
                    list_newest(file.fragments, BEHIND_S)
                    if after is None
                    else [f for f in file.fragments if f.begin >= after]
                )
                body = {
                    "segment": segment.segment_id,
                    "begins": player_views.count_seconds(segment.start, player_views.origin_of(segment.date, v)),
                    "codecs": file.codecs,
                    "initialization": base64.b64encode(file.initialization).decode() if after is None else "",
                    "fragments": [[f.begin, f.end, round(f.start, 3), round(f.stop, 3), int(f.key)] for f in found],
                }
        except SiteAgentError as error:
            return player_views.answer_fault(v, error)
        v.note_once("watch.live", segment.class_id, {"camera_id": camera_id})
        return JSONResponse(body, headers={"Cache-Control": "no-store"})

    def send_fragments(self, v: PageVisit) -> Response:
        """Send whole fragments [begin, end) of the file that is being recorded."""
        camera_id, params = _read_camera(v), v.request.path_params
        with self._lock:
            segment, file, _ = self._files.get(camera_id, (None, None, 0.0))
        if segment is None or file is None or segment.segment_id != params["segment_id"]:
            raise HTTPException(404)
        try:
            data = file.read(params["begin"], params["end"])
        except SiteAgentError as error:
            return player_views.answer_fault(v, error)
        return Response(data, media_type="video/mp4", headers={"Cache-Control": "no-store"})

    def _follow(self, v: PageVisit, camera_id: str) -> tuple[Segment, GrowingFile] | None:
        """Return the newest open segment of a camera and its file; None where nothing is recorded. Raises SiteAgentError."""
        opened = v.site.catalog.segments.opened(camera_id)
        drives = evidence.find_attached_drives(v.site.options.drives)
        segment = next((s for s in reversed(opened) if s.drive_id in drives), None)
        if segment is None:
            self._files.pop(camera_id, None)
            return None
        now = v.site.clock.monotonic()
        known, file, at = self._files.get(camera_id, (None, None, 0.0))
        if file is None or known is None or known.segment_id != segment.segment_id:
            try:
                file = GrowingFile(evidence.resolve_on_drive(drives[segment.drive_id].root, segment.temporary))
            except OSError:
                return None  # it got its own name just now
            at = float("-inf")
        if now - at >= FOLLOW_S:
            file.follow()
            self._files[camera_id] = (segment, file, now)
            while len(self._files) > _MOST_FILES:
                self._files.pop(next(iter(self._files)))
        return segment, file


def _read_camera(v: PageVisit) -> str:
    camera_id = str(v.request.path_params["camera_id"])
    if not is_id(camera_id):
        raise HTTPException(404)
    return camera_id
