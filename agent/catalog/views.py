"""Reference pictures: who confirmed that all seats are in a camera's view, and whether that is still valid."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from agent.catalog.base import dump_json
from agent.catalog.events import Events
from agent.catalog.facts import Facts
from agent.core import clock as clocks
from agent.core.camera_model import Camera

ViewState = Literal["confirmed", "changed", "open"]


@dataclass(frozen=True, slots=True)
class ViewConfirmation:
    """A person's confirmation, on a camera's reference picture, that all seats are in view.

    `picture`: file name in the state folder's `reference/`. `sha256`: of the picture's bytes, "" in records of earlier
    versions. `serial`: the camera's serial at that time.
    """

    camera_id: str
    serial: str
    by: str
    at: datetime
    picture: str
    sha256: str = ""


class Views:
    """Stores confirmations among the facts."""

    def __init__(self, facts: Facts, events: Events) -> None:
        self._facts = facts
        self._events = events

    def confirm(self, given: ViewConfirmation) -> None:
        """Store a confirmation, replacing the camera's earlier one."""
        body = {
            "serial": given.serial,
            "by": given.by,
            "at": clocks.format_utc(given.at),
            "picture": given.picture,
            "sha256": given.sha256,
        }
        self._facts.put(f"confirmed.{given.camera_id}", dump_json(body))

    def confirmed(self, camera_id: str) -> ViewConfirmation | None:
        """Return the camera's confirmation, valid or not."""
        text = self._facts.get(f"confirmed.{camera_id}")
        if text is None:
            return None
        body = json.loads(text)
        return ViewConfirmation(
            camera_id,
            body["serial"],
            body["by"],
            clocks.parse_time(body["at"]),
            body["picture"],
            body.get("sha256", ""),
        )

    def state(self, camera: Camera) -> ViewState:
        """Return whether the camera's view is confirmed; `changed` if camera or view changed since the confirmation."""
        known = self.confirmed(camera.camera_id)
        if known is None:
            return "open"
        ends = [self._events.last(kind, camera.camera_id) for kind in ("picture.view_accepted", "camera.unit_changed")]
        gone = known.serial != camera.serial or any(e is not None and e.at > known.at for e in ends)
        return "changed" if gone else "confirmed"
