"""Addresses from which each account has signed in, so that its owner can sign in while strangers guess passwords."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete, insert, select

from agent.core.clock import format_utc
from board.store.database import Database
from board.store.tables import origins

LIFETIME = timedelta(days=180)
MAX_ORIGINS = 16
"""Addresses kept for each account, the newest."""


class BoardOrigins:
    """Table `origins`. Raises StoreError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, name: str, origin: str, at: datetime) -> None:
        """Record that account `name` signed in from an address."""
        mine = origins.c.name == name
        with self._database.write() as connection:
            connection.execute(delete(origins).where(mine, origins.c.origin == origin))
            connection.execute(insert(origins).values(name=name, origin=origin, at=format_utc(at)))
            newest = select(origins.c.origin).where(mine).order_by(origins.c.at.desc()).limit(MAX_ORIGINS)
            keep = connection.execute(newest).scalars().all()
            connection.execute(delete(origins).where(mine, origins.c.origin.not_in(keep)))

    def known(self, name: str, origin: str, now: datetime) -> bool:
        """Return whether account `name` has signed in from this address within LIFETIME."""
        query = select(origins.c.name).where(
            origins.c.name == name, origins.c.origin == origin, origins.c.at > format_utc(now - LIFETIME)
        )
        with self._database.read() as connection:
            return connection.execute(query).first() is not None
