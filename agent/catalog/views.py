"""Reference pictures: who confirmed that all seats are in a camera's view, and whether that still holds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from agent import clock as clocks
from agent.catalog.base import dump
from agent.catalog.drives import Facts
from agent.catalog.events import Events
from agent.model_cameras import Camera

State = Literal["confirmed", "changed", "open"]


@dataclass(frozen=True, slots=True)
class Confirmation:
    """Somebody looked at a camera's reference picture and said that all seats are in view. `picture` is a file name in
    the state folder's `reference/`, `sha256` of its bytes ("" in records of earlier versions); `serial` the camera's then."""

    camera_id: str
    serial: str
    by: str
    at: datetime
    picture: str
    sha256: str = ""


class Views:
    """Kept among the facts."""

    def __init__(self, facts: Facts, events: Events) -> None:
        self._facts = facts
        self._events = events

    def confirm(self, given: Confirmation) -> None:
        body = {"serial": given.serial, "by": given.by, "at": clocks.stamp(given.at), "picture": given.picture,
                "sha256": given.sha256}  # fmt: skip
        self._facts.put(f"confirmed.{given.camera_id}", dump(body))

    def confirmed(self, camera_id: str) -> Confirmation | None:
        text = self._facts.get(f"confirmed.{camera_id}")
        if text is None:
            return None
        body = json.loads(text)
        return Confirmation(camera_id, body["serial"], body["by"], clocks.parse(body["at"]), body["picture"],
                            body.get("sha256", ""))  # fmt: skip

    def state(self, camera: Camera) -> State:
        """A confirmation counts for the camera and the view that were looked at: it ends when either changes."""
        known = self.confirmed(camera.camera_id)
        if known is None:
            return "open"
        ends = [self._events.last(kind, camera.camera_id) for kind in ("picture.view_accepted", "camera.unit_changed")]
        gone = known.serial != camera.serial or any(e is not None and e.at > known.at for e in ends)
        return "changed" if gone else "confirmed"
