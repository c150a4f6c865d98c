"""What the pages of a camera's looks share: the look that is asked for, its picture, and the boxes drawn over it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

from starlette.exceptions import HTTPException
from starlette.responses import Response

from agent.catalog.places import StoredPlace
from agent.core import clock as clocks
from agent.core.camera_model import Camera
from agent.core.model import Look
from agent.counting.hand_marks import list_boxes
from agent.inspection import evidence, live, look_picture
from agent.media.containers import BgrImage
from agent.web.site import PageVisit

SHOWN_PX = (960, 1920)
"""Widths at which a picture is shown. They are fixed: a tap comes in pixels of the picture as it is shown."""


@dataclass(frozen=True, slots=True)
class DrawnBox:
    """A box over the picture, in pixels of the look. `kind`: person, thing, or overruled (a thing, but an operator objects)."""

    number: int
    kind: str
    x: float
    y: float
    width: float
    height: float
    place: StoredPlace | None = None
    chance: float = 0.0


def find_camera(v: PageVisit) -> Camera:
    """Return the camera that the path names. Raises HTTPException 404."""
    found = v.site.catalog.cameras.get(v.request.path_params["camera_id"])
    if found is None:
        raise HTTPException(404)
    return found


def parse_moment(text: str) -> datetime:
    """Parse an instant of an address or a form. Raises HTTPException 400."""
    try:
        return clocks.parse_time(text)
    except (ValueError, OverflowError):
        raise HTTPException(400) from None


def find_look(v: PageVisit, camera_id: str, at: datetime) -> Look:
    """Return the look that was taken at this very instant. Raises HTTPException 404."""
    look = v.site.catalog.looks.last(camera_id, at)
    if look is None or clocks.format_utc(look.at) != clocks.format_utc(at):
        raise HTTPException(404)
    return look


def read_picture(v: PageVisit, look: Look) -> BgrImage | None:
    """Read a look's picture from its video; None where that is not here."""
    drives = evidence.find_attached_drives(v.site.options.drives)
    return look_picture.read_look_picture(v.site.catalog, drives, look.camera_id, look.at)


def send_look_picture(v: PageVisit) -> Response:
    """Send the picture of a look, to everybody who may see live pictures and recordings."""
    look = find_look(v, find_camera(v).camera_id, parse_moment(v.query("at")))
    picture = read_picture(v, look)
    if picture is None:
        raise HTTPException(404)
    jpeg = live.encode_jpeg(picture, SHOWN_PX[-1])
    return Response(jpeg, media_type="image/jpeg", headers={"Cache-Control": "no-store"})


def choose_width(given: str) -> int:
    """Return one of SHOWN_PX, the first unless another is asked for."""
    return next((w for w in SHOWN_PX if given == str(w)), SHOWN_PX[0])


def read_tap(across: str, down: str, look: Look, shown: int) -> tuple[float, float] | None:
    """Return where a picture that was shown `shown` pixels wide was tapped, in pixels of the look; None if it was not.

    `across`, `down`: what a browser sends for an image button, `tap.x` and `tap.y`. Raises HTTPException 400.
    """
    if not across and not down:
        return None
    try:
        x, y = float(across) * look.width / shown, float(down) * look.width / shown
    except ValueError:
        raise HTTPException(400) from None
    if not (math.isfinite(x) and math.isfinite(y) and 0 <= x <= look.width and 0 <= y <= look.height):
        raise HTTPException(400)
    return x, y


def draw_boxes(v: PageVisit, look: Look) -> tuple[list[DrawnBox], list[DrawnBox]]:
    """Return the boxes of a look, and the things that stay in its picture without being among its boxes."""
    stored = [p for p in v.site.catalog.places.of_camera(look.camera_id, look.at) if p.stays_at(look.at)]
    places = {p.place: p for p in stored}
    boxes: list[DrawnBox] = []
    rest: list[DrawnBox] = []
    shown = set[int]()
    for number, (box, seen) in enumerate(list_boxes(look)):
        place = places.get(seen.place) if seen is not None and seen.unchanged else None
        shown |= {place.place} if place is not None else set()
        kind = "person" if place is None else "overruled" if place.is_overruled else "thing"
        x1, y1, x2, y2, chance = box
        boxes.append(DrawnBox(number, kind, x1, y1, x2 - x1, y2 - y1, place, chance))
    for place in stored:
        if place.place in shown:
            continue
        (left, top, right, bottom), kind = place.corners, "overruled" if place.is_overruled else "thing"
        x, y, width, height = left * look.width, top * look.height, right - left, bottom - top
        rest.append(DrawnBox(len(boxes) + len(rest), kind, x, y, width * look.width, height * look.height, place))
    return boxes, rest
