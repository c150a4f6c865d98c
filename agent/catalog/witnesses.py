"""Countersignatures of the bureau over closed half-days, as received."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from agent.catalog.base import CatalogStore, Row
from agent.core import clock as clocks
from agent.core.witness_text import WitnessText, parse_witness_text


@dataclass(frozen=True, slots=True)
class StoredWitness:
    """A countersignature. `text` is what was signed; `drive_id` the drive that holds it, "" while none does."""

    class_id: str
    sequence: int
    head: str
    at: datetime
    text: str
    signature: str
    drive_id: str = ""

    def parse(self) -> WitnessText:
        """Return what the text says; only texts that can be read are stored."""
        return parse_witness_text(self.text)


class Witnesses:
    """Table `witnesses`; they are also on the drive and retained at the broker, so no journal holds them."""

    def __init__(self, store: CatalogStore) -> None:
        self._store = store

    def put(self, found: StoredWitness) -> None:
        """Store a countersignature; one that is known stays where it was put."""
        with self._store.write() as db:
            db.execute(
                "insert into witnesses values (?, ?, ?, ?, ?, ?, ?) on conflict (class_id, sequence) do update set"
                " head = excluded.head, at = excluded.at, body = excluded.body, signature = excluded.signature,"
                " drive_id = case when body = excluded.body then drive_id else '' end",
                [
                    found.class_id,
                    found.sequence,
                    found.head,
                    clocks.format_utc(found.at),
                    found.text,
                    found.signature,
                    found.drive_id,
                ],
            )

    def placed(self, found: StoredWitness, drive_id: str) -> None:
        """Record that a drive holds it."""
        with self._store.write() as db:
            db.execute(
                "update witnesses set drive_id = ? where class_id = ? and sequence = ?",
                [drive_id, found.class_id, found.sequence],
            )

    def waiting(self) -> list[StoredWitness]:
        """Return those that no drive holds yet."""
        return [_to_witness(r) for r in self._store.rows("select * from witnesses where drive_id = '' order by at")]

    def newest(self) -> StoredWitness | None:
        """Return the countersignature that came last."""
        row = self._store.row("select * from witnesses order by rowid desc limit 1")
        return _to_witness(row) if row else None

    def of_class(self, class_id: str) -> list[StoredWitness]:
        """Return the countersignatures of a class by sequence."""
        rows = self._store.rows("select * from witnesses where class_id = ? order by sequence", [class_id])
        return [_to_witness(row) for row in rows]


def _to_witness(row: Row) -> StoredWitness:
    return StoredWitness(
        row["class_id"],
        row["sequence"],
        row["head"],
        clocks.parse_time(row["at"]),
        row["body"],
        row["signature"],
        row["drive_id"],
    )
