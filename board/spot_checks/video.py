"""How the clip of a drawn moment is getting on."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from board.clips.orders import load_clip
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


def load_clip_progress(database: Database, clip_id: str) -> ClipProgress | None:
    """Return how a clip is getting on; None where it is not known. Raises StoreError."""
    found = load_clip(database, clip_id)
    if found is None:
        return None
    films = [file.name for file in found.videos if file.whole] if found.state == "ready" and not found.gone else []
    page = f"/clips/{found.clip_id}"
    film = f"{page}/files/{quote(films[0])}" if films else ""
    return ClipProgress(found.state, found.reason, found.progress, page, film)
