"""Limits how often a password may be tried: counted before it is checked, so that parallel tries share one allowance.

Four counts; each limits what the others leave open:
- a name from an address: FREE_TRIES, then a wait that doubles. So nobody has to wait because of tries from another address;
- an address over all names: the same, so that one machine cannot go through a list of names;
- a name over all addresses: NAME_TRIES an hour, so that guessing by many machines is slow as well;
- all together: BURST, then one each PACE_S, since each check takes 19 MiB and time that recording may need.
The last three exempt an address from which this account has signed in before (`catalog/origins.py`): whatever others do, its
owner is delayed there only by tries of that name from the same address.
"""

from __future__ import annotations

import ipaddress
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from agent.core.clock import Clock

FREE_TRIES = 5
FIRST_WAIT_S = 30.0
LONGEST_WAIT_S = 900.0
NAME_TRIES = 100
BURST = 30
PACE_S = 1.0
FORGET_S = 3600.0
_WAITING = 8
_BUSY_S = 2.0
_REMEMBERED = 10_000


class SignInThrottled(Exception):
    """The try was not checked; the next one will be in `wait_s` seconds."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(wait_s)
        self.wait_s = wait_s


def identify_sender(address: str) -> str:
    """Return what counts as one sender: an IPv4 address, or a /64 IPv6 network, in which a machine picks its address."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(ip, ipaddress.IPv6Address):
        return str(ip.ipv4_mapped or ipaddress.ip_network((ip, 64), strict=False))
    return str(ip)


@dataclass(slots=True)
class _Count:
    tries: int = 0
    since: float = 0.0
    last: float = 0.0

    def wait_s(self, now: float) -> float:
        """Return seconds to wait after FREE_TRIES: doubling from FIRST_WAIT_S on, since the last try."""
        over = self.tries - FREE_TRIES
        pause = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(over, 10)) if over >= 0 else 0.0
        return self.last + pause - now

    def rest_s(self, now: float) -> float:
        """Return seconds to wait after NAME_TRIES: until the hour is over."""
        return self.since + FORGET_S - now if self.tries >= NAME_TRIES else 0.0


@dataclass(slots=True)
class _Counts:
    """Counts by key, at most _REMEMBERED: the oldest are dropped first, and each once it has no effect."""

    by_key: OrderedDict[tuple[str, ...], _Count] = field(default_factory=OrderedDict)

    def get(self, key: tuple[str, ...]) -> _Count:
        return self.by_key.get(key, _Count())

    def add(self, key: tuple[str, ...], now: float) -> None:
        count = self.by_key.setdefault(key, _Count(since=now))
        self.by_key.move_to_end(key)
        count.tries, count.last = count.tries + 1, now
        if len(self.by_key) > _REMEMBERED:
            self.by_key.popitem(last=False)

    def back(self, key: tuple[str, ...]) -> None:
        """Take back one try: it was right."""
        if count := self.by_key.get(key):
            count.tries = max(0, count.tries - 1)

    def expire(self, key: tuple[str, ...], now: float, *, window: bool) -> None:
        count = self.by_key.get(key)
        if count and now - (count.since if window else count.last) >= FORGET_S:
            del self.by_key[key]


class SignInThrottle:
    """The limits. `known(name, origin)`: whether that account signed in from there before. Thread-safe."""

    def __init__(self, clock: Clock, known: Callable[[str, str], bool]) -> None:
        self._clock = clock
        self._known = known
        self._pairs, self._origins, self._names = _Counts(), _Counts(), _Counts()
        self._allowance, self._filled = float(BURST), clock.monotonic()
        self._lock = threading.Lock()
        # known senders wait only for each other; of the others only a few may occupy a thread of the page
        self._lanes = {True: threading.Semaphore(1), False: threading.Semaphore(1)}
        self._places = threading.Semaphore(_WAITING)

    @contextmanager
    def turn(self, name: str, address: str) -> Iterator[Callable[[], None]]:
        """Enter a turn for checking one password; call what it yields if it was right. Raises Throttled."""
        where = identify_sender(address)
        known = self._known(name, where)
        if not known and not self._places.acquire(blocking=False):
            raise SignInThrottled(_BUSY_S)
        try:
            self._take(name, where, known=known)
            with self._lanes[known]:  # each check takes 19 MiB: one at a time, recording has priority
                yield lambda: self._right(name, where, known=known)
        finally:
            if not known:
                self._places.release()

    def _take(self, name: str, where: str, *, known: bool) -> None:
        """Count a try or raise Throttled, in one step: parallel tries cannot all see a low count."""
        with self._lock:
            now = self._clock.monotonic()
            self._pairs.expire((name, where), now, window=False)
            waits = [self._pairs.get((name, where)).wait_s(now)]
            if not known:
                self._origins.expire((where,), now, window=False)
                self._names.expire((name,), now, window=True)
                self._fill(now)
                waits += [self._origins.get((where,)).wait_s(now), self._names.get((name,)).rest_s(now)]
                waits.append((1.0 - self._allowance) * PACE_S)
            if max(waits) > 0:
                raise SignInThrottled(max(waits))
            self._pairs.add((name, where), now)
            if not known:
                self._origins.add((where,), now)
                self._names.add((name,), now)
                self._allowance -= 1.0

    def _fill(self, now: float) -> None:
        self._allowance = min(float(BURST), self._allowance + (now - self._filled) / PACE_S)
        self._filled = now

    def _right(self, name: str, where: str, *, known: bool) -> None:
        """Clear the count of the name at this address; the other counts take back this one try alone.

        Otherwise somebody with an account could go on guessing at the accounts of others.
        """
        with self._lock:
            self._pairs.by_key.pop((name, where), None)
            if not known:
                self._origins.back((where,))
                self._names.back((name,))
                self._allowance = min(float(BURST), self._allowance + 1.0)
