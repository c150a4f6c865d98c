"""Drives that were used in this box, and the chain of closed half-days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from agent.catalog.base import CatalogStore, Row, parse_moment
from agent.catalog.outbox import Outbox
from agent.core import clock as clocks
from agent.core.model import Session

if TYPE_CHECKING:
    from agent.contract.box import ChainBody


@dataclass(frozen=True, slots=True)
class DriveRow:
    """A stored drive. `last_head`: head of the chain when last written. `stopped_…`: since when and why it is not used."""

    drive_id: str
    label: str
    institution: str
    path: str
    created: datetime
    public_key: str
    seen_at: datetime
    state: str
    handed_over_at: datetime | None
    handed_over_to: str | None
    last_head: str | None
    stopped_at: datetime | None
    stopped_reason: str | None


@dataclass(frozen=True, slots=True)
class ChainLink:
    """A closed half-day. `head` chains its checksums to the half-day before; `sequence` counts from 1 in the class."""

    class_id: str
    date: date
    session: Session
    sequence: int
    drive_id: str
    head: str
    public_key: str
    closed_at: datetime


class Drives:
    """Table `drives`."""

    def __init__(self, store: CatalogStore) -> None:
        self._store = store

    def put(
        self,
        drive_id: str,
        *,
        label: str,
        institution: str,
        path: str,
        created: datetime,
        public_key: str,
        seen_at: datetime,
    ) -> None:
        """Insert a drive, or update when and at which path it was last seen."""
        with self._store.write() as db:
            db.execute(
                "insert into drives (drive_id, label, institution, path, created, public_key, seen_at)"
                " values (?, ?, ?, ?, ?, ?, ?) on conflict (drive_id) do update set label = excluded.label,"
                " institution = excluded.institution, path = excluded.path, public_key = excluded.public_key,"
                " seen_at = excluded.seen_at",
                [
                    drive_id,
                    label,
                    institution,
                    path,
                    clocks.format_utc(created),
                    public_key,
                    clocks.format_utc(seen_at),
                ],
            )

    def set(self, drive_id: str, **values: object) -> None:
        """Update columns (state, handed_over_at, handed_over_to, last_head, stopped_at, stopped_reason)."""
        with self._store.write() as db:
            given = {k: clocks.format_utc(v) if isinstance(v, datetime) else v for k, v in values.items()}
            pairs = ", ".join(f"{name} = :{name}" for name in given)
            db.execute(f"update drives set {pairs} where drive_id = :of", {**given, "of": drive_id})  # noqa: S608 - columns

    def get(self, drive_id: str) -> DriveRow | None:
        row = self._store.row("select * from drives where drive_id = ?", [drive_id])
        return _to_drive(row) if row else None

    def all(self) -> list[DriveRow]:
        return [_to_drive(row) for row in self._store.rows("select * from drives order by created, drive_id")]


class Chain:
    """Table `chain`."""

    def __init__(self, store: CatalogStore, outbox: Outbox) -> None:
        self._store = store
        self._outbox = outbox

    def add(self, link: ChainLink) -> None:
        """Record a closed half-day and report it to the bureau, in one transaction.

        The bureau then holds the head, so that it cannot be changed unnoticed.
        """
        data: ChainBody = {
            "class_id": link.class_id,
            "date": link.date.isoformat(),
            "session": link.session.value,
            "sequence": link.sequence,
            "head": link.head,
            "key": link.public_key,
        }
        with self._store.write() as db:
            self._outbox.put(f"chain/{link.class_id}", "chain", data, link.closed_at, retained=True)
            db.execute(
                "insert into chain values (?, ?, ?, ?, ?, ?, ?, ?) on conflict (class_id, date, session) do update set"
                " sequence = excluded.sequence, drive_id = excluded.drive_id, head = excluded.head,"
                " public_key = excluded.public_key, closed_at = excluded.closed_at",
                [
                    link.class_id,
                    link.date.isoformat(),
                    link.session.value,
                    link.sequence,
                    link.drive_id,
                    link.head,
                    link.public_key,
                    clocks.format_utc(link.closed_at),
                ],
            )

    def of_class(self, class_id: str) -> list[ChainLink]:
        rows = self._store.rows("select * from chain where class_id = ? order by sequence", [class_id])
        return [_to_link(row) for row in rows]

    def last(self, class_id: str) -> ChainLink | None:
        links = self.of_class(class_id)
        return links[-1] if links else None

    def all(self) -> list[ChainLink]:
        return [_to_link(row) for row in self._store.rows("select * from chain order by closed_at")]


def _to_drive(row: Row) -> DriveRow:
    created, seen_at = clocks.parse_time(row["created"]), clocks.parse_time(row["seen_at"])
    return DriveRow(
        row["drive_id"],
        row["label"],
        row["institution"],
        row["path"],
        created,
        row["public_key"],
        seen_at,
        row["state"],
        parse_moment(row["handed_over_at"]),
        row["handed_over_to"],
        row["last_head"],
        parse_moment(row["stopped_at"]),
        row["stopped_reason"],
    )


def _to_link(row: Row) -> ChainLink:
    return ChainLink(
        row["class_id"],
        date.fromisoformat(row["date"]),
        Session(row["session"]),
        row["sequence"],
        row["drive_id"],
        row["head"],
        row["public_key"],
        clocks.parse_time(row["closed_at"]),
    )
