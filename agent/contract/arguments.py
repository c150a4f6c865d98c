"""Arguments of the API's operations, validated when a call comes in.

An argument that the operation's path names is taken from there, those of a POST otherwise from the body, those of a GET from
the query. Texts are matched before they are converted: a query knows only text, and a body's `true` is not a number.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from agent.contract.values import ClockTimeText, Id, Text200
from agent.model import Session

MANY = 200
"""Items of a page unless `limit` is given."""
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DIGITS = re.compile(r"[0-9]{1,15}")


def _read_day(value: object) -> date:
    if isinstance(value, str) and _DAY.fullmatch(value):
        return date.fromisoformat(value)
    raise ValueError(value)


def _read_digits(value: object) -> int:
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return int(value)
    raise ValueError(value)


def _read_number(value: object) -> int:
    """Convert a JSON number; 60.0 is a whole number in JSON, and `true` is not one."""
    if type(value) is int or (isinstance(value, float) and value.is_integer()):
        return int(value)
    raise ValueError(value)


IsoDay = Annotated[date, BeforeValidator(_read_day)]
Half = Annotated[Session, WithJsonSchema({"type": "string", "enum": [session.value for session in Session]})]
Limit = Annotated[
    int, Field(ge=1, le=1000, description=f"items a page, {MANY} unless given"), BeforeValidator(_read_digits)
]
SeqNumber = Annotated[int, Field(ge=0, le=10**15 - 1), BeforeValidator(_read_digits)]
Count = Annotated[int, Field(ge=1, le=20), BeforeValidator(_read_number)]
DrawSeconds = Annotated[int, Field(ge=1, le=600), BeforeValidator(_read_number)]
ClipId = Annotated[str, Field(pattern="^[0-9a-f]{24}$")]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_\-]{1,120}\.(mp4|json|json\.sig)$")]

OneCamera = Annotated[Id | None, Field(description="one camera only")]
OneDay = Annotated[IsoDay | None, Field(description="one day only")]
OneHalf = Annotated[Half | None, Field(description="one half-day only")]
After = Annotated[SeqNumber | None, Field(description="`next` of the page before")]


class Arguments(BaseModel):
    """No arguments; base of all others."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    def given(self) -> dict[str, int | str]:
        """Return what the caller gave, for the audit."""
        values = self.model_dump(by_alias=True, exclude_unset=True, exclude_none=True)
        return {name: value if isinstance(value, int) else str(value) for name, value in values.items()}


class ClassesArguments(Arguments):
    q: Annotated[Text200, Field(description="part of ID, project, occupation or place")] = ""
    limit: Limit = MANY
    after: Annotated[Id | None, Field(description="`next` of the page before")] = None


class ClassArguments(Arguments):
    class_id: Id


class HalfDayArguments(ClassArguments):
    date: IsoDay
    session: Half


class LooksArguments(HalfDayArguments):
    camera_id: OneCamera = None


class GapsArguments(ClassArguments):
    date: OneDay = None
    session: OneHalf = None
    camera_id: OneCamera = None


class SegmentsArguments(GapsArguments):
    limit: Limit = MANY
    after: After = None


class ClassAuditArguments(ClassArguments):
    limit: Limit = MANY
    after: After = None


class CutArguments(ClassArguments):
    date: IsoDay
    from_: ClockTimeText = Field(alias="from")
    to: ClockTimeText
    camera_id: Annotated[Id | None, Field(description="all cameras unless given")] = None
    why: Annotated[Text200, Field(description="goes into manifest and audit")] = ""


class DrawArguments(ClassArguments):
    count: Count
    seconds: DrawSeconds
    seed: Text200 | None = None


class ClipArguments(Arguments):
    clip_id: ClipId


class ClipFileArguments(ClipArguments):
    name: FileName


class CameraArguments(Arguments):
    camera_id: Id


class AuditArguments(Arguments):
    limit: Limit = MANY
    before: Annotated[SeqNumber | None, Field(description="`next` of the page before")] = None
