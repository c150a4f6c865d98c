"""How often a camera's password may be tried. Cameras lock themselves after a few wrong ones, for everybody: so after three
wrong answers, at whichever of its doors, a camera is asked again only when the settings change or an hour has passed."""

from __future__ import annotations

import hashlib
import json
import math
import secrets
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

from agent.catalog import Catalog
from agent.clock import Clock, parse, stamp
from agent.errors import CameraDenied

ATTEMPTS = 3
PAUSE_S = 3600.0
RESTING = "cameras.resting"
"""Key of the error of a camera that is not asked for a while."""
_FACT = "cameras.attempts"
_TOLD_S = 900.0  # steps in which the rest of the pause is told: an alert is no stopwatch
Door = Literal["onvif", "rtsp"]


class Account(Protocol):
    """A user name and a password."""

    @property
    def username(self) -> str: ...

    @property
    def password(self) -> str: ...


@dataclass(slots=True)
class _Entry:
    """Wrong answers at each door with the account of `proof`, the last at `last` (monotonic); `accepted` are the doors
    that took the same account since."""

    proof: str
    last: float
    wrong: Counter[str] = field(default_factory=Counter)
    accepted: set[str] = field(default_factory=set)


class Budget:
    """Counts wrong answers a camera. Intervals are on the monotonic clock; `state` and `save` carry the counts over a
    restart, which must not become a way to lock a camera out. One object serves all threads and both doors."""

    def __init__(self, clock: Clock, state: str | None = None, save: Callable[[str], None] | None = None) -> None:
        self._clock = clock
        self._save = save
        self._lock = threading.Lock()
        self._salt = secrets.token_bytes(16)
        self._proofs: dict[tuple[str, str], str] = {}
        self._entries: dict[str, _Entry] = {}
        self._under_way: Counter[str] = Counter()
        self._by_box_time: set[str] = set()
        if state:
            self._load(json.loads(state))

    @contextmanager
    def attempt(self, door: Door, names: Collection[str], account: Account) -> Iterator[Attempt]:
        """One try of a password at a camera; say in it how it ended, or nothing where there was no answer. `names` are all
        that tell the camera: endpoint, address. Raises CameraDenied where the try must wait."""
        with self._lock:
            known = self._of(names, account)
            wrong = max((entry.wrong.total() for entry in known), default=0)
            # an answer that is still out counts as a wrong one, once there was one
            waiting = max((self._under_way[name] for name in names), default=0) if wrong else 0
            trusted = any(door in entry.accepted for entry in known)
            if wrong + waiting >= ATTEMPTS and not trusted:
                left = max(entry.last for entry in known) + PAUSE_S - self._clock.monotonic()
                minutes = math.ceil(left / _TOLD_S) * round(_TOLD_S / 60)
                raise CameraDenied(RESTING, attempts=wrong, minutes=minutes)
            self._under_way.update(names)
        try:
            yield Attempt(self, door, names, account)
        finally:
            with self._lock:
                self._under_way.subtract(names)
                self._under_way = +self._under_way

    def wrong(self, door: Door, names: Collection[str], account: Account) -> int:
        """Count a wrong answer; returns how many tries are left."""
        with self._lock:
            known, now = self._of(names, account), self._clock.monotonic()
            counts = Counter({d: max(entry.wrong[d] for entry in known) for entry in known for d in entry.wrong})
            counts[door] += 1
            accepted = {d for entry in known for d in entry.accepted} - {door}
            self._entries = {n: e for n, e in self._entries.items() if e.last + PAUSE_S > now}
            for name in names:
                self._entries[name] = _Entry(self._proof(account), now, counts.copy(), set(accepted))
            self._store()
            return max(0, ATTEMPTS - counts.total())

    def right(self, door: Door, names: Collection[str], account: Account) -> None:
        """The camera accepted an answer. What is wrong at its other door stays counted."""
        with self._lock:
            changed = False
            for name in names:
                entry = self._entries.get(name)
                if entry is None or (door in entry.accepted and entry.proof == self._proof(account)):
                    continue
                changed = True
                del entry.wrong[door]
                entry.accepted.add(door)
                if entry.proof != self._proof(account) or not entry.wrong.total():
                    del self._entries[name]
            if changed:
                self._store()

    def note_time(self, names: Collection[str], by_box: bool) -> None:
        """A camera took a proof by the box's time, though it tells another (or no longer does): the other one first would be
        a wrong answer each time. Not kept over a restart."""
        with self._lock:
            self._by_box_time = self._by_box_time | set(names) if by_box else self._by_box_time - set(names)

    def by_box_time(self, names: Collection[str]) -> bool:
        with self._lock:
            return not self._by_box_time.isdisjoint(names)

    def _of(self, names: Collection[str], account: Account) -> list[_Entry]:
        """What is held against this account at this camera and has not lapsed."""
        now = self._clock.monotonic()
        entries = [self._entries[name] for name in names if name in self._entries]
        return [e for e in entries if e.last + PAUSE_S > now and e.proof == self._proof(account)]

    def _proof(self, account: Account) -> str:
        """Tells whether the settings changed without keeping what they were; slow to guess from."""
        key = account.username, account.password
        if key not in self._proofs:
            self._proofs[key] = hashlib.scrypt(
                "\0".join(key).encode(), salt=self._salt, n=16384, r=8, p=1, dklen=16
            ).hex()
        return self._proofs[key]

    def _store(self) -> None:
        if self._save:
            now, at = self._clock.monotonic(), self._clock.now()
            entries = {
                name: {"proof": e.proof, "last": stamp(at - timedelta(seconds=now - e.last)), "wrong": e.wrong,
                       "accepted": sorted(e.accepted)}
                for name, e in self._entries.items()
            }  # fmt: skip
            self._save(json.dumps({"salt": self._salt.hex(), "entries": entries}))

    def _load(self, state: Mapping[str, Any]) -> None:
        self._salt = bytes.fromhex(state["salt"])
        for name, e in state["entries"].items():
            last = self._clock.monotonic() - self._age(parse(e["last"]))
            self._entries[name] = _Entry(e["proof"], last, Counter(e["wrong"]), set(e["accepted"]))

    def _age(self, last: datetime) -> float:
        """Seconds since then by the wall clock, which may have stepped: never more than a pause, never the future."""
        return min(PAUSE_S, max(0.0, (self._clock.now() - last).total_seconds()))


def kept(catalog: Catalog, clock: Clock) -> Budget:
    """The box's budget, kept in its catalog: one object for all that talk to cameras."""
    return Budget(clock, catalog.facts.get(_FACT), lambda state: catalog.facts.put(_FACT, state))


@dataclass(frozen=True, slots=True)
class Attempt:
    """A try under way; see `Budget.attempt`."""

    budget: Budget
    door: Door
    names: Collection[str]
    account: Account = field(repr=False)

    def wrong(self) -> int:
        """Refused; returns how many tries are left."""
        return self.budget.wrong(self.door, self.names, self.account)

    def right(self) -> None:
        self.budget.right(self.door, self.names, self.account)
