"""When the witness asks a box for statements that did not come. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agent.core.statement_rule import MissingRange

ASK_AFTER_S = 60.0
"""Between topics there is no order, so a number may come a little after a later one."""
_AGAIN_S, _RARELY_S = 60.0, 3600.0
_OFTEN = 10
MOST_INQUIRIES = 20
"""Requests in one go: after an outage of the broker thousands of boxes may have a hole."""


@dataclass(frozen=True, slots=True)
class Inquiry:
    """A request to publish, not retained. The answer comes on the box's own `response/statements`."""

    topic: str
    body: Mapping[str, object]


@dataclass(slots=True)
class HoleInquiry:
    """What was asked of one box: the first missing number then, when, and how often."""

    first: int = 0
    at: float = 0.0
    times: int = 0

    def ask(self, missing: MissingRange, now: float) -> dict[str, object] | None:
        """Return the parameters of a request that is due: at once where an answer filled a part, else again after a while."""
        if now - missing.since < ASK_AFTER_S:
            return None
        if missing.first != self.first:
            self.first, self.times = missing.first, 0
        elif now - self.at < (_AGAIN_S if self.times < _OFTEN else _RARELY_S):
            return None
        self.at, self.times = now, self.times + 1
        return {"from": missing.first, "to": missing.last, "log": missing.log}
