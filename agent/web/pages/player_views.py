"""What the player's script asks for: the time line of a half-day, the index of a recorded file, its parts."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Generator
from datetime import date, datetime, timedelta
from functools import cached_property

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from agent.core import clock as clocks
from agent.core import schedule
from agent.core.class_model import TrainingClass
from agent.core.errors import SiteAgentError
from agent.core.model import Segment
from agent.drive import class_gaps
from agent.inspection import evidence
from agent.inspection.playback import MediaPart
from agent.web.pages import camera_names
from agent.web.pages.class_pages import find_half_day, is_under_way
from agent.web.played_time import PlayedFilm
from agent.web.site import PageVisit
from agent.website import curves
from agent.website.http.ranges import matches, respond

_DAY = timedelta(days=1)
_MOST_ROWS = 1 << 62
"""Larger row numbers are none of SQLite's."""
_FORMAT = "1"
"""Changes where the same recording would give other bytes."""
WORDS = (
    "no_video_unknown", "at_end", "loading", "busy_h264", "h264_note", "signed_out", "lost", "snapshot_caption",
    "nothing_marked", "play", "pause", "no_video", "skipped", "fault", "marked", "waiting", "waiting_here",
)  # fmt: skip
_BLANKS = {name: f"{{{name}}}" for name in ("start", "end", "reason", "detail")}
"""Stay blanks, which the script fills."""


def origin_of(day: date, v: PageVisit) -> datetime:
    """Return the instant that is 0 on the player's time line: midnight a day before, as a half-day may begin before its own."""
    return datetime(day.year, day.month, day.day, tzinfo=v.site.catalog.zone) - _DAY


def send_time_line(v: PageVisit) -> Response:
    """Send what the player plays of a half-day: files and gaps of each camera, in seconds on its time line."""
    cls, now = v.the_class(), v.site.clock.now()
    day, session = find_half_day(v, cls)
    catalog = v.site.catalog
    origin = origin_of(day, v)
    axis = curves.build_axis(cls.lessons_of(day, session), schedule.RECORDING_MARGIN)
    segments = catalog.segments.of_class(cls.class_id, day, session)
    gaps = class_gaps.load_gap_book(catalog, v.site.classes(), cls.class_id, now, day, session).gaps
    attached = evidence.find_attached_drives(v.site.options.drives)
    rooms = camera_names.name_rooms([cls])
    cameras = [
        {
            "id": camera,
            "name": camera_names.name_camera(camera, rooms),
            "room": rooms.get(camera, ""),
            "segments": [
                _describe_segment(s, origin, attached=s.drive_id in attached) for s in segments if s.camera_id == camera
            ],
            "gaps": [
                {
                    "start": count_seconds(g.start, origin),
                    "stop": count_seconds(g.end, origin),
                    "reason": v.t(f"gap.{g.reason}"),
                }
                for g in gaps
                if g.camera_id == camera
            ],
        }
        for camera in list_cameras(cls, segments, [g.camera_id for g in gaps])
    ]
    body = {
        "class_id": cls.class_id,
        "date": day.isoformat(),
        "start": count_seconds(axis.start, origin),
        "stop": count_seconds(axis.end, origin),
        "open": is_under_way(axis, now),
        "segments": f"/player/{cls.class_id}/segments/",
        "box": v.site.options.box,
        "cameras": cameras,
        "words": {name: v.t(f"player.{name}", **_BLANKS) for name in WORDS},
    }
    return JSONResponse(body, headers={"Cache-Control": "no-store"})


def list_cameras(cls: TrainingClass, segments: list[Segment], missing: list[str]) -> list[str]:
    """Return the cameras of a half-day: those of the rooms with lessons, and any other that has video or gaps."""
    planned = {c for room in cls.rooms for c in room.cameras if any(x.room_id == room.room_id for x in cls.lessons)}
    return sorted({*missing, *(s.camera_id for s in segments), *planned})


def _describe_segment(segment: Segment, origin: datetime, *, attached: bool) -> dict[str, object]:
    return {
        "id": segment.segment_id,
        "start": count_seconds(segment.start, origin),
        "stop": count_seconds(segment.end or segment.start, origin),
        "sha256": segment.sha256 or "",
        "attached": attached,
    }


def count_seconds(moment: datetime, origin: datetime) -> float:
    """Return a place on the time line."""
    return round((moment - origin).total_seconds(), 3)


def send_index(v: PageVisit) -> Response:
    """Send how one recorded file is played: its codecs, initialization segment and parts."""
    segment, h264 = _find_segment(v), bool(v.query("h264"))
    tag = _make_etag(segment, "index", h264=h264)
    headers = {"ETag": f'"{tag}"', "Cache-Control": "private, no-cache"}
    if matches(v.request, f'"{tag}"'):
        return Response(status_code=304, headers=headers)
    try:
        file = v.site.playback.fetch(segment)
        codecs, initialization = v.site.playback.describe(segment, h264=h264)
    except SiteAgentError as error:
        return answer_fault(v, error)
    begins = count_seconds(segment.start, origin_of(segment.date, v))
    body = {
        "codecs": codecs,
        "recorded_codecs": file.codecs,
        "initialization": base64.b64encode(initialization).decode(),
        "frame": round(file.frame_s, 6),
        "sha256": segment.sha256 or "",
        "parts": [[round(begins + p.start, 3), round(begins + p.stop, 3), int(p.key)] for p in file.parts],
    }
    return JSONResponse(body, headers=headers)


def send_part(v: PageVisit) -> Response:
    """Send one part; what was received whole is recorded for the audit."""
    segment, h264 = _find_segment(v), bool(v.query("h264"))
    number = int(v.request.path_params["number"])
    try:
        file = v.site.playback.fetch(segment)
        if not number < len(file.parts):
            raise HTTPException(404)
        content = _PartContent(v, segment, number, h264=h264)
        tag = _make_etag(segment, str(number), h264=h264)
        if not matches(v.request, f'"{tag}"'):
            content.load()
            _note_opened(v, segment, file.parts[number])
    except SiteAgentError as error:
        return answer_fault(v, error)
    received = _ReceivedPart(v, segment, file.parts[number], content)
    return respond(v.request, content, tag, {}, received.count, v.site.sending)


class _PartContent:
    """The bytes of a part, made once they are needed."""

    def __init__(self, v: PageVisit, segment: Segment, number: int, *, h264: bool) -> None:
        self._v, self._segment, self._number, self._h264 = v, segment, number, h264

    @cached_property
    def data(self) -> bytes:
        begins = count_seconds(self._segment.start, origin_of(self._segment.date, self._v))
        return self._v.site.playback.read(self._segment, self._number, begins, h264=self._h264)

    def load(self) -> None:
        """Make the bytes now, while an error can still be answered. Raises MediaError."""
        assert self.data

    @property
    def size(self) -> int:
        return len(self.data)

    def read(self, start: int = 0, stop: int | None = None) -> Generator[bytes]:
        yield self.data[start:stop]


class _ReceivedPart:
    """Counts the bytes of one answer that were received; the part counts as played where all of them were."""

    def __init__(self, v: PageVisit, segment: Segment, part: MediaPart, content: _PartContent) -> None:
        self._played, self._content = v.site.played, content
        self._film = PlayedFilm(
            v.who, segment.class_id, segment.camera_id, f"{segment.date.isoformat()}-{segment.session.value}"
        )
        self._span = _show_span(segment, part)
        self._bytes = 0

    def count(self, start: int, stop: int) -> None:
        self._bytes += stop - start
        if self._bytes == self._content.size:
            self._played.add(self._film, *self._span)


def _show_span(segment: Segment, part: MediaPart) -> tuple[datetime, datetime]:
    """Return the time that a part shows, as far as the catalog has it."""
    start, stop = (segment.start + timedelta(seconds=x) for x in (part.start, part.stop))
    end = segment.end or stop
    return min(start, end), min(stop, end)


def _note_opened(v: PageVisit, segment: Segment, part: MediaPart) -> None:
    """Enter into the audit that somebody opened a camera's video, once in ten minutes; what is sent is added to it there."""
    if not v.site.first(v.who, "watch", segment.class_id, segment.camera_id, segment.date.isoformat(), segment.session):
        return
    zone = v.site.catalog.zone
    start, end = (clocks.format_local(x, zone) for x in _show_span(segment, part))
    film = {"start": start, "end": end}
    v.note("watch", segment.class_id, {"camera_id": segment.camera_id, **film, "film": [film]})


def _find_segment(v: PageVisit) -> Segment:
    """Return the finished segment that the path names, of the class that it names. Raises HTTPException 404."""
    cls = v.the_class()
    number = int(v.request.path_params["segment_id"])
    found = v.site.catalog.segments.get(number) if number < _MOST_ROWS else None
    if found is None or found.class_id != cls.class_id or found.state != "finished":
        raise HTTPException(404)
    return found


def _make_etag(segment: Segment, what: str, *, h264: bool) -> str:
    """Return the ETag: the bytes depend only on the recorded file and the part."""
    text = f"{_FORMAT} {segment.sha256} {segment.start.isoformat()} {what} {h264}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def answer_fault(v: PageVisit, error: SiteAgentError) -> Response:
    """Answer the script with an error in the reader's language."""
    return JSONResponse({"fault": v.say(error)}, 503, headers={"Cache-Control": "no-store"})
