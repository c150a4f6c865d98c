"""Messages about the box itself: state, heartbeat, chain of sums, refused messages, answers."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from agent.contract.clips import ClipResult, PictureResult
from agent.contract.health import ExaminationBody, SelfCheckBody
from agent.contract.statements import PositionBody, StatementsResult
from agent.contract.values import (
    DateText,
    Id,
    JsonObject,
    NonEmpty,
    Number,
    OnMqtt,
    SessionText,
    Sha256,
    TimeText,
    Whole,
)
from agent.core.call_model import CALL_ID


class StateBody(TypedDict):
    """Whether the box is connected."""

    state: Literal["online", "offline", "stopped"]
    boot_id: NonEmpty
    version: NonEmpty
    since: Annotated[
        TimeText, Field(description="online, offline: when this connection began; stopped: when the box was stopped")
    ]
    statements: Annotated[
        PositionBody | None, Field(description="The newest statement when this was said"), OnMqtt(required=False)
    ]


class CameraBeat(TypedDict):
    """A camera in the heartbeat."""

    camera_id: Id
    up: bool
    recorded_s: Annotated[float, Field(ge=0, le=60, description="Seconds recorded in the last minute")]
    clock_offset_s: Annotated[float | None, Field(description="Camera's clock minus the box's")]


class DriveBeat(TypedDict):
    """The drive in the heartbeat."""

    drive_id: str | None
    state: NonEmpty
    free_bytes: Whole | None
    days_left: Number | None


class HeartbeatBody(TypedDict):
    """How the box is, every minute."""

    seq: Annotated[int, Field(ge=1)]
    boot_id: NonEmpty
    uptime_s: Number
    cameras: list[CameraBeat]
    drive: DriveBeat | None
    clock: Literal["trusted", "free", "unknown"]
    outbox: Whole
    doctor: Annotated[ExaminationBody | None, OnMqtt(required=False)]
    statements: NotRequired[
        Annotated[
            PositionBody | None,
            Field(description="The newest statement; in the first heartbeat of a run and each fifth after it"),
        ]
    ]
    self_check: NotRequired[
        Annotated[
            SelfCheckBody,
            Field(
                description="In the first heartbeat after an examination, each sixtieth, and where other checks fail"
            ),
        ]
    ]


class ChainBody(TypedDict):
    """A closed half-day's place in the chain of sums."""

    class_id: Id
    date: DateText
    session: SessionText
    sequence: Annotated[int, Field(ge=1)]
    head: Annotated[NonEmpty, Field(description="SHA-256 in hex")]
    key: Annotated[str, Field(description="The box's OpenSSH public key, empty where it has none")]


class RefusalBody(TypedDict):
    """A message from the bureau's side that was refused."""

    topic: Annotated[str, Field(max_length=200, description="The refused message's, after the box's prefix")]
    code: NonEmpty
    message: Annotated[str, Field(min_length=1, max_length=500)]
    bytes: Whole
    sha256: Annotated[Sha256, Field(description="Of the refused payload")]


class FailureBody(TypedDict):
    """Why a request was not answered."""

    code: NonEmpty
    message: NonEmpty


class _Answer(TypedDict):
    request: Annotated[NonEmpty, Field(description="The request's name; `unknown` for one that does not exist")]
    request_id: Annotated[str | None, Field(description="The request's CloudEvents id")]


class SuccessAnswer(_Answer):
    """The answer to a request that was answered."""

    ok: Literal[True]
    result: JsonObject


class StatementsAnswer(_Answer):
    """The answer to the request `statements`."""

    ok: Literal[True]
    result: StatementsResult


class ClipAnswer(_Answer):
    """An answer to the request `clip`; with an upload several come."""

    ok: Literal[True]
    result: ClipResult


class PictureAnswer(_Answer):
    """An answer to the request `picture`; several come."""

    ok: Literal[True]
    result: PictureResult


class CallResult(TypedDict):
    """The box shows the code of a call; how it goes on is stated in `call`."""

    call_id: Annotated[str, Field(pattern=CALL_ID)]
    until: TimeText


class CallAnswer(_Answer):
    """The answer to the request `call`."""

    ok: Literal[True]
    result: CallResult


class FailureAnswer(_Answer):
    """The answer to a request that failed."""

    ok: Literal[False]
    error: FailureBody
