"""Limits how often a camera's password may be tried, so that no camera locks its account.

Cameras lock the account after a few wrong passwords, for everybody. After three wrong answers, through ONVIF and RTSP
together, a camera is asked again only when the settings change or an hour has passed.

The counts are shared by all processes of a box: each change is one transaction of a `Store`, for which other
processes wait.
"""

from __future__ import annotations

import hashlib
import math
import os
import secrets
import threading
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, Protocol

from agent.catalog import Catalog
from agent.core.clock import Clock
from agent.core.errors import CameraDenied, CameraUnreachable
from agent.credentials.attempts_entries import (
    ATTEMPT_OPEN_S,
    ATTEMPT_PAUSE_S,
    AttemptEntry,
    BootMoment,
    describe_process,
    dump_attempts,
    load_attempts,
    read_boot_id,
)
from agent.credentials.attempts_store import AttemptStore, CatalogAttemptStore, FileAttemptStore, MemoryAttemptStore

MAX_ATTEMPTS = 3
ATTEMPTS_PAUSED = "cameras.resting"
"""Key of the error for a camera that is not asked for a while."""
_TOLD_S = 900.0  # the remaining pause is reported in steps of this length: an alert is not a stopwatch
_PATIENCE_S = 2.0  # how long to wait for attempts of others: a search must be able to stop within three seconds
_POLL_S = 0.05
Door = Literal["onvif", "rtsp"]


class AttemptAccount(Protocol):
    """A user name and a password."""

    @property
    def username(self) -> str: ...

    @property
    def password(self) -> str: ...


class AttemptBudget:
    """Counts the wrong answers of each camera. One object serves all threads and both doors.

    Intervals are on the monotonic clock, which all processes of one boot share. Without a `store` the counts belong
    to this object alone.
    """

    def __init__(self, clock: Clock, store: AttemptStore | None = None) -> None:
        self._clock = clock
        self._store = store or MemoryAttemptStore()
        self._lock = threading.Lock()
        self._boot = read_boot_id()
        self._process = describe_process(os.getpid()) or f"{os.getpid()}."
        self._salt = ""
        self._proofs: dict[tuple[str, str], str] = {}
        self._entries: dict[tuple[str, str], AttemptEntry] = {}
        self._text: str | None = None
        self._trusted: set[tuple[Door, str, str]] = set()
        self._by_box_time: set[str] = set()

    @contextmanager
    def attempt(self, door: Door, names: Collection[str], account: AttemptAccount) -> Iterator[PasswordAttempt]:
        """Reserve one try of a password at a camera; report its outcome in the body, or nothing without an answer.

        `names` are all names of the camera: endpoint, address. Raises CameraDenied where the try must wait,
        CameraUnreachable where others are trying the same.
        """
        token = self._begin(door, names, account)
        try:
            yield PasswordAttempt(self, door, names, account, token)
        finally:
            if token:
                self._end(token)

    def wrong(self, door: Door, names: Collection[str], account: AttemptAccount, token: str = "") -> int:
        """Count a wrong answer; return how many tries are left."""
        with self._changing():
            now, proof = self._clock.monotonic(), self._proof(account)
            known = self._of(names, proof)
            counts = Counter({d: max(entry.wrong[d] for entry in known) for entry in known for d in entry.wrong})
            counts[door] += 1
            accepted = {d for entry in known for d in entry.accepted} - {door}
            for name in names:
                entry = self._entries.setdefault((name, proof), AttemptEntry(name, proof, now))
                entry.last, entry.wrong, entry.accepted = now, counts.copy(), set(accepted)
                entry.open.pop(token, None)
                self._trusted.discard((door, name, proof))
            return max(0, MAX_ATTEMPTS - counts.total())

    def right(self, door: Door, names: Collection[str], account: AttemptAccount, token: str = "") -> None:
        """Record that the camera accepted the account.

        Wrong answers at its other door, or for another account, stay counted.
        """
        with self._lock:
            self._refresh(self._store.read())
            proof = self._proof(account) if self._salt else ""
            trusted = {(door, name, proof) for name in names}
            if trusted <= self._trusted and all(door in entry.accepted for entry in self._of(names, proof)):
                return
        with self._changing():
            proof = self._proof(account)
            for entry in self._of(names, proof):
                del entry.wrong[door]
                entry.accepted.add(door)
                entry.open.pop(token, None)
            self._trusted |= {(door, name, proof) for name in names}

    def note_time(self, names: Collection[str], by_box: bool) -> None:
        """Remember whether a camera accepts digests made with the box's time instead of the time that it reports.

        Trying the other one first would be a wrong answer each time. Not kept over a restart.
        """
        with self._lock:
            self._by_box_time = self._by_box_time | set(names) if by_box else self._by_box_time - set(names)

    def by_box_time(self, names: Collection[str]) -> bool:
        with self._lock:
            return not self._by_box_time.isdisjoint(names)

    def _begin(self, door: Door, names: Collection[str], account: AttemptAccount) -> str:
        """Take one of the remaining tries; return its token, empty where none needs to be taken."""
        if self._is_trusted(door, names, account):
            return ""
        end = self._clock.monotonic() + _PATIENCE_S
        while True:
            with self._changing():
                now, proof = self._clock.monotonic(), self._proof(account)
                known = self._of(names, proof)
                wrong = max((entry.wrong.total() for entry in known), default=0)
                # after the first failure, attempts in progress count as failures: each may turn out
                # to be one
                waiting = max((len(entry.open) for entry in known), default=0)
                if wrong + waiting < MAX_ATTEMPTS or any(door in entry.accepted for entry in known):
                    token = f"{self._process}-{secrets.token_hex(8)}"
                    for name in names:
                        entry = self._entries.setdefault((name, proof), AttemptEntry(name, proof, now))
                        entry.open[token] = now + ATTEMPT_OPEN_S
                    return token
                if wrong >= MAX_ATTEMPTS or (now >= end and wrong):
                    left = max(entry.last for entry in known if entry.wrong) + ATTEMPT_PAUSE_S - now
                    minutes = math.ceil(left / _TOLD_S) * round(_TOLD_S / 60)
                    raise CameraDenied(ATTEMPTS_PAUSED, attempts=wrong, minutes=minutes)
                if now >= end:
                    raise CameraUnreachable("cameras.tried_by_others")
            self._clock.wait(threading.Event(), _POLL_S)

    def _is_trusted(self, door: Door, names: Collection[str], account: AttemptAccount) -> bool:
        """Return whether this process has seen the camera accept the account, and nobody has seen it refused since."""
        with self._lock:
            self._refresh(self._store.read())
            if not self._salt:
                return False
            proof = self._proof(account)
            held = [entry for entry in self._of(names, proof) if entry.wrong]
            return not held and any((door, name, proof) in self._trusted for name in names)

    def _end(self, token: str) -> None:
        """Give back a try without an outcome."""
        with self._lock:
            if not any(token in entry.open for entry in self._entries.values()):
                return
        with self._changing():
            for entry in self._entries.values():
                entry.open.pop(token, None)

    def _of(self, names: Collection[str], proof: str) -> list[AttemptEntry]:
        """Return the entries of this account at this camera that have not expired."""
        now = self._clock.monotonic()
        found = (self._entries.get((name, proof)) for name in names)
        return [entry for entry in found if entry and entry.matters(now)]

    def _proof(self, account: AttemptAccount) -> str:
        """Return a slow hash of the account: it shows that the settings changed without storing the password."""
        key = account.username, account.password
        if key not in self._proofs:
            salt = bytes.fromhex(self._salt)
            self._proofs[key] = hashlib.scrypt("\0".join(key).encode(), salt=salt, n=16384, r=8, p=1, dklen=16).hex()
        return self._proofs[key]

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Read, change and write the counts while every other process is kept out."""
        with self._lock, self._store.change() as state:
            self._refresh(state.text)
            if not self._salt:
                self._salt = secrets.token_hex(16)
            yield
            at = self._moment()
            self._entries = {key: e for key, e in self._entries.items() if e.matters(at.monotonic)}
            self._text = state.text = dump_attempts(self._salt, self._entries.values(), at)

    def _refresh(self, text: str | None) -> None:
        """Take over what other processes have counted."""
        if text == self._text:
            return
        self._text = text
        salt, entries = load_attempts(text, self._moment())
        if salt != self._salt:
            self._salt = salt
            self._proofs.clear()
            self._trusted.clear()
        self._entries = {(e.name, e.proof): e for e in entries}

    def _moment(self) -> BootMoment:
        return BootMoment(self._boot, self._clock.monotonic(), self._clock.now())


def open_box_budget(catalog: Catalog, clock: Clock) -> AttemptBudget:
    """Return the box's budget, kept in its catalog, which the service and the commands share."""
    return AttemptBudget(clock, CatalogAttemptStore(catalog))


def make_private_budget(clock: Clock) -> AttemptBudget:
    """Return a budget of this process alone, for commands without a password."""
    return AttemptBudget(clock)


def open_user_budget(clock: Clock) -> AttemptBudget:
    """Return the budget for commands without a catalog, kept in a file of the user over all runs.

    Its use raises InputError where there is no place for the file.
    """
    return AttemptBudget(clock, FileAttemptStore())


@dataclass(frozen=True, slots=True)
class PasswordAttempt:
    """A try in progress; see `AttemptBudget.attempt`."""

    budget: AttemptBudget
    door: Door
    names: Collection[str]
    account: AttemptAccount = field(repr=False)
    token: str = ""

    def wrong(self) -> int:
        """Report a refusal; return how many tries are left."""
        return self.budget.wrong(self.door, self.names, self.account, self.token)

    def right(self) -> None:
        self.budget.right(self.door, self.names, self.account, self.token)
