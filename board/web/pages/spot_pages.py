"""Spot checks: what waits, what was found, what nobody looked at; drawing, the plan by the hour, coverage."""

from __future__ import annotations

import json
from datetime import date, timedelta

from starlette.exceptions import HTTPException
from starlette.responses import Response

from agent.core.clock import get_local_day
from agent.core.errors import InputError
from agent.core.model import is_id
from board.spot_checks import ledger
from board.spot_checks.coverage import load_coverage
from board.spot_checks.drawing import LONGEST_S, MOST_MOMENTS, SpotOrder, build_recipe
from board.spot_checks.plan import SpotPlan, load_plan, save_plan
from board.spot_checks.video import ClipProgress, load_clip_progress
from board.web.site import BoardVisit

_LISTED = 200


def show_spot_checks(v: BoardVisit) -> Response:
    """List the moments of a shelf: to be judged, judged, never looked at."""
    asked = v.query("shelf")
    shelf: ledger.Shelf = next((name for name in ledger.SHELVES if name == asked), "open")
    before = v.query("before")
    number = int(before) if before.isascii() and before.isdigit() and len(before) < 16 else None
    class_id = v.query("class") if is_id(v.query("class")) else ""
    found = ledger.list_moments(v.site.database, shelf, limit=_LISTED + 1, before=number, class_id=class_id)
    v.note_once("view.spot")
    return v.page(
        "spot_checks.html",
        shelf=shelf,
        shelves=ledger.SHELVES,
        counts=ledger.count_shelves(v.site.database),
        moments=found[:_LISTED],
        older=found[_LISTED - 1]["id"] if shelf == "judged" and len(found) > _LISTED else None,
        clip_of=lambda moment: find_clip(v, moment),
        class_id=class_id,
        plan=load_plan(v.site.database),
        draws=ledger.list_draws(v.site.database),
        most=MOST_MOMENTS,
        longest=LONGEST_S,
    )


def find_clip(v: BoardVisit, moment: ledger.Row) -> ClipProgress | None:
    """Return how the clip of a moment is getting on; None where none was ordered."""
    return load_clip_progress(v.site.database, moment["clip"]) if moment["clip"] else None


def draw_spot_checks(v: BoardVisit) -> Response:
    """Draw moments over all classes of today, or over one class; the audit has them before anybody sees them."""
    class_id = v.form.get("class", "").strip()
    if class_id and not is_id(class_id):
        raise InputError("spot.no_plan", class_id=class_id[:32])
    days = [_read_day(v.form.get(name, "")) for name in ("from", "until")]
    order = SpotOrder(
        count=_read_number(v, "count"),
        seconds=_read_number(v, "seconds"),
        by=v.user.name,
        who=v.who,
        class_id=class_id,
        first_day=days[0],
        last_day=days[1],
        seed=" ".join(v.form.get("seed", "").split())[:200],
    )
    made = v.site.spot_drawer.draw(order, v.site.clock.now())
    return v.go(f"/spot-checks/draws/{made}")


def _read_number(v: BoardVisit, name: str) -> int:
    """Return a whole number of a form; 0, which is refused later, for what is none."""
    text = v.form.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0


def _read_day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        return None


def show_draw(v: BoardVisit) -> Response:
    """Show a draw with its seed, and how anybody draws the same moments again."""
    draw, moments = _load_draw(v)
    v.note_once("view.spot.draw", str(draw["id"]))
    lessons = json.loads(draw["population"])
    return v.page("spot_draw.html", draw=draw, moments=moments, lessons=len(lessons), clip_of=lambda m: find_clip(v, m))


def send_recipe(v: BoardVisit) -> Response:
    """Send rule, seed, population and moments as JSON, for whoever checks the draw."""
    draw, moments = _load_draw(v)
    v.note("export.spot", str(draw["id"]))
    headers = {"Content-Disposition": f'attachment; filename="draw-{draw["id"]}.json"', "Cache-Control": "no-store"}
    text = json.dumps(build_recipe(draw, moments), ensure_ascii=False, indent=1)
    return Response(text, media_type="application/json", headers=headers)


def _load_draw(v: BoardVisit) -> tuple[ledger.Row, list[ledger.Row]]:
    number: int = v.request.path_params["number"]
    found = ledger.load_draw(v.site.database, number) if number < 1 << 53 else None
    if found is None:
        raise HTTPException(404)
    return found


def set_plan(v: BoardVisit) -> Response:
    """Set the plan by the hour."""
    plan = SpotPlan(
        enabled=v.form.get("enabled") == "1",
        count=_read_number(v, "count"),
        seconds=_read_number(v, "seconds"),
        first_hour=_read_number(v, "first_hour"),
        last_hour=_read_number(v, "last_hour"),
    )
    save_plan(v.site.database, plan, v.user.name, v.who, v.site.clock.now())
    return v.go("/spot-checks#plan")


def show_coverage(v: BoardVisit) -> Response:
    """Show coverage by institution, of this month or of the days asked for."""
    now = v.site.clock.now()
    today = get_local_day(now, v.site.zone)
    first, last = _read_day(v.query("from")) or today.replace(day=1), _read_day(v.query("until")) or today
    last = min(max(first, last), first + timedelta(days=366))
    v.note_once("view.spot.coverage")
    rows = load_coverage(v.site.database, first, last, now, v.site.zone)
    return v.page("spot_coverage.html", rows=rows, first=first, last=last, results=ledger.RESULTS)
