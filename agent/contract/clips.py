"""Clips, their manifests, and drawn moments."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from agent.contract.values import Href, Id, JsonObject, Number, Sha256, TimeText, Whole


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
    """Drawn moments; anybody can draw the same ones again from the seed, see docs/page.md."""

    seed: str
    seed_from: Literal["given", "chain"]
    head: str | None
    counter: Whole | None
    moments: list[MomentBody]
    href: Href
