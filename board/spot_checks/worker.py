"""Draws by the plan, and orders the clips of what was drawn. The leading process does it."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, select, update

from agent.core.clock import Clock, parse_time
from agent.core.errors import InputError
from board.clips.orders import order_clip
from board.spot_checks.drawing import SpotDrawer, SpotOrder
from board.spot_checks.plan import find_due_slot, load_plan
from board.store.database import Database
from board.store.tables import boxes, class_boxes, segments, spot_draws, spot_moments

log = logging.getLogger(__name__)
BY_PLAN = "plan"
"""Who a draw by the plan is by."""
NO_BOX_AFTER = timedelta(minutes=30)
"""After the draw: by then a box has stated what it recorded."""
_AT_ONCE = 200


class SpotCheckWorker:
    """Draws, and orders; `step` does what is due."""

    def __init__(self, database: Database, clock: Clock, zone: ZoneInfo) -> None:
        self._database = database
        self._clock = clock
        self._zone = zone
        self._drawer = SpotDrawer(database, zone)
        self._idle_slot = ""

    def step(self) -> None:
        """Do what is due. Raises StoreError."""
        self._draw_by_plan()
        self._order_clips()

    def _draw_by_plan(self) -> None:
        now, plan = self._clock.now(), load_plan(self._database)
        slot = find_due_slot(self._database, plan, now, self._zone)
        if slot is None or (slot == self._idle_slot and now.minute < 55):
            return
        try:
            self._drawer.draw(SpotOrder(plan.count, plan.seconds, BY_PLAN, slot=slot), now)
        except InputError:
            # too little lesson time so far, as early in the morning: once more before the hour ends
            if slot != self._idle_slot:
                log.info("spot checks: too little lesson time at %s", slot)
            self._idle_slot = slot

    def _order_clips(self) -> None:
        """Order what is due; a box that cannot be reached is the clips' own matter."""
        with self._database.read() as connection:
            drawn = spot_moments.join(spot_draws, spot_draws.c.id == spot_moments.c.draw_id)
            query = select(spot_moments, spot_draws.c.made_at).select_from(drawn).where(spot_moments.c.state == "due")
            due = [
                dict(row) for row in connection.execute(query.order_by(spot_moments.c.id).limit(_AT_ONCE)).mappings()
            ]
        now = self._clock.now()
        for moment in due:
            with self._database.read() as connection:
                found = find_source(connection, moment)
            if found is not None:
                self._order(moment, *found, now)
            elif now - parse_time(moment["made_at"]) > NO_BOX_AFTER:
                self._put(moment["id"], {"state": "none"})

    def _order(self, moment: dict[str, Any], box_id: int, camera: str | None, now: datetime) -> None:
        with self._database.read() as connection:
            name = connection.execute(select(boxes.c.name).where(boxes.c.id == box_id)).scalar_one()
        try:
            clip = order_clip(
                self._database,
                class_id=moment["class_id"],
                box=name,
                start=parse_time(moment["start"]),
                end=parse_time(moment["end"]),
                camera=camera or "",
                by=BY_PLAN,
                purpose=f"spot:{moment['id']}",
                now=now,
            )
        except InputError as error:
            # a box that was revoked meanwhile: asking again would end the same
            log.warning("spot check %s: %s", moment["id"], error)
            self._put(moment["id"], {"state": "none"})
            return
        self._put(moment["id"], {"state": "ordered", "clip": clip, "box_id": box_id, "camera_id": camera})

    def _put(self, number: int, values: dict[str, object]) -> None:
        with self._database.write() as connection:
            connection.execute(update(spot_moments).where(spot_moments.c.id == number).values(values))


def find_source(connection: Connection, moment: dict[str, Any]) -> tuple[int, str | None] | None:
    """Return box and camera that have a moment.

    The one that stated a recording of it; else the box that ever recorded the class in that room, or the only one that
    reports of the class, with no camera named: it may have video whose statement is still under way, or say why it has none.
    """
    own = (segments.c.class_id == moment["class_id"], segments.c.room_id == moment["room_id"])
    at = (segments.c.date == moment["date"], segments.c.session == moment["session"],
          segments.c.start <= moment["start"], segments.c.end > moment["start"])  # fmt: skip
    query = select(segments.c.box_id, segments.c.camera_id).where(*own, *at)
    row = connection.execute(query.order_by(segments.c.camera_id, segments.c.id).limit(1)).first()
    if row is not None:
        return row.box_id, row.camera_id
    known = connection.execute(select(segments.c.box_id).where(*own).order_by(segments.c.id.desc()).limit(1)).scalar()
    if known is not None:
        return known, None
    mine = select(class_boxes.c.box_id).where(class_boxes.c.class_id == moment["class_id"])
    reporting = connection.execute(mine).scalars().all()
    return (reporting[0], None) if len(reporting) == 1 else None
