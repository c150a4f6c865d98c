"""What the board's API answers: the county's classes, boxes, alerts and figures. Of several boxes nothing is added up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from agent.contract.values import DateText, Href, Id, Number, SessionText, TimeText, Whole

BoxName = Annotated[str, Field(description="county/site/box")]
Presence = Literal["online", "offline", "stopped", "silent", "never", "revoked"]
Grade = Literal["critical", "warning", "info"]
Ratio = Annotated[float, Field(ge=0)]


class CountyClassBriefBody(TypedDict):
    """state: open 进行中, ahead 未开始, over 已结束, undated 未收到审批; what no approval told is null or empty."""

    class_id: Id
    project: str
    occupation: str
    class_number: Whole | None
    institution: str
    place: str
    first_day: DateText | None
    last_day: DateText | None
    expected: Whole | None
    state: Literal["open", "undated", "ahead", "over"]
    boxes: list[BoxName]
    href: Href


class CountyClassListBody(TypedDict):
    """Classes, those under way first."""

    items: list[CountyClassBriefBody]
    next: Id | None


class ClassBoxBody(TypedDict):
    """A box that reports of a class. ready: by its own check of the class; null where none came."""

    box: BoxName
    presence: Presence
    last_seen: TimeText | None
    first_seen: TimeText | None
    ready: bool | None
    checked_at: TimeText | None


class CountyClassBody(CountyClassBriefBody):
    """approved: the newest approval that was heard, see docs/schemas/class.json; null where there is none."""

    approved: Mapping[str, object] | None
    reporting: list[ClassBoxBody]


class HalfDayAlertBody(TypedDict):
    """A kind of alert of a half-day, and whether one is open."""

    kind: str
    open: bool


class HalfDayReportBody(TypedDict):
    """What one box reported of a half-day; its figures are null where it did not, and where it cannot judge."""

    box: BoxName
    revision: Whole | None
    status: Annotated[str | None, Field(description="provisional, final, revised, unjudged")]
    at: TimeText | None
    expected: Whole | None
    present: Whole | None
    low: Whole | None
    high: Whole | None
    at_start: Whole | None
    at_end: Whole | None
    lesson_s: Number | None
    judged_s: Number | None
    signed_in: Annotated[Whole | None, Field(description="As the institution states it; never part of the figures")]
    signed_out: Whole | None
    gaps: Annotated[Whole | None, Field(description="Stretches without video; null: no ledger has come")]
    alerts: list[HalfDayAlertBody]
    closed: Annotated[str | None, Field(description="The head of the chain of sums; null while the half-day is open")]
    witness: Annotated[
        Literal["signed", "due", "refused"] | None, Field(description="The bureau's countersignature of `closed`")
    ]
    witness_reason: Annotated[str | None, Field(description="Why it is not signed (yet)")]
    witnessed_at: TimeText | None
    recovered: Annotated[Whole, Field(description="Files stated by another run of the box than recorded them")]


class CountyHalfDayBody(TypedDict):
    """A half-day of a class, planned or reported; `expected` as approved. The boxes stand side by side."""

    date: DateText
    session: SessionText
    expected: Whole | None
    boxes: list[HalfDayReportBody]


class CountyHalfDayListBody(TypedDict):
    """The half-days of a class in order."""

    items: list[CountyHalfDayBody]
    next: str | None


class CountyBoxBody(TypedDict):
    """A box as it is now. alarms: open ones about its evidence; null for tokens of an institution."""

    box: BoxName
    institution: str
    presence: Presence
    last_seen: TimeText | None
    version: str
    cameras: Whole
    cameras_up: Whole
    days_left: Annotated[float | None, Field(description="Days of recording that its drive has room for")]
    clock: Annotated[str, Field(description="trusted, free, unknown; empty before the first heartbeat")]
    worst: Annotated[str, Field(description="The gravest finding of its own examination")]
    outbox: Annotated[Whole | None, Field(description="Messages that wait at the box")]
    certificate_until: TimeText | None
    alerts: Whole
    alarms: Whole | None


class CountyBoxListBody(TypedDict):
    """Boxes by name."""

    items: list[CountyBoxBody]
    next: str | None


class CountyAlertBody(TypedDict):
    """An alert as its box said it last, and what somebody at the bureau noted."""

    box: BoxName
    alert_id: str
    kind: str
    state: Literal["raised", "updated", "cleared"]
    severity: Grade
    since: TimeText
    at: TimeText
    class_id: Id | None
    date: DateText | None
    session: SessionText | None
    camera_id: Id | None
    message: str
    acknowledged_at: TimeText | None
    acknowledged_by: str | None
    note: str | None


class CountyAlertListBody(TypedDict):
    """Alerts, the newest first."""

    items: list[CountyAlertBody]
    next: Annotated[str | None, Field(description="Opaque: give it as `before`")]


class EvidenceAlarmBody(TypedDict):
    """An alarm that the board raised about a box's evidence. log, log_number: the statement that it is about."""

    number: Whole
    box: BoxName
    kind: str
    severity: Grade
    log: str
    log_number: Whole
    detail: str
    raised_at: TimeText
    cleared_at: TimeText | None
    acknowledged_at: TimeText | None
    acknowledged_by: str | None
    note: str
    class_id: Id | None
    date: DateText | None
    session: SessionText | None


class EvidenceAlarmListBody(TypedDict):
    """Alarms, the newest first."""

    items: list[EvidenceAlarmBody]
    next: Whole | None


class SettledReportBody(TypedDict):
    """What one box reported of a settled half-day."""

    box: BoxName
    present: Whole | None
    low: Whole | None
    high: Whole | None
    status: str
    lesson_s: Number
    judged_s: Number
    gaps: Whole | None
    gap_s: Annotated[float, Field(ge=0, description="Camera seconds without video")]
    witness: str


class SettledTimesBody(TypedDict):
    """Lesson time: planned, judged with trainees, judged without, and of which nothing is known."""

    planned_s: Number
    taught_s: Number
    empty_s: Number
    unknown_s: Number


class SettledHalfDayBody(SettledTimesBody):
    """A half-day that is over. ratio: present by expected where one box alone reported; doubts: what cannot be judged."""

    date: DateText
    session: SessionText
    expected: Whole | None
    ratio: Ratio | None
    boxes: list[SettledReportBody]
    alerts: dict[str, int]
    checks: dict[str, int]
    calls: dict[str, int]
    doubts: list[str]


class SettledClassBody(SettledTimesBody):
    """A class in a month. Its times are sums of its half-days; `to_come`: half-days of the month that are not over."""

    class_id: Id
    institution: str
    occupation: str
    class_number: Whole | None
    place: str
    half_days: list[SettledHalfDayBody]
    to_come: Whole


class SettlementBody(TypedDict):
    """Figures only; what follows from them, a person decides."""

    month: str
    items: list[SettledClassBody]
    next: Id | None


class OrderedFileBody(TypedDict):
    """A file of an order; `received` bytes of it have come."""

    name: str
    bytes: Whole
    sha256: str
    received: Whole


class OrderedClipBody(TypedDict):
    """A clip or picture that somebody ordered from a box, and how far it is. camera_id: null for all cameras of the room."""

    clip_id: str
    kind: Literal["clip", "picture"]
    box: BoxName
    class_id: Id | None
    room_id: Id | None
    camera_id: Id | None
    start: TimeText | None
    end: TimeText | None
    by: str
    purpose: str
    asked_at: TimeText
    state: Literal["asked", "cutting", "uploading", "ready", "refused", "failed", "expired"]
    code: Annotated[str | None, Field(description="Why it ended without video")]
    reason: str | None
    progress: Annotated[float, Field(ge=0, le=1)]
    done_at: TimeText | None
    kept: bool
    gone: Annotated[bool, Field(description="Its files were deleted at their age")]
    files: list[OrderedFileBody]


class OrderedClipListBody(TypedDict):
    """Orders, the newest first."""

    items: list[OrderedClipBody]
    next: str | None
