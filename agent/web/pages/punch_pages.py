"""Sign-ins of a class: typed for a half-day, or counted from a punch-in export, which is read and not kept."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from starlette.exceptions import HTTPException
from starlette.responses import Response

from agent.attendance.punch_columns import PUNCH_ROLES
from agent.attendance.punch_import import UnknownColumns, count_punches, read_sheets
from agent.core import sign_in
from agent.core.class_model import TrainingClass
from agent.core.errors import InputError
from agent.core.model import Session
from agent.core.sign_in import SignInCount, SignInSource
from agent.web.pages.class_overview import list_half_days
from agent.web.pages.class_pages import find_half_day
from agent.web.site import PageVisit

_MOST_HEADINGS = 40
_MOST_ROWS = 400
Counts = Mapping[tuple[date, Session], tuple[int | None, int | None]]


def show_sign_ins(v: PageVisit) -> Response:
    """Show the sign-ins of a class beside the estimate, and the form for a punch-in export."""
    v.note_once("view.signins", v.the_class().class_id)
    return _page(v)


def _page(v: PageVisit, status: int = 200, **more: object) -> Response:
    cls, now = v.the_class(), v.site.clock.now()
    values: dict[str, object] = {
        "fault": "", "found": None, "headings": (), "roles": ("", *PUNCH_ROLES), "known": v.site.catalog.sign_ins.columns(),
    }  # fmt: skip
    rows = list_half_days(v, cls, now)
    return v.page("signins.html", status, cls=cls, rows=rows, **(values | more))


def read_punch_file(v: PageVisit) -> Response:
    """Count an uploaded export and show the counts, to be confirmed; where its columns are unknown, ask what they mean."""
    cls, upload, sign_ins = v.the_class(), v.upload, v.site.catalog.sign_ins
    if upload is None or not upload.name:
        return _page(v, 400, fault=v.t("signins.no_file"))
    try:
        sheets = read_sheets(upload.name, upload.data)
        found = count_punches(upload.name, sheets, cls, v.site.catalog.zone, sign_ins.columns())
    except UnknownColumns as error:
        return _page(v, 400, fault=v.say(error), headings=error.headings[:_MOST_HEADINGS])
    except InputError as error:
        return _page(v, 400, fault=v.say(error))
    rows = ";".join(
        f"{day} {session.value} {_write(signed_in)} {_write(signed_out)}"
        for (day, session), (signed_in, signed_out) in found.counts.items()
    )
    return _page(v, found=found, file=upload.name, answer=rows)


def map_punch_columns(v: PageVisit) -> Response:
    """Remember what the columns of an export mean; the file is to be sent again, since it was not kept."""
    cls = v.the_class()
    named = {key.removeprefix("c."): role for key, role in v.form.items() if key.startswith("c.")}
    kept = {
        heading[:60]: role
        for heading, role in list(named.items())[:_MOST_HEADINGS]
        if heading and role in ("", *PUNCH_ROLES)
    }
    if kept:
        v.site.catalog.sign_ins.map_columns(kept)
        v.note("signins.columns", cls.class_id, {"columns": kept})
    return v.go(f"/classes/{cls.class_id}/signins")


def enter_counted(v: PageVisit) -> Response:
    """Enter the counts of an export that were confirmed."""
    cls = v.the_class()
    counts = _read_rows(v.form.get("rows", ""), cls)
    enter_counts(v, cls, counts, "file")
    return v.go(f"/classes/{cls.class_id}/signins")


def enter_typed(v: PageVisit) -> Response:
    """Enter the sign-ins of one half-day; what was typed wrong is shown again with the remedy."""
    cls = v.the_class()
    day, session = find_half_day(v, cls)
    try:
        signed = sign_in.parse_counts(v.form.get("in", ""), v.form.get("out", ""))
    except InputError as error:
        typed = {"day": day, "session": session, "in": v.form.get("in", "")[:20], "out": v.form.get("out", "")[:20]}
        return _page(v, 400, fault=v.say(error), typed=typed)
    enter_counts(v, cls, {(day, session): signed}, "typed")
    return v.go(f"/classes/{cls.class_id}/{day}/{session.value}")


def enter_counts(v: PageVisit, cls: TrainingClass, counts: Counts, source: SignInSource) -> None:
    """Store counts and write who entered them into the audit, in one transaction."""
    now, catalog = v.site.clock.now(), v.site.catalog
    by = v.me.name if v.me else ""
    with catalog.store.write():
        for (day, session), (signed_in, signed_out) in counts.items():
            catalog.sign_ins.put(SignInCount(cls.class_id, day, session, signed_in, signed_out, source, by, now))
        v.note("signins", cls.class_id, sign_in.describe_entry(counts, source))


def _write(count: int | None) -> str:
    return "-" if count is None else str(count)


def _read_rows(text: str, cls: TrainingClass) -> dict[tuple[date, Session], tuple[int | None, int | None]]:
    """Read back the counts that were shown. Raises HTTPException 400 for anything else."""
    found, known = {}, set(cls.half_days())
    for row in text.split(";")[:_MOST_ROWS]:
        try:
            day, half, signed_in, signed_out = row.split(" ")
            key = date.fromisoformat(day), Session(half)
            found[key] = sign_in.parse_count(signed_in.strip("-")), sign_in.parse_count(signed_out.strip("-"))
        except (ValueError, InputError):
            raise HTTPException(400) from None
        if key not in known:
            raise HTTPException(400)
    return found
