"""Accounts of the page, their sessions, tokens of programs. Passwords arrive hashed; of a token only the SHA-256 is kept."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from agent import clock
from agent.catalog.base import Store

Role = Literal["inspector", "bureau", "operator"]
ROLES: tuple[Role, ...] = ("inspector", "bureau", "operator")


@dataclass(frozen=True, slots=True)
class Account:
    """inspector: watches and cuts. bureau: also reads the audit. operator: also manages the box. Nobody deletes video."""

    name: str
    role: Role
    password: str


@dataclass(frozen=True, slots=True)
class SignedIn:
    name: str
    role: Role
    csrf: str
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class Token:
    """A program's key to the API, as far as it may be shown."""

    name: str
    role: Role
    expires_at: datetime


class Accounts:
    def __init__(self, store: Store) -> None:
        self._store = store

    def put(self, name: str, role: Role, password: str, at: datetime) -> None:
        """Make an account, or give it a new role and password; `password` is its hash. Its sessions end."""
        with self._store.write() as db:
            db.execute(
                "insert into accounts values (?, ?, ?, ?) on conflict (name) do update set role = excluded.role,"
                " password = excluded.password",
                [name, role, password, clock.stamp(at)],
            )
            db.execute("delete from sessions where name = ?", [name])

    def get(self, name: str) -> Account | None:
        row = self._store.row("select name, role, password from accounts where name = ?", [name])
        return Account(row["name"], row["role"], row["password"]) if row else None

    def any(self) -> bool:
        return self._store.row("select 1 from accounts limit 1") is not None

    def sign_in(self, token: str, name: str, csrf: str, now: datetime, until: datetime) -> None:
        """Begin a session; those that are over go."""
        with self._store.write() as db:
            db.execute("delete from sessions where expires_at <= ?", [clock.stamp(now)])
            db.execute(
                "insert into sessions values (?, ?, ?, ?, ?)",
                [_hash(token), name, csrf, clock.stamp(until), clock.stamp(now)],
            )

    def session(self, token: str, now: datetime) -> SignedIn | None:
        """Whose session a token is, if it is still good."""
        row = self._store.row(
            "select s.name, a.role, s.csrf, s.seen_at from sessions s join accounts a on a.name = s.name"
            " where s.token_hash = ? and s.expires_at > ?",
            [_hash(token), clock.stamp(now)],
        )
        return SignedIn(row["name"], row["role"], row["csrf"], clock.parse(row["seen_at"])) if row else None

    def seen(self, token: str, now: datetime, until: datetime) -> None:
        """Somebody is still there: the session lasts until `until`."""
        with self._store.write() as db:
            db.execute(
                "update sessions set seen_at = ?, expires_at = ? where token_hash = ?",
                [clock.stamp(now), clock.stamp(until), _hash(token)],
            )

    def sign_out(self, token: str) -> None:
        with self._store.write() as db:
            db.execute("delete from sessions where token_hash = ?", [_hash(token)])

    def put_token(self, token: str, name: str, role: Role, now: datetime, until: datetime) -> None:
        """Give a program its token; one of the same name ends. Those that are over go."""
        with self._store.write() as db:
            db.execute("delete from tokens where expires_at <= ? or name = ?", [clock.stamp(now), name])
            db.execute(
                "insert into tokens values (?, ?, ?, ?, ?)",
                [_hash(token), name, role, clock.stamp(now), clock.stamp(until)],
            )

    def token(self, token: str, now: datetime) -> Token | None:
        """Whose it is, if it is still good."""
        row = self._store.row(
            "select name, role, expires_at from tokens where token_hash = ? and expires_at > ?",
            [_hash(token), clock.stamp(now)],
        )
        return Token(row["name"], row["role"], clock.parse(row["expires_at"])) if row else None

    def drop_token(self, name: str) -> bool:
        """End a program's token; False where there was none."""
        with self._store.write() as db:
            return bool(db.execute("delete from tokens where name = ?", [name]).rowcount)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
