"""What spot checks need of the clips that boxes send: to order one, and to know how it is getting on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from urllib.parse import quote

from board.clips.orders import load_clip, order_clip
from board.store.database import Database


@dataclass(frozen=True, slots=True)
class ClipProgress:
    """How a clip is getting on.

    `state` is the clip's own word for it, `reason` why it does not come, `progress` from 0 to 1; `page` is where it is shown
    and `film` the address of its video, both empty until it is there.
    """

    state: str
    reason: str = ""
    progress: float = 0.0
    page: str = ""
    film: str = ""


class ClipOrders(Protocol):
    """Orders clips of boxes."""

    def order(
        self,
        *,
        class_id: str,
        box: str,
        start: datetime,
        end: datetime,
        camera: str,
        by: str,
        purpose: str,
        now: datetime,
    ) -> str:
        """Order a clip of a box (county/site/box) and return its ID; `camera` "": those of the class. Raises SiteAgentError."""

    def find(self, clip: str) -> ClipProgress | None:
        """Return how a clip is getting on; None where it is not known any more. Raises SiteAgentError."""


class OrderedSpotClips:
    """Orders clips by `board.clips`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def order(
        self,
        *,
        class_id: str,
        box: str,
        start: datetime,
        end: datetime,
        camera: str,
        by: str,
        purpose: str,
        now: datetime,
    ) -> str:
        """Order a clip; see ClipOrders."""
        return order_clip(
            self._database,
            class_id=class_id,
            box=box,
            start=start,
            end=end,
            camera=camera,
            by=by,
            purpose=purpose,
            now=now,
        )

    def find(self, clip: str) -> ClipProgress | None:
        """Return how a clip is getting on; see ClipOrders."""
        found = load_clip(self._database, clip)
        if found is None:
            return None
        films = [file.name for file in found.videos if file.whole] if found.state == "ready" and not found.gone else []
        page = f"/clips/{found.clip_id}"
        film = f"{page}/files/{quote(films[0])}" if films else ""
        return ClipProgress(found.state, found.reason, found.progress, page, film)
