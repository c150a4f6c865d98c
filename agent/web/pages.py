"""The pages: list of classes, class, half-day, now, audit; signing in and out."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.responses import Response

from agent import clock as clocks
from agent import schedule
from agent.attendance import figures
from agent.contract.attendance import AttendanceBody
from agent.drive import gaps
from agent.errors import InputError, SiteAgentError
from agent.inspection.clip import Request
from agent.inspection.cut import Span
from agent.missing import Total
from agent.model import Gap, Segment, Session
from agent.model_classes import TrainingClass
from agent.web import charts, cookies
from agent.web.access import LONGEST_PASSWORD, typed_name
from agent.web.site import Visit
from agent.web.throttle import Throttled

_CLOCK = re.compile(r"([01]?\d|2[0-3]):?([0-5]\d)(?::?([0-5]\d))?\Z")
PLAY = timedelta(minutes=10)
_LISTED = 200
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class ClassRow:
    cls: TrainingClass
    state: str
    expected: int


def classes(v: Visit) -> Response:
    """List all classes, the newest first; `q` searches ID, project, occupation and place. A single hit by ID is opened."""
    query = v.query("q").strip()
    found = sorted(v.site.classes(), key=lambda c: (c.first_day, c.class_id), reverse=True)
    exact = next((c for c in found if c.class_id.lower() == query.lower()), None)
    if exact is not None:
        return v.go(f"/classes/{exact.class_id}")
    if query:
        found = [c for c in found if query.lower() in " ".join([c.class_id, c.project, c.occupation, c.place]).lower()]
    today = clocks.local_day(v.site.clock.now(), v.site.catalog.zone)
    rows = [ClassRow(c, state_of(c, today), c.expected_on(min(today, c.last_day), Session.EV)) for c in found[:_LISTED]]
    v.note("view.classes", "", {"q": query[:80]} if query else None)
    return v.page("classes.html", rows=rows, q=query, more=len(found) - len(rows))


def state_of(cls: TrainingClass, today: date) -> Literal["ahead", "open", "over"]:
    last = max([cls.last_day, *(x.date for x in cls.lessons if not x.cancelled)])
    return "ahead" if today < cls.first_day else "over" if today > last else "open"


@dataclass(frozen=True, slots=True)
class HalfDayRow:
    day: date
    session: Session
    figures: AttendanceBody | None
    missing: Total
    marks: list[str]
    begun: bool


def one_class(v: Visit) -> Response:
    """Show a class: its half-days with attendance, gaps and alerts."""
    cls, now = v.the_class(), v.site.clock.now()
    catalog = v.site.catalog
    published = {(a["date"], a["session"]): a for a in catalog.attendance.of_class(cls.class_id)}
    book = gaps.book(catalog, v.site.classes(), cls.class_id, now)
    marks: dict[tuple[date, Session], list[str]] = {}
    for alert in catalog.alerts.of_class(cls.class_id):
        if alert.date and alert.session and alert.kind.value not in marks.setdefault((alert.date, alert.session), []):
            marks[alert.date, alert.session].append(alert.kind.value)
    rows = [
        HalfDayRow(
            day,
            session,
            published.get((day.isoformat(), session.value)),
            book.total(day, session),
            marks.get((day, session), []),
            cls.lessons_of(day, session)[0].start <= now,
        )
        for day, session in cls.half_days()
    ]
    v.note("view.class", cls.class_id)
    return v.page("class.html", cls=cls, rows=rows, links=catalog.chain.of_class(cls.class_id))


@dataclass(frozen=True, slots=True)
class Playing:
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


def half_day(v: Visit) -> Response:
    """Show a half-day: curve, time lines, gaps; `camera` and `at` (HH:MM[:SS]) play video from that instant."""
    cls, now = v.the_class(), v.site.clock.now()
    day, session = the_half_day(v, cls)
    catalog, zone = v.site.catalog, v.site.catalog.zone
    lessons = cls.lessons_of(day, session)
    axis = charts.axis(lessons, schedule.MARGIN)
    shown = figures.shown(catalog, cls, day, session, now, v.site.options.rules)
    rows = catalog.segments.of_class(cls.class_id, day, session)
    rows += [s for s in catalog.segments.opened() if (s.class_id, s.date, s.session) == (cls.class_id, day, session)]
    book = gaps.book(catalog, v.site.classes(), cls.class_id, now, day, session)
    lines = _lines(v, cls, rows, book.gaps, axis, now)
    v.note("view.half_day", cls.class_id, {"date": day.isoformat(), "session": session.value})
    return v.page(
        "half_day.html",
        cls=cls,
        day=day,
        session=session,
        lessons=lessons,
        axis=axis,
        shown=shown,
        a=shown.body,
        expected=cls.expected_on(day, session),
        lines=lines,
        gaps=book.gaps,
        missing=book.total(),
        charts=charts,
        curve=charts.curve(shown.half.curve, lessons, cls.expected_on(day, session), axis),
        alerts=[a for a in catalog.alerts.of_class(cls.class_id) if (a.date, a.session) == (day, session)],
        playing=_playing(v, cls, day, session),
        first=lessons[0].start.astimezone(zone),
        last=lessons[-1].end.astimezone(zone),
        unknown_camera=bool(v.query("camera")) and v.query("camera") not in lines,
    )


def the_half_day(v: Visit, cls: TrainingClass) -> tuple[date, Session]:
    """Return the half-day that the path names. Raises HTTPException 404."""
    try:
        found = date.fromisoformat(v.request.path_params["day"]), Session(v.request.path_params["session"])
    except ValueError:
        raise HTTPException(404) from None
    if found not in cls.half_days():
        raise HTTPException(404)
    return found


def _lines(
    v: Visit, cls: TrainingClass, rows: list[Segment], missing: list[Gap], axis: charts.Axis, now: datetime
) -> dict[str, list[charts.Bar]]:
    """Make a time line for each camera: those of the half-day's rooms, and any other that has video."""
    planned = {c for room in cls.rooms for c in room.cameras if any(x.room_id == room.room_id for x in cls.lessons)}
    cameras = sorted({g.camera_id for g in missing} | {s.camera_id for s in rows} | planned)
    return {
        camera: charts.time_line(
            [s for s in rows if s.camera_id == camera],
            [(g, v.t(f"gap.{g.reason}")) for g in missing if g.camera_id == camera],
            axis,
            v.site.catalog.zone,
            now,
        )
        for camera in cameras
    }


def clock_on(day: date, text: str, v: Visit) -> datetime | None:
    """Parse HH:MM[:SS] of a day; None where it is not a time."""
    match = _CLOCK.match(text.strip())
    if match is None:
        return None
    hour, minute, second = (int(x or 0) for x in match.groups())
    return datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=v.site.catalog.zone)


def moment_of(cls: TrainingClass, day: date, session: Session, text: str, v: Visit) -> datetime | None:
    """Parse HH:MM[:SS] of a half-day, whose margins may lie beyond midnight; None where it is not a time."""
    at = clock_on(day, text, v)
    if at is None:
        return None
    span = charts.axis(cls.lessons_of(day, session), schedule.MARGIN)
    near = (at, at + _DAY, at - _DAY)
    return next((x for x in near if span.start <= x <= span.end), at)


def _playing(v: Visit, cls: TrainingClass, day: date, session: Session) -> Playing | None:
    camera, at = v.query("camera"), moment_of(cls, day, session, v.query("at"), v)
    if not camera or at is None:
        return None
    try:
        plans = v.site.clips.plan(Request(cls, Span(at, at + PLAY), v.who, cameras=(camera,)))
    except SiteAgentError as error:
        earlier, later = (_link(v, cls, day, session, camera, x) for x in (at - PLAY, at + PLAY))
        return Playing(camera, at, "", later, earlier, v.t(error.key, **error.params))
    # where picture or sound change their format, the rest is another video
    end = min(at + PLAY, _next_second(plans[1].span.start.astimezone(at.tzinfo))) if len(plans) > 1 else at + PLAY
    earlier, later = (_link(v, cls, day, session, camera, x) for x in (at - PLAY, end))
    # the clip begins at the key frame before: the browser seeks to the instant
    skip = max(0.0, (at - plans[0].span.start).total_seconds())
    url = f"/play/{cls.class_id}/{at:%Y-%m-%d}/{camera}/{at:%H%M%S}-{end:%H%M%S}.mp4#t={skip:.2f}"
    return Playing(camera, at, url, later, earlier, "", plans[0].cut.video.codec not in ("avc1", "avc3"))


def _link(v: Visit, cls: TrainingClass, day: date, session: Session, camera: str, at: datetime) -> str:
    """Return the half-day page's URL, playing from `at`; "" where the page would take the time of day for another day's."""
    text = f"{at:%H:%M:%S}"
    if moment_of(cls, day, session, text, v) != at:
        return ""
    return f"/classes/{cls.class_id}/{day}/{session.value}?camera={quote(camera)}&at={text}#play"


def _next_second(at: datetime) -> datetime:
    return at + timedelta(microseconds=-at.microsecond % 1_000_000)


def audit(v: Visit) -> Response:
    """Show who did what, the newest first."""
    before = v.query("before")
    trail = v.site.catalog.audit
    v.note_once("view.audit")
    v.settle()
    entries = trail.recent(100, int(before) if before.isascii() and before.isdigit() and len(before) < 16 else None)
    # verify the whole chain once at the start and when asked; else what is new
    broken = trail.verify() if v.query("whole") else trail.verify_new()
    return v.page("audit.html", entries=entries, broken=broken, head=trail.head())


def sign_in_form(v: Visit) -> Response:
    return v.page("sign_in.html", next=v.query("next"), fault="", none=not v.site.catalog.accounts.any())


def sign_in(v: Visit) -> Response:
    name, target = typed_name(v.form.get("name", "")), v.form.get("next", "")
    fault, status, token = v.t("web.wrong_password"), 401, None
    try:
        token = v.site.access.sign_in(name, v.form.get("password", "")[:LONGEST_PASSWORD], v.address)
    except Throttled as held:
        fault, status = v.t("web.wait", seconds=math.ceil(held.wait_s)), 429
    except InputError as error:
        fault, status = v.t(error.key, **error.params), 403
    if token is None:
        v.refused("sign-in.refused", name, {"throttled": status == 429})
        return v.page("sign_in.html", status, next=target, fault=fault, none=False)
    v.site.catalog.audit.add(v.site.clock.now(), f"{name}@{v.address}", "sign-in")
    return cookies.begin(v.site.cookie, token, target, tls=v.site.options.tls)


def sign_out(v: Visit) -> Response:
    v.site.catalog.accounts.sign_out(v.request.cookies.get(v.site.cookie, ""))
    v.note("sign-out")
    answer = v.go("/sign-in")
    answer.delete_cookie(v.site.cookie, path="/", secure=v.site.options.tls, httponly=True, samesite="strict")
    return answer


def language(v: Visit) -> Response:
    """Switch the language and return to the page that asked."""
    answer = v.go(cookies.own_path(v.query("back")))
    chosen = "en" if v.request.path_params["lang"] == "en" else "zh"
    answer.set_cookie("language", chosen, max_age=10**7, secure=v.site.options.tls, samesite="lax", path="/")
    return answer
