"""Alerts of the boxes: those that are open, the gravest first; history; what people noted."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.responses import Response

from agent.core.alert_model import AlertKind
from agent.core.clock import format_utc
from board.queries.alarms import judge_alarm_severity, list_alarms
from board.queries.alerts import (
    SILENT_KIND,
    AlertFilter,
    Place,
    find_alert,
    list_alert_history,
    list_open_alerts,
    note_alert,
)
from board.queries.notices import list_undelivered, read_notify_state
from board.web.site import BoardVisit

_LISTED = 100
_MOST_OPEN = 300


def show_open_alerts(v: BoardVisit) -> Response:
    """Show alarms about evidence, then open alerts, the gravest first; and notifications that did not arrive."""
    v.note_once("view.alerts")
    found = list_open_alerts(v.site.database, _MOST_OPEN + 1, institution=v.institution)
    alarms = list_alarms(v.site.database) if v.is_staff else []
    return v.page(
        "watch_open.html",
        tab="open",
        alerts=found[:_MOST_OPEN],
        more=len(found) > _MOST_OPEN,
        alarms=sorted(alarms, key=lambda a: judge_alarm_severity(str(a["kind"])) != "critical"),
        undelivered=list_undelivered(v.site.database) if v.is_staff else [],
        notify=read_notify_state(v.site.database) if v.is_staff else None,
        grade=judge_alarm_severity,
    )


def show_alert_history(v: BoardVisit) -> Response:
    """List alerts, the newest first; box, class, kind and days select, `before` turns the page."""
    asked = {name: v.query(name).strip()[:64] for name in ("box", "class", "kind", "from", "until")}
    begin, end = _read_day(v, asked["from"]), _read_day(v, asked["until"], after=1)
    wanted = AlertFilter(asked["box"], asked["class"], asked["kind"], begin, end, v.institution)
    found = list_alert_history(v.site.database, wanted, before=_read_place(v.query("before")), limit=_LISTED + 1)
    kept = {name: value for name, value in asked.items() if value}
    v.note_once("view.alerts.history", "", kept)
    older = ""
    if len(found) > _LISTED:
        last = found[_LISTED - 1]
        older = urlencode(kept | {"before": f"{last['since']} {last['box_id']} {last['alert_id']}"})
    return v.page(
        "watch_history.html",
        tab="history",
        alerts=found[:_LISTED],
        asked=asked,
        kinds=[*(kind.value for kind in AlertKind), SILENT_KIND],
        older=older,
    )


def acknowledge(v: BoardVisit) -> Response:
    """Note who takes care of an alert, and how. A note is needed: a name alone says nothing to whoever reads it later."""
    number, alert_id, note = v.form.get("box", ""), v.form.get("alert", "")[:64], read_note(v)
    if not (number.isascii() and number.isdigit() and len(number) < 16):
        raise HTTPException(400)
    alert = find_alert(v.site.database, int(number), alert_id)
    if alert is None:
        raise HTTPException(404)
    if not note:
        return v.error(400, v.t("watchlist.note_needed"))
    detail = {"kind": alert["kind"], "alert_id": alert_id, "note": note}
    note_alert(v.site.database, int(number), alert_id, v.user.name, note, v.site.clock.now())
    v.note("alert.acknowledge", str(alert["box"]), detail)
    return v.go(v.here if v.here.startswith(("/alerts", "/boxes")) else "/alerts")


def read_note(v: BoardVisit) -> str:
    """Return the note that was typed, in one line."""
    return " ".join(v.form.get("note", "")[:2000].split())


def _read_day(v: BoardVisit, text: str, *, after: int = 0) -> str:
    """Return the beginning of a day of the county, or of the one after, as UTC text; "" for what is no day."""
    try:
        day = date.fromisoformat(text)
        return format_utc(datetime.combine(day + timedelta(days=after), time(), v.site.zone))
    except (ValueError, OverflowError):
        return ""


def _read_place(text: str) -> Place | None:
    since, _, rest = text.partition(" ")
    box, _, alert_id = rest.partition(" ")
    if not (box.isascii() and box.isdigit() and len(box) < 16 and alert_id):
        return None
    return since[:24], int(box), alert_id[:64]
