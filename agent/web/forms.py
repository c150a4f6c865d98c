"""Documents for the inspector's file: the review sheet, attendance as XLSX, the archive list, the audit.

Forms are edited on one page and printed from another, which shows what was typed as plain text: so printing is a request that
the audit records, and long answers are not cut off by an input field.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.responses import Response

from agent import clock as clocks
from agent import words
from agent.drive import gaps
from agent.errors import InputError
from agent.inspection import chance, table
from agent.model import Session
from agent.model_classes import TrainingClass
from agent.web import trail
from agent.web.site import Visit
from agent.web.trail import Trail

REVIEW = ("institution", "class", "day", "spans", "seed", "findings", "note")
_LONGEST = 2000
_MOST_DRAWN = 20


def t(key: str, /, **params: object) -> str:
    """Return the Chinese text: the forms are the county's, whatever the page's language."""
    return words.text_in("zh", key, **params)


def flat(text: str) -> str:
    """Return the text with each run of white space as one space."""
    return " ".join(text.split())


def given(v: Visit, names: Sequence[str]) -> dict[str, str]:
    """Return the form's fields as they were typed, cut to _LONGEST characters."""
    return {name: v.form.get(name, "").replace("\r\n", "\n").strip()[:_LONGEST] for name in names}


def edit_review(v: Visit) -> Response:
    """Show the review sheet: the spans come from the audit, the caller's own or (`all`) everybody's."""
    cls = v.the_class()
    everybody = v.query("all") == "1"
    v.settle(cls.class_id)
    seen = _trail(v, cls, everybody=everybody)
    v.note("view.review", cls.class_id)
    return v.page(
        "review_edit.html", cls=cls, f=_review(v, cls, seen), everybody=everybody, draws=seen.draws, fault="", z=t
    )


def _trail(v: Visit, cls: TrainingClass, *, everybody: bool) -> Trail:
    return trail.of_class(v.site.catalog, cls.class_id, None if everybody or v.me is None else v.me.name)


def _review(v: Visit, cls: TrainingClass, seen: Trail) -> dict[str, str]:
    """Fill in the fields of the sheet from audit and ledger."""
    catalog = v.site.catalog
    today = clocks.local_day(v.site.clock.now(), catalog.zone)
    return {
        "institution": cls.institution,
        "class": t("form.class", occupation=cls.occupation, n=cls.class_number),
        "day": t("form.day", y=today.year, m=today.month, d=today.day),
        "note": "",
        "spans": _fitted(trail.span_lines(catalog, seen)),
        "seed": _fitted(trail.seed_lines(catalog, seen)),
        "findings": "\n".join(_findings(v, cls)),
    }


def _fitted(lines: Sequence[str]) -> str:
    """Keep as many lines as a field holds, and state how many more there are."""
    kept, room = [], _LONGEST - 100
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            break
        kept.append(line)
    rest = len(lines) - len(kept)
    return "\n".join([*kept, t("form.more_lines", n=rest)] if rest else kept)


def print_review(v: Visit) -> Response:
    """Show the completed sheet, to print; fields that differ from the audit are named."""
    cls = v.the_class()
    everybody = v.form.get("all") == "1"
    before, now = _review(v, cls, _trail(v, cls, everybody=everybody)), given(v, REVIEW)
    changed = [name for name in ("spans", "seed", "findings") if flat(now[name]) != flat(before[name])]
    v.note("print.review", cls.class_id, {"everybody": everybody, "changed": changed})
    return v.page("review.html", cls=cls, f=now, changed=changed, head=v.site.catalog.audit.head(), z=t)


def draw(v: Visit) -> Response:
    """Draw moments of lesson time that nobody on the site can choose; the audit records them."""
    cls = v.the_class()
    counts = [v.form.get(name, "") for name in ("count", "seconds")]
    if not all(x.isascii() and x.isdigit() and len(x) < 5 for x in counts):
        raise InputError("web.bad_draw", most=_MOST_DRAWN)
    count, seconds = (int(x) for x in counts)
    if not (0 < count <= _MOST_DRAWN and 0 < seconds <= 600):
        raise InputError("web.bad_draw", most=_MOST_DRAWN)
    seed = v.form.get("seed", "").strip()[:200] or None
    chance.drawn(v.site.catalog, v.site.clock, cls, count=count, seconds=seconds, seed=seed, within=None, who=v.who)
    return v.go(f"/classes/{cls.class_id}/review")


def go_to_moment(v: Visit) -> Response:
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


def _findings(v: Visit, cls: TrainingClass) -> list[str]:
    """List what the figures offer as findings; the inspector judges them."""
    now, catalog = v.site.clock.now(), v.site.catalog
    book = gaps.book(catalog, v.site.classes(), cls.class_id, now)
    total = book.total()
    said = {"rooms": gaps.rooms_said(total, cls, t), "cameras": gaps.cameras_said(total, t)}
    lines = [t("form.gaps_in_all", n=len(book.gaps), **said) if book.gaps else gaps.none_said(total, t)]
    marks: dict[str, int] = {}
    for alert in catalog.alerts.of_class(cls.class_id):
        marks[alert.kind.value] = marks.get(alert.kind.value, 0) + 1
    lines += [t("form.alerts", kind=t(f"web.alert.{kind}"), n=n) for kind, n in sorted(marks.items())]
    return lines


def attendance_sheet(v: Visit) -> Response:
    """Send the attendance of a class by half-day as XLSX."""
    cls = v.the_class()
    v.note("export.attendance", cls.class_id)
    known = {(a["date"], a["session"]): a for a in v.site.catalog.attendance.of_class(cls.class_id)}
    rows = [
        _attendance_row(cls, day, session, known.get((day.isoformat(), session.value)))
        for day, session in cls.half_days()
    ]
    heads: list[Sequence[table.Cell]] = [
        (t("web.class_id"), cls.class_id),
        (t("web.project"), cls.project),
        (t("web.occupation"), cls.occupation),
        (t("web.number"), t("web.number_n", n=cls.class_number)),
        (t("web.institution"), cls.institution),
        (t("web.place"), cls.place),
        (t("web.footer"),),
        (),
    ]
    data = table.xlsx(t("form.attendance_title"), heads, t("papers.attendance_headings").split(","), rows)
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    return Response(data, media_type=kind, headers={**_file(cls, "到课人数.xlsx"), "Cache-Control": "no-store"})


def _attendance_row(cls: TrainingClass, day: date, session: Session, a: Mapping[str, Any] | None) -> list[table.Cell]:
    if a is None:
        return [day, session.folder, cls.expected_on(day, session), *[None] * 9, t("form.no_figures"), None]
    ratio = None if a["ratio"] is None else float(a["ratio"])
    names = ("at_start", "at_end", "lesson_s", "judged_s")
    return [
        day,
        session.folder,
        a["expected"],
        a["present"],
        a["absent"],
        a["low"],
        a["high"],
        ratio,
        *[a[x] for x in names],
        t(f"attendance.status.{a['status']}"),
        a["revision"],
    ]


def _file(cls: TrainingClass, name: str) -> dict[str, str]:
    # the class ID is letters, digits and hyphens; the Chinese name goes encoded (RFC 6266)
    plain = f"{cls.class_id}.{name.rsplit('.', 1)[1]}"
    return {"Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{cls.class_id}_{quote(name)}"}


def archive(v: Visit) -> Response:
    """Show what belongs into a class's file, where it is stored, and how it can be proven."""
    cls, catalog = v.the_class(), v.site.catalog
    now = v.site.clock.now()
    segments = catalog.segments.of_class(cls.class_id)
    by_drive: dict[str, tuple[int, int]] = {}
    for s in segments:
        n, size = by_drive.get(s.drive_id, (0, 0))
        by_drive[s.drive_id] = (n + 1, size + (s.bytes or 0))
    links = catalog.chain.of_class(cls.class_id)
    book = gaps.book(catalog, v.site.classes(), cls.class_id, now)
    cut = trail.of_class(catalog, cls.class_id, None).clips
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
        now=now,
        z=t,
    )


def audit_of_class(v: Visit) -> Response:
    """Send the audit of a class as JSON lines, with the columns from which each hash is computed."""
    cls = v.the_class()
    v.settle(cls.class_id)
    lines = trail.lines(v.site.catalog, cls.class_id)
    v.note("export.audit", cls.class_id, {"entries": len(lines)})
    body = "".join(line + "\n" for line in lines)
    return Response(
        body, media_type="application/x-ndjson", headers={**_file(cls, "审计.jsonl"), "Cache-Control": "no-store"}
    )
