"""The attendance of a class as XLSX: half-days with sign-ins and gaps, a line of totals, the class's summary above."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from starlette.responses import Response

from agent.attendance.summary import ClassSummary
from agent.core.class_model import TrainingClass
from agent.core.sign_in import SignInDifference
from agent.drive import class_gaps
from agent.web.pages.class_overview import ClassOverview, HalfDayRow, list_half_days
from agent.web.pages.document_pages import t
from agent.web.site import PageVisit
from agent.website import table


class AttendanceSheet:
    """Sends the sheet; `overview` keeps what the summary is computed from."""

    def __init__(self, overview: ClassOverview) -> None:
        self._overview = overview

    def send(self, v: PageVisit) -> Response:
        """Send the attendance of a class by half-day as XLSX."""
        cls, now = v.the_class(), v.site.clock.now()
        v.note("export.attendance", cls.class_id)
        rows = list_half_days(v, cls, now)
        total = self._overview.summarize(v, cls, [row for row in rows if row.begun], now)
        names = ("class_id", "project", "occupation", "class_number", "institution", "place")
        data = table.build_xlsx(
            t("form.attendance_title"),
            [
                *table.build_class_heads(t, **{name: getattr(cls, name) for name in names}),
                (_describe_summary(total),),
            ],
            t("forms.sheet_headings").split(","),
            [_row(cls, row) for row in rows],
            _totals(rows, total),
            [t("web.footer"), t("page.signed_note"), t("papers.gaps_note")],
        )
        return v.send_file(data, cls.class_id, "到课人数.xlsx", table.XLSX)


def _describe_summary(total: ClassSummary) -> str:
    hours, overall = total.hours, total.overall
    return t(
        "forms.sheet_summary",
        ratio="—" if overall.ratio is None else f"{overall.ratio:.0%}",
        half_days=overall.half_days,
        unjudged=overall.unjudged,
        planned=f"{hours.planned / 3600:.1f}",
        due=f"{hours.due / 3600:.1f}",
        taught=f"{hours.taught / 3600:.1f}",
        not_taught=f"{hours.not_taught / 3600:.1f}",
        unknown=f"{hours.unknown / 3600:.1f}",
    )


def describe_difference(found: SignInDifference) -> str:
    """Describe in Chinese how a count differs from the estimate."""
    kind = t(f"signins.kind_{found.kind}")
    return t("signins.more" if found.by > 0 else "signins.fewer", kind=kind, n=abs(found.by))


def _row(cls: TrainingClass, row: HalfDayRow) -> list[table.XlsxCell]:
    a, signed = row.figures, row.signed
    figures: list[table.XlsxCell] = [None] * 8
    status: list[table.XlsxCell] = [t("form.no_figures"), None]
    if a is not None:
        ratio = None if a["ratio"] is None else float(a["ratio"])
        figures = [a["present"], a["absent"], a["low"], a["high"], ratio, a["at_start"], a["at_end"]]
        figures.append(timedelta(seconds=a["judged_s"]))
        status = [t(f"attendance.{a['status']}"), a["revision"]]
    return [
        row.day,
        row.session.folder,
        a["expected"] if a else cls.expected_on(row.day, row.session),
        *figures[:7],
        signed.signed_in if signed else None,
        signed.signed_out if signed else None,
        "；".join(map(describe_difference, row.differences)),
        timedelta(seconds=_planned_seconds(cls, row)),
        figures[7],
        class_gaps.describe_room_gaps(row.missing, cls, t) if row.begun else None,
        *status,
    ]


def _planned_seconds(cls: TrainingClass, row: HalfDayRow) -> float:
    if row.figures is not None:
        return float(row.figures["lesson_s"])
    lessons = cls.lessons_of(row.day, row.session)
    return sum((x.end - x.start).total_seconds() for x in lessons)


def _totals(rows: Sequence[HalfDayRow], total: ClassSummary) -> list[table.XlsxCell]:
    """Sum what can be summed: people of the half-days that could be judged, sign-ins, time."""
    overall = total.overall
    signed = [row.signed for row in rows if row.signed]
    judged = sum(row.figures["judged_s"] for row in rows if row.figures)
    touched = sum(1 for row in rows if row.missing.seconds)
    return [
        t("forms.total"),
        t("forms.total_half_days", n=len(rows)),
        overall.expected or None,
        overall.present if overall.half_days else None,
        max(0, overall.expected - overall.present) if overall.half_days else None,
        None,
        None,
        overall.ratio,
        None,
        None,
        _sum([x.signed_in for x in signed]),
        _sum([x.signed_out for x in signed]),
        t("forms.total_half_days", n=sum(1 for row in rows if row.differences)),
        timedelta(seconds=total.hours.planned),
        timedelta(seconds=judged),
        t("forms.total_gaps", n=touched),
        None,
        None,
    ]


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [x for x in counts if x is not None]
    return sum(known) if known else None
