"""What spot checks need of the clips that boxes send: to order one, and to know how it is getting on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


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
