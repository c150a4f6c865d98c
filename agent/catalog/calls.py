"""Calls of the bureau to the box's cameras: the one that is open, and what the box states of each."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from agent.catalog.base import CatalogStore, dump_json
from agent.catalog.facts import Facts
from agent.catalog.outbox import Outbox
from agent.core.call_model import LATE_FOR, CallSighting, CallState, OpenCall, judge_sighting
from agent.core.clock import format_local, format_utc, parse_time

_FACT = "call"


class Calls:
    """The fact `call`, and the statements `call`: they go to the bureau and into the drive's journal as all statements do."""

    def __init__(self, store: CatalogStore, facts: Facts, outbox: Outbox, zone: ZoneInfo) -> None:
        self._store = store
        self._facts = facts
        self._outbox = outbox
        self._zone = zone

    def current(self, now: datetime) -> OpenCall | None:
        """Return the call whose code is looked for, answered or not; None where there is none."""
        call = self._load()
        return call if call is not None and now < call.until + LATE_FOR else None

    def shown(self, now: datetime) -> OpenCall | None:
        """Return the call whose code is good now."""
        call = self._load()
        return call if call is not None and now < call.until else None

    def begin(self, call: OpenCall, now: datetime) -> None:
        """Open a call."""
        with self._store.write():
            self._save(call)
            self._state(call, "open", now)

    def refuse(self, call: OpenCall, reason: str, now: datetime) -> None:
        """State that a call could not be opened, and why."""
        self._state(call, "refused", now, reason=reason)

    def answer(self, call: OpenCall, seen: CallSighting, now: datetime, *, other: bool = False) -> CallState:
        """Note that the code was seen; return whether in time. `other`: a code of another call was shown as well."""
        state = judge_sighting(seen.at, call.until)
        with self._store.write():
            if state == "answered":
                self._save(replace(call, state=state))
            else:
                self._facts.forget(_FACT)
            self._state(call, state, now, seen=seen, other=other)
        return state

    def miss(self, call: OpenCall, now: datetime, *, other: bool = False) -> None:
        """Note that the code was not seen in time; it is still looked for."""
        with self._store.write():
            self._save(replace(call, state="unanswered"))
            self._state(call, "unanswered", now, other=other)

    def forget(self) -> None:
        """Forget a call that is over."""
        self._facts.forget(_FACT)

    def _load(self) -> OpenCall | None:
        text = self._facts.get(_FACT)
        if text is None:
            return None
        body: dict[str, Any] = json.loads(text)
        times = {name: parse_time(body[name]) for name in ("since", "until")}
        return OpenCall(**(body | times | {"qr": tuple(body["qr"])}))

    def _save(self, call: OpenCall) -> None:
        times = {"since": format_utc(call.since), "until": format_utc(call.until)}
        self._facts.put(_FACT, dump_json(asdict(call) | times))

    def _state(
        self,
        call: OpenCall,
        state: CallState,
        now: datetime,
        *,
        seen: CallSighting | None = None,
        reason: str = "",
        other: bool = False,
    ) -> None:
        data = {
            "call_id": call.call_id,
            "class_id": call.class_id,
            "date": call.date,
            "session": call.session,
            "state": state,
            "until": format_local(call.until, self._zone),
            "reason": reason,
            "seen_at": format_local(seen.at, self._zone) if seen else None,
            "room_id": seen.room_id if seen else None,
            "camera_id": seen.camera_id if seen else None,
            "drive_id": seen.drive_id if seen else None,
            "path": seen.path if seen else None,
            "other": other,
        }
        self._outbox.put(f"call/{call.class_id}", "call", data, now)
