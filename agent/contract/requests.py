"""What the bureau sends, validated when it comes in: CloudEvents, and the parameters of requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from agent.contract.statements import LogId
from agent.contract.values import ClockTimeText, Id, RecentDateText, SessionText, TimeText
from agent.core.call_model import CALL_CODE, CALL_ID
from agent.core.clock import parse_time
from agent.core.statement_model import MAX_NUMBER

M = TypeVar("M", bound=BaseModel)


def _check_time(value: str) -> str:
    parse_time(value)
    return value


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


class ModelListBody(BaseModel):
    """The list of approved camera models, as the bureau signed the file."""

    model_config = ConfigDict(extra="ignore", defer_build=True)

    models: Annotated[str, Field(max_length=200_000, description="The file, TOML")]
    models_signature: Annotated[
        str, Field(max_length=10_000, description="Armoured OpenSSH signature over its bytes, namespace site-agent")
    ]


class GapsParameters(RequestParameters):
    """Parameters of the request `gaps`."""

    class_id: Id


class UploadTarget(BaseModel):
    """A one-time address at the bureau's board; docs/reference/mqtt.md says how files are pushed there."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    url: Annotated[str, Field(pattern=r"^https://[^\s/?#@]+(/[A-Za-z0-9._~-]+)*$", max_length=300)]
    token: Annotated[str, Field(pattern="^[A-Za-z0-9_-]{32,128}$", description="Good for this request of this box")]
    until: Annotated[TimeText, Field(description="Nothing is taken after it"), AfterValidator(_check_time)]


class _FetchParameters(RequestParameters):
    upload: Annotated[UploadTarget | None, Field(description="Where to push the files")] = None
    who: Annotated[str, Field(max_length=120, description="Who asks: stands in the manifest and in the audit")] = ""
    why: Annotated[str, Field(max_length=500, description="What for: stands there too")] = ""


class ClipParameters(_FetchParameters):
    """Parameters of the request `clip`; without `upload` the answer says what there is, and no video is sent."""

    class_id: Id
    date: RecentDateText
    from_: ClockTimeText = Field(alias="from")
    to: ClockTimeText


class PictureParameters(_FetchParameters):
    """Parameters of the request `picture`: the newest picture of a camera, or of each camera of a room or class."""

    upload: UploadTarget


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
    "picture": PictureParameters,
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
