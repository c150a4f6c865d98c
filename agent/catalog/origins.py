"""From where each account has signed in: what keeps its owner a way in while strangers guess (agent/web/throttle.py)."""

from __future__ import annotations

from datetime import datetime, timedelta

from agent import clock as clocks
from agent.catalog.base import Store

LASTS = timedelta(days=180)
MOST = 16
"""Addresses kept of an account, the newest."""


class Origins:
    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, name: str, origin: str, at: datetime) -> None:
        """`name` has signed in from there."""
        with self._store.write() as db:
            db.execute("insert or replace into origins values (?, ?, ?)", [name, origin, clocks.stamp(at)])
            db.execute(
                "delete from origins where name = ? and origin not in"
                " (select origin from origins where name = ? order by at desc limit ?)",
                [name, name, MOST],
            )

    def known(self, name: str, origin: str, now: datetime) -> bool:
        """Whether `name` has signed in from there within LASTS."""
        return (
            self._store.row(
                "select 1 from origins where name = ? and origin = ? and at > ?",
                [name, origin, clocks.stamp(now - LASTS)],
            )
            is not None
        )
