"""Accounts of the web page, their login sessions, and API tokens of programs.

Passwords arrive hashed; of a token only the SHA-256 is stored. Every change of an account or a token is reported to the
bureau in the same transaction (account_changes.py); `by` names who made the change.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Literal

from agent.catalog.account_changes import AccountAction, AccountNotifier
from agent.catalog.base import CatalogStore, Row, parse_moment
from agent.core import clock as clocks
from agent.core.account_model import AccountRow, ApiToken, SignedInUser
from agent.core.errors import InputError

Role = Literal["inspector", "bureau", "operator"]
ROLES: tuple[Role, ...] = ("inspector", "bureau", "operator")
"""`inspector` views and cuts video; `bureau` also reads the audit and manages accounts; `operator` also manages the box.

No role may delete video.
"""


def may_manage(role: str, other: str) -> bool:
    """Return whether `role` may manage accounts of role `other`.

    The bureau manages all accounts. The institution (operator) manages its own, but not those of its inspectors.
    """
    return role == "bureau" or (role == "operator" and other == "operator")


class Accounts:
    """Tables `accounts`, `sessions` and `tokens`."""

    def __init__(self, store: CatalogStore, changed: AccountNotifier) -> None:
        self._store = store
        self._changed = changed

    def put(self, name: str, role: str | None, password: str, at: datetime, by: str) -> AccountRow:
        """Create an account, or set password and role of an existing one; its sessions end.

        `password` is the hash. `role` None keeps the present role; a new account becomes an inspector. Raises InputError if
        the account is disabled, if its name differs from another only in case, or if no account that can manage accounts
        would remain.
        """
        with self._store.write() as db:
            known = self.get(name)
            if known and known.disabled_at:
                raise InputError("accounts.disabled", name=name)
            given = role or (known.role if known else "inspector")
            if known is None:
                self._refuse_alike(name)
                db.execute(
                    "insert into accounts (name, role, password, created_at, created_by, must_change)"
                    " values (?, ?, ?, ?, ?, 1)",
                    [name, given, password, clocks.format_utc(at), by],
                )
                self._changed.report("made", name, given, by, at)
            else:
                self._keep_a_manager(known, given)
                db.execute(
                    "update accounts set role = ?, password = ?, must_change = 1 where name = ?",
                    [given, password, name],
                )
                db.execute("delete from sessions where name = ?", [name])
                if given == known.role:
                    self._changed.report("reset", name, given, by, at)
                else:
                    self._changed.report("role", name, given, by, at, before=known.role)
            made = self.get(name)
            assert made is not None
            return made

    def get(self, name: str) -> AccountRow | None:
        row = self._store.row("select * from accounts where name = ?", [name])
        return _to_account(row) if row else None

    def the(self, name: str) -> AccountRow:
        """Return the account of this name. Raises InputError if it does not exist."""
        found = self.get(name)
        if found is None:
            raise InputError("accounts.unknown", name=repr(name)[1:-1][:64])
        return found

    def all(self) -> list[AccountRow]:
        """Return all accounts, sorted by name."""
        return [_to_account(row) for row in self._store.rows("select * from accounts order by name")]

    def any(self) -> bool:
        return self._store.row("select 1 from accounts limit 1") is not None

    def disable(self, name: str, at: datetime, by: str) -> AccountRow:
        """Disable an account: it cannot log in any more, and its sessions end at once.

        Raises InputError if it is unknown or the last account that can manage accounts.
        """
        with self._store.write() as db:
            known = self.the(name)
            if known.disabled_at is None:
                self._keep_a_manager(known, None)
                db.execute("update accounts set disabled_at = ? where name = ?", [clocks.format_utc(at), name])
                db.execute("delete from sessions where name = ?", [name])
                self._changed.report("disabled", name, known.role, by, at)
            return self.the(name)

    def enable(self, name: str, at: datetime, by: str) -> AccountRow:
        """Enable a disabled account again, with its old password. Raises InputError if it is unknown."""
        with self._store.write() as db:
            known = self.the(name)
            if known.disabled_at is not None:
                db.execute("update accounts set disabled_at = null where name = ?", [name])
                self._changed.report("enabled", name, known.role, by, at)
            return self.the(name)

    def own_password(self, account: AccountRow, password: str, at: datetime, by: str) -> bool:
        """Store the password hash that the user set for the own account; all its sessions end.

        Returns False if the account was changed since `account` was read.
        """
        with self._store.write() as db:
            done = db.execute(
                "update accounts set password = ?, must_change = 0 where name = ? and password = ? and disabled_at is null",
                [password, account.name, account.password],
            ).rowcount
            if done:
                db.execute("delete from sessions where name = ?", [account.name])
                self._changed.record("password", account.name, by, at)
            return bool(done)

    def sign_in(self, token: str, account: AccountRow, csrf: str, now: datetime, until: datetime) -> bool:
        """Create a login session and delete expired ones.

        Returns False if the account was changed while its password was being checked.
        """
        with self._store.write() as db:
            db.execute("delete from sessions where expires_at <= ?", [clocks.format_utc(now)])
            done = db.execute(
                "update accounts set used_at = ? where name = ? and password = ? and disabled_at is null",
                [clocks.format_utc(now), account.name, account.password],
            ).rowcount
            if done:
                db.execute(
                    "insert into sessions values (?, ?, ?, ?, ?)",
                    [_hash_token(token), account.name, csrf, clocks.format_utc(until), clocks.format_utc(now)],
                )
            return bool(done)

    def session(self, token: str, now: datetime) -> SignedInUser | None:
        """Return the user of a session token; None if the session is unknown or expired, or the account disabled."""
        row = self._store.row(
            "select s.name, a.role, s.csrf, s.seen_at, a.must_change from sessions s join accounts a on a.name = s.name"
            " where s.token_hash = ? and s.expires_at > ? and a.disabled_at is null",
            [_hash_token(token), clocks.format_utc(now)],
        )
        if row is None:
            return None
        return SignedInUser(
            row["name"], row["role"], row["csrf"], clocks.parse_time(row["seen_at"]), bool(row["must_change"])
        )

    def seen(self, token: str, now: datetime, until: datetime) -> None:
        """Extend an active session to `until` and update the account's last use."""
        with self._store.write() as db:
            db.execute(
                "update sessions set seen_at = ?, expires_at = ? where token_hash = ?",
                [clocks.format_utc(now), clocks.format_utc(until), _hash_token(token)],
            )
            db.execute(
                "update accounts set used_at = ? where name = (select name from sessions where token_hash = ?)",
                [clocks.format_utc(now), _hash_token(token)],
            )

    def sign_out(self, token: str) -> None:
        with self._store.write() as db:
            db.execute("delete from sessions where token_hash = ?", [_hash_token(token)])

    def put_token(self, token: str, name: str, role: str, now: datetime, until: datetime, by: str) -> None:
        """Store an API token, replacing one of the same name; expired tokens are deleted."""
        with self._store.write() as db:
            db.execute("delete from tokens where expires_at <= ?", [clocks.format_utc(now)])
            replaced = db.execute("delete from tokens where name = ?", [name]).rowcount
            db.execute(
                "insert into tokens (token_hash, name, role, created_at, expires_at, created_by) values (?, ?, ?, ?, ?, ?)",
                [_hash_token(token), name, role, clocks.format_utc(now), clocks.format_utc(until), by],
            )
            act: AccountAction = "token_replaced" if replaced else "token_made"
            self._changed.report(act, name, role, by, now, until=clocks.format_utc(until))

    def token(self, token: str, now: datetime) -> ApiToken | None:
        """Return the record of an API token; None if it is unknown or expired."""
        row = self._store.row(
            "select * from tokens where token_hash = ? and expires_at > ?", [_hash_token(token), clocks.format_utc(now)]
        )
        return _to_token(row) if row else None

    def tokens(self, now: datetime) -> list[ApiToken]:
        """Return the tokens that have not expired, sorted by name."""
        rows = self._store.rows("select * from tokens where expires_at > ? order by name", [clocks.format_utc(now)])
        return [_to_token(row) for row in rows]

    def token_used(self, token: str, now: datetime) -> None:
        with self._store.write() as db:
            db.execute(
                "update tokens set used_at = ? where token_hash = ?", [clocks.format_utc(now), _hash_token(token)]
            )

    def drop_token(self, name: str, at: datetime, by: str) -> bool:
        """Revoke an API token; return False if there is none of this name."""
        with self._store.write() as db:
            row = self._store.row("select role from tokens where name = ?", [name])
            if row:
                db.execute("delete from tokens where name = ?", [name])
                self._changed.report("token_revoked", name, row["role"], by, at)
            return row is not None

    def _refuse_alike(self, name: str) -> None:
        """Raise InputError for a name that differs only in case: `Wang` and `wang` would be confused in the audit."""
        other = next((a.name for a in self.all() if a.name.casefold() == name.casefold()), None)
        if other is not None:
            raise InputError("accounts.alike", name=name, other=other)

    def _keep_a_manager(self, account: AccountRow, role: str | None) -> None:
        """Raise InputError if after the change no enabled account could manage accounts of this role.

        `role`: the account's new role; None if it is disabled.
        """
        left = [a.role for a in self.all() if a.disabled_at is None and a.name != account.name]
        left += [role] if role else []
        if may_manage(account.role, account.role) and not any(may_manage(r, account.role) for r in left):
            raise InputError(f"accounts.last_{account.role}", name=account.name)


def _to_account(row: Row) -> AccountRow:
    return AccountRow(
        row["name"],
        row["role"],
        row["password"],
        clocks.parse_time(row["created_at"]),
        row["created_by"],
        parse_moment(row["used_at"]),
        parse_moment(row["disabled_at"]),
        bool(row["must_change"]),
    )


def _to_token(row: Row) -> ApiToken:
    return ApiToken(
        row["name"],
        row["role"],
        clocks.parse_time(row["expires_at"]),
        clocks.parse_time(row["created_at"]),
        row["created_by"],
        parse_moment(row["used_at"]),
    )


def _hash_token(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
