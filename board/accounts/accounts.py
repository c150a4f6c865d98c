"""Accounts of the board, their sessions, and API tokens of programs. Every change stands in the audit."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, delete, insert, select, update

from agent.core.account_model import AccountRow, ApiToken, SignedInUser
from agent.core.clock import format_utc, parse_time
from agent.core.errors import InputError
from board.accounts.audit import BoardAudit
from board.accounts.roles import CLERK, INSPECTOR
from board.store.database import Database
from board.store.tables import accounts, sessions, tokens


class BoardAccounts:
    """Tables `accounts`, `sessions` and `tokens`. Raises StoreError; of a token only the SHA-256 is stored."""

    def __init__(self, database: Database, audit: BoardAudit) -> None:
        self._database = database
        self._audit = audit

    def put(self, name: str, role: str | None, password: str, at: datetime, by: str) -> AccountRow:
        """Create an account, or set password and role of an existing one; its sessions end.

        `role` None keeps the present role; a new account becomes an inspector. Raises InputError if the account is
        disabled, if its name differs from another only in case, or if no clerk would remain.
        """
        with self._database.write() as connection:
            known = _find(connection, name)
            if known and known.disabled_at:
                raise InputError("accounts.disabled", name=name)
            given = role or (known.role if known else INSPECTOR)
            values: dict[str, object] = {"role": given, "password": password, "must_change": True}
            if known is None:
                _refuse_alike(connection, name)
                values |= {"name": name, "created_at": format_utc(at), "created_by": by}
                connection.execute(insert(accounts).values(**values))
                self._audit.add_in(connection, at, by, "account", name, {"act": "made", "role": given})
            else:
                _keep_a_clerk(connection, known, given)
                connection.execute(update(accounts).where(accounts.c.name == name).values(**values))
                connection.execute(delete(sessions).where(sessions.c.name == name))
                act = "reset" if given == known.role else "role"
                self._audit.add_in(connection, at, by, "account", name, {"act": act, "role": given})
            return _get(connection, name)

    def set_institution(self, name: str, institution: str, at: datetime, by: str) -> None:
        """Set whose classes alone an account sees; empty: the whole county's. Raises InputError if it is unknown."""
        with self._database.write() as connection:
            _get(connection, name)
            connection.execute(update(accounts).where(accounts.c.name == name).values(institution=institution))
            self._audit.add_in(connection, at, by, "account", name, {"institution": institution})

    def get(self, name: str) -> AccountRow | None:
        """Return an account; None where there is none of this name."""
        with self._database.read() as connection:
            return _find(connection, name)

    def the(self, name: str) -> AccountRow:
        """Return an account. Raises InputError where there is none of this name."""
        with self._database.read() as connection:
            return _get(connection, name)

    def all(self) -> list[AccountRow]:
        """Return all accounts, by name."""
        with self._database.read() as connection:
            return _list(connection)

    def any(self) -> bool:
        """Return whether there is an account."""
        with self._database.read() as connection:
            return connection.execute(select(accounts.c.name).limit(1)).first() is not None

    def disable(self, name: str, at: datetime, by: str) -> AccountRow:
        """Disable an account; its sessions and its token end at once. Raises InputError, also for the last clerk's."""
        with self._database.write() as connection:
            known = _get(connection, name)
            if known.disabled_at is None:
                _keep_a_clerk(connection, known, None)
                connection.execute(update(accounts).where(accounts.c.name == name).values(disabled_at=format_utc(at)))
                connection.execute(delete(sessions).where(sessions.c.name == name))
                connection.execute(delete(tokens).where(tokens.c.name == name))
                self._audit.add_in(connection, at, by, "account.disable", name)
            return _get(connection, name)

    def enable(self, name: str, at: datetime, by: str) -> AccountRow:
        """Enable a disabled account with its old password. Raises InputError if it is unknown."""
        with self._database.write() as connection:
            if _get(connection, name).disabled_at is not None:
                connection.execute(update(accounts).where(accounts.c.name == name).values(disabled_at=None))
                self._audit.add_in(connection, at, by, "account.enable", name)
            return _get(connection, name)

    def own_password(self, account: AccountRow, password: str, at: datetime, by: str) -> bool:
        """Store the hash that the user set; return False if the account was changed since it was read."""
        with self._database.write() as connection:
            same = _is_as_read(account)
            done = connection.execute(
                update(accounts).where(*same).values(password=password, must_change=False)
            ).rowcount
            if done:
                connection.execute(delete(sessions).where(sessions.c.name == account.name))
                self._audit.add_in(connection, at, by, "password", account.name)
            return bool(done)

    def sign_in(self, token: str, account: AccountRow, csrf: str, now: datetime, until: datetime) -> bool:
        """Create a session and delete expired ones; return False if the account was changed meanwhile."""
        with self._database.write() as connection:
            connection.execute(delete(sessions).where(sessions.c.expires_at <= format_utc(now)))
            done = connection.execute(
                update(accounts).where(*_is_as_read(account)).values(used_at=format_utc(now))
            ).rowcount
            if done:
                row = {"token_hash": _hash(token), "name": account.name, "csrf": csrf}
                connection.execute(
                    insert(sessions).values(**row, expires_at=format_utc(until), seen_at=format_utc(now))
                )
            return bool(done)

    def session(self, token: str, now: datetime) -> SignedInUser | None:
        """Return the user of a session; None if it is unknown or expired, or the account disabled."""
        query = select(
            sessions.c.name, accounts.c.role, sessions.c.csrf, sessions.c.seen_at, accounts.c.must_change,
            accounts.c.institution,
        ).select_from(sessions.join(accounts, accounts.c.name == sessions.c.name)).where(
            sessions.c.token_hash == _hash(token), sessions.c.expires_at > format_utc(now), accounts.c.disabled_at.is_(None)
        )  # fmt: skip
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        return SignedInUser(row.name, row.role, row.csrf, parse_time(row.seen_at), row.must_change, row.institution)

    def list_living(self, given: Iterable[str], now: datetime) -> set[str]:
        """Return which of some tokens are of sessions that are still valid."""
        hashes = {_hash(token): token for token in given}
        query = select(sessions.c.token_hash).join(accounts, accounts.c.name == sessions.c.name)
        query = query.where(
            sessions.c.token_hash.in_(sorted(hashes)),
            sessions.c.expires_at > format_utc(now),
            accounts.c.disabled_at.is_(None),
        )
        with self._database.read() as connection:
            return {hashes[found] for found in connection.execute(query).scalars()}

    def seen(self, token: str, now: datetime, until: datetime) -> None:
        """Extend a session to `until`."""
        with self._database.write() as connection:
            mine = sessions.c.token_hash == _hash(token)
            connection.execute(
                update(sessions).where(mine).values(seen_at=format_utc(now), expires_at=format_utc(until))
            )
            owner = select(sessions.c.name).where(mine).scalar_subquery()
            connection.execute(update(accounts).where(accounts.c.name == owner).values(used_at=format_utc(now)))

    def sign_out(self, token: str) -> None:
        """End a session."""
        with self._database.write() as connection:
            connection.execute(delete(sessions).where(sessions.c.token_hash == _hash(token)))

    def put_token(self, token: str, name: str, role: str, now: datetime, until: datetime, by: str) -> None:
        """Store the API token of the account `name`, replacing an older one; expired tokens are deleted.

        It may what the account may, also after a change of role or institution; `role` is the one at making.
        """
        with self._database.write() as connection:
            connection.execute(delete(tokens).where(tokens.c.expires_at <= format_utc(now)))
            connection.execute(delete(tokens).where(tokens.c.name == name))
            row = {"token_hash": _hash(token), "name": name, "role": role, "created_at": format_utc(now)}
            connection.execute(insert(tokens).values(**row, created_by=by, expires_at=format_utc(until)))
            self._audit.add_in(connection, now, by, "token", name, {"role": role, "until": format_utc(until)})

    def token(self, token: str, now: datetime) -> ApiToken | None:
        """Return an API token; None if it is unknown or expired, or its account disabled."""
        query = _select_tokens(now).where(tokens.c.token_hash == _hash(token))
        with self._database.read() as connection:
            row = connection.execute(query).mappings().one_or_none()
        return _to_token(row) if row else None

    def tokens(self, now: datetime) -> list[ApiToken]:
        """Return the tokens that have not expired, by name."""
        query = _select_tokens(now).order_by(tokens.c.name)
        with self._database.read() as connection:
            return [_to_token(row) for row in connection.execute(query).mappings()]

    def token_used(self, token: str, now: datetime) -> None:
        """Note when a token was used."""
        with self._database.write() as connection:
            connection.execute(
                update(tokens).where(tokens.c.token_hash == _hash(token)).values(used_at=format_utc(now))
            )

    def drop_token(self, name: str, at: datetime, by: str) -> bool:
        """Revoke an API token; return False if there is none of this name."""
        with self._database.write() as connection:
            done = connection.execute(delete(tokens).where(tokens.c.name == name)).rowcount
            if done:
                self._audit.add_in(connection, at, by, "token.revoke", name)
            return bool(done)


def _select_tokens(now: datetime) -> Select[Any]:
    """Return the query of the valid tokens, with role and institution of their accounts as they are now."""
    columns = [column for column in tokens.c if column.name != "role"]
    query = select(*columns, accounts.c.role, accounts.c.institution).join_from(
        tokens, accounts, accounts.c.name == tokens.c.name
    )
    return query.where(tokens.c.expires_at > format_utc(now), accounts.c.disabled_at.is_(None))


def _find(connection: Connection, name: str) -> AccountRow | None:
    row = connection.execute(select(accounts).where(accounts.c.name == name)).mappings().one_or_none()
    return _to_account(row) if row else None


def _get(connection: Connection, name: str) -> AccountRow:
    found = _find(connection, name)
    if found is None:
        raise InputError("board.unknown_account", name=repr(name)[1:-1][:64])
    return found


def _list(connection: Connection) -> list[AccountRow]:
    return [_to_account(row) for row in connection.execute(select(accounts).order_by(accounts.c.name)).mappings()]


def _is_as_read(account: AccountRow) -> tuple[ColumnElement[bool], ...]:
    return (
        accounts.c.name == account.name,
        accounts.c.password == account.password,
        accounts.c.disabled_at.is_(None),
    )


def _refuse_alike(connection: Connection, name: str) -> None:
    """Raise InputError for a name that differs only in case: `Wang` and `wang` would be confused in the audit."""
    other = next((a.name for a in _list(connection) if a.name.casefold() == name.casefold()), None)
    if other is not None:
        raise InputError("accounts.alike", name=name, other=other)


def _keep_a_clerk(connection: Connection, account: AccountRow, role: str | None) -> None:
    """Raise InputError if after the change no enabled account could manage the others."""
    left = [a.role for a in _list(connection) if a.disabled_at is None and a.name != account.name] + [role]
    if account.role == CLERK and CLERK not in left:
        raise InputError("board.last_clerk", name=account.name)


def _to_account(row: RowMapping) -> AccountRow:
    return AccountRow(
        row["name"],
        row["role"],
        row["password"],
        parse_time(row["created_at"]),
        row["created_by"],
        parse_time(row["used_at"]) if row["used_at"] else None,
        parse_time(row["disabled_at"]) if row["disabled_at"] else None,
        row["must_change"],
        row["institution"],
    )


def _to_token(row: RowMapping) -> ApiToken:
    return ApiToken(
        row["name"],
        row["role"],
        parse_time(row["expires_at"]),
        parse_time(row["created_at"]),
        row["created_by"],
        parse_time(row["used_at"]) if row["used_at"] else None,
        row["institution"],
    )


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
