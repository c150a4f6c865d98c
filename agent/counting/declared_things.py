"""Things that an operator declares on a look's picture, as the agent would have found them."""

from __future__ import annotations

from datetime import datetime, timedelta

from agent.catalog import Catalog
from agent.catalog.places import StoredPlace
from agent.core.model import Look
from agent.counting.hand_marks import find_thing_start, list_boxes
from agent.counting.stillness import cut_crop, make_detail_plane
from agent.counting.timeline import dump_appearance
from agent.media.containers import BgrImage

_SEARCHED = timedelta(hours=1)
"""How far back the start of a declared thing is looked for."""


def declare_thing(
    catalog: Catalog, look: Look, number: int, picture: BgrImage, by: str, at: datetime
) -> StoredPlace | None:
    """Declare what a box of a look holds to be a thing, now and for the looks since which it is unchanged; return its row.

    None where it cannot be one: something moves there, the look was not joined to places, or it is too small.
    """
    sighting = list_boxes(look)[number][1]
    if sighting is None:
        return None
    earlier = catalog.looks.between(look.camera_id, look.at - _SEARCHED, look.at)
    start = find_thing_start([*earlier, look], sighting.place)
    x1, y1, x2, y2 = look.boxes[number][:4]
    corners = x1 / look.width, y1 / look.height, x2 / look.width, y2 / look.height
    crop = cut_crop(make_detail_plane(picture), corners)
    if start is None or crop is None:
        return None
    place = StoredPlace(look.camera_id, sighting.place, start, None, at, corners, dump_appearance(crop), found_by=by)
    catalog.places.declare(place, by, at)
    return place
