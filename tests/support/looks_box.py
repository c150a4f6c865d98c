"""A box with three looks of a camera at recorded video, some of them things."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from agent.catalog.places import StoredPlace
from agent.core.camera_model import Camera
from agent.core.model import Look, PlaceSighting, Session
from tests.support.clip_factory import DAY, START
from tests.support.web_client import ID, Served, serving

PAGE = "/cameras/cam2"
BOXES = tuple((16.0 + 36 * i, 60.0, 36.0 + 36 * i, 84.0, 0.9) for i in range(8))
AT = [START + timedelta(seconds=s) for s in (2, 4, 6)]


@contextmanager
def serving_looks(root: Path) -> Iterator[Served]:
    """Serve the page of a box with three looks: eight boxes, place 1 still, place 8 a known thing, the others moving."""
    with serving(root) as found:
        catalog = found.box.catalog
        catalog.cameras.put(Camera("cam2", "127.0.0.2"), START)
        with catalog.store.write() as db:
            db.execute("update segments set camera_id = 'cam2' where camera_id = 'cam1'")
        for at in AT:
            seen = tuple(PlaceSighting(i + 1, 0.9, i in (0, 7)) for i in range(8))
            catalog.looks.add(
                Look("cam2", "R101", ID, DAY, Session.AM, at, 8, 7, 9, True, boxes=BOXES, width=320, height=192,
                     detector="w1", sightings=seen)
            )  # fmt: skip
        corners = (268 / 320, 60 / 192, 288 / 320, 84 / 192)
        catalog.places.put(StoredPlace("cam2", 8, AT[0], None, AT[0], corners, ""))
        yield found
