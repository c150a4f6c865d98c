"""Handlers for the bureau's requests over MQTT: a count now, a class's gaps, a reference to a clip.

docs/reference/mqtt.md has the messages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from typing import TypeVar

from agent.bureau.handlers import Handler
from agent.catalog import Catalog
from agent.core.class_model import TrainingClass, find_class
from agent.core.clock import Clock, format_local
from agent.core.errors import BureauError
from agent.core.model import Look, Session
from agent.drive import class_gaps
from agent.inspection.clip import ClipPlan, ClipRequest, ClipService
from agent.inspection.cut import ClipSpan

_FRESH_S = 600.0
BUREAU = "bureau"
"""Who asked, in the audit, where a request does not say so."""
T = TypeVar("T")


class RequestHandlers:
    """One handler for each request name. `clips` plans without writing; `agent.service.clip_uploads` pushes video."""

    def __init__(
        self, catalog: Catalog, clock: Clock, classes: Callable[[], list[TrainingClass]], clips: ClipService
    ) -> None:
        self._catalog = catalog
        self._clock = clock
        self._classes = classes
        self._clips = clips

    def handlers(self) -> dict[str, Handler]:
        return {"count": self.count, "gaps": self.gaps}

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
        day = _parse_field(date.fromisoformat, asked, "date") if asked.get("date") else None
        session = _parse_field(Session, asked, "session") if asked.get("session") else None
        book = class_gaps.load_gap_book(self._catalog, self._classes(), cls.class_id, self._clock.now(), day, session)
        camera = asked.get("camera_id")
        rows = [class_gaps.build_gap_object(g, self._catalog.zone) for g in book.gaps if camera in (None, g.camera_id)]
        return {"gaps": rows, "missing": book.total().as_object()}

    def clip(self, asked: Mapping[str, object]) -> dict[str, object]:
        """Return what video exists for a class and span, and the command that cuts it. Raises BureauError, InputError."""
        return self.describe_clip(asked, self.plan_clip(asked))

    def plan_clip(self, asked: Mapping[str, object]) -> list[ClipPlan]:
        """Return the files that answer a request. Raises BureauError, InputError, MediaError."""
        begin, end = self._bounds(asked)
        camera = asked.get("camera_id")
        who, why = str(asked.get("who") or BUREAU), str(asked.get("why") or "")
        cameras = (str(camera),) if camera else ()
        return self._clips.plan(ClipRequest(self._class(asked), ClipSpan(begin, end), who, why, cameras=cameras))

    def describe_clip(self, asked: Mapping[str, object], plans: list[ClipPlan]) -> dict[str, object]:
        """Return what the plans of a request hold, and the command that cuts them."""
        begin, end = (f"{bound:%H:%M:%S}" for bound in self._bounds(asked))
        only = f" --camera {asked['camera_id']}" if asked.get("camera_id") else ""
        span = f"--on {asked['date']} --from {begin} --to {end}"
        command = f"site-agent clip {asked['class_id']} {span}{only} --out DIR"
        return {"command": command, "clips": [self._clip(plan) for plan in plans]}

    def _bounds(self, asked: Mapping[str, object]) -> tuple[datetime, datetime]:
        day, zone = _parse_field(date.fromisoformat, asked, "date"), self._catalog.zone
        begin, end = (datetime.combine(day, _parse_field(time.fromisoformat, asked, x), zone) for x in ("from", "to"))
        return begin, end

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
            "at": format_local(look.at, self._catalog.zone),
            "people": look.people,
            "low": look.low,
            "high": look.high,
            "judged": look.judged,
            "reason": look.reason,
        }

    def _clip(self, plan: ClipPlan) -> dict[str, object]:
        zone = self._catalog.zone
        return {
            "camera_id": plan.camera_id,
            "start": format_local(plan.span.start, zone),
            "end": format_local(plan.span.end, zone),
            "gaps": [
                {"start": format_local(h.span.start, zone), "end": format_local(h.span.end, zone), "reason": h.reason}
                for h in plan.holes
            ],
        }


def _parse_field(parse: Callable[[str], T], asked: Mapping[str, object], key: str) -> T:
    """Return a field of the request. Raises BureauError where it is missing or of the wrong kind."""
    value = asked.get(key)
    try:
        if isinstance(value, str):
            return parse(value)
    except ValueError:
        pass
    raise BureauError("answers.bad", key=key, value=repr(value)[:40])
