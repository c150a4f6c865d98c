"""Arguments of the calls of the board's API; what holds for all of them stands in arguments.py."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from agent.contract.arguments import MANY, Arguments, IsoDay, Limit, OneDay, SeqNumber
from agent.contract.values import Id

ClassState = Annotated[Literal["", "open", "undated", "ahead", "over"], Field(description="classes in this state only")]
BoxPath = Annotated[str, Field(pattern="^[A-Za-z0-9-]{1,32}(/[A-Za-z0-9-]{1,32}){2}$")]
AlertPlace = Annotated[str, Field(pattern=r"^[0-9TZ:.-]{20,32}~[0-9]{1,15}~[^\x00-\x1f]{1,64}$")]
PlainText = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f]*$")]  # PostgreSQL takes no NUL
OrderId = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
Month = Annotated[str, Field(pattern="^20[0-9]{2}-(0[1-9]|1[0-2])$", description="YYYY-MM")]
OneClass = Annotated[Id | None, Field(description="one class only")]


class CountyClassesArguments(Arguments):
    q: Annotated[PlainText, Field(description="words of ID, project, occupation (电工第1班), institution, place")] = ""
    on: Annotated[IsoDay | None, Field(description="classes that have this day")] = None
    state: ClassState = ""
    limit: Limit = MANY
    after: Annotated[Id | None, Field(description="`next` of the page before")] = None


class BoxesArguments(Arguments):
    limit: Limit = MANY
    after: Annotated[BoxPath | None, Field(description="`next` of the page before")] = None


class CountyAlertsArguments(Arguments):
    limit: Limit = MANY
    before: Annotated[AlertPlace | None, Field(description="`next` of the page before")] = None


class AlertHistoryArguments(CountyAlertsArguments):
    class_id: OneClass = None
    box: Annotated[PlainText, Field(description="part of a box's name")] = ""
    kind: Annotated[PlainText, Field(description="one kind only")] = ""
    from_: OneDay = Field(default=None, alias="from", description="raised on this day or later")
    until: Annotated[OneDay, Field(description="raised on this day or earlier")] = None


class AlarmsArguments(Arguments):
    state: Annotated[Literal["open", "all"], Field(description="`all`: those that were closed as well")] = "open"
    limit: Limit = MANY
    before: Annotated[SeqNumber | None, Field(description="`next` of the page before")] = None


class SettlementArguments(Arguments):
    month: Month
    institution: Annotated[PlainText, Field(description="one institution only")] = ""
    class_id: OneClass = None
    limit: Limit = MANY
    after: Annotated[Id | None, Field(description="`next` of the page before")] = None


class OrderedClipsArguments(Arguments):
    class_id: OneClass = None
    limit: Limit = MANY
    before: Annotated[OrderId | None, Field(description="`next` of the page before")] = None
