"""What the bureau sends, validated when it comes in: CloudEvents, and the parameters of requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.contract.statements import LogId
from agent.contract.values import ClockTimeText, Id, RecentDateText, SessionText, TimeText
from agent.core.call_model import CALL_CODE, CALL_ID
from agent.core.statement_model import MAX_NUMBER

M = TypeVar("M", bound=BaseModel)


class IncomingEvent(BaseModel):
    """A CloudEvent of the bureau. `data_base64` stands for `data` where both are given."""

    model_config = ConfigDict(defer_build=True)

    specversion: Literal["1.0"]
    id: Annotated[str, Field(min_length=1, max_length=128)]
    data: object = Field(default_factory=dict)
    data_base64: Annotated[str | None, Field(description="The body's bytes, for a signature over them")] = None
    signature: Annotated[
        str | None,
        Field(description="Armoured OpenSSH signature over the bytes of data_base64, namespace site-agent"),
    ] = None


class RequestParameters(BaseModel):
    """Parameters that any request may have."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    class_id: Id = ""
    room_id: Id = ""
    camera_id: Id = ""
    date: RecentDateText = ""
    session: SessionText = ""
    from_: ClockTimeText = Field("", alias="from")
    to: ClockTimeText = ""


class GapsParameters(RequestParameters):
    """Parameters of the request `gaps`."""

    class_id: Id


class ClipParameters(RequestParameters):
    """Parameters of the request `clip`."""

    class_id: Id
    date: RecentDateText
    from_: ClockTimeText = Field(alias="from")
    to: ClockTimeText


_Number = Annotated[int, Field(ge=1, lt=MAX_NUMBER, strict=True)]


class StatementsParameters(BaseModel):
    """Parameters of the request `statements`: numbers from `from` to `to`, of the current log where none is named."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    from_: _Number = Field(alias="from")
    to: _Number
    log: Annotated[LogId, Field(description="The current one where it is left out")] = ""


class CallParameters(BaseModel):
    """Parameters of the request `call`: a code that somebody is to hold before a camera of the class."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    class_id: Id
    date: RecentDateText
    session: SessionText
    call_id: Annotated[str, Field(pattern=CALL_ID, description="Stands in the QR code")]
    code: Annotated[str, Field(pattern=CALL_CODE)]
    until: Annotated[TimeText, Field(description="The code is good until then, and for three minutes at most")]


PARAMETERS: Mapping[str, type[BaseModel]] = {
    "gaps": GapsParameters,
    "clip": ClipParameters,
    "call": CallParameters,
    "statements": StatementsParameters,
}
NAMES = tuple(field.alias or name for name, field in RequestParameters.model_fields.items())


def list_parameter_names(request: str) -> tuple[str, ...]:
    """Return the keys that a request may have."""
    fields = PARAMETERS.get(request, RequestParameters).model_fields
    return tuple(field.alias or name for name, field in fields.items())


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one key."""

    key: str
    kind: Literal["unknown", "missing", "wrong"]


class Invalid(ValueError):
    """Input that a model refuses; `faults` come in the order of the model's fields, unknown keys last."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__(faults)
        self.faults = faults


def validate(model: type[M], values: Mapping[str, object]) -> M:
    """Return the values as that model. Raises Invalid."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        kinds: dict[str, Literal["unknown", "missing"]] = {"extra_forbidden": "unknown", "missing": "missing"}
        found = error.errors(include_url=False, include_context=False, include_input=False)
        faults = [Fault(str(x["loc"][0]), kinds.get(x["type"], "wrong")) for x in found]
        raise Invalid(faults) from None
