"""Accounts of the page, their sessions, tokens of programs. Passwords arrive hashed; of a token only the SHA-256 is kept.

Whatever changes an account or a token tells the bureau in the same transaction (account_changes.py); `by` says who did it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from agent import clock as clocks
from agent.catalog.account_changes import Act, Changed
from agent.catalog.base import Row, Store, moment
from agent.errors import InputError

Role = Literal["inspector", "bureau", "operator"]
ROLES: tuple[Role, ...] = ("inspector", "bureau", "operator")


@dataclass(frozen=True, slots=True)
class Account:
    """inspector: watches and cuts. bureau: also reads the audit and manages accounts. operator: also manages the box.

    Nobody deletes video. `must_change`: the password is one that somebody else has read.
    """

    name: str
    role: Role
    password: str = field(repr=False)
    created_at: datetime
    created_by: str
    used_at: datetime | None
    disabled_at: datetime | None
    must_change: bool


@dataclass(frozen=True, slots=True)
class SignedIn:
    name: str
    role: Role
    csrf: str
    seen_at: datetime
    must_change: bool = False


@dataclass(frozen=True, slots=True)
class Token:
    """A program's key to the API, as far as it may be shown."""

    name: str
    role: Role
    expires_at: datetime
    created_at: datetime
    created_by: str
    used_at: datetime | None


def may_manage(role: Role, other: Role) -> bool:
    """The bureau manages all accounts; the institution its own, and never those of who inspects it."""
    return role == "bureau" or (role == "operator" and other == "operator")


class Accounts:
    def __init__(self, store: Store, changed: Changed) -> None:
        self._store = store
        self._changed = changed

    def put(self, name: str, role: Role | None, password: str, at: datetime, by: str) -> Account:
        """Make an account, or give it a new password and role (None: its own, else inspector); `password` is its hash.

        Its sessions end. Raises InputError where it is disabled, is too like another, or the last that manages would go.
        """
        with self._store.write() as db:
            known = self.get(name)
            if known and known.disabled_at:
                raise InputError("accounts.disabled", name=name)
            given: Role = role or (known.role if known else "inspector")
            if known is None:
                self._refuse_alike(name)
                db.execute(
                    "insert into accounts (name, role, password, created_at, created_by, must_change)"
                    " values (?, ?, ?, ?, ?, 1)",
                    [name, given, password, clocks.stamp(at), by],
                )
                self._changed.tell("made", name, given, by, at)
            else:
                self._keep_a_manager(known, given)
                db.execute(
                    "update accounts set role = ?, password = ?, must_change = 1 where name = ?",
                    [given, password, name],
                )
                db.execute("delete from sessions where name = ?", [name])
                if given == known.role:
                    self._changed.tell("reset", name, given, by, at)
                else:
                    self._changed.tell("role", name, given, by, at, before=known.role)
            made = self.get(name)
            assert made is not None
            return made

    def get(self, name: str) -> Account | None:
        row = self._store.row("select * from accounts where name = ?", [name])
        return _account(row) if row else None

    def the(self, name: str) -> Account:
        """Raises InputError where there is none of this name."""
        found = self.get(name)
        if found is None:
            raise InputError("accounts.unknown", name=repr(name)[1:-1][:64])
        return found

    def all(self) -> list[Account]:
        """By name."""
        return [_account(row) for row in self._store.rows("select * from accounts order by name")]

    def any(self) -> bool:
        return self._store.row("select 1 from accounts limit 1") is not None

    def disable(self, name: str, at: datetime, by: str) -> Account:
        """Nobody signs in with it any more; its sessions end at once. Raises InputError: unknown, the last that manages."""
        with self._store.write() as db:
            known = self.the(name)
            if known.disabled_at is None:
                self._keep_a_manager(known, None)
                db.execute("update accounts set disabled_at = ? where name = ?", [clocks.stamp(at), name])
                db.execute("delete from sessions where name = ?", [name])
                self._changed.tell("disabled", name, known.role, by, at)
            return self.the(name)

    def enable(self, name: str, at: datetime, by: str) -> Account:
        """It signs in again, with the password that it had. Raises InputError where it is not known."""
        with self._store.write() as db:
            known = self.the(name)
            if known.disabled_at is not None:
                db.execute("update accounts set disabled_at = null where name = ?", [name])
                self._changed.tell("enabled", name, known.role, by, at)
            return self.the(name)

    def own_password(self, account: Account, password: str, at: datetime, by: str) -> bool:
        """The person's own password (its hash) takes the place of the one in `account`; all sessions end.

        False where somebody has changed the account meanwhile.
        """
        with self._store.write() as db:
            done = db.execute(
                "update accounts set password = ?, must_change = 0 where name = ? and password = ? and disabled_at is null",
                [password, account.name, account.password],
            ).rowcount
            if done:
                db.execute("delete from sessions where name = ?", [account.name])
                self._changed.note("password", account.name, by, at)
            return bool(done)

    def sign_in(self, token: str, account: Account, csrf: str, now: datetime, until: datetime) -> bool:
        """Begin a session; those that are over go. False where the account was changed while its password was checked."""
        with self._store.write() as db:
            db.execute("delete from sessions where expires_at <= ?", [clocks.stamp(now)])
            done = db.execute(
                "update accounts set used_at = ? where name = ? and password = ? and disabled_at is null",
                [clocks.stamp(now), account.name, account.password],
            ).rowcount
            if done:
                db.execute(
                    "insert into sessions values (?, ?, ?, ?, ?)",
                    [_hash(token), account.name, csrf, clocks.stamp(until), clocks.stamp(now)],
                )
            return bool(done)

    def session(self, token: str, now: datetime) -> SignedIn | None:
        """Whose session a token is, if it is still good."""
        row = self._store.row(
            "select s.name, a.role, s.csrf, s.seen_at, a.must_change from sessions s join accounts a on a.name = s.name"
            " where s.token_hash = ? and s.expires_at > ? and a.disabled_at is null",
            [_hash(token), clocks.stamp(now)],
        )
        if row is None:
            return None
        return SignedIn(row["name"], row["role"], row["csrf"], clocks.parse(row["seen_at"]), bool(row["must_change"]))

    def seen(self, token: str, now: datetime, until: datetime) -> None:
        """Somebody is still there: the session lasts until `until`, and its account was used."""
        with self._store.write() as db:
            db.execute(
                "update sessions set seen_at = ?, expires_at = ? where token_hash = ?",
                [clocks.stamp(now), clocks.stamp(until), _hash(token)],
            )
            db.execute(
                "update accounts set used_at = ? where name = (select name from sessions where token_hash = ?)",
                [clocks.stamp(now), _hash(token)],
            )

    def sign_out(self, token: str) -> None:
        with self._store.write() as db:
            db.execute("delete from sessions where token_hash = ?", [_hash(token)])

    def put_token(self, token: str, name: str, role: Role, now: datetime, until: datetime, by: str) -> None:
        """Give a program its token; one of the same name ends. Those that are over go."""
        with self._store.write() as db:
            db.execute("delete from tokens where expires_at <= ?", [clocks.stamp(now)])
            replaced = db.execute("delete from tokens where name = ?", [name]).rowcount
            db.execute(
                "insert into tokens (token_hash, name, role, created_at, expires_at, created_by) values (?, ?, ?, ?, ?, ?)",
                [_hash(token), name, role, clocks.stamp(now), clocks.stamp(until), by],
            )
            act: Act = "token_replaced" if replaced else "token_made"
            self._changed.tell(act, name, role, by, now, until=clocks.stamp(until))

    def token(self, token: str, now: datetime) -> Token | None:
        """Whose it is, if it is still good."""
        row = self._store.row(
            "select * from tokens where token_hash = ? and expires_at > ?", [_hash(token), clocks.stamp(now)]
        )
        return _token(row) if row else None

    def tokens(self, now: datetime) -> list[Token]:
        """Those that are good, by name."""
        rows = self._store.rows("select * from tokens where expires_at > ? order by name", [clocks.stamp(now)])
        return [_token(row) for row in rows]

    def token_used(self, token: str, now: datetime) -> None:
        with self._store.write() as db:
            db.execute("update tokens set used_at = ? where token_hash = ?", [clocks.stamp(now), _hash(token)])

    def drop_token(self, name: str, at: datetime, by: str) -> bool:
        """End a program's token; False where there was none."""
        with self._store.write() as db:
            row = self._store.row("select role from tokens where name = ?", [name])
            if row:
                db.execute("delete from tokens where name = ?", [name])
                self._changed.tell("token_revoked", name, row["role"], by, at)
            return row is not None

    def _refuse_alike(self, name: str) -> None:
        """`Wang` beside `wang` would be taken for the other in an audit."""
        other = next((a.name for a in self.all() if a.name.casefold() == name.casefold()), None)
        if other is not None:
            raise InputError("accounts.alike", name=name, other=other)

    def _keep_a_manager(self, account: Account, role: Role | None) -> None:
        """`role` is what the account is to have, None: it goes. Somebody must be left who manages such accounts."""
        left: list[Role] = [a.role for a in self.all() if a.disabled_at is None and a.name != account.name]
        left += [role] if role else []
        if may_manage(account.role, account.role) and not any(may_manage(r, account.role) for r in left):
            raise InputError(f"accounts.last_{account.role}", name=account.name)


def _account(row: Row) -> Account:
    return Account(
        row["name"], row["role"], row["password"], clocks.parse(row["created_at"]), row["created_by"], moment(row["used_at"]),
        moment(row["disabled_at"]), bool(row["must_change"]),
    )  # fmt: skip


def _token(row: Row) -> Token:
    return Token(
        row["name"], row["role"], clocks.parse(row["expires_at"]), clocks.parse(row["created_at"]), row["created_by"],
        moment(row["used_at"]),
    )  # fmt: skip


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
