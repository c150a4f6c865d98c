"""The alert object."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from agent.contract.values import AlertKindText, DateText, Id, JsonObject, NonEmpty, OnMqtt, SessionText, TimeText
from agent.model_alerts import Severity


class AlertBody(TypedDict):
    """An alert as it was raised, updated or cleared."""

    alert_id: Annotated[NonEmpty, Field(description="The same for all messages of one alert")]
    kind: AlertKindText
    state: Literal["raised", "updated", "cleared"]
    severity: Severity
    since: TimeText
    at: TimeText
    class_id: Id | None
    date: Annotated[DateText | None, OnMqtt(required=False)]
    session: SessionText | None
    camera_id: Id | None
    message: Annotated[
        NonEmpty,
        Field(
            description="For a person, in the box's language: the latest while the alert is open,"
            " the first one (the cause) once it is cleared"
        ),
    ]
    first_message: Annotated[str, Field(description="The cause, as it was raised"), OnMqtt(required=False)]
    latest_message: Annotated[str, Field(description="What was said last while it was open"), OnMqtt(required=False)]
    evidence: Annotated[
        JsonObject, Field(description="What shows it: look, clip reference, figures"), OnMqtt(required=False)
    ]
    replayed: Annotated[bool, Field(description="Delivered late")]


class AlertListBody(TypedDict):
    """Alerts in order of their beginning."""

    items: list[AlertBody]
    next: str | None
