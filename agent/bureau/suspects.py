"""Finds the message that breaks the link.

A broker may close the connection because of what is sent: a packet larger than it accepts, a topic that it forbids. MQTT
3.1.1 gives no reason, and in MQTT 5 not every broker does. The same message would be sent first after each reconnection, and
nothing else would ever be delivered. So: a topic that had messages in flight, and none acknowledged, when the link broke
`BREAKS` times in a row is suspected; while there are suspects, one message at a time is sent; the topic that is alone in
flight when the link breaks again is set aside for a while, longer each time. Its messages stay in the outbox, all others go on.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from agent.errors import BureauError

log = logging.getLogger(__name__)
BREAKS = 2
_HUNT_S = 600.0  # a suspicion that is not confirmed lapses
_LONGEST_S = 3600.0
_FRUITLESS = 10  # topics set aside without any acknowledgement: the broker is at fault, not the messages


@dataclass(frozen=True, slots=True)
class Sent:
    """A message in flight: `topic` after the box's prefix, `size` of the payload in bytes.

    `again`: it will be sent again after a reconnection.
    """

    topic: str
    size: int
    again: bool = True


@dataclass(slots=True)
class _Aside:
    """A topic that is set aside. `until` is monotonic, `pause` its length in seconds."""

    size: int
    pause: float
    until: float


class Suspects:
    """Kept across connections. `pause_s`: how long a topic is set aside the first time. For one thread."""

    def __init__(self, pause_s: float) -> None:
        self._pause_s = pause_s
        self._breaks: dict[str, int] = {}
        self._aside: dict[str, _Aside] = {}
        self._last = -math.inf
        self._fruitless = 0
        self._given_up = -math.inf

    @property
    def alone(self) -> bool:
        """Whether only one message may be in flight: there are suspects, or a topic that was set aside is tried again."""
        now = time.monotonic()
        hunted = now - self._last < _HUNT_S and any(count >= BREAKS for count in self._breaks.values())
        return hunted or any(a.until <= now < a.until + _HUNT_S for a in self._aside.values())

    def set_aside_until(self, topic: str, size: int | None = None) -> float | None:
        """Return the monotonic time until which the topic is not sent; None where it may be sent.

        `size` is given for a message that replaces all before it: one smaller than the message that broke the link may be
        tried at once.
        """
        aside = self._aside.get(topic)
        if aside and size is not None and size < aside.size:
            aside.until = min(aside.until, time.monotonic())
        return aside.until if aside and time.monotonic() < aside.until else None

    def acknowledged(self, topic: str) -> None:
        """Clear a topic: the broker accepts its messages."""
        self._breaks.pop(topic, None)
        self._fruitless = 0
        if self.set_aside_until(topic) is None:
            self._aside.pop(topic, None)

    def broke(self, under_way: Sequence[Sent]) -> bool:
        """Take in that the link broke while these were in flight.

        True where that narrowed the search, so that the next connection need not wait long.
        """
        now, alone = time.monotonic(), self.alone
        named = {sent.topic: sent.size for sent in under_way if sent.again}
        if not named or now - self._given_up < _LONGEST_S:
            self._breaks.clear()  # the link broke without a message to blame
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
        self._aside[topic] = _Aside(size, pause, now + pause)
        log.warning("%s", _problem(topic, self._aside[topic]))

    def problems(self) -> list[BureauError]:
        """Return an error for each topic that is set aside."""
        now = time.monotonic()
        return [_problem(topic, aside) for topic, aside in self._aside.items() if now < aside.until]


def _problem(topic: str, aside: _Aside) -> BureauError:
    return BureauError("bureau.set_aside", topic=topic, size=aside.size, minutes=math.ceil(aside.pause / 60))
