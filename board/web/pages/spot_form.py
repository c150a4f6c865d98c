"""Form 11 for a drawn moment: what the board knows of it, to be completed and printed. Figures as boxes reported them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from agent import i18n
from agent.core.class_model import TrainingClass
from agent.core.clock import get_local_day, parse_time
from agent.core.model import Session
from agent.website.pages.form_fields import FORM_11, collapse_spaces
from board.queries.half_days import HalfDayEvidence
from board.web.site import BoardVisit

_MOST_GAPS = 6
_SEEN_KINDS = ("picture.", "sound.")


def say_zh(key: str, /, **params: object) -> str:
    """Return the Chinese text: the forms are the county's, whatever the page's language."""
    return i18n.translate_to("zh", key, **params)


def fill_form_11(
    v: BoardVisit, moment: Mapping[str, Any], approved: TrainingClass | None, evidence: Sequence[HalfDayEvidence]
) -> dict[str, str]:
    """Fill in the fields of form 11 that the board can answer; the others are empty."""
    at = parse_time(moment["start"]).astimezone(v.site.zone)
    known = {
        "institution": moment["institution"] or "",
        "number": str(moment["class_number"] or ""),
        "occupation": moment["occupation"] or "",
        "place": moment["place"] or "",
        "at": _say_when(v, at),
        "inspectors": v.user.name,
        "present": _say_present(evidence),
        "video": _say_video(evidence),
    }
    if approved is not None:
        day, session = date.fromisoformat(moment["date"]), Session(moment["session"])
        known |= {
            "expected": str(approved.expected_on(day, session)),
            "as_planned": _say_plan(approved, moment["room_id"], at),
        }
    return dict.fromkeys(FORM_11, "") | known


def _say_when(v: BoardVisit, at: datetime) -> str:
    today = get_local_day(v.site.clock.now(), v.site.zone)
    viewed = say_zh("form.day", y=today.year, m=today.month, d=today.day)
    moment = {"y": at.year, "m": at.month, "d": at.day, "h": at.hour, "min": f"{at.minute:02}"}
    return say_zh("form.at", **moment, viewed=viewed)


def _say_present(evidence: Sequence[HalfDayEvidence]) -> str:
    """Return the estimate of the half-day, of each box by itself where there are several."""
    said = []
    for one in evidence:
        figures = one.reported.figures
        if figures and figures["present"] is not None:
            text = say_zh("spot.form_present", n=figures["present"], low=figures["low"], high=figures["high"])
            said.append(f"{one.reported.box.rpartition('/')[2]}：{text}" if len(evidence) > 1 else text)
    return "；".join(said)


def _say_plan(approved: TrainingClass, room_id: str, at: datetime) -> str:
    lesson = next(
        (x for x in approved.lessons if not x.cancelled and x.room_id == room_id and x.start <= at < x.end), None
    )
    return "" if lesson is None else say_zh(f"spot.form_plan_{lesson.kind}", content=lesson.content or "—")


def _say_video(evidence: Sequence[HalfDayEvidence]) -> str:
    """Return what the ledgers of gaps and the alerts say of the half-day; nothing where no ledger has come."""
    lines = []
    if any(one.reported.gaps is not None for one in evidence):
        found = [gap for one in evidence for gap in one.gaps]
        listed = "；".join(_say_gap(gap) for gap in found[:_MOST_GAPS])
        lines.append(say_zh("spot.form_gaps", n=len(found), gaps=listed) if found else say_zh("spot.form_no_gaps"))
    kinds = {str(a["kind"]) for one in evidence for a in one.alerts if str(a["kind"]).startswith(_SEEN_KINDS)}
    known = i18n.load_catalogue()
    named = [say_zh(f"web.alert.{kind}") for kind in sorted(kinds) if f"web.alert.{kind}" in known]
    if named:
        lines.append(say_zh("spot.form_alerts", alerts="、".join(named)))
    return "\n".join(lines)


def _say_gap(gap: Mapping[str, Any]) -> str:
    reason = f"gap.{gap.get('reason')}"
    start, end = (str(gap.get(name) or "")[11:19] for name in ("start", "end"))
    return (
        f"{gap.get('camera_id', '')} {start}–{end} {say_zh(reason) if reason in i18n.load_catalogue() else ''}".strip()
    )


def list_changed(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return the fields in which a person wrote something else than was offered."""
    return [name for name in FORM_11 if before[name] and collapse_spaces(now[name]) != collapse_spaces(before[name])]
