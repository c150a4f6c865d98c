"""The enrolment file: all that a box needs to know of its bureau, written by the board and read by `site-agent setup`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.contract.values import Id, NonEmpty

ENROLMENT_FORMAT = "site-agent enrolment 1"
MAX_ENROLMENT = 1 << 20
_PORT = Field(ge=1, le=65535)


class Enrolment(BaseModel):
    """One box's enrolment; it holds a password, so the file is for its owner's eyes (mode 0600).

    `ca`, `upload_ca` and `models` are the content of files, `models_signature` that of the list's `.sig`; empty where there is
    none. `ca` is the broker's authority, `upload_ca` that of the board, to which clips are pushed.
    `institution`: whose box it is; empty where the bureau has not said.
    """

    model_config = ConfigDict(frozen=True)  # further keys may come with later versions

    format: Literal["site-agent enrolment 1"]
    county: Id
    site: Id
    box: Id
    prefix: NonEmpty
    host: NonEmpty
    port: Annotated[int, _PORT]
    tls: bool = True
    ca: Annotated[str, Field(max_length=1 << 16)] = ""
    upload_ca: Annotated[str, Field(max_length=1 << 16)] = ""
    username: NonEmpty
    password: NonEmpty
    signing_key: str = ""
    witness_key: str = ""
    models: str = ""
    models_signature: str = ""
    time_server: Annotated[str, Field(pattern=r"^[A-Za-z0-9.:-]{0,253}$")] = ""
    institution: Annotated[str, Field(max_length=200)] = ""


def parse_enrolment(text: bytes) -> Enrolment:
    """Parse the content of an enrolment file. Raises ValueError for anything else."""
    if len(text) > MAX_ENROLMENT:
        raise ValueError(len(text))
    try:
        return Enrolment.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise ValueError(".".join(map(str, first["loc"])) or "JSON") from None
