"""From class ID to evidence: plan the files of a clip, write them with their manifests, and enter it into the audit."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

from agent import __version__
from agent import clock as time
from agent.catalog import Catalog
from agent.clock import Clock
from agent.drive import durable, keys
from agent.drive import gaps as ledger
from agent.errors import InputError, MediaError
from agent.inspection import evidence, gaps, manifest
from agent.inspection.cut import Cut, Span, cut
from agent.inspection.evidence import Footage
from agent.inspection.gaps import Hole
from agent.intervals import bridged, common, union
from agent.model import Segment, TrainingClass, is_id
from agent.mp4.virtual_mp4 import VirtualMp4
from agent.schedule import planned

_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Options:
    """`drives` are the mount points to look under; `key_dir` holds the box's key (None: not signed); `box` is its ID."""

    drives: tuple[Path, ...] = ()
    key_dir: Path | None = None
    box: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """`who` and `why` go into manifest and audit; `draw` says how a random moment was drawn. `exact` begins at the asked
    frame by encoding the first pictures anew; `h264` encodes all pictures for players that know no H.265. `files` (drive ID,
    path) are those that a manifest names: only they are used, so that what was recorded since changes nothing."""

    cls: TrainingClass
    span: Span
    who: str
    why: str = ""
    cameras: tuple[str, ...] = ()
    draw: Mapping[str, Any] | None = None
    exact: bool = False
    h264: bool = False
    files: frozenset[tuple[str, str]] | None = None


@dataclass(slots=True)
class Plan:
    """One file to be: `film` gives its bytes at once."""

    request: Request
    camera_id: str
    cut: Cut
    film: VirtualMp4
    footage: Footage
    holes: list[Hole] = field(default_factory=list)
    encoded: str = "none"

    @property
    def name(self) -> str:
        """Without suffix; the class and camera are IDs, so it is one plain file name."""
        return f"{self.request.cls.class_id}_{self.camera_id}_{{start:%Y%m%d_%H%M%S}}-{{end:%H%M%S}}"

    @property
    def span(self) -> Span:
        """What the file shows."""
        return Span(self.cut.span.start + timedelta(seconds=self.skip), self.cut.span.end)

    @property
    def existing(self) -> list[tuple[datetime, datetime]]:
        """The time that was asked for, as far as the file has pictures of it."""
        asked = (self.request.span.start, self.request.span.end)
        return bridged(common(union((p.span.start, p.span.end) for p in self.cut.pieces), [asked]), gaps.SLIVER)

    @property
    def skip(self) -> float:
        """Seconds of the film that are left out where all is encoded anew and begins at the asked frame."""
        if self.encoded != "all" or not self.request.exact:
            return 0.0
        return max(0.0, (self.request.span.start - self.cut.span.start).total_seconds())

    def content(self) -> Iterator[bytes]:
        """The file, made while it is read."""
        if self.encoded != "all":
            return self.film.read()
        from agent.inspection import recode  # brings in the codecs, which few clips need

        return recode.as_h264(self.film, self.skip)


class Clips:
    """Cuts clips out of the catalog's segments. Threads may share it. `classes` are all of the box: who had a shared room
    when decides what was planned."""

    def __init__(
        self, catalog: Catalog, clock: Clock, options: Options, classes: Callable[[], Sequence[TrainingClass]]
    ) -> None:
        self._catalog = catalog
        self._clock = clock
        self._options = options
        self._classes = classes

    def plan(self, request: Request) -> list[Plan]:
        """The files that answer a request, by camera and time; nothing is written.

        Raises InputError where there is no video in the span, MediaError where there is but no drive that holds it; of
        named `files` all are needed.
        """
        _check(request)
        found, gone = self._segments(request)
        drives = evidence.attached(self._options.drives)
        plans: list[Plan] = []
        lost: list[evidence.Lost] = []
        for camera_id, rows in sorted(found.items()):
            footage = evidence.footage(rows, drives)
            lost += footage.lost
            plans += self._plans(request, camera_id, footage)
        if not plans or (request.files is not None and lost):
            self._complain(request, lost, gone)
        return plans

    def _segments(self, request: Request) -> tuple[dict[str, list[Segment]], bool]:
        """Segments by camera, and whether one is being written just now."""
        class_id = request.cls.class_id
        found = evidence.segments(self._catalog, class_id, request.span, request.cameras)
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

    def _complain(self, request: Request, lost: Sequence[evidence.Lost], writing: bool) -> None:
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

    def _words(self, request: Request) -> dict[str, object]:
        start, end = (x.astimezone(self._catalog.zone) for x in (request.span.start, request.span.end))
        return {"class_id": request.cls.class_id, "span": f"{start:%Y-%m-%d %H:%M:%S}–{end:%H:%M:%S}",
                "camera": "、".join(request.cameras) or "*"}  # fmt: skip

    def _plans(self, request: Request, camera_id: str, footage: Footage) -> list[Plan]:
        cuts = cut(footage.sources, request.span.start, request.span.end, footage.tracks)
        if not cuts:
            return []
        covered = [piece.span for one in cuts for piece in one.pieces]
        open_spans = gaps.uncovered(request.span, covered)
        holes = gaps.explain(open_spans, self._why(request, camera_id, footage)) if open_spans else []
        plans = []
        for one in cuts:
            encoded = "none"
            sources = footage.sources
            if request.h264:
                encoded = "all"
            elif request.exact and one is cuts[0] and one.span.start < request.span.start:
                from agent.inspection import recode  # brings in the codecs, which few clips need

                one, sources = recode.exact_start(one, footage.sources, request.span.start)
                encoded = "first pictures"
            plans.append(Plan(request, camera_id, one, VirtualMp4(one.tracks, sources), footage, encoded=encoded))
        # a hole stands with the file that follows it, the last with the last file
        for hole in holes:
            after = next((p for p in plans if p.cut.span.end > hole.span.start), plans[-1])
            after.holes.append(hole)
        return plans

    def _why(self, request: Request, camera_id: str, footage: Footage) -> list[tuple[Span, str]]:
        causes = [(Span(x.segment.start, x.segment.end or request.span.end), x.reason) for x in footage.lost]
        now = self._clock.now()
        causes.append((Span(max(now, request.span.start), max(now, request.span.end)), "not_yet"))
        writing = evidence.being_recorded(self._catalog, camera_id, request.cls.class_id, request.span)
        if writing is not None:
            causes.append((Span(writing, max(writing, now)), "being_recorded"))
        return causes + self._ledger(request, camera_id, now)

    def _ledger(self, request: Request, camera_id: str, now: datetime) -> list[tuple[Span, str]]:
        """What the gap ledger knows of planned time; the rest was not planned."""
        classes, class_id = self._classes(), request.cls.class_id
        day = time.local_day(request.span.start, self._catalog.zone)
        found = ledger.of_class(self._catalog, classes, class_id, now, day)
        causes = [(Span(g.start, g.end), str(g.reason)) for g in found if g.camera_id == camera_id]
        places = [Span(p.start, p.end) for p in planned(classes, class_id) if p.camera_id == camera_id]
        return causes + [(span, "not_planned") for span in gaps.uncovered(request.span, places)]

    def save(self, plan: Plan, out: Path) -> dict[str, Any]:
        """Write one clip with its manifest into `out`; return the contract's clip object. Raises InputError, MediaError."""
        out = self._folder(out)
        final, part = self._name(plan, out)
        try:
            digest, size = _write(plan.content(), part)
            body = self.manifest(plan, final.name, digest, size)
            self.write_papers(final, body)
            durable.rename_new(part, final)
        except OSError as error:
            raise InputError("clip.cannot_write", path=out, detail=error.strerror or error) from error
        finally:
            part.unlink(missing_ok=True)
        self._catalog.audit.add(
            self._clock.now(), plan.request.who, "clip", plan.request.cls.class_id,
            {"file": final.name, "sha256": digest, "camera_id": plan.camera_id, "why": plan.request.why,
             "asked": body["asked"], "film": self.film(plan), "draw": plan.request.draw},
        )  # fmt: skip
        return {
            "path": str(final), "manifest": str(manifest.path_for(final)), "camera_id": plan.camera_id,
            "asked_start": body["asked"]["start"], "asked_end": body["asked"]["end"], "start": body["given"]["start"],
            "end": body["given"]["end"], "gaps": body["gaps"], "sha256": digest,
        }  # fmt: skip

    def _folder(self, out: Path) -> Path:
        """Make the folder. Clips never go onto a drive of evidence: what is not in its sums would look planted there."""
        try:
            out.mkdir(parents=True, exist_ok=True)
            out = out.resolve(strict=True)
        except OSError as error:
            raise InputError("clip.cannot_write", path=out, detail=error.strerror or error) from error
        for folder in (out, *out.parents):
            if (folder / ".site-agent").exists():
                raise InputError("clip.out_on_drive", path=out, root=folder)
        return out

    def _name(self, plan: Plan, out: Path) -> tuple[Path, Path]:
        """(final, temporary) paths that nothing stands on; the temporary one is made, so that nobody else takes it."""
        zone, span = self._catalog.zone, plan.span
        base = plan.name.format(start=span.start.astimezone(zone), end=span.end.astimezone(zone))
        number = 1
        while True:
            name = base if number == 1 else f"{base}-{number}"
            final, part = out / f"{name}.mp4", out / f".{name}.mp4.part"
            taken = any(os.path.lexists(p) for p in (final, manifest.path_for(final)))
            if not taken:
                try:
                    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644))
                except FileExistsError:
                    pass
                except OSError as error:
                    raise InputError("clip.cannot_write", path=out, detail=error.strerror or error) from error
                else:
                    return final, part
            number += 1

    def write_papers(self, clip: Path, body: Mapping[str, Any]) -> None:
        """The manifest of `clip` beside it, signed where the box has a key; both on the disk when the audit names them. Raises
        OSError, DriveError."""
        raw, paper = manifest.encode(body), manifest.path_for(clip)
        papers = {paper: raw}
        if self._public_key():
            assert self._options.key_dir is not None
            papers[manifest.signature_for(paper)] = keys.sign(raw, self._options.key_dir)
        for path, data in papers.items():
            with path.open("xb") as file:
                file.write(data)
            durable.sync_file(path)
        durable.sync_folder(paper.parent)

    def _public_key(self) -> str:
        return keys.public_key(self._options.key_dir) if self._options.key_dir else ""

    def manifest(self, plan: Plan, name: str, digest: str | None, size: int | None) -> dict[str, Any]:
        """The manifest's content. `digest` None: not yet known (a clip being streamed)."""
        request, one, zone = plan.request, plan.cut, self._catalog.zone
        used = sorted({piece.source for piece in one.pieces})

        def span(value: Span) -> dict[str, Any]:
            return {"start": time.rfc3339(value.start, zone), "end": time.rfc3339(value.end, zone)}

        return {
            "clip": {"file": name, "bytes": size, "sha256": digest, "duration_s": round(plan.film.duration, 3),
                     "video": one.video.codec if plan.encoded != "all" else "avc1",
                     "sound": one.sound.codec if one.sound else None, "encoded_anew": plan.encoded},
            "class_id": request.cls.class_id, "project": request.cls.project, "institution": request.cls.institution,
            "camera_id": plan.camera_id, "serials": _serials(plan.footage.segments[i] for i in used),
            "room_id": plan.footage.segments[used[0]].room_id,
            "asked": span(request.span), "given": span(plan.span),
            "pieces": [{"source": used.index(p.source), **span(p.span), "at_s": round(p.at, 3)} for p in one.pieces],
            "sources": [self._source(plan.footage.segments[i]) for i in used],
            "gaps": [{**span(h.span), "seconds": round(h.span.seconds, 3), "reason": h.reason} for h in plan.holes],
            "who": request.who, "why": request.why, "made_at": time.rfc3339(self._clock.now(), zone),
            "draw": request.draw, "box": self._options.box, "agent_version": __version__,
            "audit_head": self._catalog.audit.head(), "public_key": self._public_key(),
        }  # fmt: skip

    def film(self, plan: Plan) -> list[dict[str, str]]:
        """For the audit: the time of what was asked for of which the file has pictures."""
        zone = self._catalog.zone
        return [{"start": time.rfc3339(a, zone), "end": time.rfc3339(b, zone)} for a, b in plan.existing]

    def _source(self, segment: Segment) -> dict[str, Any]:
        zone = self._catalog.zone
        link = next(
            (x for x in self._catalog.chain.of_class(segment.class_id)
             if (x.date, x.session) == (segment.date, segment.session)), None,
        )  # fmt: skip
        chain = {"date": segment.date.isoformat(), "session": segment.session.value,
                 "sequence": link.sequence if link else None, "head": link.head if link else None,
                 "key": link.public_key if link else None}  # fmt: skip
        return {
            "drive_id": segment.drive_id, "path": segment.path, "sha256": segment.sha256, "bytes": segment.bytes,
            "start": time.rfc3339(segment.start, zone),
            "end": time.rfc3339(segment.end, zone) if segment.end else None, "clock": segment.trust,
            "serial": segment.serial or None, "chain": chain,
            "unchecked_since": time.rfc3339(segment.unchecked_since, zone) if segment.unchecked_since else None,
        }  # fmt: skip


def _serials(segments: Iterable[Segment]) -> list[str]:
    """The serials of the units that were recorded, each once, in order of time; those of earlier versions are not known."""
    return list(dict.fromkeys(s.serial for s in segments if s.serial))


def _check(request: Request) -> None:
    # a day before and one behind can be asked for
    if not 1970 <= request.span.start.year <= request.span.end.year < 9999:
        raise InputError("clip.bad_date", value=request.span.start.date())
    if request.span.end <= request.span.start:
        raise InputError("clip.backwards")
    if request.span.end - request.span.start > timedelta(days=1):
        raise InputError("clip.too_long")
    for name in (request.cls.class_id, *request.cameras):
        if not is_id(name):
            raise InputError("clip.bad_id", value=repr(name)[1:-1][:64])


def _write(blocks: Iterator[bytes], part: Path) -> tuple[str, int]:
    """(SHA-256, size). Hashed by a second thread, in blocks large enough that handing them over costs less than it wins."""
    hasher, size = hashlib.sha256(), 0
    queue: Queue[bytearray | None] = Queue(4)

    def hash_all() -> None:
        while (data := queue.get()) is not None:
            hasher.update(data)

    thread = Thread(target=hash_all, name="clip-hash")
    thread.start()
    try:
        with part.open("wb", buffering=0) as file:
            for data in _joined(blocks):
                queue.put(data)
                size += len(data)
                rest = memoryview(data)
                while rest:
                    rest = rest[file.write(rest) :]
    finally:
        queue.put(None)
        thread.join()
    return hasher.hexdigest(), size


def _joined(blocks: Iterator[bytes]) -> Iterator[bytearray]:
    data = bytearray()
    for block in blocks:
        data += block
        if len(data) >= _BLOCK:
            yield data
            data = bytearray()
    yield data
