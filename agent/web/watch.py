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

from agent import clock as clocks
from agent.catalog import deliveries
from agent.contract.clips import ManifestBody
from agent.errors import CatalogError, InputError, MediaError, SiteAgentError
from agent.inspection import delivered
from agent.inspection.clip import Plan, Request
from agent.inspection.cut import Span
from agent.model import is_id
from agent.model_classes import TrainingClass, find_class
from agent.web.pages import clock_on, moment_of, the_half_day
from agent.web.ranges import respond
from agent.web.site import Site, Visit

log = logging.getLogger(__name__)
_SPAN = re.compile(r"(\d{6})-(\d{6})\Z")
_CLIP_ID = re.compile(r"[0-9a-f]{24}\Z")
LONGEST = timedelta(hours=2)
_DAY = timedelta(days=1)


def play(v: Visit) -> Response:
    """Stream recorded video of a camera, /play/{class}/{day}/{camera}/{HHMMSS}-{HHMMSS}.mp4, with ranges."""
    cls = v.the_class()
    match = _SPAN.match(v.request.path_params["span"])
    try:
        day = date.fromisoformat(v.request.path_params["day"])
    except ValueError:
        raise HTTPException(404) from None
    camera = v.request.path_params["camera_id"]
    start, end = (clock_on(day, x, v) for x in match.groups()) if match else (None, None)
    if start is not None and end is not None and end < start and day < date.max:
        end += _DAY  # past midnight
    if start is None or end is None or not is_id(camera) or not timedelta(0) < end - start <= LONGEST:
        raise HTTPException(404)
    zone = v.site.catalog.zone
    plan = v.site.clips.plan(Request(cls, Span(start, end), v.who, cameras=(camera,)))[0]
    asked = {"camera_id": camera, "start": clocks.rfc3339(start, zone), "end": clocks.rfc3339(end, zone)}
    v.note_once("watch", cls.class_id, asked | {"film": v.site.clips.film(plan)})
    return _respond(v, plan, _tag(plan), {})


def _respond(v: Visit, plan: Plan, tag: str, headers: dict[str, str]) -> Response:
    """Send the video, or the requested range of it; what was received is recorded for the audit."""
    site, who = v.site, v.who

    def sent(start: int, stop: int) -> None:
        try:
            now = site.clock.now()
            shown = partial(delivered.spans, plan)
            site.catalog.deliveries.add(now, who, plan.request.cls.class_id, plan.camera_id, tag, (start, stop), shown)
            site.catalog.deliveries.settle(now, waited=deliveries.WAIT)
        except CatalogError as error:
            log.warning("%s: %s", plan.camera_id, error)

    return respond(v.request, plan.film, tag, headers, sent, site.sending)


def _tag(plan: Plan) -> str:
    """Return the ETag: the bytes depend only on the sources and the span."""
    used = [plan.footage.segments[p.source].sha256 or "" for p in plan.cut.pieces]
    text = json.dumps([used, plan.film.size, plan.request.span.start.isoformat(), plan.request.span.end.isoformat()])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def cut(v: Visit) -> Response:
    """Cut clips out of a half-day: manifests are written and signed now, the video stays on the drive."""
    cls = v.the_class()
    day, session = the_half_day(v, cls)
    start, end = (moment_of(cls, day, session, v.form.get(name, ""), v) for name in ("from", "to"))
    if start is None or end is None:
        raise InputError("clip.bad_time", value=f"{v.form.get('from', '')[:20]} – {v.form.get('to', '')[:20]}")
    camera = v.form.get("camera", "")
    clip_id = make(v, cls, Span(start, end), (camera,) if camera else (), v.form.get("why", "")[:200])
    return v.go(f"/clips/{clip_id}")


def make(v: Visit, cls: TrainingClass, span: Span, cameras: tuple[str, ...], why: str) -> str:
    """Write and sign the manifests of a clip and return its ID.

    Raises InputError, MediaError, SiteAgentError where they cannot be written.
    """
    if span.end - span.start > LONGEST:
        raise InputError("web.long_clip")
    plans = v.site.clips.plan(Request(cls, span, v.who, why, cameras))
    clip_id = secrets.token_hex(12)
    folder = _folder(v.site, clip_id)
    try:
        folder.mkdir(parents=True)
        for number, plan in enumerate(plans, 1):
            _keep(v, plan, folder, number)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise SiteAgentError("clip.cannot_write", path=folder, detail=error.strerror or error) from error
    except SiteAgentError:
        shutil.rmtree(folder)
        raise
    return clip_id


def _keep(v: Visit, plan: Plan, folder: Path, number: int) -> None:
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


def manifests(site: Site, clip_id: str) -> list[ManifestBody]:
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


def show(v: Visit) -> Response:
    """Show what was cut, with its proof, to download, verify and print."""
    clip_id = v.request.path_params["clip_id"]
    bodies = manifests(v.site, clip_id)
    cls = _class(v, bodies)
    v.note_once("view.clip", cls.class_id, {"clip": clip_id})
    return v.page("clip.html", bodies=bodies, clip_id=clip_id, checked=None, cls=cls)


def verify(v: Visit) -> Response:
    """Cut again from the drive and compare with the manifest's SHA-256."""
    bodies = manifests(v.site, v.request.path_params["clip_id"])
    cls = _class(v, bodies)
    checked = {}
    for number, body in enumerate(bodies):
        checked[body["clip"]["file"]] = _sha256_again(v, cls, bodies, number) == body["clip"]["sha256"]
    v.note("clip.verify", cls.class_id, {"clip": v.request.path_params["clip_id"], "ok": all(checked.values())})
    return v.page("clip.html", bodies=bodies, clip_id=v.request.path_params["clip_id"], checked=checked, cls=cls)


def _sha256_again(v: Visit, cls: TrainingClass, bodies: list[ManifestBody], number: int) -> str:
    """Hash the clip as the drive gives it now; "" where its files are missing or changed."""
    hasher = hashlib.sha256()
    try:
        for block in _again(v, cls, bodies, number).content():
            hasher.update(block)
    except MediaError as error:
        if error.key != "clip.damaged":
            raise
        return ""
    return hasher.hexdigest()


def download(v: Visit) -> Response:
    """Send a file of a clip: the video, streamed while it is cut, or its manifest or signature."""
    return send(v, v.request.path_params["clip_id"], v.request.path_params["name"], save=bool(v.query("save")))


def send(v: Visit, clip_id: str, name: str, *, save: bool) -> Response:
    """Send a file of a clip. Raises HTTPException 404."""
    bodies = manifests(v.site, clip_id)
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
            plan = _again(v, _class(v, bodies), bodies, number)
            return _respond(v, plan, body["clip"]["sha256"][:32], _attachment(name) if save else {})
    raise HTTPException(404)


def _attachment(name: str) -> dict[str, str]:
    # names consist of IDs and digits: nothing needs escaping
    return {"Content-Disposition": f'attachment; filename="{name}"'}


def _class(v: Visit, bodies: list[ManifestBody]) -> TrainingClass:
    wanted = bodies[0]["class_id"] if bodies else ""
    found = find_class(v.site.classes(), wanted)
    if found is None:
        raise HTTPException(404)
    return found


def _again(v: Visit, cls: TrainingClass, bodies: list[ManifestBody], number: int) -> Plan:
    """Make the plan again from which a manifest was written.

    The same request for the same files gives the same bytes, also where a class was being recorded when it was cut, or a drive
    was away then and is back.
    """
    body = bodies[number]
    span = Span(datetime.fromisoformat(body["asked"]["start"]), datetime.fromisoformat(body["asked"]["end"]))
    files = frozenset((str(s["drive_id"]), str(s["path"])) for s in body["sources"])
    plans = v.site.clips.plan(Request(cls, span, v.who, cameras=(body["camera_id"],), files=files))
    begins = datetime.fromisoformat(body["given"]["start"])
    return min(plans, key=lambda p: abs(p.span.start - begins))
