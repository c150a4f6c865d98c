"""The page of a class: half-days with figures, sign-ins and gaps, the summary, cut clips, the chain."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from starlette.responses import Response

from agent.attendance.judge import JudgedHalfDay, judge_half_day
from agent.attendance.summary import ClassSummary, summarize_class
from agent.catalog import Catalog
from agent.contract.attendance import AttendanceBody
from agent.core.class_model import TrainingClass
from agent.core.model import JsonObject, Session
from agent.core.room_gaps import RoomGapTotal
from agent.core.sign_in import SignInCount, SignInDifference, find_differences
from agent.drive import class_gaps
from agent.web.pages import audit_report
from agent.web.pages.witnessed import list_witnessed
from agent.web.site import PageVisit

_QUICK = 12
"""A class of at most this many half-days is summed up at once: judging one anew takes some 15 ms a camera."""
_KEPT = 500


@dataclass(frozen=True, slots=True)
class HalfDayRow:
    """A half-day on the class page. `differences`: sign-ins that differ from the estimate by more than the set share."""

    day: date
    session: Session
    figures: AttendanceBody | None
    missing: RoomGapTotal
    marks: list[str]
    begun: bool
    signed: SignInCount | None
    differences: list[SignInDifference]


@dataclass(frozen=True, slots=True)
class ClipRow:
    """A clip that was cut on the page: its address, when and by whom, and what it shows of which cameras."""

    clip_id: str
    at: datetime
    who: str
    why: str
    cameras: tuple[str, ...]
    asked: JsonObject


class ClassOverview:
    """Shows classes; judged half-days that are over are kept, so that a summary is computed once."""

    def __init__(self) -> None:
        self._judged: OrderedDict[tuple[str, date, Session, int], JudgedHalfDay] = OrderedDict()
        self._lock = threading.Lock()

    def page(self, v: PageVisit) -> Response:
        """Show a class; `summary` computes the summary of a long one."""
        cls, now = v.the_class(), v.site.clock.now()
        catalog = v.site.catalog
        rows = list_half_days(v, cls, now)
        begun = [row for row in rows if row.begun]
        asked = bool(v.query("summary")) or len(begun) <= _QUICK
        v.note("view.class", cls.class_id)
        return v.page(
            "class.html",
            cls=cls,
            rows=rows,
            links=catalog.chain.of_class(cls.class_id),
            witnessed=list_witnessed(v, cls),
            clips=list_clips(v, cls.class_id),
            total=self.summarize(v, cls, begun, now) if begun and asked else None,
            begun=len(begun),
        )

    def summarize(self, v: PageVisit, cls: TrainingClass, rows: Iterable[HalfDayRow], now: datetime) -> ClassSummary:
        """Sum up half-days that have begun."""
        halves = [self._judge(v, cls, row, now) for row in rows]
        return summarize_class(cls, halves, now, v.site.options.rules)

    def _judge(self, v: PageVisit, cls: TrainingClass, row: HalfDayRow, now: datetime) -> JudgedHalfDay:
        a = row.figures
        key = (cls.class_id, row.day, row.session, a["revision"]) if a and a["status"] in ("final", "revised") else None
        with self._lock:
            if key and key in self._judged:
                return self._judged[key]
        looks = v.site.catalog.looks.of_half_day(cls.class_id, row.day, row.session)
        found = judge_half_day(cls, row.day, row.session, looks, now, v.site.options.rules)
        if key:
            with self._lock:
                self._judged[key] = found
                while len(self._judged) > _KEPT:
                    self._judged.popitem(last=False)
        return found


def list_half_days(v: PageVisit, cls: TrainingClass, now: datetime) -> list[HalfDayRow]:
    """List the half-days of a class with what is known of each."""
    catalog = v.site.catalog
    published = {(a["date"], a["session"]): a for a in catalog.attendance.of_class(cls.class_id)}
    book = class_gaps.load_gap_book(catalog, v.site.classes(), cls.class_id, now)
    marks = _list_marks(catalog, cls.class_id)
    signed = catalog.sign_ins.of_class(cls.class_id)
    share = v.site.options.sign_in_share
    found = []
    for day, session in cls.half_days():
        figures = published.get((day.isoformat(), session.value))
        count = signed.get((day, session))
        begun = cls.lessons_of(day, session)[0].start <= now
        found.append(
            HalfDayRow(
                day,
                session,
                figures,
                book.total(day, session),
                marks.get((day, session), []),
                begun,
                count,
                find_differences(count, figures, share),
            )
        )
    return found


def _list_marks(catalog: Catalog, class_id: str) -> dict[tuple[date, Session], list[str]]:
    marks: dict[tuple[date, Session], list[str]] = {}
    for alert in catalog.alerts.of_class(class_id):
        if alert.date and alert.session and alert.kind.value not in marks.setdefault((alert.date, alert.session), []):
            marks[alert.date, alert.session].append(alert.kind.value)
    return marks


def list_clips(v: PageVisit, class_id: str) -> list[ClipRow]:
    """List the clips of a class that were cut on the page and are still there, the newest first."""
    found: dict[str, ClipRow] = {}
    folder = v.site.options.folder / "clips"
    for entry in reversed(audit_report.collect_audit_report(v.site.catalog, class_id, None).clips):
        detail, clip_id = entry.detail, str(entry.detail.get("clip", ""))
        if not clip_id or not clip_id.isalnum() or not (folder / clip_id).is_dir():
            continue
        before = found[clip_id].cameras if clip_id in found else ()
        cameras = tuple(sorted({*before, str(detail["camera_id"])}))
        who = entry.who.rsplit("@", 1)[0]
        found[clip_id] = ClipRow(clip_id, entry.at, who, str(detail.get("why") or ""), cameras, detail["asked"])
    return list(found.values())
