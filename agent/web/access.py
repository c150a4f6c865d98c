"""Who may: passwords by argon2, sign-in throttled, sessions in the catalog, a token against forged requests."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from agent.catalog import Catalog
from agent.catalog.accounts import Role, SignedIn
from agent.clock import Clock

LASTS = timedelta(hours=2)
TOUCH = timedelta(minutes=5)
FREE_TRIES = 5
FIRST_WAIT_S = 30.0
LONGEST_WAIT_S = 900.0
_REMEMBERED = 10_000
_ALPHABET = "abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # none that look alike


def new_password() -> str:
    """Sixteen characters that a person can read off a screen (93 bits)."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(16))


@dataclass(slots=True)
class _Failures:
    count: int = 0
    until: float = 0.0


@dataclass(slots=True)
class Throttle:
    """After FREE_TRIES wrong passwords a key (a name, an address) waits, twice as long each time."""

    clock: Clock
    _keys: OrderedDict[str, _Failures] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wait_s(self, *keys: str) -> float:
        """Seconds until the next try is heard; 0 at once."""
        with self._lock:
            now = self.clock.monotonic()
            return max([0.0, *(self._keys[k].until - now for k in keys if k in self._keys)])

    def failed(self, *keys: str) -> None:
        with self._lock:
            for key in keys:
                known = self._keys.setdefault(key, _Failures())
                self._keys.move_to_end(key)
                known.count += 1
                over = known.count - FREE_TRIES
                if over >= 0:
                    known.until = self.clock.monotonic() + min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(over, 10))
            while len(self._keys) > _REMEMBERED:
                self._keys.popitem(last=False)

    def passed(self, *keys: str) -> None:
        with self._lock:
            for key in keys:
                self._keys.pop(key, None)


class Access:
    """Accounts and sessions as the page uses them. Threads may share it."""

    def __init__(self, catalog: Catalog, clock: Clock) -> None:
        self._catalog = catalog
        self._clock = clock
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
        # what an unknown name is checked against, so that it takes as long as a known one
        self._nobody = self._hasher.hash(secrets.token_hex())
        self._turn = threading.Semaphore(1)
        self.throttle = Throttle(clock)

    def make(self, name: str, role: Role) -> str:
        """Make an account or give it a new password; return the password, which is nowhere else."""
        password = new_password()
        self._catalog.accounts.put(name, role, self._hasher.hash(password), self._clock.now())
        return password

    def make_token(self, name: str, role: Role, days: int) -> tuple[str, datetime]:
        """A token for a program and when it ends; it is nowhere else."""
        token, now = secrets.token_urlsafe(32), self._clock.now()
        until = now + timedelta(days=days)
        self._catalog.accounts.put_token(token, name, role, now, until)
        return token, until

    def sign_in(self, name: str, password: str, address: str) -> str | None:
        """A session's token, or None: wrong name or password. The caller asks the throttle first."""
        account = self._catalog.accounts.get(name)
        with self._turn:  # each check takes 19 MiB: one at a time, recording comes first
            try:
                self._hasher.verify(account.password if account else self._nobody, password)
            except (VerificationError, InvalidHashError):
                account = None
        if account is None:
            self.throttle.failed(f"name {name}", f"address {address}")
            return None
        self.throttle.passed(f"name {name}", f"address {address}")
        token, now = secrets.token_urlsafe(32), self._clock.now()
        self._catalog.accounts.sign_in(token, name, secrets.token_urlsafe(32), now, now + LASTS)
        return token

    def session(self, token: str) -> SignedIn | None:
        """Whose it is; a session that is used lasts on."""
        now = self._clock.now()
        found = self._catalog.accounts.session(token, now)
        if found and now - found.seen_at > TOUCH:
            self._catalog.accounts.seen(token, now, now + LASTS)
        return found
