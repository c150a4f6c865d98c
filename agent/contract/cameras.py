"""What is known of a camera."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from agent.contract.recordings import LookBody
from agent.contract.values import Href, Id, OnMqtt, TimeText, VerdictText


class CameraFacts(TypedDict):
    """What message and API share."""

    camera_id: Id
    serial: str
    manufacturer: str
    model: str
    verdict: VerdictText
    reasons: list[str]
    up: Annotated[bool, Field(description="Its stream flows")]
    exchanged: Annotated[
        bool, Field(description="Another unit than the accepted one stands under this name"), OnMqtt(required=False)
    ]
    accepted_serial: Annotated[
        str,
        Field(description="Serial (hardware ID where there is none) that was accepted under this name"),
        OnMqtt(required=False),
    ]
    unverified_since: Annotated[
        TimeText | None,
        Field(description="Recorded, and model and serial could not be read since then"),
        OnMqtt(required=False),
    ]
    signs: Annotated[
        bool,
        Field(
            description="This unit has sent pictures that it signs itself (ONVIF media signing); they are not checked"
        ),
        OnMqtt(required=False),
    ]


class CameraMessage(CameraFacts):
    """What is known of a camera, as published."""

    firmware: Annotated[str, OnMqtt(required=False)]


class CameraBody(CameraFacts):
    """A camera as it is now; `picture` and `look` are null where there is none now."""

    class_id: Id | None
    picture: Href | None
    look: LookBody | None


class CameraListBody(TypedDict):
    """Cameras by ID."""

    items: list[CameraBody]
    next: str | None
