"""Calls to cameras: ask a class for a sign of life, see how it is getting on, and confirm the digits by eye."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import Response

from agent.core.clock import get_local_day
from agent.core.errors import InputError
from agent.core.model import is_id
from board.calls.asking import CallOrder
from board.calls.ledger import confirm_call, find_call, list_calls
from board.queries.classes import list_class_boxes
from board.queries.course_plan import read_approved_class
from board.web.pages.alert_pages import read_note
from board.web.site import BoardVisit


def show_calls(v: BoardVisit) -> Response:
    """List calls, the newest first, with the form for another: `class` names its class, else those of today are offered."""
    now = v.site.clock.now()
    wanted = v.query("class") if is_id(v.query("class")) else ""
    v.note_once("view.calls")
    with v.site.database.read() as connection:
        today = v.site.plans.load(connection, get_local_day(now, v.site.zone))
    offered = [x for x in today if any(now < half_day.end for half_day in x.half_days or ())]
    boxes = list_class_boxes(v.site.database, wanted, v.site.clock.now()) if wanted else []
    found = list_calls(v.site.database, now, class_id=wanted)
    return v.page("calls.html", calls=found, offered=offered, wanted=wanted, boxes=boxes)


def ask_call(v: BoardVisit) -> Response:
    """Make a call, for now or for a minute by chance."""
    class_id, box = v.form.get("class", ""), v.form.get("box", "")[:100]
    if not is_id(class_id):
        raise InputError("call.no_lesson", class_id=class_id[:32])
    chosen = "random" if v.form.get("when") == "random" else "now"
    order = CallOrder(class_id, chosen, v.user.name, box, v.who)  # type: ignore[arg-type]
    return v.go(f"/calls/{v.site.call_maker.make(order, v.site.clock.now())}")


def _find(v: BoardVisit) -> dict[str, Any]:
    call_id: str = v.request.path_params["call_id"]
    found = find_call(v.site.database, call_id, v.site.clock.now()) if is_id(call_id) else None
    if found is None:
        raise HTTPException(404)
    return found


def show_call(v: BoardVisit) -> Response:
    """Show a call: whom to ring up and the digits to say while it is open, then how it ended."""
    call = _find(v)
    approved = read_approved_class(str(call["body"] or ""), v.site.zone)
    v.note_once("view.call", call["class_id"], {"call": call["id"]})
    # only for those who may act, and only from the call's minute on: a call by chance must come by chance
    told = v.may_act and call["sent_at"] is not None
    return v.page("call.html", call=call, approved=approved, code=call["code"] if told else "")


def confirm(v: BoardVisit) -> Response:
    """Note that the caller saw the digits in a picture of an instant of that day."""
    call = _find(v)
    try:
        at = time.fromisoformat(v.form.get("at", ""))
        seen_at = datetime.combine(date.fromisoformat(call["date"]), at.replace(tzinfo=None), v.site.zone)
    except ValueError:
        raise InputError("call.bad_moment") from None
    now = v.site.clock.now()
    confirm_call(v.site.database, call["id"], seen_at, read_note(v), v.user.name, v.who, now)
    return v.go(f"/calls/{call['id']}")
