"""Who may: passwords by argon2, sign-in throttled, sessions in the catalog, a token against forged requests."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from agent.catalog import Catalog
from agent.catalog.accounts import Role, SignedIn
from agent.clock import Clock
from agent.web.throttle import Throttle, origin

LASTS = timedelta(hours=2)
TOUCH = timedelta(minutes=5)
_ALPHABET = "abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # none that look alike


def new_password() -> str:
    """Sixteen characters that a person can read off a screen (93 bits)."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(16))


class Access:
    """Accounts and sessions as the page uses them. Threads may share it."""

    def __init__(self, catalog: Catalog, clock: Clock) -> None:
        self._catalog = catalog
        self._clock = clock
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
        # what an unknown name is checked against, so that it takes as long as a known one
        self._nobody = self._hasher.hash(secrets.token_hex())
        self.throttle = Throttle(clock, lambda name, where: catalog.origins.known(name, where, clock.now()))

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
        """A session's token, or None: wrong name or password. Raises Throttled where it is not looked at now."""
        account = self._catalog.accounts.get(name)
        with self.throttle.turn(name, address) as passed:
            try:
                self._hasher.verify(account.password if account else self._nobody, password)
            except (VerificationError, InvalidHashError):
                account = None
            if account is None:
                return None
            passed()
        token, now = secrets.token_urlsafe(32), self._clock.now()
        self._catalog.origins.add(name, origin(address), now)
        self._catalog.accounts.sign_in(token, name, secrets.token_urlsafe(32), now, now + LASTS)
        return token

    def session(self, token: str) -> SignedIn | None:
        """Whose it is; a session that is used lasts on."""
        now = self._clock.now()
        found = self._catalog.accounts.session(token, now)
        if found and now - found.seen_at > TOUCH:
            self._catalog.accounts.seen(token, now, now + LASTS)
        return found
