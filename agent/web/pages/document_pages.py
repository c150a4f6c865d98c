"""Documents for the inspector's file: the review sheet, attendance as XLSX, the archive list, the audit.

Forms are edited on one page and printed from another, which shows what was typed as plain text: so printing is a request that
the audit records, and long answers are not cut off by an input field.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from starlette.exceptions import HTTPException
from starlette.responses import Response

from agent import i18n
from agent.core import clock as clocks
from agent.core.class_model import TrainingClass
from agent.core.errors import InputError
from agent.core.sign_in import find_differences
from agent.drive import class_gaps
from agent.inspection import spot_check
from agent.web.pages import audit_report
from agent.web.pages.audit_report import AuditReport
from agent.web.site import PageVisit
from agent.website.pages.form_fields import LONGEST_FIELD, collapse_spaces, read_fields

REVIEW = ("institution", "class", "day", "spans", "seed", "findings", "note")
_MOST_DRAWN = 20


def t(key: str, /, **params: object) -> str:
    """Return the Chinese text: the forms are the county's, whatever the page's language."""
    return i18n.translate_to("zh", key, **params)


def edit_review(v: PageVisit) -> Response:
    """Show the review sheet: the spans come from the audit, the caller's own or (`all`) everybody's."""
    v.note("view.review", v.the_class().class_id)
    return _review_page(v)


def _review_page(v: PageVisit, status: int = 200, fault: str = "", **typed: str) -> Response:
    cls = v.the_class()
    everybody = v.query("all") == "1"
    v.settle(cls.class_id)
    seen = _collect_report(v, cls, everybody=everybody)
    draw = {"count": "3", "seconds": "60", "seed": ""} | typed
    return v.page(
        "review_edit.html",
        status,
        cls=cls,
        f=_fill_review(v, cls, seen),
        everybody=everybody,
        draws=seen.draws,
        fault=fault,
        draw=draw,
        z=t,
    )


def _collect_report(v: PageVisit, cls: TrainingClass, *, everybody: bool) -> AuditReport:
    return audit_report.collect_audit_report(
        v.site.catalog, cls.class_id, None if everybody or v.me is None else v.me.name
    )


def _fill_review(v: PageVisit, cls: TrainingClass, seen: AuditReport) -> dict[str, str]:
    """Fill in the fields of the sheet from audit and ledger."""
    catalog = v.site.catalog
    today = clocks.get_local_day(v.site.clock.now(), catalog.zone)
    return {
        "institution": cls.institution,
        "class": t("form.class", occupation=cls.occupation, n=cls.class_number),
        "day": t("form.day", y=today.year, m=today.month, d=today.day),
        "note": "",
        "spans": _fit_lines(audit_report.describe_spans(catalog, seen)),
        "seed": _fit_lines(audit_report.describe_seeds(catalog, seen)),
        "findings": "\n".join(_list_findings(v, cls)),
    }


def _fit_lines(lines: Sequence[str]) -> str:
    """Keep as many lines as a field holds, and state how many more there are."""
    kept, room = [], LONGEST_FIELD - 100
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            break
        kept.append(line)
    rest = len(lines) - len(kept)
    return "\n".join([*kept, t("form.more_lines", n=rest)] if rest else kept)


def print_review(v: PageVisit) -> Response:
    """Show the completed sheet, to print; fields that differ from the audit are named."""
    cls = v.the_class()
    everybody = v.form.get("all") == "1"
    before, now = _fill_review(v, cls, _collect_report(v, cls, everybody=everybody)), read_fields(v, REVIEW)
    changed = [
        name for name in ("spans", "seed", "findings") if collapse_spaces(now[name]) != collapse_spaces(before[name])
    ]
    v.note("print.review", cls.class_id, {"everybody": everybody, "changed": changed})
    return v.page("review.html", cls=cls, f=now, changed=changed, head=v.site.catalog.audit.head(), z=t)


def draw_for_review(v: PageVisit) -> Response:
    """Draw moments of lesson time that nobody on the site can choose; the audit records them."""
    cls = v.the_class()
    try:
        count, seconds = _read_draw(v)
        seed = v.form.get("seed", "").strip()[:200] or None
        spot_check.draw_and_record(
            v.site.catalog, v.site.clock, cls, count=count, seconds=seconds, seed=seed, within=None, who=v.who
        )
    except InputError as error:
        typed = {name: v.form.get(name, "")[:200] for name in ("count", "seconds", "seed")}
        return _review_page(v, 400, v.say(error), **typed)
    return v.go(f"/classes/{cls.class_id}/review")


def _read_draw(v: PageVisit) -> tuple[int, int]:
    """Return how many moments of how many seconds are asked for. Raises InputError."""
    counts = [v.form.get(name, "") for name in ("count", "seconds")]
    if not all(x.isascii() and x.isdigit() and len(x) < 5 for x in counts):
        raise InputError("web.bad_draw", most=_MOST_DRAWN)
    count, seconds = (int(x) for x in counts)
    if not (0 < count <= _MOST_DRAWN and 0 < seconds <= 600):
        raise InputError("web.bad_draw", most=_MOST_DRAWN)
    return count, seconds


def go_to_moment(v: PageVisit) -> Response:
    """Redirect to the half-day's page, playing a drawn moment in its room."""
    cls = v.the_class()
    try:
        at = datetime.fromisoformat(v.query("moment"))
        lesson = next(x for x in cls.lessons if x.room_id == v.query("room") and x.start <= at < x.end)
    except (ValueError, TypeError, StopIteration):
        raise HTTPException(404) from None
    local = at.astimezone(v.site.catalog.zone)
    cameras = cls.room(lesson.room_id).cameras
    camera = f"camera={cameras[0]}&" if cameras else ""
    return v.go(f"/classes/{cls.class_id}/{lesson.date}/{lesson.session.value}?{camera}at={local:%H:%M:%S}#play")


def _list_findings(v: PageVisit, cls: TrainingClass) -> list[str]:
    """List what the figures offer as findings; the inspector judges them."""
    now, catalog = v.site.clock.now(), v.site.catalog
    book = class_gaps.load_gap_book(catalog, v.site.classes(), cls.class_id, now)
    total = book.total()
    said = {"rooms": class_gaps.describe_room_gaps(total, cls, t), "cameras": class_gaps.describe_camera_gaps(total, t)}
    lines = [t("form.gaps_in_all", n=len(book.gaps), **said) if book.gaps else class_gaps.describe_no_gaps(total, t)]
    marks: dict[str, int] = {}
    for alert in catalog.alerts.of_class(cls.class_id):
        marks[alert.kind.value] = marks.get(alert.kind.value, 0) + 1
    share = v.site.options.sign_in_share
    figures = {(a["date"], a["session"]): a for a in catalog.attendance.of_class(cls.class_id)}
    differing = [
        f"{day} {session.folder}"
        for (day, session), count in catalog.sign_ins.of_class(cls.class_id).items()
        if find_differences(count, figures.get((day.isoformat(), session.value)), share)
    ]
    if differing:
        lines.append(t("forms.differing", share=f"{share:.0%}", half_days=t("papers.and").join(differing)))
    lines += [t("form.alerts", kind=t(f"web.alert.{kind}"), n=n) for kind, n in sorted(marks.items())]
    return lines


def show_archive(v: PageVisit) -> Response:
    """Show what belongs into a class's file, where it is stored, and how it can be proven."""
    cls, catalog = v.the_class(), v.site.catalog
    now = v.site.clock.now()
    segments = catalog.segments.of_class(cls.class_id)
    by_drive: dict[str, tuple[int, int]] = {}
    for s in segments:
        n, size = by_drive.get(s.drive_id, (0, 0))
        by_drive[s.drive_id] = (n + 1, size + (s.bytes or 0))
    links = catalog.chain.of_class(cls.class_id)
    book = class_gaps.load_gap_book(catalog, v.site.classes(), cls.class_id, now)
    cut = audit_report.collect_audit_report(catalog, cls.class_id, None).clips
    v.note("view.archive", cls.class_id)
    return v.page(
        "archive.html",
        cls=cls,
        drives=[(d, catalog.drives.get(d), *x) for d, x in sorted(by_drive.items())],
        links=links,
        gaps=book.gaps,
        missing=book.total(),
        clips=cut,
        figures=catalog.attendance.of_class(cls.class_id),
        signed={(d.isoformat(), s.value): x for (d, s), x in catalog.sign_ins.of_class(cls.class_id).items()},
        now=now,
        z=t,
    )


def send_class_audit(v: PageVisit) -> Response:
    """Send the audit of a class as JSON lines, with the columns from which each hash is computed."""
    cls = v.the_class()
    v.settle(cls.class_id)
    lines = audit_report.dump_entries(v.site.catalog, cls.class_id)
    v.note("export.audit", cls.class_id, {"entries": len(lines)})
    body = "".join(line + "\n" for line in lines)
    return v.send_file(body, cls.class_id, "审计.jsonl", "application/x-ndjson")
