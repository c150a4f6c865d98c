"""Reference pictures: an installer whose box has no screen checks and confirms the view of each camera here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.responses import Response

from agent.cameras import replacement
from agent.cameras.replacement import UNIT_CHANGED_EVENT
from agent.catalog import Catalog
from agent.catalog.views import ViewConfirmation, ViewState
from agent.core.camera_model import Camera
from agent.core.model import is_id
from agent.web.site import PageVisit


@dataclass(frozen=True, slots=True)
class ReferenceRow:
    """A camera on the page. `picture`: the newest one's file name, "" where none was taken yet."""

    camera: Camera
    picture: str
    state: ViewState
    by: ViewConfirmation | None


def show_reference_pictures(v: PageVisit) -> Response:
    views, cameras = v.site.catalog.views, v.site.catalog.cameras.all()
    ids = {c.camera_id for c in cameras}
    rows = [
        ReferenceRow(c, _newest(v, c.camera_id, ids), views.state(c), views.confirmed(c.camera_id)) for c in cameras
    ]
    v.note_once("view.reference")
    return v.page("reference.html", rows=rows)


def send_reference_picture(v: PageVisit) -> Response:
    """Send the newest reference picture of a camera."""
    camera_id = v.request.path_params["camera_id"]
    name = _newest(v, camera_id, {c.camera_id for c in v.site.catalog.cameras.all()}) if is_id(camera_id) else ""
    if not name:
        raise HTTPException(404)
    data = (_folder(v) / name).read_bytes()
    return Response(data, media_type="image/jpeg", headers={"Cache-Control": "no-store"})


def confirm_reference(v: PageVisit) -> Response:
    """Confirm the picture that was shown; a newer one needs a new confirmation."""
    camera = v.site.catalog.cameras.get(v.request.path_params["camera_id"])
    if camera is None:
        raise HTTPException(404)
    name = _newest(v, camera.camera_id, {c.camera_id for c in v.site.catalog.cameras.all()})
    if not name or v.form.get("picture") != name or v.form.get("seats") != "all":
        raise HTTPException(400)
    by = v.me.name if v.me else ""
    digest = sha256((_folder(v) / name).read_bytes()).hexdigest()
    v.site.catalog.views.confirm(
        ViewConfirmation(camera.camera_id, camera.serial, by, v.site.clock.now(), name, digest)
    )
    v.note("reference.confirm", camera.camera_id, {"picture": name})
    return v.go("/reference")


def accept_exchanged_unit(v: PageVisit) -> Response:
    """Accept the exchanged unit that was shown; one that replaced it meanwhile needs a new look."""
    camera = v.site.catalog.cameras.get(v.request.path_params["camera_id"])
    if camera is None:
        raise HTTPException(404)
    if not camera.exchanged or v.form.get("serial") != camera.identity:
        raise HTTPException(400)
    replacement.accept_unit(v.site.catalog, v.site.clock, camera.camera_id, v.me.name if v.me else "")
    return v.go("/reference")


def _folder(v: PageVisit) -> Path:
    return v.site.options.folder.parent / "reference"


def _newest(v: PageVisit, camera_id: str, ids: set[str]) -> str:
    return find_newest_picture(v.site.catalog, _folder(v), camera_id, ids)


def find_newest_picture(catalog: Catalog, folder: Path, camera_id: str, ids: set[str]) -> str:
    """Return the name of a camera's newest reference picture in `folder`, "" where its present unit has none.

    Names are `cam1.jpg`, later `cam1-2.jpg` … (a camera that is itself called `cam1-2` keeps its own). `ids` are all cameras'.
    """
    own = re.compile(rf"{re.escape(camera_id)}(-\d+)?\.jpg\Z")
    found = [p for p in folder.glob(f"{camera_id}*.jpg") if own.match(p.name)] if folder.is_dir() else []
    changed = catalog.events.last(UNIT_CHANGED_EVENT, camera_id)
    since = changed.at.timestamp() if changed else 0.0  # an older picture is of another unit
    found = [p for p in found if p.stat().st_mtime >= since]
    mine = [p for p in found if p.stem == camera_id or p.stem not in ids]
    return max(mine, key=lambda p: (p.stat().st_mtime_ns, p.name)).name if mine else ""
