"""Calibration of a camera by an operator who marks wrong and missing boxes on three looks. Works without scripts.

The marks so far are kept in the catalog, so that every tap is a form of its own: an image button sends where it was tapped.
"""

from __future__ import annotations

from dataclasses import replace

from starlette.exceptions import HTTPException
from starlette.responses import Response

from agent.catalog import calibrations
from agent.catalog.places import PlaceVerdict
from agent.core import clock as clocks
from agent.core.errors import InputError
from agent.core.model import Look
from agent.counting import calibrate, declared_things, hand_marks
from agent.counting.hand_marks import MarkedLook
from agent.web.pages import camera_looks, live_view, look_views
from agent.web.site import PageVisit

CALIBRATE_ACTION = "camera.calibrate"


def show_calibration(v: PageVisit) -> Response:
    """Show the look that is being marked; before the first and after the last one, what was found."""
    return _render(v)


def _render(v: PageVisit, fault: str = "", status: int = 200) -> Response:
    camera_id = look_views.find_camera(v).camera_id
    pairs = _load(v, camera_id)
    step = next((i for i, (m, _) in enumerate(pairs) if not m.done), None)
    marks, look = pairs[step] if step is not None else (None, None)
    return v.page(
        "calibration.html",
        status,
        camera_id=camera_id,
        pairs=pairs,
        step=step,
        marks=marks,
        look=look,
        boxes=look_views.draw_boxes(v, look)[0] if look else [],
        shown=look_views.choose_width(v.query("shown") or v.form.get("shown", "")),
        utc=clocks.format_utc,
        calibration=live_view.describe_calibration(v, camera_id),
        fault=fault,
    )


def mark_look(v: PageVisit) -> Response:
    """Take one tap or button of the page."""
    camera_id, action = look_views.find_camera(v).camera_id, v.form.get("action", "")
    if action == "start":
        return _start(v, camera_id)
    pairs = _load(v, camera_id)
    if not pairs:
        return _render(v, v.t("looks.marks_gone"), 409)
    if action == "save":
        return _save(v, camera_id, pairs)
    if action == "stop":
        v.site.catalog.facts.forget(calibrations.make_marks_key(camera_id))
        return v.go(f"/cameras/{camera_id}")
    moment, shown = v.form.get("at", ""), look_views.choose_width(v.form.get("shown", ""))
    index = next((i for i, (m, _) in enumerate(pairs) if clocks.format_utc(m.at) == moment), None)
    if index is None:
        raise HTTPException(400)
    marks = [m for m, _ in pairs]
    marks[index] = _change(v, *pairs[index], action, shown)
    if action == "back" and index:
        marks[index - 1] = replace(marks[index - 1], done=False)
    v.site.catalog.facts.put(calibrations.make_marks_key(camera_id), hand_marks.dump_marks(marks))
    return v.go(f"/cameras/{camera_id}/calibration?shown={shown}#{_find_changed(pairs[index][0], marks[index])}")


def _find_changed(before: MarkedLook, after: MarkedLook) -> str:
    """Return the part of the page to scroll to: on a phone a tap must not move the picture away from where it was."""
    if before.wrong != after.wrong:
        return f"box-{next(iter(before.wrong ^ after.wrong))}"
    return f"missed-{len(after.missed) - 1}" if len(after.missed) > len(before.missed) else "picture"


def _change(v: PageVisit, marks: MarkedLook, look: Look, action: str, shown: int) -> MarkedLook:
    """Return the marks of a look after one act. Raises HTTPException 400."""
    if action == "done":
        return replace(marks, done=True)
    if action in ("undone", "back"):
        return replace(marks, done=False)
    if action == "more":
        return replace(marks, unplaced=min(marks.unplaced + 1, hand_marks.MOST_UNPLACED))
    if action == "less":
        return replace(marks, unplaced=max(marks.unplaced - 1, 0))
    number = v.form.get("box", "")
    if number.isascii() and number.isdigit() and len(number) < 6 and int(number) < len(look.boxes):
        return marks.toggle(int(number))
    point = look_views.read_tap(v.form.get("tap.x", ""), v.form.get("tap.y", ""), look, shown)
    if point is None:
        raise HTTPException(400)
    return marks.tap(look, point)


def _start(v: PageVisit, camera_id: str) -> Response:
    """Choose three looks of the newest half-day whose video is here."""
    catalog = v.site.catalog
    last = catalog.looks.last(camera_id, v.site.clock.now())
    if last is None:
        return _render(v, v.t("looks.too_few"), 409)
    looks = [x for x in catalog.looks.of_half_day(last.class_id, last.date, last.session) if x.camera_id == camera_id]
    chosen = hand_marks.choose_looks(looks)
    if not chosen:
        return _render(v, v.t("looks.too_few"), 409)
    if any(look_views.read_picture(v, x) is None for x in chosen):
        return _render(v, v.t("looks.no_video"), 409)
    catalog.facts.put(calibrations.make_marks_key(camera_id), hand_marks.dump_marks([MarkedLook(x.at) for x in chosen]))
    return v.go(f"/cameras/{camera_id}/calibration#picture")


def _save(v: PageVisit, camera_id: str, pairs: list[tuple[MarkedLook, Look]]) -> Response:
    """Store things, places and recall; with too few people the things alone."""
    if not all(m.done for m, _ in pairs):
        raise HTTPException(400)
    catalog = v.site.catalog
    people = [m.count_people(look) for m, look in pairs]
    for marks, look in pairs:
        _store_verdicts(v, marks, look)
    # what is a thing has changed: the looks are read again
    counted = [(look_views.find_look(v, camera_id, m.at), n) for (m, _), n in zip(pairs, people, strict=True)]
    catalog.facts.forget(calibrations.make_marks_key(camera_id))
    detail: dict[str, object] = {
        "looks": [{"at": clocks.format_utc(x.at), "found": len(x.counted_boxes), "people": n} for x, n in counted]
    }
    try:
        found = calibrate.fit_looks(counted)
    except InputError as error:
        v.note(CALIBRATE_ACTION, camera_id, {**detail, "recall": None})
        return _render(v, v.say(error) + v.t("looks.things_kept"), 409)
    catalog.facts.put(calibrations.make_calibration_key(camera_id), found.to_text())
    v.note(CALIBRATE_ACTION, camera_id, {**detail, "recall": found.recall, "error": found.error})
    return v.go(f"/cameras/{camera_id}/calibration")


def _store_verdicts(v: PageVisit, marks: MarkedLook, look: Look) -> None:
    """Store what the marks of a look say of its things, and declare those that were counted as people."""
    assert v.me is not None
    catalog, now = v.site.catalog, v.site.clock.now()
    picture = look_views.read_picture(v, look) if marks.wrong else None
    for box in look_views.draw_boxes(v, look)[0]:
        if box.number not in marks.wrong:
            continue
        if box.place is not None:
            # by the look as it was marked: the same thing may have been marked on the look before
            verdict: PlaceVerdict = "person" if hand_marks.is_thing(look, box.number) else "thing"
            if box.place.verdict == verdict:
                continue
            catalog.places.overrule(look.camera_id, box.place.place, box.place.start, verdict, v.me.name, now)
            camera_looks.note_verdict(v, look, box.place.place, box.place.start, verdict)
        elif picture is not None:
            made = declared_things.declare_thing(catalog, look, box.number, picture, v.me.name, now)
            if made is not None:
                camera_looks.note_verdict(v, look, made.place, made.start, "thing")


def _load(v: PageVisit, camera_id: str) -> list[tuple[MarkedLook, Look]]:
    """Load the marks with their looks; nothing where there are none, or a look is not judged any more."""
    pairs = []
    for marks in hand_marks.parse_marks(v.site.catalog.facts.get(calibrations.make_marks_key(camera_id))):
        look = v.site.catalog.looks.last(camera_id, marks.at)
        if look is None or not look.judged or clocks.format_utc(look.at) != clocks.format_utc(marks.at):
            return []
        pairs.append((marks, look))
    return pairs
