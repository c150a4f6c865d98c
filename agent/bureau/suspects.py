"""Which message breaks the link.

A broker may end the connection for what is sent: a packet larger than it takes, a topic that it forbids. MQTT 3.1.1 gives no
reason, and in MQTT 5 not every broker does. The same message would be sent first again after each reconnection, and nothing
else would ever get out. So: a topic of which messages were under way, and none acknowledged, when the link broke `BREAKS`
times in a row is suspected; while there are suspects one message at a time is sent; the topic that is alone under way when
the link breaks again is set aside for a while, longer each time. Its messages stay in the outbox, all others go on.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from agent.core.errors import BureauError

log = logging.getLogger(__name__)
BREAKS = 2
_HUNT_S = 600.0  # suspicion that nothing confirms lapses
_LONGEST_S = 3600.0
_FRUITLESS = 10  # topics set aside, and still nothing was acknowledged: it is the broker, not what is sent


@dataclass(frozen=True, slots=True)
class SentMessage:
    """A message under way: `topic` after the box's prefix, `size` of the payload in bytes; `again` where it is sent again after
    a reconnection."""

    topic: str
    size: int
    again: bool = True


@dataclass(slots=True)
class _SetAside:
    """`until` is monotonic, `pause` the seconds that it lasts."""

    size: int
    pause: float
    until: float


class SuspectMessages:
    """Outlives connections. `pause_s` is how long a topic is set aside the first time. For one thread."""

    def __init__(self, pause_s: float) -> None:
        self._pause_s = pause_s
        self._breaks: dict[str, int] = {}
        self._aside: dict[str, _SetAside] = {}
        self._last = -math.inf
        self._fruitless = 0
        self._given_up = -math.inf

    @property
    def alone(self) -> bool:
        """Whether only one message may be under way: there are suspects, or a topic that was set aside is tried again."""
        now = time.monotonic()
        hunted = now - self._last < _HUNT_S and any(count >= BREAKS for count in self._breaks.values())
        return hunted or any(a.until <= now < a.until + _HUNT_S for a in self._aside.values())

    def set_aside_until(self, topic: str, size: int | None = None) -> float | None:
        """Monotonic; None where the topic may be sent. `size` of a message that stands for all before it: a smaller one than
        that which broke the link may be tried at once."""
        aside = self._aside.get(topic)
        if aside and size is not None and size < aside.size:
            aside.until = min(aside.until, time.monotonic())
        return aside.until if aside and time.monotonic() < aside.until else None

    def acknowledged(self, topic: str) -> None:
        self._breaks.pop(topic, None)
        self._fruitless = 0
        if self.set_aside_until(topic) is None:
            self._aside.pop(topic, None)

    def broke(self, under_way: Sequence[SentMessage]) -> bool:
        """The link broke while these were under way. True where that led a step further, so that the next connection need not
        wait long."""
        now, alone = time.monotonic(), self.alone
        named = {sent.topic: sent.size for sent in under_way if sent.again}
        if not named or now - self._given_up < _LONGEST_S:
            self._breaks.clear()  # it broke of itself
            return False
        known = self._breaks if alone else {}
        self._breaks = {**known, **{topic: self._breaks.get(topic, 0) + 1 for topic in named}}
        self._last = now
        if alone and len(under_way) == 1:
            ((topic, size),) = named.items()
            if self._breaks[topic] >= BREAKS or topic in self._aside:
                self._set_aside(topic, size, now)
        return self.alone

    def _set_aside(self, topic: str, size: int, now: float) -> None:
        self._breaks.pop(topic)
        self._fruitless += 1
        if self._fruitless > _FRUITLESS:
            self._breaks, self._aside, self._given_up = {}, {}, now
            return
        before = self._aside.get(topic)
        pause = min(_LONGEST_S, before.pause * 2) if before else self._pause_s
        self._aside[topic] = _SetAside(size, pause, now + pause)
        log.warning("%s", _build_problem(topic, self._aside[topic]))

    def problems(self) -> list[BureauError]:
        """A line for each topic that is set aside."""
        now = time.monotonic()
        return [_build_problem(topic, aside) for topic, aside in self._aside.items() if now < aside.until]


def _build_problem(topic: str, aside: _SetAside) -> BureauError:
    return BureauError("bureau.set_aside", topic=topic, size=aside.size, minutes=math.ceil(aside.pause / 60))
