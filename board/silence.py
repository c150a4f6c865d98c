"""Boxes that fell silent: an alert of the board's own, which ends by itself when the box is heard again.

It stands among the alerts of boxes, so that people acknowledge it, are notified of it and find it again like any other. A
broker that fails makes all boxes silent within a minute: the notifier gathers them into one message.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, RowMapping, bindparam, or_, select, update

from agent import i18n
from agent.core.clock import Clock, format_utc, parse_time
from board.ingest.judge import SILENT_S
from board.ingest.projections import OWN_ALERT
from board.ingest.rows import Rows
from board.queries.alerts import OPEN, SILENT_KIND
from board.queries.county_day import load_county_day
from board.queries.course_plan import DayPlans
from board.store.database import Database
from board.store.tables import alerts, boxes

log = logging.getLogger(__name__)
EVERY_S = 15.0


@dataclass(frozen=True, slots=True)
class SilentBox:
    """A box that is not heard. `since`: its last heartbeat, UTC text; `teaching`: classes under way there."""

    box_id: int
    name: str
    since: str
    teaching: tuple[str, ...]

    @property
    def severity(self) -> str:
        return "critical" if self.teaching else "warning"


class BoxSilenceWatch:
    """Raises and ends the alerts. For one thread of the leading process.

    `connected_since`: monotonic time since which the board is connected to the broker; None while it is not.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        zone: ZoneInfo,
        *,
        connected_since: Callable[[], float | None] = lambda: None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._plans = DayPlans(zone)
        self._connected_since = connected_since
        self._heard_at = clock.monotonic()
        self._next = 0.0

    def step(self) -> None:
        """Look at all boxes where it is time. Raises StoreError."""
        now = self._clock.monotonic()
        if now >= self._next:
            self._next = now + EVERY_S
            self.look(self._connected_since())

    def look(self, connected_since: float | None) -> None:
        """Look at all boxes. Raises StoreError."""
        now, may_raise = self._clock.now(), self._may_raise(connected_since)
        with self._database.read() as connection:
            known = {row["box_id"]: row for row in _list_open(connection)}
            silent_rows = _list_silent(connection, now)
        still = {row["id"] for row in silent_rows}
        back = [row for box_id, row in known.items() if box_id not in still]
        found = self._find_classes(silent_rows, now) if may_raise else []
        # one that was heard and fell silent again since the last look has another beginning
        back += [known[x.box_id] for x in found if x.box_id in known and known[x.box_id]["since"] != x.since]
        new = [x for x in found if x.box_id not in known or known[x.box_id]["since"] != x.since]
        minor = {box_id for box_id, row in known.items() if row["severity"] != "critical"}
        graver = [x for x in found if x not in new and x.box_id in minor and x.severity == "critical"]
        if back or new or graver:
            connected = connected_since is not None
            told = [self._describe(x, now, "raised", connected=connected) for x in new]
            told += [self._describe(x, now, "updated", connected=connected) for x in graver]
            rows = Rows()
            for row in told:
                rows.add(alerts, row)
            with self._database.write() as connection:
                _end(connection, back, now)
                # the same silence again, after its box was revoked or said that it stops, is the same alert
                rows.put(connection)
            for silent in new:
                log.warning("%s: silent since %s", silent.name, silent.since)

    def _may_raise(self, connected_since: float | None) -> bool:
        """Return whether silence says something of boxes: not right after a start or a connection, before they spoke.

        Without a connection for as long, nobody is heard, and that too must be told.
        """
        now = self._clock.monotonic()
        if connected_since is not None:
            self._heard_at = now
            return now - connected_since >= SILENT_S
        return now - self._heard_at >= SILENT_S

    def _find_classes(self, rows: Sequence[RowMapping], now: datetime) -> list[SilentBox]:
        if not rows:
            return []
        teaching: dict[str, list[str]] = {}
        for item in load_county_day(self._database, self._plans, now).under_way:
            for name in {*(f.card.box for f in item.figures), *(name for name, _ in item.quiet)}:
                teaching.setdefault(name, []).append(item.class_id)
        return [
            SilentBox(row["id"], row["name"], row["beat_at"], tuple(sorted(teaching.get(row["name"], []))))
            for row in rows
        ]

    def _describe(self, silent: SilentBox, now: datetime, state: str, *, connected: bool) -> dict[str, object]:
        at = f"{parse_time(silent.since).astimezone(self._plans.zone):%m-%d %H:%M}"
        message = i18n.translate("board.silent" if connected else "board.silent_all", at=at)
        if silent.teaching:
            message += i18n.translate("board.silent_teaching", classes=", ".join(silent.teaching[:5]))
        return {
            "box_id": silent.box_id,
            "alert_id": f"{OWN_ALERT}silent:{silent.since}",
            "kind": SILENT_KIND,
            "state": state,
            "severity": silent.severity,
            "since": silent.since,
            "at": format_utc(now),
            "message": message,
            "body": json.dumps({"classes": silent.teaching}),
        }


def _list_open(connection: Connection) -> list[RowMapping]:
    columns = (alerts.c.box_id, alerts.c.alert_id, alerts.c.since, alerts.c.severity)
    return list(connection.execute(select(*columns).where(OPEN, alerts.c.kind == SILENT_KIND)).mappings())


def _list_silent(connection: Connection, now: datetime) -> list[RowMapping]:
    """Return boxes that are not heard and did not say that they stop."""
    query = select(boxes.c.id, boxes.c.name, boxes.c.beat_at).where(
        boxes.c.beat_at < format_utc(now - timedelta(seconds=SILENT_S)),
        or_(boxes.c.state.is_(None), boxes.c.state != "stopped"),
        boxes.c.revoked_at.is_(None),
    )
    return list(connection.execute(query).mappings())


def _end(connection: Connection, ended: Iterable[RowMapping], now: datetime) -> None:
    mine = (alerts.c.box_id == bindparam("this"), alerts.c.alert_id == bindparam("that"))
    if keys := [{"this": row["box_id"], "that": row["alert_id"]} for row in ended]:
        connection.execute(update(alerts).where(*mine).values(state="cleared", at=format_utc(now)), keys)
