"""Sends calls at their minute. The leading process does it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select, update

from agent.contract.topics import ROOT, TYPE
from agent.core.call_model import CALL_LASTS
from agent.core.clock import Clock, format_local, format_utc
from board.calls.ledger import UNSENT_AFTER
from board.store.database import Database
from board.store.tables import boxes, calls


class CallSender:
    """`publish` sends (topic, payload) while `is_connected`; a call whose minute has long passed is not sent any more."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        zone: ZoneInfo,
        publish: Callable[[str, bytes], None],
        is_connected: Callable[[], bool],
    ) -> None:
        self._database = database
        self._clock = clock
        self._zone = zone
        self._publish = publish
        self._is_connected = is_connected

    def step(self) -> None:
        """Send what is due. Raises StoreError."""
        if not self._is_connected():
            return
        now = self._clock.now()
        begun = format_utc(now - UNSENT_AFTER + timedelta(seconds=5))
        due = (calls.c.sent_at.is_(None), calls.c.due_at <= format_utc(now), calls.c.due_at > begun)
        query = select(calls, boxes.c.name.label("box")).join(boxes, boxes.c.id == calls.c.box_id).where(*due)
        with self._database.read() as connection:
            found = connection.execute(query).mappings().all()
        for row in found:
            until = now + CALL_LASTS
            with self._database.write() as connection:  # noted first: sent twice, it would be another three minutes
                values = {"sent_at": format_utc(now), "until": format_utc(until)}
                connection.execute(update(calls).where(calls.c.id == row["id"]).values(values))
            data = {name: row[name] for name in ("class_id", "date", "session", "code")}
            data |= {"call_id": row["id"], "until": format_local(until, self._zone)}
            event = {
                "specversion": "1.0",
                "id": row["id"],
                "source": f"/training/{row['box'].partition('/')[0]}",
                "type": TYPE.format(name="request"),
                "time": format_local(now, self._zone),
                "datacontenttype": "application/json",
                "data": data,
            }
            self._publish(f"{ROOT}/{row['box']}/request/call", json.dumps(event, ensure_ascii=False).encode())
