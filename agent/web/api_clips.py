"""The API's calls about clips and drawn moments."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict, cast

from starlette.exceptions import HTTPException
from starlette.responses import Response

from agent.clock import rfc3339
from agent.contract.arguments import ClipArguments, ClipFileArguments, CutArguments, DrawArguments
from agent.contract.clips import ClipBody, ClipFileBody, DrawBody
from agent.inspection import chance
from agent.inspection.cut import Span
from agent.web import watch
from agent.web.api import require_class
from agent.web.calls import BASE
from agent.web.pages import clock_on
from agent.web.site import Visit


def cut(v: Visit, asked: CutArguments) -> ClipBody:
    cls = require_class(v, asked.class_id)
    start, end = clock_on(asked.date, asked.from_, v), clock_on(asked.date, asked.to, v)
    assert start is not None
    assert end is not None
    clip_id = watch.make(v, cls, Span(start, end), (asked.camera_id,) if asked.camera_id else (), asked.why)
    return _clip(v, clip_id)


def clip(v: Visit, asked: ClipArguments) -> ClipBody:
    return _clip(v, asked.clip_id)


def _clip(v: Visit, clip_id: str) -> ClipBody:
    bodies, href = watch.manifests(v.site, clip_id), f"{BASE}/clips/{clip_id}"
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


def clip_file(v: Visit, asked: ClipFileArguments) -> Response:
    sent = watch.send(v, asked.clip_id, asked.name, save=True)
    if sent.status_code == 416:
        raise HTTPException(416, headers={"Content-Range": sent.headers["Content-Range"]})
    return sent


class SeedFacts(TypedDict):
    """What a draw states about its seed; `head` and `counter` only where the seed comes from the chain."""

    seed: str
    seed_from: Literal["given", "chain"]
    head: NotRequired[str]
    counter: NotRequired[int]


def draw(v: Visit, asked: DrawArguments) -> DrawBody:
    cls, zone = require_class(v, asked.class_id), v.site.catalog.zone
    made = chance.drawn(
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
                "start": rfc3339(m.span.start, zone),
                "end": rfc3339(m.span.end, zone),
                "room_id": m.lesson.room_id,
                "cameras": list(cls.room(m.lesson.room_id).cameras),
            }
            for m in made.moments
        ],
        "href": f"{BASE}/classes/{cls.class_id}/audit",
    }
