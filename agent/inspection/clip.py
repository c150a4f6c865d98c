"""From class ID to evidence: plan the files of a clip, write them with their manifests, and record it in the audit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from agent import __version__
from agent.catalog import Catalog
from agent.contract.clips import SpanBody
from agent.core import clock as clocks
from agent.core.class_model import TrainingClass
from agent.core.clock import Clock
from agent.core.errors import InputError, MediaError
from agent.core.intervals import bridge_pauses, intersect_intervals, merge_intervals
from agent.core.model import Segment, is_id
from agent.drive import durable, keys
from agent.inspection import clip_file, evidence, gaps, manifest, manifest_body
from agent.inspection.causes import GapCause, find_causes
from agent.inspection.cut import ClipSpan, Cut, cut_sources
from agent.inspection.evidence import Footage, LostSegment
from agent.inspection.gaps import VideoHole
from agent.inspection.manifest_body import ManifestFileBody, SavedClip
from agent.mp4.virtual_mp4 import VirtualMp4


@dataclass(frozen=True, slots=True)
class ClipOptions:
    """`drives` are the mount points to look under; `key_dir` holds the box's key (None: not signed); `box` is its ID."""

    drives: tuple[Path, ...] = ()
    key_dir: Path | None = None
    box: str = ""


@dataclass(frozen=True, slots=True)
class ClipRequest:
    """What somebody asks for.

    `who` and `why` go into manifest and audit; `draw` states how a random moment was drawn. `exact` begins at the asked
    frame by encoding the first pictures again; `h264` encodes all pictures for players without H.265. `files` (drive ID,
    path) are those that a manifest names: only they are used, so that later recordings change nothing.
    """

    cls: TrainingClass
    span: ClipSpan
    who: str
    why: str = ""
    cameras: tuple[str, ...] = ()
    draw: Mapping[str, object] | None = None
    exact: bool = False
    h264: bool = False
    files: frozenset[tuple[str, str]] | None = None


@dataclass(slots=True)
class ClipPlan:
    """One file to be made: `film` gives its bytes at once."""

    request: ClipRequest
    camera_id: str
    cut: Cut
    film: VirtualMp4
    footage: Footage
    holes: list[VideoHole] = field(default_factory=list)
    encoded: str = "none"

    @property
    def name(self) -> str:
        """Format string without suffix; the class and camera are IDs, so the result is one plain file name."""
        return f"{self.request.cls.class_id}_{self.camera_id}_{{start:%Y%m%d_%H%M%S}}-{{end:%H%M%S}}"

    @property
    def span(self) -> ClipSpan:
        """What the file shows."""
        return ClipSpan(self.cut.span.start + timedelta(seconds=self.skip), self.cut.span.end)

    @property
    def existing(self) -> list[tuple[datetime, datetime]]:
        """The parts of the asked time of which the file has pictures."""
        asked = (self.request.span.start, self.request.span.end)
        return bridge_pauses(
            intersect_intervals(merge_intervals((p.span.start, p.span.end) for p in self.cut.pieces), [asked]),
            gaps.SLIVER,
        )

    @property
    def skip(self) -> float:
        """Seconds of the film that are left out where all is encoded again and begins at the asked frame."""
        if self.encoded != "all" or not self.request.exact:
            return 0.0
        return max(0.0, (self.request.span.start - self.cut.span.start).total_seconds())

    def content(self) -> Iterator[bytes]:
        """Yield the file, made while it is read. Raises MediaError."""
        if self.encoded != "all":
            return self.film.read()
        from agent.inspection import recode  # loads the codecs, which few clips need

        return recode.encode_as_h264(self.film, self.skip)


class ClipService:
    """Cuts clips out of the catalog's segments. Threads may share it.

    `classes` returns all classes of the box: which class had a shared room at what time decides what was planned.
    """

    def __init__(
        self, catalog: Catalog, clock: Clock, options: ClipOptions, classes: Callable[[], Sequence[TrainingClass]]
    ) -> None:
        self._catalog = catalog
        self._clock = clock
        self._options = options
        self._classes = classes

    def plan(self, request: ClipRequest) -> list[ClipPlan]:
        """Return the files that answer a request, by camera and time; nothing is written.

        Raises InputError where there is no video in the span, MediaError where there is but no drive that holds it; of
        named `files` all are needed.
        """
        _check_request(request)
        found, writing = self._segments(request)
        drives = evidence.find_attached_drives(self._options.drives)
        plans: list[ClipPlan] = []
        lost: list[LostSegment] = []
        for camera_id, rows in sorted(found.items()):
            footage = evidence.open_footage(rows, drives)
            lost += footage.lost
            plans += self._plans(request, camera_id, footage)
        if not plans or (request.files is not None and lost):
            self._complain(request, lost, writing)
        return plans

    def _segments(self, request: ClipRequest) -> tuple[dict[str, list[Segment]], bool]:
        """Segments by camera, and whether one is being written just now."""
        class_id = request.cls.class_id
        found = evidence.find_segments(self._catalog, class_id, request.span, request.cameras)
        if request.files is not None:
            kept = {c: [s for s in rows if (s.drive_id, s.path) in request.files] for c, rows in found.items()}
            found = {c: rows for c, rows in kept.items() if rows}
        writing = any(
            s.class_id == class_id
            and s.start < request.span.end
            and request.span.start <= self._clock.now()
            and (not request.cameras or s.camera_id in request.cameras)
            for s in self._catalog.segments.opened()
        )
        return found, writing

    def _complain(self, request: ClipRequest, lost: Sequence[LostSegment], writing: bool) -> None:
        """Raise the error for a request that cannot be answered."""
        words = self._words(request)
        absent = sorted({x.segment.drive_id for x in lost if x.reason == "drive_not_attached"})
        if absent:
            row = self._catalog.drives.get(absent[0])
            drive = f"{absent[0]}（{row.label}）" if row and row.label else absent[0]
            if row is not None and row.handed_over_at is not None:
                raise MediaError("clip.handed_over", drive=drive, to=row.handed_over_to or "-", **words)
            raise MediaError("clip.drive_away", drive=drive, **words)
        if lost:
            raise MediaError("clip.damaged", file=lost[0].segment.path, **words)
        raise InputError("clip.being_recorded" if writing else "clip.no_video", **words)

    def _words(self, request: ClipRequest) -> dict[str, object]:
        zone, asked = self._catalog.zone, request.span
        span = f"{asked.start.astimezone(zone):%Y-%m-%d %H:%M:%S}–{asked.end.astimezone(zone):%H:%M:%S}"
        return {"class_id": request.cls.class_id, "span": span, "camera": "、".join(request.cameras) or "*"}

    def _plans(self, request: ClipRequest, camera_id: str, footage: Footage) -> list[ClipPlan]:
        cuts = cut_sources(footage.sources, request.span.start, request.span.end, footage.tracks)
        if not cuts:
            return []
        covered = [piece.span for one in cuts for piece in one.pieces]
        open_spans = gaps.find_uncovered_spans(request.span, covered)
        class_id, now = request.cls.class_id, self._clock.now()
        causes: list[GapCause] = []
        if open_spans:
            causes = find_causes(self._catalog, self._classes(), class_id, camera_id, request.span, footage.lost, now)
        plans = []
        for one in cuts:
            encoded = "none"
            sources = footage.sources
            if request.h264:
                encoded = "all"
            elif request.exact and one is cuts[0] and one.span.start < request.span.start:
                from agent.inspection import recode  # loads the codecs, which few clips need

                one, sources = recode.encode_exact_start(one, footage.sources, request.span.start)
                encoded = "first pictures"
            plans.append(ClipPlan(request, camera_id, one, VirtualMp4(one.tracks, sources), footage, encoded=encoded))
        # a hole is listed with the file that follows it, the last with the last file
        for hole in gaps.explain_holes(open_spans, causes):
            after = next((p for p in plans if p.cut.span.end > hole.span.start), plans[-1])
            after.holes.append(hole)
        return plans

    def save(self, plan: ClipPlan, out: Path, check: Callable[[], None] = lambda: None) -> SavedClip:
        """Write one clip with its manifest into `out`; return the contract's clip object.

        `check` is called again and again meanwhile and may end it by raising. Raises InputError, MediaError.
        """
        out = clip_file.make_clip_folder(out)
        zone, shown = self._catalog.zone, plan.span
        base = plan.name.format(start=shown.start.astimezone(zone), end=shown.end.astimezone(zone))
        final, part = clip_file.reserve_name(out, base)
        try:
            digest, size = clip_file.write_hashed(plan.content(), part, check)
            body = self.manifest(plan, final.name, digest, size)
            self.write_papers(final, body)
            durable.rename_no_replace(part, final)
        except OSError as error:
            raise clip_file.make_write_error(out, error) from error
        finally:
            part.unlink(missing_ok=True)
        request = plan.request
        told = {"file": final.name, "sha256": digest, "camera_id": plan.camera_id, "why": request.why}
        detail = {**told, "asked": body["asked"], "film": self.film(plan), "draw": request.draw}
        self._catalog.audit.add(self._clock.now(), request.who, "clip", request.cls.class_id, detail)
        return {
            "path": str(final),
            "manifest": str(manifest.manifest_path(final)),
            "camera_id": plan.camera_id,
            "asked_start": body["asked"]["start"],
            "asked_end": body["asked"]["end"],
            "start": body["given"]["start"],
            "end": body["given"]["end"],
            "gaps": body["gaps"],
            "sha256": digest,
        }

    def write_papers(self, clip: Path, body: ManifestFileBody) -> None:
        """Write the manifest of `clip` beside it, signed where the box has a key. Raises OSError, DriveError."""
        clip_file.write_manifest(
            clip, manifest.encode_manifest(body), self._options.key_dir if self._public_key() else None
        )

    def _public_key(self) -> str:
        return keys.load_public_key(self._options.key_dir) if self._options.key_dir else ""

    def manifest(self, plan: ClipPlan, name: str, digest: str | None, size: int | None) -> ManifestFileBody:
        """Return the manifest's content. `digest` None: not yet known (a clip being streamed)."""
        request, one, zone, segments = plan.request, plan.cut, self._catalog.zone, plan.footage.segments
        # recordings of the last seconds wait for their batch; the manifest names the statement of each that has one
        self._catalog.segments.state_own(self._clock.now())
        used = sorted({piece.source for piece in one.pieces})
        return {
            "clip": {
                "file": name,
                "bytes": size,
                "sha256": digest,
                "duration_s": round(plan.film.duration, 3),
                "video": one.video.codec if plan.encoded != "all" else "avc1",
                "sound": one.sound.codec if one.sound else None,
                "encoded_anew": plan.encoded,
            },
            "class_id": request.cls.class_id,
            "project": request.cls.project,
            "institution": request.cls.institution,
            "camera_id": plan.camera_id,
            "serials": manifest_body.list_serials(segments[i] for i in used),
            "room_id": segments[used[0]].room_id,
            "asked": manifest_body.describe_span(request.span, zone),
            "given": manifest_body.describe_span(plan.span, zone),
            "pieces": [manifest_body.describe_piece(p, used.index(p.source), zone) for p in one.pieces],
            "sources": [manifest_body.describe_source(self._catalog, segments[i]) for i in used],
            "gaps": [manifest_body.describe_gap(hole, zone) for hole in plan.holes],
            "who": request.who,
            "why": request.why,
            "made_at": clocks.format_local(self._clock.now(), zone),
            "draw": request.draw,
            "box": self._options.box,
            "agent_version": __version__,
            "audit_head": self._catalog.audit.head(),
            "public_key": self._public_key(),
        }

    def film(self, plan: ClipPlan) -> list[SpanBody]:
        """Return for the audit the parts of the asked time of which the file has pictures."""
        return [manifest_body.describe_span(ClipSpan(a, b), self._catalog.zone) for a, b in plan.existing]


def _check_request(request: ClipRequest) -> None:
    # the segments of the days before and after are looked up too: they must be valid dates
    if not 1970 <= request.span.start.year <= request.span.end.year < 9999:
        raise InputError("clip.bad_date", value=request.span.start.date())
    if request.span.end <= request.span.start:
        raise InputError("clip.backwards")
    if request.span.end - request.span.start > timedelta(days=1):
        raise InputError("clip.too_long")
    for name in (request.cls.class_id, *request.cameras):
        if not is_id(name):
            raise InputError("clip.bad_id", value=repr(name)[1:-1][:64])
