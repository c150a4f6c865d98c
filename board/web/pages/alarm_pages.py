"""Alarms about evidence, which the board found itself: list, one with all that shows it, and closing."""

from __future__ import annotations

import json
from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.responses import Response

from board.queries.alarms import acknowledge_alarm, judge_alarm_severity, list_alarms, list_stored_contents
from board.web.pages.alert_pages import read_note
from board.web.site import BoardVisit

_LISTED = 100


def show_alarms(v: BoardVisit) -> Response:
    """List all alarms, the newest first; `before` turns the page."""
    before = v.query("before")
    number = int(before) if before.isascii() and before.isdigit() and len(before) < 16 else None
    found = list_alarms(v.site.database, open_only=False, before=number, limit=_LISTED + 1)
    v.note_once("view.alarms")
    older = found[_LISTED - 1]["id"] if len(found) > _LISTED else None
    return v.page("watch_alarms.html", tab="alarms", alarms=found[:_LISTED], older=older, grade=judge_alarm_severity)


def show_alarm(v: BoardVisit) -> Response:
    """Show one alarm: what was expected, what came, when, and what is to be done."""
    alarm = _find(v)
    evidence = _read(str(alarm["evidence"]))
    box, log, number = str(alarm["box"]), str(alarm["log"]), int(str(alarm["number"]))
    v.note_once("view.alarm", box, {"kind": alarm["kind"], "number": number})
    return v.page(
        "watch_alarm.html",
        tab="alarms",
        alarm=alarm,
        severity=judge_alarm_severity(str(alarm["kind"])),
        known=_get(evidence, "known"),
        came=_get(evidence, "came"),
        topic=evidence.get("topic") or "",
        waiting=evidence.get("waiting"),
        message=_lay_out(evidence.get("message")),
        contents=list_stored_contents(v.site.database, box, log, number) if log and number else [],
    )


def close_alarm(v: BoardVisit) -> Response:
    """Close an alarm with what was found."""
    alarm, note = _find(v), read_note(v)
    if not note:
        return v.error(400, v.t("watchlist.note_needed"))
    acknowledge_alarm(v.site.database, int(str(alarm["id"])), v.user.name, note, v.site.clock.now())
    detail = {"kind": alarm["kind"], "number": alarm["number"], "note": note}
    v.note("alarm.close", str(alarm["box"]), detail)
    return v.go(f"/alarms/{alarm['id']}")


def _find(v: BoardVisit) -> dict[str, object]:
    number: int = v.request.path_params["number"]
    found = list_alarms(v.site.database, open_only=False, number=number) if number < 1 << 53 else []
    if not found:
        raise HTTPException(404)
    return found[0]


def _read(text: str) -> Mapping[str, object]:
    try:
        found: object = json.loads(text)
    except ValueError:  # cut off where it was too long
        return {"message": text}
    return found if isinstance(found, dict) else {}


def _get(evidence: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = evidence.get(name)
    return found if isinstance(found, dict) else {}


def _lay_out(message: object) -> str:
    """Return a message as people can read it; one that is no JSON as it came."""
    if not isinstance(message, str):
        return ""
    try:
        return json.dumps(json.loads(message), ensure_ascii=False, indent=1)
    except (ValueError, RecursionError):
        return message
