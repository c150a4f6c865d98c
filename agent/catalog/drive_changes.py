"""The latest change of a drive, through which the page asks the agent."""

from __future__ import annotations

import json

from agent.catalog.base import dump_json
from agent.catalog.facts import Facts
from agent.core import clock as clocks
from agent.core.drive_change import STATES, DriveChange

_FACT = "drive.change"


class DriveChanges:
    """One fact: the newest change replaces the one before."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    def put(self, change: DriveChange) -> None:
        self._facts.put(_FACT, dump_json(change.as_fact()))

    def last(self) -> DriveChange | None:
        """Return the newest change; None where there was none yet."""
        text = self._facts.get(_FACT)
        if text is None:
            return None
        body = json.loads(text)
        done = body["done_at"]
        return DriveChange(
            body["drive_id"],
            body["root"],
            body["to"],
            body["by"],
            clocks.parse_time(body["asked_at"]),
            next(s for s in STATES if s == body["state"]),
            float(body["share"]),
            body["detail"],
            clocks.parse_time(done) if done else None,
        )
