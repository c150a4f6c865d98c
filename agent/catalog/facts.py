"""Small named facts."""

from __future__ import annotations

from agent.catalog.base import CatalogStore


class Facts:
    """Table `facts`: small named values that survive a restart (boot ID, offsets, counters)."""

    def __init__(self, store: CatalogStore) -> None:
        self._store = store

    def get(self, name: str) -> str | None:
        row = self._store.row("select value from facts where name = ?", [name])
        return str(row["value"]) if row else None

    def forget(self, name: str) -> None:
        with self._store.write() as db:
            db.execute("delete from facts where name = ?", [name])

    def put(self, name: str, value: str) -> None:
        with self._store.write() as db:
            db.execute(
                "insert into facts values (?, ?) on conflict (name) do update set value = excluded.value", [name, value]
            )
