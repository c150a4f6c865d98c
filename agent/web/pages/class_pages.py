"""The pages: class, half-day, audit; signing in and out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.responses import Response

from agent.attendance import figures
from agent.core import schedule
from agent.core.class_model import TrainingClass
from agent.core.errors import SiteAgentError
from agent.core.model import Gap, Segment, Session
from agent.drive import class_gaps
from agent.inspection.clip import ClipRequest
from agent.inspection.cut import ClipSpan
from agent.web.pages import camera_names, charts, time_line, witnessed
from agent.web.site import PageVisit
from agent.website import curves

_CLOCK = re.compile(r"([01]?\d|2[0-3]):?([0-5]\d)(?::?([0-5]\d))?\Z")
PLAY = timedelta(minutes=10)
REFRESH_S = 20.0
"""How often the script of an open page asks whether a half-day under way has grown."""
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class PlayerState:
    """What the half-day's page plays.

    `url` is empty where there is nothing to play; `fault` says why. `later` and `earlier` may lead beyond the half-day's own
    hours. `h265`: many browsers cannot play it.
    """

    camera_id: str
    at: datetime
    url: str
    later: str
    earlier: str
    fault: str
    h265: bool = False


def show_half_day(v: PageVisit) -> Response:
    """Show a half-day: curve, time lines, gaps; `camera` and `at` (HH:MM[:SS]) play video from that instant."""
    cls, now = v.the_class(), v.site.clock.now()
    day, session = find_half_day(v, cls)
    catalog, zone = v.site.catalog, v.site.catalog.zone
    lessons = cls.lessons_of(day, session)
    axis = curves.build_axis(lessons, schedule.RECORDING_MARGIN)
    shown = figures.load_half_day_figures(catalog, cls, day, session, now, v.site.options.rules)
    rows = catalog.segments.of_class(cls.class_id, day, session)
    rows += [s for s in catalog.segments.opened() if (s.class_id, s.date, s.session) == (cls.class_id, day, session)]
    book = class_gaps.load_gap_book(catalog, v.site.classes(), cls.class_id, now, day, session)
    lines = _lines(v, cls, rows, book.gaps, axis, now)
    rooms = camera_names.name_rooms([cls])
    names = {camera: camera_names.name_camera(camera, rooms) for camera in lines}
    alerts = [a for a in catalog.alerts.of_class(cls.class_id) if (a.date, a.session) == (day, session)]
    said = [(a.since, f"{v.t(f'web.alert.{a.kind.value}')}: {a.first_message}") for a in alerts]
    expected = cls.expected_on(day, session)
    # an open page of a half-day under way asks for itself again and again
    note = v.note_once if v.query("refresh") else v.note
    note("view.half_day", cls.class_id, {"date": day.isoformat(), "session": session.value})
    return v.page(
        "half_day.html",
        cls=cls,
        day=day,
        session=session,
        lessons=lessons,
        axis=axis,
        shown=shown,
        a=shown.body,
        expected=expected,
        lines=lines,
        names=names,
        time_line=time_line,
        strip=time_line.build_player_time_line(shown.half.curve, lessons, expected, axis, lines, names, said),
        under_way=is_under_way(axis, now),
        refresh_s=REFRESH_S,
        gaps=book.gaps,
        missing=book.total(),
        charts=curves,
        curve=curves.build_curve(shown.half.curve, lessons, expected, axis),
        alerts=alerts,
        closed=next((x for x in catalog.chain.of_class(cls.class_id) if (x.date, x.session) == (day, session)), None),
        witnessed=witnessed.list_witnessed(v, cls),
        playing=_playing(v, cls, day, session),
        first=lessons[0].start.astimezone(zone),
        last=lessons[-1].end.astimezone(zone),
        unknown_camera=bool(v.query("camera")) and v.query("camera") not in lines,
    )


def find_half_day(v: PageVisit, cls: TrainingClass) -> tuple[date, Session]:
    """Return the half-day that the path names. Raises HTTPException 404."""
    try:
        found = date.fromisoformat(v.request.path_params["day"]), Session(v.request.path_params["session"])
    except ValueError:
        raise HTTPException(404) from None
    if found not in cls.half_days():
        raise HTTPException(404)
    return found


def is_under_way(axis: curves.Axis, now: datetime) -> bool:
    """Return whether a half-day may still grow: its last files and figures come a little after its end."""
    return now < axis.end + timedelta(minutes=10)


def _lines(
    v: PageVisit, cls: TrainingClass, rows: list[Segment], missing: list[Gap], axis: curves.Axis, now: datetime
) -> dict[str, list[charts.ChartBar]]:
    """Make a time line for each camera: those of the half-day's rooms, and any other that has video."""
    planned = {c for room in cls.rooms for c in room.cameras if any(x.room_id == room.room_id for x in cls.lessons)}
    cameras = sorted({g.camera_id for g in missing} | {s.camera_id for s in rows} | planned)
    return {
        camera: charts.build_time_line(
            [s for s in rows if s.camera_id == camera],
            [(g, v.t(f"gap.{g.reason}")) for g in missing if g.camera_id == camera],
            axis,
            v.site.catalog.zone,
            now,
        )
        for camera in cameras
    }


def parse_clock_on_day(day: date, text: str, v: PageVisit) -> datetime | None:
    """Parse HH:MM[:SS] of a day; None where it is not a time."""
    match = _CLOCK.match(text.strip())
    if match is None:
        return None
    hour, minute, second = (int(x or 0) for x in match.groups())
    return datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=v.site.catalog.zone)


def parse_half_day_time(cls: TrainingClass, day: date, session: Session, text: str, v: PageVisit) -> datetime | None:
    """Parse HH:MM[:SS] of a half-day, whose margins may lie beyond midnight; None where it is not a time."""
    at = parse_clock_on_day(day, text, v)
    if at is None:
        return None
    span = curves.build_axis(cls.lessons_of(day, session), schedule.RECORDING_MARGIN)
    near = (at, at + _DAY, at - _DAY)
    return next((x for x in near if span.start <= x <= span.end), at)


def _playing(v: PageVisit, cls: TrainingClass, day: date, session: Session) -> PlayerState | None:
    camera, at = v.query("camera"), parse_half_day_time(cls, day, session, v.query("at"), v)
    if not camera or at is None:
        return None
    try:
        plans = v.site.clips.plan(ClipRequest(cls, ClipSpan(at, at + PLAY), v.who, cameras=(camera,)))
    except SiteAgentError as error:
        earlier, later = (_link(v, cls, day, session, camera, x) for x in (at - PLAY, at + PLAY))
        return PlayerState(camera, at, "", later, earlier, v.say(error))
    # where picture or sound change their format, the rest is another video
    end = min(at + PLAY, _next_second(plans[1].span.start.astimezone(at.tzinfo))) if len(plans) > 1 else at + PLAY
    earlier, later = (_link(v, cls, day, session, camera, x) for x in (at - PLAY, end))
    # the clip begins at the key frame before: the browser seeks to the instant
    skip = max(0.0, (at - plans[0].span.start).total_seconds())
    url = f"/play/{cls.class_id}/{at:%Y-%m-%d}/{camera}/{at:%H%M%S}-{end:%H%M%S}.mp4#t={skip:.2f}"
    return PlayerState(camera, at, url, later, earlier, "", plans[0].cut.video.codec not in ("avc1", "avc3"))


def _link(v: PageVisit, cls: TrainingClass, day: date, session: Session, camera: str, at: datetime) -> str:
    """Return the half-day page's URL, playing from `at`; "" where the page would take the time of day for another day's."""
    text = f"{at:%H:%M:%S}"
    if parse_half_day_time(cls, day, session, text, v) != at:
        return ""
    return f"/classes/{cls.class_id}/{day}/{session.value}?camera={quote(camera)}&at={text}#play"


def _next_second(at: datetime) -> datetime:
    return at + timedelta(microseconds=-at.microsecond % 1_000_000)
