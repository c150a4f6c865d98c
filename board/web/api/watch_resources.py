"""The API's calls about what needs somebody: boxes, alerts, alarms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

from agent.contract.county import (
    CountyAlertBody,
    CountyAlertListBody,
    CountyBoxBody,
    CountyBoxListBody,
    EvidenceAlarmBody,
    EvidenceAlarmListBody,
)
from agent.contract.county_arguments import (
    AlarmsArguments,
    AlertHistoryArguments,
    BoxesArguments,
    CountyAlertsArguments,
)
from agent.core.clock import format_utc
from board.queries.alarms import judge_alarm_severity, list_alarms
from board.queries.alerts import AlertFilter, Place, list_alert_history
from board.queries.boxes import BoxState, list_boxes
from board.web.site import BoardVisit


def list_county_boxes(v: BoardVisit, asked: BoxesArguments) -> CountyBoxListBody:
    found = list_boxes(v.site.database, v.site.clock.now(), institution=v.institution)
    rest = sorted((box for box in found if box.name > (asked.after or "")), key=lambda box: box.name)
    shown = [_build_box(v, box) for box in rest[: asked.limit]]
    return {"items": shown, "next": shown[-1]["box"] if len(rest) > asked.limit else None}


def _build_box(v: BoardVisit, box: BoxState) -> CountyBoxBody:
    return {
        "box": box.name,
        "institution": box.institution,
        "presence": box.presence,
        "last_seen": v.stamp(box.last_seen),
        "version": box.version,
        "cameras": box.cameras,
        "cameras_up": box.cameras_up,
        "days_left": box.days_left,
        "clock": box.clock,
        "worst": box.worst,
        "outbox": box.outbox,
        "certificate_until": v.stamp(box.certificate_until),
        "alerts": box.alerts,
        "alarms": box.alarms if v.is_staff else None,
    }


def list_open_alerts(v: BoardVisit, asked: CountyAlertsArguments) -> CountyAlertListBody:
    return _list_alerts(v, AlertFilter(institution=v.institution, open_only=True), asked)


def list_alerts(v: BoardVisit, asked: AlertHistoryArguments) -> CountyAlertListBody:
    begin, end = _find_day_start(v, asked.from_), _find_day_start(v, asked.until, after=1)
    wanted = AlertFilter(asked.box, asked.class_id or "", asked.kind, begin, end, v.institution)
    return _list_alerts(v, wanted, asked)


def _list_alerts(v: BoardVisit, wanted: AlertFilter, asked: CountyAlertsArguments) -> CountyAlertListBody:
    before = _read_place(asked.before) if asked.before else None
    found = list_alert_history(v.site.database, wanted, before=before, limit=asked.limit + 1)
    return {
        "items": [_build_alert(v, row) for row in found[: asked.limit]],
        "next": _name_place(found[asked.limit - 1]) if len(found) > asked.limit else None,
    }


def _find_day_start(v: BoardVisit, day: date | None, after: int = 0) -> str:
    """Return the beginning of a day of the county, or of one some days after, as UTC text; "" where nothing is bounded."""
    if day is None:
        return ""
    try:
        return format_utc(datetime.combine(day + timedelta(days=after), time(), v.site.zone))
    except OverflowError:  # the first or last day of the calendar, which bounds nothing
        return ""


def _name_place(row: Mapping[str, object]) -> str:
    return f"{row['since']}~{row['box_id']}~{row['alert_id']}"


def _read_place(text: str) -> Place:
    since, box_id, alert_id = text.split("~", 2)
    return since, int(box_id), alert_id


def _build_alert(v: BoardVisit, row: Mapping[str, Any]) -> CountyAlertBody:
    return {
        "box": row["box"],
        "alert_id": row["alert_id"],
        "kind": row["kind"],
        "state": row["state"],
        "severity": row["severity"],
        "since": v.stamp(row["since"]) or "",
        "at": v.stamp(row["at"]) or "",
        "class_id": row["class_id"],
        "date": row["date"],
        "session": row["session"],
        "camera_id": row["camera_id"],
        "message": row["message"],
        "acknowledged_at": v.stamp(row["acknowledged_at"]),
        "acknowledged_by": row["acknowledged_by"],
        "note": row["note"],
    }


def list_evidence_alarms(v: BoardVisit, asked: AlarmsArguments) -> EvidenceAlarmListBody:
    open_only = asked.state == "open"
    found: Sequence[Mapping[str, Any]] = list_alarms(
        v.site.database, open_only=open_only, limit=asked.limit + 1, before=asked.before
    )
    shown = [_build_alarm(v, row) for row in found[: asked.limit]]
    return {"items": shown, "next": shown[-1]["number"] if len(found) > asked.limit else None}


def _build_alarm(v: BoardVisit, row: Mapping[str, Any]) -> EvidenceAlarmBody:
    return {
        "number": row["id"],
        "box": row["box"],
        "kind": row["kind"],
        "severity": judge_alarm_severity(row["kind"]),  # type: ignore[typeddict-item]  # one of the words of alerts
        "log": row["log"],
        "log_number": row["number"],
        "detail": row["detail"],
        "raised_at": v.stamp(row["raised_at"]) or "",
        "cleared_at": v.stamp(row["cleared_at"]),
        "acknowledged_at": v.stamp(row["acknowledged_at"]),
        "acknowledged_by": row["acknowledged_by"],
        "note": row["note"],
        "class_id": row["class_id"],
        "date": row["date"],
        "session": row["session"],
    }
