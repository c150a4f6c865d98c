"""Statements that no other message has: what the box recorded, saw and wrote, as told when it happened (docs/proof.md)."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from agent.contract.recordings import GapBody
from agent.contract.values import DateText, Id, JsonObject, NonEmpty, SessionText, Sha256, TimeText, Whole
from agent.core.call_model import CALL_ID, CallState
from agent.core.stated_segment import MOST_IN_BATCH
from agent.core.witness_text import WitnessText

LogId = Annotated[str, Field(pattern="^[0-9a-f]{32}$", description="ID of a statement log")]
StatementNumber = Annotated[int, Field(ge=1, description="Counts from 1 in its log, without a hole")]


class PositionBody(TypedDict):
    """A place in a statement log."""

    log: LogId
    number: StatementNumber
    hash: Sha256


class AdoptedBody(TypedDict):
    """A drive of another box that the box took over."""

    drive_id: NonEmpty
    old_key: Annotated[NonEmpty, Field(description="Public key of the box that closed what lay there")]
    new_key: Annotated[NonEmpty, Field(description="Public key of the box that goes on")]
    log: Annotated[
        PositionBody | None, Field(description="The newest statement that the drive holds of the box before")
    ]
    record: Annotated[Sha256, Field(description="Of the record of the adoption on the drive")]
    by: Annotated[Literal["bureau", "person"], Field(description="Whose word it was: signed by the bureau, or typed")]
    reason: NonEmpty


class LogStatement(TypedDict):
    """A statement log begins."""

    cause: Annotated[
        Literal["first", "upgraded", "lost", "rollback", "restored", "adopted"],
        Field(
            description="A new box; a box of a version without statements; a box that lost catalog and drive; a box that"
            " found the broker to know more of its log than itself; a box set up from a backup without the drive that"
            " holds the newest statements; a box that took over the drive of another"
        ),
    ]
    before: Annotated[PositionBody | None, Field(description="The log before, as far as the box knows it")]
    adopted: NotRequired[Annotated[AdoptedBody, Field(description="The drive, where the cause is adopted")]]


class NewestBody(TypedDict):
    """The newest statement of the box."""

    newest: PositionBody
    delivered: Annotated[Whole, Field(description="The broker has acknowledged every statement up to this number")]


class AgentStatement(TypedDict):
    """The agent started or stopped."""

    state: Literal["started", "stopped"]
    version: NonEmpty
    last_alive: Annotated[TimeText | None, Field(description="started: the last sign of life of the run before")]
    clock: Literal["trusted", "free", "unknown"]


class SegmentItem(TypedDict):
    """One finished segment of a batch."""

    room_id: Id
    camera_id: Id
    path: Annotated[NonEmpty, Field(description="Below the batch's folder")]
    start: TimeText
    end: TimeText
    bytes: Whole
    sha256: Sha256
    serial: Annotated[str, Field(description="The recorded camera's; empty where it has not told one")]
    unchecked_since: NotRequired[Annotated[TimeText, Field(description="Its identity could not be read since then")]]
    clock: Annotated[NonEmpty, Field(description="trusted, free or unknown")]
    recovered: NotRequired[
        Annotated[
            bool,
            Field(
                description="true: another run of the agent told it than the one that recorded it (after a kill, a power"
                " cut, a lost database), or its drive was away; in between only the box had it"
            ),
        ]
    ]


class SegmentHalfDay(TypedDict):
    """The segments of a half-day in a batch."""

    class_id: Id
    date: DateText
    session: SessionText
    folder: Annotated[str, Field(description="Of the half-day, relative to the drive; a segment is folder/path")]
    items: Annotated[list[SegmentItem], Field(min_length=1, max_length=MOST_IN_BATCH)]


class SegmentStatement(TypedDict):
    """The segments on a drive that were finished at about one time, at most 50 in all."""

    drive_id: NonEmpty
    half_days: Annotated[list[SegmentHalfDay], Field(min_length=1)]


class LooksHalfDay(TypedDict):
    """The looks of a half-day in a batch, as a hash over their rows."""

    class_id: Id
    date: DateText
    session: SessionText
    count: Annotated[int, Field(ge=1)]
    sha256: Annotated[Sha256, Field(description="Of the rows in RFC 8785 form, by instant and camera")]


class LooksStatement(TypedDict):
    """The looks of about a minute."""

    batch: Annotated[int, Field(ge=1)]
    half_days: Annotated[list[LooksHalfDay], Field(min_length=1)]


class GapsStatement(TypedDict):
    """The recording gaps of a half-day, when it is closed and whenever they change."""

    class_id: Id
    date: DateText
    session: SessionText
    items: list[GapBody]


class PapersStatement(TypedDict):
    """The documents of a class as they are about to be written to a drive."""

    class_id: Id
    drive_id: NonEmpty
    items: Annotated[dict[str, Sha256], Field(description="SHA-256 by file name")]


class AuditPosition(TypedDict):
    """The newest entry of the box's audit."""

    number: Whole
    hash: Sha256


class JournalStatement(TypedDict):
    """The first bytes of a day's file of a drive's journal, which only grows."""

    drive_id: NonEmpty
    name: NonEmpty
    bytes: Whole
    sha256: Sha256
    audit: AuditPosition | None


class DriveStatement(TypedDict):
    """A drive holds the log without a hole from a number on."""

    drive_id: NonEmpty
    first: StatementNumber


class CallStatement(TypedDict):
    """A call of the bureau to the cameras of a class, as it goes on: the newest statement of a call is what holds."""

    call_id: Annotated[str, Field(pattern=CALL_ID)]
    class_id: Id
    date: DateText
    session: SessionText
    state: Annotated[
        CallState,
        Field(
            description="open: the code is shown; answered, late: it was seen in the recorded video, in time or up to ten"
            " minutes later; unanswered: not in time; refused: it was never shown"
        ),
    ]
    until: Annotated[TimeText, Field(description="The code is good until then")]
    reason: Annotated[str, Field(description="refused: late, busy, no_class or not_recording; else empty")]
    seen_at: Annotated[TimeText | None, Field(description="The instant of the picture with the code")]
    room_id: Id | None
    camera_id: Id | None
    drive_id: str | None
    path: Annotated[str | None, Field(description="The recorded file that holds the picture, relative to the drive")]
    other: Annotated[bool, Field(description="A code of another call was held before a camera")]


class WitnessBody(TypedDict):
    """A countersignature of the bureau over a closed half-day."""

    class_id: Id
    date: DateText
    session: SessionText
    sequence: Annotated[int, Field(ge=1)]
    head: Sha256
    text: Annotated[str, Field(max_length=4096, description="Exactly what is signed, ending in a line feed")]
    signature: Annotated[
        str, Field(max_length=8192, description="OpenSSH signature of `text`, namespace site-agent-witness")
    ]


class StatementsResult(TypedDict):
    """Statements asked for, in order and without a hole."""

    log: LogId
    statements: Annotated[
        list[JsonObject],
        Field(
            min_length=1,
            description="The messages as they were sent, CloudEvents with `replayed`, each with its own id",
        ),
    ]
    next: Annotated[
        StatementNumber | None, Field(description="Ask again from this number on; null where the answer has all")
    ]


def build_witness_body(text: WitnessText, raw: str, signature: str) -> WitnessBody:
    """Return the message that carries a countersignature; `raw` is the text as it was signed."""
    return {
        "class_id": text.class_id,
        "date": text.date.isoformat(),
        "session": text.session.value,
        "sequence": text.sequence,
        "head": text.head,
        "text": raw,
        "signature": signature,
    }
