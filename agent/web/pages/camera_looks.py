"""A camera's looks: the picture with people and things in boxes; an operator says what is a person and what is a thing."""

from __future__ import annotations

from datetime import datetime, timedelta

from starlette.exceptions import HTTPException
from starlette.responses import Response

from agent.catalog.places import PlaceVerdict
from agent.core import clock as clocks
from agent.core.model import Look
from agent.counting import declared_things
from agent.counting.hand_marks import find_box
from agent.web.pages import live_view, look_views
from agent.web.site import PageVisit

OVERRULE_ACTION = "place.overrule"
_VERDICTS: dict[str, PlaceVerdict] = {"person": "person", "thing": "thing", "": ""}


def show_look(v: PageVisit) -> Response:
    """Show a look: the one asked for, else the newest; a tapped box is described below the picture."""
    return _render(v, _find_asked(v))


def _render(v: PageVisit, look: Look | None, fault: str = "") -> Response:
    camera = look_views.find_camera(v)
    if look is None:
        return v.page("looks.html", camera=camera, look=None, fault=fault)
    shown = look_views.choose_width(v.query("shown"))
    boxes, rest = look_views.draw_boxes(v, look)
    chosen = _find_chosen(v, look, shown)
    catalog = v.site.catalog
    earlier = catalog.looks.last(camera.camera_id, look.at - timedelta(milliseconds=1))
    v.note_once("view.look", camera.camera_id)
    return v.page(
        "looks.html",
        status=409 if fault else 200,
        camera=camera,
        look=look,
        shown=shown,
        boxes=boxes,
        rest=rest,
        chosen=next((b for b in boxes if b.number == chosen), None),
        utc=clocks.format_utc,
        earlier=earlier,
        later=catalog.looks.first_after(camera.camera_id, look.at),
        calibration=live_view.describe_calibration(v, camera.camera_id),
        fault=fault,
    )


def judge_place(v: PageVisit) -> Response:
    """Take an operator's word on a thing that is known, or on a box that is counted."""
    camera, verdict = look_views.find_camera(v), _VERDICTS.get(v.form.get("verdict", ""))
    look = look_views.find_look(v, camera.camera_id, look_views.parse_moment(v.form.get("at", "")))
    if verdict is None or v.me is None:
        raise HTTPException(400)
    if "box" in v.form:
        if not _declare(v, look, v.form["box"], verdict):
            return _render(v, look, v.t("looks.moves"))
    else:
        start, place = look_views.parse_moment(v.form.get("start", "")), _parse_number(v.form.get("place", ""))
        if not v.site.catalog.places.overrule(camera.camera_id, place, start, verdict, v.me.name, v.site.clock.now()):
            raise HTTPException(404)
        note_verdict(v, look, place, start, verdict)
    return v.go(f"/cameras/{camera.camera_id}?at={clocks.format_utc(look.at)}#picture")


def note_verdict(v: PageVisit, look: Look, place: int, start: datetime, verdict: str) -> None:
    """Write an operator's verdict into the audit: withdrawn where it is empty."""
    detail = {"place": place, "start": clocks.format_utc(start), "verdict": verdict or "withdrawn"}
    v.note(OVERRULE_ACTION, look.camera_id, {**detail, "look": clocks.format_utc(look.at), "class_id": look.class_id})


def _declare(v: PageVisit, look: Look, box: str, verdict: str) -> bool:
    """Declare a counted box to be a thing; return whether it can be one."""
    number = _parse_number(box)
    picture = look_views.read_picture(v, look)
    if verdict != "thing" or number >= len(look.boxes) or picture is None or v.me is None:
        raise HTTPException(400)
    made = declared_things.declare_thing(v.site.catalog, look, number, picture, v.me.name, v.site.clock.now())
    if made is not None:
        note_verdict(v, look, made.place, made.start, verdict)
    return made is not None


def _find_asked(v: PageVisit) -> Look | None:
    """Return the look at or before the instant asked for, by `at` or by the form's day and time of the site."""
    camera, day, time = look_views.find_camera(v), v.query("day"), v.query("time")
    moment = v.site.clock.now()
    if v.query("at"):
        moment = look_views.parse_moment(v.query("at"))
    elif day:
        try:
            local = datetime.fromisoformat(f"{day}T{time or '23:59'}").replace(tzinfo=v.site.catalog.zone)
            moment = look_views.parse_moment(local.isoformat())
        except ValueError:
            raise HTTPException(400) from None
    return v.site.catalog.looks.last(camera.camera_id, moment)


def _find_chosen(v: PageVisit, look: Look, shown: int) -> int | None:
    """Return the number of the box that was tapped or named."""
    point = look_views.read_tap(v.query("tap.x"), v.query("tap.y"), look, shown)
    if point is not None:
        return find_box(look, point)
    return _parse_number(v.query("box")) if v.query("box") else None


def _parse_number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise HTTPException(400)
    return int(text)
