"""The half-days of a class for the file: as XLSX, and as a page to print. In Chinese: they are the county's papers.

Each box has lines of its own, and nothing is summed: figures of several boxes are never added.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from starlette.responses import Response

from agent import i18n
from agent.core.model import Session
from agent.website import table
from board.queries.alarms import AlarmRow
from board.queries.half_days import ReportedHalfDay
from board.web.pages.class_rows import ClassDayRow, find_named_class, is_known_alert, list_alarms_to_show, list_rows
from board.web.site import BoardVisit

_STATES = ("provisional", "final", "revised", "unjudged")


@dataclass(frozen=True, slots=True)
class SheetLine:
    """A half-day at one box; `reported` is None where no box reported it. `marks`: alerts and alarms in words."""

    row: ClassDayRow
    reported: ReportedHalfDay | None
    expected: int | None
    ratio: float | None
    status: str
    witness: str
    marks: str


def t(key: str, /, **params: object) -> str:
    """Return the Chinese text, whatever the page's language."""
    return i18n.translate_to("zh", key, **params)


def send_attendance(v: BoardVisit) -> Response:
    """Send the half-days of a class as XLSX."""
    row, lines = _collect(v)
    class_id = str(row["class_id"])
    v.note("export.attendance", class_id)
    names = ("project", "occupation", "class_number", "institution", "place")
    data = table.build_xlsx(
        t("form.attendance_title"),
        table.build_class_heads(t, class_id=class_id, **{name: row[name] for name in names}),
        t("county.sheet_headings").split(","),
        [_build_cells(line) for line in lines],
        notes=[t("board.footer"), t("page.signed_note"), t("county.sheet_note"), t("county.recovered_note")],
    )
    return v.send_file(data, class_id, "到课人数.xlsx", table.XLSX)


def show_paper(v: BoardVisit) -> Response:
    """Show the half-days of a class as a page to print; the audit records it, and the paper says who made it and when."""
    row, lines = _collect(v)
    v.note("print.attendance", str(row["class_id"]))
    return v.page("class_paper.html", c=row, lines=lines, z=t, made_at=v.local(v.site.clock.now()))


def _collect(v: BoardVisit) -> tuple[dict[str, object], list[SheetLine]]:
    row, approved = find_named_class(v)
    class_id = str(row["class_id"])
    lines: list[SheetLine] = []
    for day in list_rows(v, class_id, approved, list_alarms_to_show(v, class_id)):
        lines += [_build_line(day, reported) for reported in day.boxes] or [_build_line(day, None)]
    return row, lines


def _build_line(row: ClassDayRow, reported: ReportedHalfDay | None) -> SheetLine:
    figures = reported.figures if reported else {}
    expected, present = figures.get("expected"), figures.get("present")
    expected = row.expected if expected is None else expected
    ratio = present / expected if present is not None and expected else None
    witness, marks = _say_witness(reported), _say_marks(row, reported)
    return SheetLine(row, reported, expected, ratio, _say_status(row, figures.get("status")), witness, marks)


def _say_status(row: ClassDayRow, status: object) -> str:
    if status in _STATES:
        return t(f"attendance.{status}")
    return str(status) if status else t("county.unreported") if row.begun else t("web.state_ahead")


def _say_witness(reported: ReportedHalfDay | None) -> str:
    if reported is None or not reported.witness:
        return t("county.not_closed")
    said = {"signed": "county.signed_state", "due": "county.due", "refused": "county.refused"}[reported.witness]
    return t(said) + (t(f"county.reason.{reported.reason}") if reported.reason else "")


def _say_marks(row: ClassDayRow, reported: ReportedHalfDay | None) -> str:
    if reported is None:
        return ""
    found = [t(f"web.alert.{kind}") if is_known_alert(kind) else kind for kind in reported.alerts]
    found += [_say_alarm(alarm) for alarm in row.alarms if alarm["box"] == reported.box]
    return "；".join(found)


def _say_alarm(alarm: AlarmRow) -> str:
    said = t("county.sheet_alarm", kind=t(f"watchlist.alarm.{alarm['kind']}"))
    return said + (t("watchlist.state_closed") if alarm["acknowledged_at"] else "")


def _build_cells(line: SheetLine) -> list[table.XlsxCell]:
    reported, figures = line.reported, line.reported.figures if line.reported else {}
    seconds = [figures.get(name) for name in ("lesson_s", "judged_s")]
    return [
        date.fromisoformat(line.row.date),
        Session(line.row.session).folder,
        reported.box.partition("/")[2] if reported else None,
        line.expected,
        *(figures.get(name) for name in ("present", "low", "high")),
        line.ratio,
        *(figures.get(name) for name in ("at_start", "at_end", "signed_in", "signed_out")),
        *(None if length is None else timedelta(seconds=length) for length in seconds),
        reported.gaps if reported else None,
        reported.recovered if reported else None,
        line.marks,
        line.witness,
        line.status,
        figures.get("revision"),
    ]
