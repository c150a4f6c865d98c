"""The scalar types of the contract: IDs, times, counts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from enum import StrEnum
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema
from typing_extensions import TypeAliasType

from agent.model import Session
from agent.model_alerts import AlertKind
from agent.model_cameras import Verdict

EARLIEST, LATEST = date(2020, 1, 1), date(2099, 12, 31)
MQTT_CHANGES = "x-mqtt"
"""Key under which `OnMqtt` passes its changes to the schema generator."""


class OnMqtt:
    """Metadata of a field whose published MQTT schema differs from the API's: keywords to replace there.

    `required=False` marks a field added after v1 was published: the box always sends it, but a message without it stays valid.
    """

    def __init__(self, *, required: bool = True, **keywords: object) -> None:
        self._changes = keywords | ({} if required else {"required": False})

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(schema), MQTT_CHANGES: self._changes}


def is_day(value: object) -> bool:
    """Whether it is an ISO calendar day from 2020 to 2099: a clock that was never set sends 1970."""
    try:
        return isinstance(value, str) and len(value) == 10 and EARLIEST <= date.fromisoformat(value) <= LATEST
    except ValueError:
        return False


def _check_day(value: str) -> str:
    if not is_day(value):
        raise ValueError(value)
    return value


def _member_of(kind: type[StrEnum]) -> Callable[[str], str]:
    return lambda value: kind(value).value


def _names(kind: type[StrEnum]) -> dict[str, list[str]]:
    return {"enum": [member.value for member in kind]}


_CLOCK = r"^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$"
_RFC_3339 = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})$"
_RECENT = "^20[2-9][0-9]-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"

JsonObject: TypeAlias = dict[str, object]
"""Free JSON: nothing is assumed of its content."""
Id = TypeAliasType(
    "Id",
    Annotated[
        str,
        Field(pattern="^[A-Za-z0-9][A-Za-z0-9-]{0,31}$", description="ID of a county, site, box, class, camera, room"),
    ],
)
NonEmpty = Annotated[str, Field(min_length=1)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Text200 = Annotated[str, Field(max_length=200)]
Whole = Annotated[int, Field(ge=0)]
Number = Annotated[float, Field(ge=0)]
Seconds = Annotated[int, Field(ge=0), OnMqtt(type="number")]
"""Whole seconds; MQTT messages may hold fractions by their schema."""
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Href = Annotated[str, Field(pattern="^/api/v1/")]
TimeText = TypeAliasType(
    "TimeText",
    Annotated[
        str,
        Field(pattern=_RFC_3339, json_schema_extra={"format": "date-time"}, description="RFC 3339 with offset"),
    ],
)
DateText = TypeAliasType(
    "DateText",
    Annotated[
        str,
        Field(
            pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
            json_schema_extra={"format": "date"},
            description="the site's calendar day",
        ),
    ],
)
RecentDateText = TypeAliasType(
    "RecentDateText",
    Annotated[str, Field(pattern=_RECENT, description="A day from 2020 to 2099"), AfterValidator(_check_day)],
)
ClockTimeText = TypeAliasType(
    "ClockTimeText", Annotated[str, Field(pattern=_CLOCK, description="Local wall clock time")]
)
SessionText = TypeAliasType(
    "SessionText",
    Annotated[
        str,
        AfterValidator(_member_of(Session)),
        Field(json_schema_extra={**_names(Session)}, description="am 上午, pm 下午, ev 晚上"),
    ],
)
VerdictText = TypeAliasType(
    "VerdictText", Annotated[str, AfterValidator(_member_of(Verdict)), Field(json_schema_extra={**_names(Verdict)})]
)
AlertKindText = TypeAliasType(
    "AlertKindText",
    Annotated[str, AfterValidator(_member_of(AlertKind)), Field(json_schema_extra={**_names(AlertKind)})],
)
