"""Papers for the inspector's file: form 11 for a minute, the sheet of video looked at, attendance as XLSX, the archive list.

The forms are edited on one page and printed from another, which holds what was typed as plain text: so printing is a request
that the audit sees, and long answers are not cut off by a box.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.responses import Response

from agent import i18n
from agent.core import clock as clocks
from agent.core.class_model import TrainingClass
from agent.core.errors import InputError
from agent.core.model import Gap, Session
from agent.drive import class_gaps
from agent.inspection import spot_check, table
from agent.web import minute, trail
from agent.web.minute import MinuteFacts, RoomMinute
from agent.web.pages import find_half_day, parse_half_day_time
from agent.web.site import PageVisit
from agent.web.trail import AuditReport

FORM_11 = (
    "institution", "number", "category", "occupation", "at", "place", "inspectors", "expected", "present", "missing",
    "textbooks", "as_planned", "log", "problems", "video",
)  # fmt: skip
"""The fields of form 11 that are typed or filled; the signatures are for the pen."""
REVIEW = ("institution", "class", "day", "spans", "seed", "findings", "note")
_LONGEST = 2000
_MOST_DRAWN = 20
_MOST_GAPS = 6


def t(key: str, /, **params: object) -> str:
    """The forms are the county's and speak Chinese, whatever the screen does."""
    return i18n.translate_to("zh", key, **params)


def edit_form_11(v: PageVisit) -> Response:
    """Form 11 with what video can answer, to be completed; `at` is HH:MM[:SS] of the half-day."""
    seen = _minute(v, v.query("at"))
    v.note("view.form11", seen.cls.class_id, {"at": clocks.format_local(seen.at, v.site.catalog.zone)})
    return v.page("form11_edit.html", cls=seen.cls, seen=seen, offered=offered(v, seen), fields=FORM_11)


def print_form_11(v: PageVisit) -> Response:
    """The form as it was completed, to print."""
    seen = _minute(v, v.form.get("moment", ""))
    before, now = offered(v, seen), _given(v, FORM_11)
    changed = [
        name for name in ("expected", "present", "as_planned", "video") if _flat(now[name]) != _flat(before[name])
    ]
    figures = {name: before[name] for name in ("expected", "present", "video")}
    moment = clocks.format_local(seen.at, v.site.catalog.zone)
    v.note("print.form11", seen.cls.class_id, {"at": moment, "offered": figures, "changed": changed})
    return v.page(
        "form11.html", f=now, before=before, changed=changed, seen=seen, head=v.site.catalog.audit.head(), z=t
    )


def _minute(v: PageVisit, text: str) -> MinuteFacts:
    cls = v.the_class()
    day, session = find_half_day(v, cls)
    at = parse_half_day_time(cls, day, session, text, v)
    if at is None:
        raise InputError("clip.bad_time", value=text[:20])
    now = v.site.clock.now()
    return minute.collect_form11_facts(
        v.site.catalog, v.site.classes(), cls, day, session, at, now, v.site.options.rules
    )


def _flat(text: str) -> str:
    return " ".join(text.split())


def _given(v: PageVisit, names: Sequence[str]) -> dict[str, str]:
    return {name: v.form.get(name, "").replace("\r\n", "\n").strip()[:_LONGEST] for name in names}


def offered(v: PageVisit, seen: MinuteFacts) -> dict[str, str]:
    """The fields of form 11 as the evidence answers them; what it cannot answer is empty."""
    cls, local = seen.cls, seen.at.astimezone(v.site.catalog.zone)
    return dict.fromkeys(FORM_11, "") | {
        "institution": cls.institution, "number": str(cls.class_number), "occupation": cls.occupation, "place": cls.place,
        "at": t("form.at", y=local.year, m=local.month, d=local.day, h=local.hour, min=f"{local.minute:02}"),
        "inspectors": v.me.name if v.me else "", "expected": str(seen.expected), "present": _present(v, seen),
        "as_planned": _as_planned(seen), "video": _video(v, seen),
    }  # fmt: skip


def _present(v: PageVisit, seen: MinuteFacts) -> str:
    block = seen.block
    if block is None or block.present is None:
        return ""
    zone = v.site.catalog.zone
    return t("form.present", n=block.present, low=block.low, high=block.high, start=f"{block.start.astimezone(zone):%H:%M}",
             end=f"{block.end.astimezone(zone):%H:%M}")  # fmt: skip


def _as_planned(seen: MinuteFacts) -> str:
    said = [] if seen.as_planned is None else [t("form.yes" if seen.as_planned else "form.no") + "，" + _held(seen)]
    groups = [line for one in seen.rooms for line in group_lines(one, t)]
    return "\n".join(said + ([f"{t('web.groups')}：" + "；".join(groups)] if groups else []))


def _held(seen: MinuteFacts) -> str:
    rooms = []
    for one in seen.rooms:
        if one.held is None or (one.lesson is None and not one.held):
            continue
        plan = t(f"form.planned_{one.lesson.kind}" if one.lesson else "form.planned_nothing")
        rooms.append(t("form.room", room=one.room.name or one.room.room_id, plan=plan,
                       held=t("form.held" if one.held else "form.not_held")))  # fmt: skip
    return "；".join(rooms)


def group_lines(seen: RoomMinute, say: Callable[..., str]) -> list[str]:
    """How many are at each bench of a practice lesson's room; that nobody can tell where no benches are marked."""
    if seen.lesson is None or seen.lesson.kind != "practice":
        return []
    room = seen.room.name or seen.room.room_id
    if not seen.groups:
        return [say("web.groups_undivided", room=room)]
    return [
        say("web.groups_unjudged", room=room, bench=bench.name)
        if people is None
        else say("web.groups_bench", room=room, bench=bench.name, people=people, limit=bench.limit)
        for bench, people in seen.groups
    ]


def _video(v: PageVisit, seen: MinuteFacts) -> str:
    """完整 and 清晰 with what stands behind them."""
    zone = v.site.catalog.zone
    parts = []
    if seen.complete is True:
        parts.append(t("form.complete", until=f"{seen.until.astimezone(zone):%H:%M}"))
    elif seen.complete is False:
        rooms = class_gaps.describe_room_gaps(seen.missing, seen.cls, t)
        parts.append(t("form.incomplete", gaps=_gap_words(v, seen.gaps), rooms=rooms))
    if seen.clear is not None:
        why = [t(f"web.alert.{a.kind.value}") for a in seen.alerts]
        why += [t("form.reason", reason=_reason(reason), n=n) for reason, n in seen.reasons.most_common(3)]
        parts.append(t("form.clear" if seen.clear else "form.unclear", judged=seen.judged, looks=seen.looks,
                       why="（" + "、".join(dict.fromkeys(why)) + "）" if why else ""))  # fmt: skip
    return "\n".join(parts)


def _reason(reason: str) -> str:
    for key in (f"web.alert.picture.{reason}", f"web.alert.sound.{reason}"):
        if key in i18n.load_catalogue():
            return t(key)
    return t("form.other_reason")


def _gap_words(v: PageVisit, found: Sequence[Gap]) -> str:
    zone, said = v.site.catalog.zone, []
    for g in found[:_MOST_GAPS]:
        start, end = class_gaps.format_gap_times(g, zone)
        said.append(t("form.gap", camera=g.camera_id, start=start, end=end, reason=t(f"gap.{g.reason}")))
    rest = len(found) - len(said)
    return "；".join(said) + (t("form.more_gaps", n=rest) if rest > 0 else "")


def edit_review(v: PageVisit) -> Response:
    """The sheet of video opened: the spans come out of the audit, the caller's own or (`all`) everybody's."""
    cls = v.the_class()
    everybody = v.query("all") == "1"
    v.settle(cls.class_id)
    seen = _collect_report(v, cls, everybody=everybody)
    v.note("view.review", cls.class_id)
    return v.page(
        "review_edit.html", cls=cls, f=_fill_review(v, cls, seen), everybody=everybody, draws=seen.draws, fault="", z=t
    )


def _collect_report(v: PageVisit, cls: TrainingClass, *, everybody: bool) -> AuditReport:
    return trail.collect_audit_report(v.site.catalog, cls.class_id, None if everybody or v.me is None else v.me.name)


def _fill_review(v: PageVisit, cls: TrainingClass, seen: AuditReport) -> dict[str, str]:
    """The fields of the sheet as audit and ledger answer them."""
    catalog = v.site.catalog
    today = clocks.get_local_day(v.site.clock.now(), catalog.zone)
    return {
        "institution": cls.institution, "class": t("form.class", occupation=cls.occupation, n=cls.class_number),
        "day": t("form.day", y=today.year, m=today.month, d=today.day), "note": "",
        "spans": _fit_lines(trail.describe_spans(catalog, seen)), "seed": _fit_lines(trail.describe_seeds(catalog, seen)),
        "findings": "\n".join(_list_findings(v, cls)),
    }  # fmt: skip


def _fit_lines(lines: Sequence[str]) -> str:
    """As many lines as a field takes; how many more there are is said, so that nothing is cut off unseen."""
    kept, room = [], _LONGEST - 100
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            break
        kept.append(line)
    rest = len(lines) - len(kept)
    return "\n".join([*kept, t("form.more_lines", n=rest)] if rest else kept)


def print_review(v: PageVisit) -> Response:
    """The sheet as it was completed, to print; what of it no longer reads as the audit has it is named."""
    cls = v.the_class()
    everybody = v.form.get("all") == "1"
    before, now = _fill_review(v, cls, _collect_report(v, cls, everybody=everybody)), _given(v, REVIEW)
    changed = [name for name in ("spans", "seed", "findings") if _flat(now[name]) != _flat(before[name])]
    v.note("print.review", cls.class_id, {"everybody": everybody, "changed": changed})
    return v.page("review.html", cls=cls, f=now, changed=changed, head=v.site.catalog.audit.head(), z=t)


def draw_for_review(v: PageVisit) -> Response:
    """Draw moments of lesson time that nobody on the site can choose; the audit keeps them."""
    cls = v.the_class()
    counts = [v.form.get(name, "") for name in ("count", "seconds")]
    if not all(x.isascii() and x.isdigit() and len(x) < 5 for x in counts):
        raise InputError("web.bad_draw", most=_MOST_DRAWN)
    count, seconds = (int(x) for x in counts)
    if not (0 < count <= _MOST_DRAWN and 0 < seconds <= 600):
        raise InputError("web.bad_draw", most=_MOST_DRAWN)
    seed = v.form.get("seed", "").strip()[:200] or None
    spot_check.draw_and_record(
        v.site.catalog, v.site.clock, cls, count=count, seconds=seconds, seed=seed, within=None, who=v.who
    )
    return v.go(f"/classes/{cls.class_id}/review")


def go_to_moment(v: PageVisit) -> Response:
    """To the half-day's page, playing a drawn moment in its room."""
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
    """What the figures offer as findings; the person says what they are worth."""
    now, catalog = v.site.clock.now(), v.site.catalog
    book = class_gaps.load_gap_book(catalog, v.site.classes(), cls.class_id, now)
    total = book.total()
    said = {"rooms": class_gaps.describe_room_gaps(total, cls, t), "cameras": class_gaps.describe_camera_gaps(total, t)}
    lines = [t("form.gaps_in_all", n=len(book.gaps), **said) if book.gaps else class_gaps.describe_no_gaps(total, t)]
    marks: dict[str, int] = {}
    for alert in catalog.alerts.of_class(cls.class_id):
        marks[alert.kind.value] = marks.get(alert.kind.value, 0) + 1
    lines += [t("form.alerts", kind=t(f"web.alert.{kind}"), n=n) for kind, n in sorted(marks.items())]
    return lines


def send_attendance_sheet(v: PageVisit) -> Response:
    """The attendance of a class by half-day as XLSX."""
    cls = v.the_class()
    v.note("export.attendance", cls.class_id)
    known = {(a["date"], a["session"]): a for a in v.site.catalog.attendance.of_class(cls.class_id)}
    rows = [
        _attendance_row(cls, day, session, known.get((day.isoformat(), session.value)))
        for day, session in cls.half_days()
    ]
    heads: list[Sequence[table.XlsxCell]] = [
        (t("web.class_id"), cls.class_id), (t("web.project"), cls.project), (t("web.occupation"), cls.occupation),
        (t("web.number"), t("web.number_n", n=cls.class_number)), (t("web.institution"), cls.institution),
        (t("web.place"), cls.place), (t("web.footer"),), (),
    ]  # fmt: skip
    data = table.build_xlsx(t("form.attendance_title"), heads, t("papers.attendance_headings").split(","), rows)
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    return Response(
        data, media_type=kind, headers={**_name_attachment(cls, "到课人数.xlsx"), "Cache-Control": "no-store"}
    )


def _attendance_row(
    cls: TrainingClass, day: date, session: Session, a: Mapping[str, Any] | None
) -> list[table.XlsxCell]:
    if a is None:
        return [day, session.folder, cls.expected_on(day, session), *[None] * 9, t("form.no_figures"), None]
    ratio = None if a["ratio"] is None else float(a["ratio"])
    names = ("at_start", "at_end", "lesson_s", "judged_s")
    return [day, session.folder, a["expected"], a["present"], a["absent"], a["low"], a["high"], ratio, *[a[x] for x in names],
            t(f"attendance.status.{a['status']}"), a["revision"]]  # fmt: skip


def _name_attachment(cls: TrainingClass, name: str) -> dict[str, str]:
    # the class ID is letters, digits and hyphens; the Chinese name goes encoded (RFC 6266)
    plain = f"{cls.class_id}.{name.rsplit('.', 1)[1]}"
    return {"Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{cls.class_id}_{quote(name)}"}


def show_archive(v: PageVisit) -> Response:
    """What of a class belongs into its file, where it lies, and how it is proven."""
    cls, catalog = v.the_class(), v.site.catalog
    now = v.site.clock.now()
    segments = catalog.segments.of_class(cls.class_id)
    by_drive: dict[str, tuple[int, int]] = {}
    for s in segments:
        n, size = by_drive.get(s.drive_id, (0, 0))
        by_drive[s.drive_id] = (n + 1, size + (s.bytes or 0))
    links = catalog.chain.of_class(cls.class_id)
    book = class_gaps.load_gap_book(catalog, v.site.classes(), cls.class_id, now)
    cut = trail.collect_audit_report(catalog, cls.class_id, None).clips
    v.note("view.archive", cls.class_id)
    return v.page(
        "archive.html", cls=cls, drives=[(d, catalog.drives.get(d), *x) for d, x in sorted(by_drive.items())], links=links,
        gaps=book.gaps, missing=book.total(), clips=cut, figures=catalog.attendance.of_class(cls.class_id), now=now, z=t,
    )  # fmt: skip


def send_class_audit(v: PageVisit) -> Response:
    """The audit of a class as lines of JSON, in the columns from which each hash is made."""
    cls = v.the_class()
    v.settle(cls.class_id)
    lines = trail.dump_entries(v.site.catalog, cls.class_id)
    v.note("export.audit", cls.class_id, {"entries": len(lines)})
    body = "".join(line + "\n" for line in lines)
    return Response(
        body,
        media_type="application/x-ndjson",
        headers={**_name_attachment(cls, "审计.jsonl"), "Cache-Control": "no-store"},
    )
