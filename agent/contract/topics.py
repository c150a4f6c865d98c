"""The table of MQTT topics; AsyncAPI document and message schemas are made from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from agent.contract.alerts import AlertBody
from agent.contract.attendance import AttendanceMessage
from agent.contract.box import (
    CallAnswer,
    ChainBody,
    ClipAnswer,
    FailureAnswer,
    HeartbeatBody,
    PictureAnswer,
    RefusalBody,
    StateBody,
    StatementsAnswer,
    SuccessAnswer,
)
from agent.contract.cameras import CameraMessage
from agent.contract.classes import ApprovedClass
from agent.contract.health import ReadinessBody
from agent.contract.requests import (
    CallParameters,
    ClipParameters,
    ModelListBody,
    PictureParameters,
    RequestParameters,
    StatementsParameters,
)
from agent.contract.statements import (
    AgentStatement,
    CallStatement,
    DriveStatement,
    GapsStatement,
    JournalStatement,
    LogStatement,
    LooksStatement,
    NewestBody,
    PapersStatement,
    SegmentStatement,
    WitnessBody,
)
from agent.core.statement_model import EVENT_TYPE

ROOT = "training/v1"
TYPE = EVENT_TYPE
"""The CloudEvents type of a message."""


@dataclass(frozen=True, slots=True)
class Topic:
    """`channel` is its name in the AsyncAPI document, `address` follows the box's prefix, `body` is the type of `data`.

    `operation` names the sending or receiving operation; None for answers, which belong to the request's. `event` is the
    message's name in its CloudEvents type, `file` that of its schema.
    """

    channel: str
    address: str
    title: str
    body: object
    operation: str | None
    retained: bool = False
    direction: Literal["send", "receive"] = "send"
    event: str = ""
    file: str = ""
    about: str = ""

    @property
    def event_type(self) -> str:
        return TYPE.format(name=self.event or self.channel)

    @property
    def schema_file(self) -> str:
        return f"{self.file or self.channel}.json"


TOPICS = (
    Topic("state", "state", "Is the box there? Will and birth alike", StateBody, "tellState", retained=True),
    Topic("heartbeat", "heartbeat", "How the box is, every minute", HeartbeatBody, "beat"),
    Topic("camera", "camera/{camera_id}", "What is known of a camera", CameraMessage, "tellCamera", retained=True),
    Topic(
        "attendance",
        "attendance/{class_id}/{date}/{session}",
        "Attendance of a half-day",
        AttendanceMessage,
        "tellAttendance",
        retained=True,
    ),
    Topic("alert", "alert/{kind}", "An alert was raised, updated or cleared", AlertBody, "tellAlert"),
    Topic(
        "alertsOpen",
        "alerts/open",
        "The alerts that are open",
        list[AlertBody],
        "tellOpenAlerts",
        retained=True,
        event="alerts.open",
        file="alerts-open",
    ),
    Topic(
        "chain",
        "chain/{class_id}",
        "A closed half-day's place in the chain of sums",
        ChainBody,
        "tellChain",
        retained=True,
    ),
    Topic(
        "readiness",
        "readiness/{class_id}",
        "Whether a class may open: the readiness sheet of `site-agent doctor --class`",
        ReadinessBody,
        "tellReadiness",
        retained=True,
    ),
    Topic("log", "log", "A statement log begins", LogStatement, "tellLog"),
    Topic(
        "statements",
        "statements",
        "The newest statement of the box, at least every five minutes while there are new ones",
        NewestBody,
        "tellNewest",
        retained=True,
    ),
    Topic("agent", "agent", "The agent started or stopped", AgentStatement, "tellAgent"),
    Topic(
        "segment",
        "segment",
        "Segments that were finished, some seconds after their end",
        SegmentStatement,
        "tellSegment",
    ),
    Topic(
        "looks",
        "looks",
        "Looks of each half-day, as a hash over their rows, each minute",
        LooksStatement,
        "tellLooks",
    ),
    Topic("gaps", "gaps/{class_id}/{date}/{session}", "Recording gaps of a half-day", GapsStatement, "tellGaps"),
    Topic("papers", "papers/{class_id}", "The documents of a class on a drive", PapersStatement, "tellPapers"),
    Topic("journal", "journal", "The hash of a drive's journal", JournalStatement, "tellJournal"),
    Topic("drive", "drive", "From which statement on a drive holds the log", DriveStatement, "tellDrive"),
    Topic(
        "call",
        "call/{class_id}",
        "A call of the bureau to the cameras of a class: opened, answered, late, unanswered, refused",
        CallStatement,
        "tellCall",
    ),
    Topic(
        "error", "error", "A message from the bureau's side was refused, and nothing changed", RefusalBody, "tellError"
    ),
    Topic(
        "responseStatements",
        "response/statements",
        "The answer to the request for statements",
        StatementsAnswer | FailureAnswer,
        None,
        event="response",
        file="response-statements",
    ),
    Topic(
        "responseClip",
        "response/clip",
        "Answers to the request for a clip",
        ClipAnswer | FailureAnswer,
        None,
        event="response",
        file="response-clip",
    ),
    Topic(
        "responsePicture",
        "response/picture",
        "Answers to the request for a picture",
        PictureAnswer | FailureAnswer,
        None,
        event="response",
        file="response-picture",
    ),
    Topic(
        "responseCall",
        "response/call",
        "The answer to a call",
        CallAnswer | FailureAnswer,
        None,
        event="response",
        file="response-call",
    ),
    Topic(
        "response",
        "response/{name}",
        "The answer to a request",
        SuccessAnswer | FailureAnswer,
        None,
        about="Where answers go that named no response topic, and where a response topic may lie.",
    ),
    Topic(
        "class",
        "classes/{class_id}",
        "An approved class: its body alone, or as a CloudEvent (signed where the box holds the bureau's key)",
        ApprovedClass,
        "takeClass",
        retained=True,
        direction="receive",
    ),
    Topic(
        "models",
        "models",
        "The list of approved camera models, signed; its data alone, or as a CloudEvent",
        ModelListBody,
        "takeModels",
        retained=True,
        direction="receive",
    ),
    Topic(
        "witness",
        "witness/{class_id}",
        "A countersignature over a closed half-day; its data alone, or as a CloudEvent",
        WitnessBody,
        "takeWitness",
        retained=True,
        direction="receive",
    ),
    Topic(
        "requestStatements",
        "request/statements",
        "Ask for statements that did not come, by number",
        StatementsParameters,
        "takeStatementsRequest",
        direction="receive",
        file="request-statements",
    ),
    Topic(
        "requestClip",
        "request/clip",
        "Ask what video there is of a class; with an upload, have it cut and pushed to the board",
        ClipParameters,
        "takeClipRequest",
        direction="receive",
        file="request-clip",
    ),
    Topic(
        "requestPicture",
        "request/picture",
        "Have the newest picture of a camera, room or class pushed to the board",
        PictureParameters,
        "takePictureRequest",
        direction="receive",
        file="request-picture",
    ),
    Topic(
        "requestCall",
        "request/call",
        "Have a code held before a camera of a class, to show that its stream is live",
        CallParameters,
        "takeCallRequest",
        direction="receive",
        file="request-call",
    ),
    Topic(
        "request",
        "request/{name}",
        "A request's parameters: alone, or as a CloudEvent. gaps needs class_id; clip class_id, date, from, to",
        RequestParameters,
        "takeRequest",
        direction="receive",
    ),
)
