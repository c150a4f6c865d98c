"""The API's calls about clips and drawn moments."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict, cast

from starlette.exceptions import HTTPException
from starlette.responses import Response

from agent.contract.arguments import ClipArguments, ClipFileArguments, CutArguments, DrawArguments
from agent.contract.clips import ClipBody, ClipFileBody, DrawBody
from agent.core.clock import format_local
from agent.inspection import spot_check
from agent.inspection.cut import ClipSpan
from agent.web.api.resources import require_class
from agent.web.pages import clip_views
from agent.web.pages.class_pages import parse_clock_on_day
from agent.web.site import PageVisit
from agent.website.api.endpoint import BASE


def create_clips(v: PageVisit, asked: CutArguments) -> ClipBody:
    cls = require_class(v, asked.class_id)
    start, end = parse_clock_on_day(asked.date, asked.from_, v), parse_clock_on_day(asked.date, asked.to, v)
    assert start is not None
    assert end is not None
    clip_id = clip_views.write_clip(
        v, cls, ClipSpan(start, end), (asked.camera_id,) if asked.camera_id else (), asked.why
    )
    return _build_clip(v, clip_id)


def get_clip(v: PageVisit, asked: ClipArguments) -> ClipBody:
    return _build_clip(v, asked.clip_id)


def _build_clip(v: PageVisit, clip_id: str) -> ClipBody:
    bodies, href = clip_views.read_manifests(v.site, clip_id), f"{BASE}/clips/{clip_id}"
    files: list[ClipFileBody] = []
    for body in bodies:
        name = str(body["clip"]["file"])
        paper = f"{href}/files/{name.removesuffix('.mp4')}.json"
        files.append(
            {
                "href": f"{href}/files/{name}",
                "manifest_href": paper,
                "manifest": body,
                "signature_href": f"{paper}.sig" if body["public_key"] else None,
            }
        )
    return {"clip_id": clip_id, "href": href, "class_id": bodies[0]["class_id"], "files": files}


def get_clip_file(v: PageVisit, asked: ClipFileArguments) -> Response:
    sent = clip_views.send_clip_file(v, asked.clip_id, asked.name, save=True)
    if sent.status_code == 416:
        raise HTTPException(416, headers={"Content-Range": sent.headers["Content-Range"]})
    return sent


class SeedFacts(TypedDict):
    """What a draw states about its seed; `head` and `counter` only where the seed comes from the chain."""

    seed: str
    seed_from: Literal["given", "chain"]
    head: NotRequired[str]
    counter: NotRequired[int]


def create_draw(v: PageVisit, asked: DrawArguments) -> DrawBody:
    cls, zone = require_class(v, asked.class_id), v.site.catalog.zone
    made = spot_check.draw_and_record(
        v.site.catalog,
        v.site.clock,
        cls,
        count=asked.count,
        seconds=asked.seconds,
        seed=asked.seed,
        within=None,
        who=v.who,
    )
    seed = cast("SeedFacts", made.about)
    return {
        "seed": seed["seed"],
        "seed_from": seed["seed_from"],
        "head": seed.get("head"),
        "counter": seed.get("counter"),
        "moments": [
            {
                "draw": m.draw,
                "start": format_local(m.span.start, zone),
                "end": format_local(m.span.end, zone),
                "room_id": m.lesson.room_id,
                "cameras": list(cls.room(m.lesson.room_id).cameras),
            }
            for m in made.moments
        ],
        "href": f"{BASE}/classes/{cls.class_id}/audit",
    }
