"""What of a half-day is published next: figures, status and revision, and the sign-ins beside the figures. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast
from zoneinfo import ZoneInfo

from agent.attendance.judge import JudgedHalfDay, build_attendance_object
from agent.class_files.json_types import AttendanceStatus
from agent.core.sign_in import SignInCount, build_signed_counts

if TYPE_CHECKING:
    from agent.contract.attendance import AttendanceBody, EstimateBody


def build_next(
    half: JudgedHalfDay, before: AttendanceBody | None, count: SignInCount | None, zone: ZoneInfo
) -> AttendanceBody:
    """Build the object that follows `before`, which was last published; `count` are the sign-ins as stated by now."""
    revision = (before["revision"] if before else 0) + 1
    body = build_attendance_object(half, decide_status(half, before), revision)
    if count is not None:
        body["signed"] = build_signed_counts(count, zone)
    # the status speaks of the estimate: a sign-in that was stated later corrects nothing of it
    if before is not None and before["status"] == "final" and not _is_corrected(body, before):
        body["status"] = "final" if body["status"] == "revised" else body["status"]
    return body


def _is_corrected(body: AttendanceBody, before: AttendanceBody) -> bool:
    return _select_compared(body, clock=True, signed=False) != _select_compared(before, clock=True, signed=False)


def with_sign_ins(before: AttendanceBody, count: SignInCount, zone: ZoneInfo) -> AttendanceBody | None:
    """Return the next revision with other sign-ins and the same figures; None where they are published already."""
    signed = build_signed_counts(count, zone)
    if before.get("signed") == signed:
        return None
    return {**before, "signed": signed, "revision": before["revision"] + 1}


def decide_status(half: JudgedHalfDay, before: AttendanceBody | None) -> AttendanceStatus:
    """Return the status of a half-day; `before` is the object last published.

    Provisional while it is under way; then unjudged if the count is unknown; revised if it was final before, or was
    published and then cancelled; else final.
    """
    if not half.over:
        return "provisional"
    if half.lessons and half.figures.present is None:
        return "unjudged"
    settled = before is not None and (before["status"] != "provisional" or not half.lessons)
    return "revised" if settled else "final"


def is_changed(body: AttendanceBody, before: AttendanceBody, *, clock: bool) -> bool:
    """Return whether two objects differ, apart from status and revision; the growing times count only if `clock`."""
    return _select_compared(body, clock=clock) != _select_compared(before, clock=clock)


def _select_compared(body: AttendanceBody, *, clock: bool, signed: bool = True) -> dict[str, object]:
    without = (
        {"status", "revision"} | (set() if clock else {"lesson_s", "judged_s"}) | (set() if signed else {"signed"})
    )
    fields = {key: value for key, value in body.items() if key not in without}
    return fields | {"rooms": [{k: v for k, v in room.items() if k not in without} for room in body["rooms"]]}


def take_estimate(body: AttendanceBody) -> EstimateBody:
    """Return the object without the sign-ins."""
    return cast("EstimateBody", {key: value for key, value in body.items() if key != "signed"})
