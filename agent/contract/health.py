"""What the box finds when it examines itself."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field
from typing_extensions import TypedDict

from agent.contract.values import Id, NonEmpty, TimeText, Whole

Grade: TypeAlias = Literal["ok", "info", "warning", "critical"]


class FindingBody(TypedDict):
    """One thing that was looked at."""

    check: NonEmpty
    severity: Grade
    finding: NonEmpty
    mend: Annotated[str, Field(description="What to do; empty where nothing is to be done")]


class HealthBody(TypedDict):
    """The last examination, the worst finding first.

    at, worst: null before the first examination; fresh: false where it is over 15 minutes old or the agent does not run.
    """

    at: TimeText | None
    fresh: bool
    worst: Grade | None
    items: list[FindingBody]


class ReadinessBody(TypedDict):
    """Whether a class may open."""

    class_id: Id
    at: TimeText
    ready: Annotated[bool, Field(description="No finding is critical")]
    findings: list[FindingBody]


class SummaryBody(TypedDict):
    """An examination in short."""

    worst: Grade
    errors: Annotated[Whole, Field(description="Findings that are critical")]
    warnings: Whole
    checks: Annotated[
        list[NonEmpty],
        Field(
            max_length=20,
            description="Checks that need attention, by the doctor's names, the worst first;"
            " the findings are on the box's page and in its API",
        ),
    ]


class ExaminationBody(SummaryBody):
    """The last examination in short."""

    at: Annotated[TimeText, Field(description="When the box last examined itself (every 5 min)")]


class CertificateBody(TypedDict):
    """A certificate that the box depends on."""

    purpose: Annotated[
        NonEmpty,
        Field(
            description="page: of the box's page; bureau: the box's own at the broker; bureau_ca: the CA that it trusts;"
            " broker: the broker's; further ones may come"
        ),
    ]
    until: Annotated[TimeText, Field(description="Its last moment")]


class SelfCheckBody(TypedDict):
    """What the last examination found, with remedies, in the box's language."""

    findings: Annotated[
        list[FindingBody], Field(max_length=20, description="Those that are warning or critical, the worst first")
    ]
    certificates: Annotated[list[CertificateBody], Field(max_length=20)]
