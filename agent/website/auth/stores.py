"""What sign-in, sessions and the audit need of a program's database."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from agent.core.account_model import AccountRow, ApiToken, SignedInUser
from agent.core.audit_chain import AuditEntry


class AccountStore(Protocol):
    """Accounts, sessions and API tokens. `by` names who made a change; passwords arrive hashed."""

    def put(self, name: str, role: str | None, password: str, at: datetime, by: str) -> AccountRow:
        """Create an account, or set password and role of an existing one; its sessions end. Raises InputError."""

    def get(self, name: str) -> AccountRow | None: ...

    def the(self, name: str) -> AccountRow:
        """Return the account of this name. Raises InputError if it does not exist."""

    def all(self) -> list[AccountRow]: ...

    def any(self) -> bool: ...

    def disable(self, name: str, at: datetime, by: str) -> AccountRow:
        """Disable an account; its sessions end at once. Raises InputError."""

    def enable(self, name: str, at: datetime, by: str) -> AccountRow:
        """Enable a disabled account with its old password. Raises InputError."""

    def own_password(self, account: AccountRow, password: str, at: datetime, by: str) -> bool:
        """Store the hash that the user set; return False if the account was changed since it was read."""

    def sign_in(self, token: str, account: AccountRow, csrf: str, now: datetime, until: datetime) -> bool:
        """Create a session; return False if the account was changed while its password was being checked."""

    def session(self, token: str, now: datetime) -> SignedInUser | None: ...

    def seen(self, token: str, now: datetime, until: datetime) -> None:
        """Extend an active session to `until`."""

    def sign_out(self, token: str) -> None: ...

    def put_token(self, token: str, name: str, role: str, now: datetime, until: datetime, by: str) -> None: ...

    def token(self, token: str, now: datetime) -> ApiToken | None: ...

    def tokens(self, now: datetime) -> list[ApiToken]: ...

    def token_used(self, token: str, now: datetime) -> None: ...


class OriginStore(Protocol):
    """Addresses from which each account has signed in."""

    def add(self, name: str, origin: str, at: datetime) -> None: ...

    def known(self, name: str, origin: str, now: datetime) -> bool: ...


class AuditStore(Protocol):
    """The chained audit."""

    def add(
        self, at: datetime, who: str, action: str, object_: str = "", detail: Mapping[str, object] | None = None
    ) -> AuditEntry: ...

    def head(self) -> str: ...

    def recent(self, limit: int = 100, before: int | None = None) -> list[AuditEntry]: ...

    def verify(self) -> int | None:
        """Check the whole chain; return the number of the first entry that does not fit, or None."""

    def verify_new(self) -> int | None:
        """Check what this process has not checked before."""
