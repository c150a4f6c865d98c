"""Network addresses from which each account has logged in.

Login throttling (agent/website/http/throttle.py) uses them so that the owner can still log in while strangers guess the
password.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from agent.catalog.base import CatalogStore
from agent.core import clock as clocks

ORIGIN_LIFETIME = timedelta(days=180)
MAX_ORIGINS = 16
"""Addresses kept per account, the newest."""


class Origins:
    """Table `origins`."""

    def __init__(self, store: CatalogStore) -> None:
        self._store = store

    def add(self, name: str, origin: str, at: datetime) -> None:
        """Record a login of account `name` from an address."""
        with self._store.write() as db:
            db.execute("insert or replace into origins values (?, ?, ?)", [name, origin, clocks.format_utc(at)])
            db.execute(
                "delete from origins where name = ? and origin not in"
                " (select origin from origins where name = ? order by at desc limit ?)",
                [name, name, MAX_ORIGINS],
            )

    def known(self, name: str, origin: str, now: datetime) -> bool:
        """Return whether account `name` has logged in from this address within LASTS."""
        return (
            self._store.row(
                "select 1 from origins where name = ? and origin = ? and at > ?",
                [name, origin, clocks.format_utc(now - ORIGIN_LIFETIME)],
            )
            is not None
        )
