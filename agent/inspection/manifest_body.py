"""The content of a clip's manifest, as types; docs/guide/page.md and the contract give the meaning of the fields.

The contract's `ManifestBody` has what the API promises of a manifest; `ManifestFileBody` has all that the file holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from zoneinfo import ZoneInfo

from typing_extensions import TypedDict

from agent.catalog import Catalog
from agent.contract.clips import SpanBody
from agent.core import clock as clocks
from agent.core.model import Segment
from agent.inspection.cut import ClipPiece, ClipSpan
from agent.inspection.gaps import VideoHole


class ManifestGapBody(SpanBody):
    """Time of the clip without video."""

    seconds: float
    reason: str


class PieceBody(SpanBody):
    """`source` is an index into the manifest's `sources`."""

    source: int
    at_s: float


class ManifestClipBody(TypedDict):
    """`bytes` and `sha256` are None where they are not yet known (a clip that is being streamed)."""

    file: str
    bytes: int | None
    sha256: str | None
    duration_s: float
    video: str
    sound: str | None
    encoded_anew: str


class SourceChainBody(TypedDict):
    """The half-day of a source in the chain of sums; `sequence`, `head` and `key` are None until it is closed."""

    date: str
    session: str
    sequence: int | None
    head: str | None
    key: str | None


class SourceStatementBody(TypedDict):
    """Where a source was stated when its recording was finished."""

    log: str
    number: int
    hash: str


class SourceBody(TypedDict):
    drive_id: str
    path: str
    sha256: str | None
    bytes: int | None
    start: str
    end: str | None
    clock: str
    serial: str | None
    chain: SourceChainBody
    unchecked_since: str | None
    statement: SourceStatementBody | None


class ManifestFileBody(TypedDict):
    clip: ManifestClipBody
    class_id: str
    project: str
    institution: str
    camera_id: str
    serials: list[str]
    room_id: str
    asked: SpanBody
    given: SpanBody
    pieces: list[PieceBody]
    sources: list[SourceBody]
    gaps: list[ManifestGapBody]
    who: str
    why: str
    made_at: str
    draw: Mapping[str, object] | None
    box: str
    agent_version: str
    audit_head: str
    public_key: str


class SavedClip(TypedDict):
    """The contract's clip object: what the `clip` command prints."""

    path: str
    manifest: str
    camera_id: str
    asked_start: str
    asked_end: str
    start: str
    end: str
    gaps: list[ManifestGapBody]
    sha256: str


def describe_span(span: ClipSpan, zone: ZoneInfo) -> SpanBody:
    """Return a span as the manifest states it."""
    return {"start": clocks.format_local(span.start, zone), "end": clocks.format_local(span.end, zone)}


def describe_gap(hole: VideoHole, zone: ZoneInfo) -> ManifestGapBody:
    """Return a hole as the manifest states it."""
    return {**describe_span(hole.span, zone), "seconds": round(hole.span.seconds, 3), "reason": hole.reason}


def describe_piece(piece: ClipPiece, source: int, zone: ZoneInfo) -> PieceBody:
    """Return a piece as the manifest states it; `source` is its index in the manifest."""
    return {"source": source, **describe_span(piece.span, zone), "at_s": round(piece.at, 3)}


def describe_source(catalog: Catalog, segment: Segment) -> SourceBody:
    """Return a segment as the manifest states it, with the link of the hash chain that covers it."""
    zone, day = catalog.zone, (segment.date, segment.session)
    links = catalog.chain.of_class(segment.class_id)
    link = next((x for x in links if (x.date, x.session) == day), None)
    newest = catalog.segments.get(segment.segment_id) or segment
    return {
        "drive_id": segment.drive_id,
        "path": segment.path,
        "sha256": segment.sha256,
        "bytes": segment.bytes,
        "start": clocks.format_local(segment.start, zone),
        "end": clocks.format_local(segment.end, zone) if segment.end else None,
        "clock": segment.trust,
        "serial": segment.serial or None,
        "chain": {
            "date": segment.date.isoformat(),
            "session": segment.session.value,
            "sequence": link.sequence if link else None,
            "head": link.head if link else None,
            "key": link.public_key if link else None,
        },
        "unchecked_since": clocks.format_local(segment.unchecked_since, zone) if segment.unchecked_since else None,
        "statement": _describe_statement(newest.statement),
    }


def _describe_statement(text: str) -> SourceStatementBody | None:
    """Return a segment's place in the statement log; None for segments of versions without one."""
    log, _, rest = text.partition(":")
    number, _, digest = rest.partition(":")
    return {"log": log, "number": int(number), "hash": digest} if digest else None


def list_serials(segments: Iterable[Segment]) -> list[str]:
    """Return the serial numbers of the cameras that were recorded, each once, in order of time.

    Segments of earlier versions of the agent have no serial number.
    """
    return list(dict.fromkeys(s.serial for s in segments if s.serial))
