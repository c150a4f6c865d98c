"""Recorded video in the browser: playback, and clips to cut, verify and download."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import secrets
import shutil
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.responses import Response

from agent.catalog import deliveries
from agent.contract.clips import ManifestBody
from agent.core import clock as clocks
from agent.core.class_model import TrainingClass, find_class
from agent.core.errors import CatalogError, InputError, MediaError, SiteAgentError
from agent.core.model import Session, is_id
from agent.drive import class_gaps
from agent.inspection import delivered_time
from agent.inspection.clip import ClipPlan, ClipRequest
from agent.inspection.cut import ClipSpan
from agent.web.pages.class_pages import find_half_day, parse_clock_on_day, parse_half_day_time
from agent.web.pages.retry_page import RetryField, show_retry
from agent.web.site import PageVisit, Site
from agent.website.http.ranges import respond

log = logging.getLogger(__name__)
_SPAN = re.compile(r"(\d{6})-(\d{6})\Z")
_CLIP_ID = re.compile(r"[0-9a-f]{24}\Z")
LONGEST = timedelta(hours=2)
_DAY = timedelta(days=1)


def play_recording(v: PageVisit) -> Response:
    """Stream recorded video of a camera, /play/{class}/{day}/{camera}/{HHMMSS}-{HHMMSS}.mp4, with ranges."""
    cls = v.the_class()
    match = _SPAN.match(v.request.path_params["span"])
    try:
        day = date.fromisoformat(v.request.path_params["day"])
    except ValueError:
        raise HTTPException(404) from None
    camera = v.request.path_params["camera_id"]
    start, end = (parse_clock_on_day(day, x, v) for x in match.groups()) if match else (None, None)
    if start is not None and end is not None and end < start and day < date.max:
        end += _DAY  # past midnight
    if start is None or end is None or not is_id(camera) or not timedelta(0) < end - start <= LONGEST:
        raise HTTPException(404)
    zone = v.site.catalog.zone
    plan = v.site.clips.plan(ClipRequest(cls, ClipSpan(start, end), v.who, cameras=(camera,)))[0]
    asked = {"camera_id": camera, "start": clocks.format_local(start, zone), "end": clocks.format_local(end, zone)}
    v.note_once("watch", cls.class_id, asked | {"film": v.site.clips.film(plan)})
    return _send_video(v, plan, _make_etag(plan), {})


def _send_video(v: PageVisit, plan: ClipPlan, tag: str, headers: dict[str, str]) -> Response:
    """Send the video, or the requested range of it; what was received is recorded for the audit."""
    site, who = v.site, v.who

    def sent(start: int, stop: int) -> None:
        try:
            now = site.clock.now()
            shown = partial(delivered_time.compute_delivered_spans, plan)
            site.catalog.deliveries.add(now, who, plan.request.cls.class_id, plan.camera_id, tag, (start, stop), shown)
            site.catalog.deliveries.settle(now, waited=deliveries.SETTLE_DELAY)
        except CatalogError as error:
            log.warning("%s: %s", plan.camera_id, error)

    return respond(v.request, plan.film, tag, headers, sent, site.sending)


def _make_etag(plan: ClipPlan) -> str:
    """Return the ETag: the bytes depend only on the sources and the span."""
    used = [plan.footage.segments[p.source].sha256 or "" for p in plan.cut.pieces]
    text = json.dumps([used, plan.film.size, plan.request.span.start.isoformat(), plan.request.span.end.isoformat()])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def cut_half_day(v: PageVisit) -> Response:
    """Cut clips out of a half-day: manifests are written and signed now, the video stays on the drive."""
    cls = v.the_class()
    day, session = find_half_day(v, cls)
    try:
        span = _read_span(v, cls, day, session)
        camera = v.form.get("camera", "")
        clip_id = write_clip(v, cls, span, (camera,) if camera else (), v.form.get("why", "")[:200])
    except (InputError, MediaError) as error:
        return _cut_again(v, error, cls, day, session)
    return v.go(f"/clips/{clip_id}")


def _read_span(v: PageVisit, cls: TrainingClass, day: date, session: Session) -> ClipSpan:
    start, end = (parse_half_day_time(cls, day, session, v.form.get(name, ""), v) for name in ("from", "to"))
    if start is None or end is None:
        raise InputError("clip.bad_time", value=f"{v.form.get('from', '')[:20]} – {v.form.get('to', '')[:20]}")
    return ClipSpan(start, end)


def _cut_again(v: PageVisit, error: SiteAgentError, cls: TrainingClass, day: date, session: Session) -> Response:
    """Show the form again with what was typed; where video is missing, with the gaps of the half-day."""
    typed = {name: v.form.get(name, "")[:200] for name in ("camera", "from", "to", "why")}
    cameras = sorted({c for room in cls.rooms for c in room.cameras} | ({typed["camera"]} - {""}))
    book = class_gaps.load_gap_book(v.site.catalog, v.site.classes(), cls.class_id, v.site.clock.now(), day, session)
    missing = [g for g in book.gaps if typed["camera"] in ("", g.camera_id)] if error.key == "clip.no_video" else []
    return show_retry(
        v,
        error,
        title=v.t("web.cut"),
        back=f"/classes/{cls.class_id}/{day}/{session.value}",
        fields=[
            RetryField(
                "camera",
                v.t("web.camera"),
                typed["camera"],
                "select",
                (("", v.t("web.all_cameras")), *((c, v.name_camera(c, cls)) for c in cameras)),
                required=False,
            ),
            RetryField("from", v.t("web.from"), typed["from"], "time"),
            RetryField("to", v.t("web.to"), typed["to"], "time"),
            RetryField("why", v.t("web.why"), typed["why"], required=False),
        ],
        gaps=missing,
        cls=cls,
        status=400 if isinstance(error, InputError) else 503,
    )


def write_clip(v: PageVisit, cls: TrainingClass, span: ClipSpan, cameras: tuple[str, ...], why: str) -> str:
    """Write and sign the manifests of a clip and return its ID.

    Raises InputError, MediaError, SiteAgentError where they cannot be written.
    """
    if span.end - span.start > LONGEST:
        raise InputError("web.long_clip")
    plans = v.site.clips.plan(ClipRequest(cls, span, v.who, why, cameras))
    clip_id = secrets.token_hex(12)
    folder = _folder(v.site, clip_id)
    try:
        folder.mkdir(parents=True)
        for number, plan in enumerate(plans, 1):
            _write_manifest(v, plan, folder, number)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise SiteAgentError("clip.cannot_write", path=folder, detail=error.strerror or error) from error
    except SiteAgentError:
        shutil.rmtree(folder)
        raise
    return clip_id


def _write_manifest(v: PageVisit, plan: ClipPlan, folder: Path, number: int) -> None:
    hasher, size = hashlib.sha256(), 0
    for block in plan.content():
        hasher.update(block)
        size += len(block)
    span, zone = plan.span, v.site.catalog.zone
    base = plan.name.format(start=span.start.astimezone(zone), end=span.end.astimezone(zone)) + f"-{number}"
    body = v.site.clips.manifest(plan, f"{base}.mp4", hasher.hexdigest(), size)
    v.site.clips.write_papers(folder / f"{base}.mp4", body)
    v.note(
        "clip",
        plan.request.cls.class_id,
        {
            "file": f"{base}.mp4",
            "sha256": hasher.hexdigest(),
            "camera_id": plan.camera_id,
            "why": plan.request.why,
            "asked": body["asked"],
            "film": v.site.clips.film(plan),
            "clip": folder.name,
        },
    )


def _folder(site: Site, clip_id: str) -> Path:
    return site.options.folder / "clips" / clip_id


def read_manifests(site: Site, clip_id: str) -> list[ManifestBody]:
    """Read the manifests of a clip. Raises HTTPException 404, SiteAgentError where one cannot be read."""
    folder = _folder(site, clip_id)
    if not _CLIP_ID.match(clip_id) or not folder.is_dir():
        raise HTTPException(404)
    return [_manifest(path) for path in sorted(folder.glob("*.json"))]


def _manifest(path: Path) -> ManifestBody:
    try:
        body: ManifestBody = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise SiteAgentError("clip.manifest_bad", file=path.name, detail=path.name) from error
    return body


def show_clip(v: PageVisit) -> Response:
    """Show what was cut, with its proof, to download, verify and print."""
    clip_id = v.request.path_params["clip_id"]
    bodies = read_manifests(v.site, clip_id)
    cls = _class(v, bodies)
    v.note_once("view.clip", cls.class_id, {"clip": clip_id})
    return v.page("clip.html", bodies=bodies, clip_id=clip_id, checked=None, cls=cls)


def verify_clip(v: PageVisit) -> Response:
    """Cut again from the drive and compare with the manifest's SHA-256."""
    bodies = read_manifests(v.site, v.request.path_params["clip_id"])
    cls = _class(v, bodies)
    checked = {}
    for number, body in enumerate(bodies):
        checked[body["clip"]["file"]] = _sha256_again(v, cls, bodies, number) == body["clip"]["sha256"]
    v.note("clip.verify", cls.class_id, {"clip": v.request.path_params["clip_id"], "ok": all(checked.values())})
    return v.page("clip.html", bodies=bodies, clip_id=v.request.path_params["clip_id"], checked=checked, cls=cls)


def _sha256_again(v: PageVisit, cls: TrainingClass, bodies: list[ManifestBody], number: int) -> str:
    """Hash the clip as the drive gives it now; "" where its files are missing or changed."""
    hasher = hashlib.sha256()
    try:
        for block in _plan_again(v, cls, bodies, number).content():
            hasher.update(block)
    except MediaError as error:
        if error.key != "clip.damaged":
            raise
        return ""
    return hasher.hexdigest()


def download_clip_file(v: PageVisit) -> Response:
    """Send a file of a clip: the video, streamed while it is cut, or its manifest or signature."""
    return send_clip_file(
        v, v.request.path_params["clip_id"], v.request.path_params["name"], save=bool(v.query("save"))
    )


def send_clip_file(v: PageVisit, clip_id: str, name: str, *, save: bool) -> Response:
    """Send a file of a clip. Raises HTTPException 404."""
    bodies = read_manifests(v.site, clip_id)
    for number, body in enumerate(bodies):
        video = str(body["clip"]["file"])
        paper = Path(video).with_suffix(".json").name
        if name in (paper, paper + ".sig"):
            path = _folder(v.site, clip_id) / name
            if not path.is_file():
                raise HTTPException(404)
            return Response(path.read_bytes(), media_type="application/octet-stream", headers=_attachment(name))
        if name == video:
            v.note_once("clip.download", body["class_id"], {"file": video})
            plan = _plan_again(v, _class(v, bodies), bodies, number)
            return _send_video(v, plan, body["clip"]["sha256"][:32], _attachment(name) if save else {})
    raise HTTPException(404)


def _attachment(name: str) -> dict[str, str]:
    # names consist of IDs and digits: nothing needs escaping
    return {"Content-Disposition": f'attachment; filename="{name}"'}


def _class(v: PageVisit, bodies: list[ManifestBody]) -> TrainingClass:
    wanted = bodies[0]["class_id"] if bodies else ""
    found = find_class(v.site.classes(), wanted)
    if found is None:
        raise HTTPException(404)
    return found


def _plan_again(v: PageVisit, cls: TrainingClass, bodies: list[ManifestBody], number: int) -> ClipPlan:
    """Make the plan again from which a manifest was written.

    The same request for the same files gives the same bytes, also where a class was being recorded when it was cut, or a drive
    was away then and is back.
    """
    body = bodies[number]
    span = ClipSpan(datetime.fromisoformat(body["asked"]["start"]), datetime.fromisoformat(body["asked"]["end"]))
    files = frozenset((str(s["drive_id"]), str(s["path"])) for s in body["sources"])
    plans = v.site.clips.plan(ClipRequest(cls, span, v.who, cameras=(body["camera_id"],), files=files))
    begins = datetime.fromisoformat(body["given"]["start"])
    return min(plans, key=lambda p: abs(p.span.start - begins))
