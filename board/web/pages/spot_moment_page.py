"""One drawn moment: its video, form 11 to be completed and judged, and the form to print."""

from __future__ import annotations

from datetime import date
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import Response

from agent.core.class_model import TrainingClass
from agent.core.clock import get_local_day
from agent.website.pages.form_fields import FORM_11, read_fields
from board.queries.classes import find_class
from board.queries.course_plan import read_approved_class
from board.queries.half_days import HalfDayEvidence, load_half_day
from board.spot_checks import ledger
from board.web.pages.spot_form import fill_form_11, list_changed
from board.web.pages.spot_pages import find_clip
from board.web.site import BoardVisit


def _find(v: BoardVisit) -> ledger.Row:
    number: int = v.request.path_params["number"]
    found = ledger.find_moment(v.site.database, number) if number < 1 << 53 else None
    if found is None:
        raise HTTPException(404)
    return found


def _load(v: BoardVisit, moment: ledger.Row) -> tuple[TrainingClass | None, list[HalfDayEvidence]]:
    today = get_local_day(v.site.clock.now(), v.site.zone)
    row: dict[str, Any] | None = find_class(v.site.database, moment["class_id"], today=today)
    approved = read_approved_class(str(row["body"]), v.site.zone) if row else None
    return approved, load_half_day(v.site.database, moment["class_id"], moment["date"], moment["session"])


def show_moment(v: BoardVisit) -> Response:
    """Show a moment with its clip and form 11: as typed where somebody has judged it, else as the board fills it in."""
    moment = _find(v)
    approved, evidence = _load(v, moment)
    clip = find_clip(v, moment)
    if v.may_act and clip is not None and clip.film:
        # looked at: by somebody who may judge, and with its video
        ledger.note_opened(v.site.database, moment["id"], v.user.name, v.site.clock.now())
    v.note("view.spot.moment", moment["class_id"], {"moment": moment["id"], "start": moment["start"]})
    return _page(v, moment, clip, moment["form"] or fill_form_11(v, moment, approved, evidence))


def _page(v: BoardVisit, moment: ledger.Row, clip: object, form: dict[str, str], status: int = 200) -> Response:
    fault = v.t("spot.result_needed") if status != 200 else ""
    values = {"moment": moment, "clip": clip, "form": form, "results": ledger.RESULTS, "fault": fault}
    return v.page("spot_moment.html", status, **values)


def judge_moment(v: BoardVisit) -> Response:
    """Keep the inspector's word and the form as it was typed."""
    moment, form, result = _find(v), read_fields(v, FORM_11), v.form.get("result", "")
    if result not in ledger.RESULTS:  # what was typed is not lost
        return _page(v, moment, find_clip(v, moment), form, 400)
    now = v.site.clock.now()
    ledger.note_opened(v.site.database, moment["id"], v.user.name, now)
    ledger.judge_moment(v.site.database, moment["id"], result, form, v.user.name, v.who, now)
    return v.go(f"/spot-checks/{moment['id']}/form" if v.form.get("then") == "print" else "/spot-checks")


def print_form(v: BoardVisit) -> Response:
    """Show the judged form, to print."""
    moment = _find(v)
    if not moment["form"]:
        raise HTTPException(404)
    approved, evidence = _load(v, moment)
    offered = fill_form_11(v, moment, approved, evidence)
    v.note("print.form11", moment["class_id"], {"moment": moment["id"]})
    return v.page(
        "spot_form.html",
        moment=moment,
        f=dict.fromkeys(FORM_11, "") | moment["form"],
        changed=[
            x for x in list_changed(offered, moment["form"]) if x in ("expected", "present", "as_planned", "video")
        ],
        offered=offered,
        judged_on=date.fromisoformat(v.local(moment["judged_at"])[:10]),
        head=v.site.audit.head(),
    )
