"""Clips, their manifests, and drawn moments."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from agent.contract.values import Href, Id, JsonObject, Number, Sha256, TimeText, Whole

UPLOAD_NAMESPACE = "site-agent-upload"
"""Of the signature with which a box opens a one-time address: no other signature of the box can be taken for it."""


UPLOAD_NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,119}\.(mp4|jpg|json|json\.sig)$"


class SpanBody(TypedDict):
    """From start to end."""

    start: TimeText
    end: TimeText


class ClipVideoBody(TypedDict):
    """The video file of a clip."""

    file: str
    bytes: Whole
    sha256: Sha256
    duration_s: Number


class ManifestBody(TypedDict):
    """What was asked and given, from which files, what is missing, who and why; signed."""

    clip: ClipVideoBody
    class_id: Id
    camera_id: Id
    serials: list[str]
    asked: SpanBody
    given: SpanBody
    sources: list[JsonObject]
    gaps: list[JsonObject]
    who: str
    why: str
    made_at: TimeText
    public_key: str


class ClipFileBody(TypedDict):
    """A file of a clip with its manifest."""

    href: Href
    manifest_href: Href
    manifest: ManifestBody
    signature_href: Href | None


class ClipBody(TypedDict):
    """The files that one request made."""

    clip_id: Annotated[str, Field(pattern="^[0-9a-f]{24}$")]
    href: Href
    class_id: Id
    files: list[ClipFileBody]


class MomentBody(TypedDict):
    """A drawn moment of lesson time."""

    draw: Whole
    start: TimeText
    end: TimeText
    room_id: Id
    cameras: list[Id]


class DrawBody(TypedDict):
    """Drawn moments; anybody can draw the same ones again from the seed, see docs/guide/page.md."""

    seed: str
    seed_from: Literal["given", "chain"]
    head: str | None
    counter: Whole | None
    moments: list[MomentBody]
    href: Href


class UploadFileBody(TypedDict):
    """A file that the box pushes."""

    name: Annotated[str, Field(pattern=UPLOAD_NAME)]
    bytes: Whole
    sha256: Sha256


class UploadBody(TypedDict):
    """How far an upload is; answers with it come until the state is `done`, or one says why it failed."""

    state: Annotated[
        Literal["queued", "cutting", "uploading", "done"], Field(description="done: the board has taken every file")
    ]
    progress: Annotated[float, Field(ge=0, le=1)]
    files: Annotated[list[UploadFileBody], Field(description="All of them, from `uploading` on")]
    key: Annotated[str, Field(description="The box's OpenSSH public key, which opens the address and signs the papers")]


class AnsweredSpan(SpanBody):
    """Video that there is of a camera."""

    camera_id: Id
    gaps: list[JsonObject]


class ClipResult(TypedDict):
    """What there is of a class and a time; with an `upload` in the request the files are pushed."""

    command: Annotated[str, Field(description="What cuts the same on the box")]
    clips: list[AnsweredSpan]
    upload: NotRequired[UploadBody]


class AnsweredPicture(TypedDict):
    """A camera's newest picture."""

    camera_id: Id
    at: TimeText


class PictureResult(TypedDict):
    """The pictures that are pushed."""

    pictures: list[AnsweredPicture]
    upload: UploadBody
