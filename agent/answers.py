"""Handlers for the bureau's requests over MQTT: a count now, a class's gaps, a reference to a clip.

docs/mqtt.md has the messages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from typing import TypeVar

from agent.bureau.incoming import Handler
from agent.catalog import Catalog
from agent.clock import Clock, rfc3339
from agent.drive import gaps
from agent.errors import BureauError
from agent.inspection.clip import Clips, Plan, Request
from agent.inspection.cut import Span
from agent.model import Look, Session
from agent.model_classes import TrainingClass, find_class

_FRESH_S = 600.0
T = TypeVar("T")


class Answers:
    """One handler for each request name. `clips` plans without writing: the video itself stays in the box."""

    def __init__(
        self, catalog: Catalog, clock: Clock, classes: Callable[[], list[TrainingClass]], clips: Clips
    ) -> None:
        self._catalog = catalog
        self._clock = clock
        self._classes = classes
        self._clips = clips

    def handlers(self) -> dict[str, Handler]:
        return {"count": self.count, "gaps": self.gaps, "clip": self.clip}

    def count(self, asked: Mapping[str, object]) -> dict[str, object]:
        """Return the newest look of each camera, or of one room, camera or class. `fresh` is false when a look is old."""
        now, last = self._clock.now(), self._catalog.looks.last
        looks = [look for c in self._catalog.cameras.all() if (look := last(c.camera_id, now))]
        wanted = {k: asked[k] for k in ("room_id", "camera_id", "class_id") if asked.get(k)}
        chosen = [x for x in looks if all(getattr(x, k) == v for k, v in wanted.items())]
        return {"looks": [self._look(x) for x in chosen]}

    def gaps(self, asked: Mapping[str, object]) -> dict[str, object]:
        """Return the gap ledger of a class, or of one of its days, half-days or cameras. Raises BureauError."""
        cls = self._class(asked)
        day = _parsed(date.fromisoformat, asked, "date") if asked.get("date") else None
        session = _parsed(Session, asked, "session") if asked.get("session") else None
        book = gaps.book(self._catalog, self._classes(), cls.class_id, self._clock.now(), day, session)
        camera = asked.get("camera_id")
        rows = [gaps.as_object(g, self._catalog.zone) for g in book.gaps if camera in (None, g.camera_id)]
        return {"gaps": rows, "missing": book.total().as_object()}

    def clip(self, asked: Mapping[str, object]) -> dict[str, object]:
        """Return what video exists for a class and span, and the command that cuts it. Raises BureauError, InputError."""
        cls = self._class(asked)
        day = _parsed(date.fromisoformat, asked, "date")
        bounds = [
            datetime.combine(day, _parsed(time.fromisoformat, asked, key), self._catalog.zone) for key in ("from", "to")
        ]
        camera = asked.get("camera_id")
        request = Request(cls, Span(*bounds), "bureau", cameras=(str(camera),) if camera else ())
        begin, end = (f"{b:%H:%M:%S}" for b in bounds)
        only = f" --camera {camera}" if camera else ""
        command = f"site-agent clip {cls.class_id} --on {day} --from {begin} --to {end}{only} --out DIR"
        return {"command": command, "clips": [self._clip(plan) for plan in self._clips.plan(request)]}

    def _class(self, asked: Mapping[str, object]) -> TrainingClass:
        found = find_class(self._classes(), asked.get("class_id"))
        if found is None:
            raise BureauError("commands.no_class", class_id=repr(asked.get("class_id"))[:64])
        return found

    def _look(self, look: Look) -> dict[str, object]:
        age = (self._clock.now() - look.at).total_seconds()
        return {
            "camera_id": look.camera_id,
            "room_id": look.room_id,
            "class_id": look.class_id,
            "fresh": age < _FRESH_S,
            "at": rfc3339(look.at, self._catalog.zone),
            "people": look.people,
            "low": look.low,
            "high": look.high,
            "judged": look.judged,
            "reason": look.reason,
        }

    def _clip(self, plan: Plan) -> dict[str, object]:
        zone = self._catalog.zone
        return {
            "camera_id": plan.camera_id,
            "start": rfc3339(plan.span.start, zone),
            "end": rfc3339(plan.span.end, zone),
            "gaps": [
                {"start": rfc3339(h.span.start, zone), "end": rfc3339(h.span.end, zone), "reason": h.reason}
                for h in plan.holes
            ],
        }


def _parsed(parse: Callable[[str], T], asked: Mapping[str, object], key: str) -> T:
    """Return a field of the request. Raises BureauError where it is missing or of the wrong kind."""
    value = asked.get(key)
    try:
        if isinstance(value, str):
            return parse(value)
    except ValueError:
        pass
    raise BureauError("answers.bad", key=key, value=repr(value)[:40])
