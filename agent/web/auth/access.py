"""Authentication: argon2 passwords, throttled sign-in, sessions in the catalog, a CSRF token for each."""

from __future__ import annotations

import re
import secrets
import unicodedata
from datetime import datetime, timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from agent.catalog import Catalog
from agent.catalog.account_changes import COMMAND_ACTOR
from agent.catalog.accounts import AccountRow, ApiToken, Role, SignedInUser
from agent.core.clock import Clock
from agent.core.errors import InputError
from agent.web.http.throttle import SignInThrottle, identify_sender

LASTS = timedelta(hours=2)
TOUCH = timedelta(minutes=5)
SHORTEST_PASSWORD = 10
LONGEST_PASSWORD = 200
_ALPHABET = "abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # without characters that look alike
_NAME = re.compile(r"\w[\w.\-]{0,31}\Z")


def generate_password() -> str:
    """Return sixteen random characters that a person can read off a screen (93 bits)."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(16))


def normalise_name(text: str) -> str:
    """Normalise a typed name; an input method may have made its letters full-width."""
    return unicodedata.normalize("NFKC", text.strip())[:64]


def check_account_name(text: str) -> str:
    """Check a name for a new account or token. Raises InputError."""
    name = normalise_name(text)
    if not _NAME.match(name):
        raise InputError("accounts.bad_name", name=repr(text)[1:-1][:64])
    return name


def check_password(account: AccountRow, old: str, new: str) -> None:
    """Refuse a password that is easy to guess. Raises InputError."""
    if not SHORTEST_PASSWORD <= len(new) <= LONGEST_PASSWORD:
        raise InputError("accounts.password_length", least=SHORTEST_PASSWORD, most=LONGEST_PASSWORD)
    if new == old:
        raise InputError("accounts.password_same")
    rest = new.casefold().replace(account.name.casefold(), "")
    if len(set(new)) < 4 or len(rest) < SHORTEST_PASSWORD // 2:
        raise InputError("accounts.password_simple")


class Authenticator:
    """Accounts and sessions as the page uses them. Threads may share it."""

    def __init__(self, catalog: Catalog, clock: Clock) -> None:
        self._catalog = catalog
        self._clock = clock
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
        # an unknown name is checked against this hash, so that it takes as long as a known one
        self._nobody = self._hasher.hash(secrets.token_hex())
        self.throttle = SignInThrottle(clock, lambda name, where: catalog.origins.known(name, where, clock.now()))

    def make(self, name: str, role: Role | None = None, by: str = COMMAND_ACTOR) -> str:
        """Make an account or give it a new password; return the password, which is stored nowhere else.

        Whoever signs in with it must choose a new one. `role` None keeps an account's role. Raises InputError.
        """
        password = generate_password()
        self._catalog.accounts.put(name, role, self._hasher.hash(password), self._clock.now(), by)
        return password

    def make_token(self, name: str, role: Role, days: int, by: str = COMMAND_ACTOR) -> tuple[str, datetime]:
        """Make a token for a program; return it and its expiry. It is stored nowhere else."""
        token, now = secrets.token_urlsafe(32), self._clock.now()
        until = now + timedelta(days=days)
        self._catalog.accounts.put_token(token, name, role, now, until, by)
        return token, until

    def sign_in(self, name: str, password: str, address: str) -> str | None:
        """Begin a session and return its token; None: wrong name or password.

        Raises Throttled where the password is not checked now, InputError where the password is right and the account disabled.
        """
        account = self._catalog.accounts.get(name)
        if not self._matches(name, account, password, address) or account is None:
            return None
        if account.disabled_at is not None:
            raise InputError("accounts.you_are_disabled", name=account.name)
        self._catalog.origins.add(name, identify_sender(address), self._clock.now())
        return self._begin(account)

    def change_password(self, me: SignedInUser, old: str, new: str, address: str) -> str | None:
        """Change the own password and end all sessions; return the token of a new one. None: the old one is wrong.

        Raises Throttled where the password is not checked now, InputError where the new one is not acceptable.
        """
        account = self._catalog.accounts.the(me.name)
        if not self._matches(me.name, account, old, address):
            return None
        check_password(account, old, new)
        hashed = self._hasher.hash(new)
        if not self._catalog.accounts.own_password(account, hashed, self._clock.now(), f"{me.name}@{address}"):
            return None
        return self._begin(self._catalog.accounts.the(me.name))

    def _matches(self, name: str, account: AccountRow | None, password: str, address: str) -> bool:
        """Whether it is the account's password. Raises Throttled."""
        with self.throttle.turn(name, address) as passed:
            try:
                self._hasher.verify(account.password if account else self._nobody, password)
            except (VerificationError, InvalidHashError):
                account = None
            if account is None:
                return False
            passed()
        return True

    def _begin(self, account: AccountRow) -> str | None:
        token, now = secrets.token_urlsafe(32), self._clock.now()
        begun = self._catalog.accounts.sign_in(token, account, secrets.token_urlsafe(32), now, now + LASTS)
        return token if begun else None

    def token(self, text: str) -> ApiToken | None:
        """Return whose API token it is, if it is still valid, and record its use."""
        now = self._clock.now()
        found = self._catalog.accounts.token(text, now)
        if found and (found.used_at is None or now - found.used_at > TOUCH):
            self._catalog.accounts.token_used(text, now)
        return found

    def session(self, token: str) -> SignedInUser | None:
        """Return whose session it is, if it is still valid; use prolongs it."""
        now = self._clock.now()
        found = self._catalog.accounts.session(token, now)
        if found and now - found.seen_at > TOUCH:
            self._catalog.accounts.seen(token, now, now + LASTS)
        return found
