"""The audit's entries and the API's errors."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from agent.contract.values import Sha256, Whole


class AuditEntryBody(TypedDict):
    """An entry as the catalog keeps it.

    hash: SHA-256 of `previous`, a line feed and the compact JSON list [id, at, who, action, object, detail].
    """

    id: Whole
    at: str
    who: str
    action: str
    object: str
    detail: Annotated[str, Field(json_schema_extra={"contentMediaType": "application/json"})]
    previous: Sha256
    hash: Sha256


class AuditListBody(TypedDict):
    """Entries about a class, oldest first."""

    items: list[AuditEntryBody]
    next: Whole | None


class AuditBody(TypedDict):
    """Entries, newest first; `broken_at` is the first one that does not fit the chain."""

    items: list[AuditEntryBody]
    next: Whole | None
    head: Sha256
    broken_at: Whole | None


class ProblemBody(TypedDict):
    """RFC 9457; `code` is stable, `detail` is for people."""

    type: str
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    detail: str
    code: str
