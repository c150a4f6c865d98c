"""Tables of the people who use the board, and of what they did."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Index, String, Table, Text

from board.store.columns import HASH, NUMBER, TIME, metadata

NAME = String(32)

accounts = Table(
    "accounts",
    metadata,
    Column("name", NAME, primary_key=True),
    Column("role", String(16), nullable=False),
    Column("password", Text, nullable=False),  # argon2
    Column("institution", String(200), nullable=False, server_default=""),  # whose classes alone it sees
    Column("created_at", TIME, nullable=False),
    Column("created_by", String(100), nullable=False),
    Column("used_at", TIME),
    Column("disabled_at", TIME),
    Column("must_change", Boolean, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("token_hash", HASH, primary_key=True),
    Column("name", NAME, ForeignKey("accounts.name"), nullable=False),
    Column("csrf", String(64), nullable=False),
    Column("expires_at", TIME, nullable=False),
    Column("seen_at", TIME, nullable=False),
)

tokens = Table(
    "tokens",
    metadata,
    Column("token_hash", HASH, primary_key=True),
    Column("name", NAME, nullable=False, unique=True),
    Column("role", String(16), nullable=False),
    Column("created_at", TIME, nullable=False),
    Column("created_by", String(100), nullable=False),
    Column("expires_at", TIME, nullable=False),
    Column("used_at", TIME),
)

origins = Table(
    "origins",
    metadata,
    Column("name", NAME, primary_key=True),
    Column("origin", String(64), primary_key=True),
    Column("at", TIME, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("id", NUMBER, primary_key=True, autoincrement=False),
    Column("at", TIME, nullable=False),
    Column("who", String(120), nullable=False),
    Column("action", String(64), nullable=False),
    Column("object", String(200), nullable=False),
    Column("detail", Text, nullable=False),
    Column("previous", HASH, nullable=False),
    Column("hash", HASH, nullable=False),
    Index("ix_audit_object", "object"),
)
