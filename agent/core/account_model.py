"""Accounts of people and programs who use pages, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

COMMAND_ACTOR = "shell"
"""Actor of a change made with a command; for a change made on the page the actor is `account@address`."""


@dataclass(frozen=True, slots=True)
class AccountRow:
    """One account; `role` is one of those that the program (page or board) has.

    `password` is the hash. `must_change`: another person has seen the password, so the user must set a new one.
    `institution`: whose classes alone the user sees; empty: all.
    """

    name: str
    role: str
    password: str = field(repr=False)
    created_at: datetime
    created_by: str
    used_at: datetime | None
    disabled_at: datetime | None
    must_change: bool
    institution: str = ""


@dataclass(frozen=True, slots=True)
class SignedInUser:
    """The user of a valid login session. `csrf`: the session's CSRF token. `seen_at`: its last request.

    `institution` as in AccountRow.
    """

    name: str
    role: str
    csrf: str
    seen_at: datetime
    must_change: bool = False
    institution: str = ""


@dataclass(frozen=True, slots=True)
class ApiToken:
    """An API token of a program, without the secret itself. `institution` as in AccountRow."""

    name: str
    role: str
    expires_at: datetime
    created_at: datetime
    created_by: str
    used_at: datetime | None
    institution: str = ""
