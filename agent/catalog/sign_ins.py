"""Counts of sign-ins by half-day, as entered on the page, by command or from a punch-in export."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date

from agent.catalog.base import CatalogStore, Row, dump_json
from agent.catalog.facts import Facts
from agent.core import clock as clocks
from agent.core.model import Session
from agent.core.sign_in import SignInCount

_COLUMNS_FACT = "signins.columns"
_MOST_COLUMNS = 200


class SignIns:
    """Table `sign_ins`; each change is in the audit too, with who made it."""

    def __init__(self, store: CatalogStore, facts: Facts) -> None:
        self._store = store
        self._facts = facts

    def put(self, count: SignInCount) -> None:
        """Store the counts of a half-day, replacing earlier ones."""
        with self._store.write() as db:
            db.execute(
                "insert into sign_ins values (?, ?, ?, ?, ?, ?, ?, ?) on conflict (class_id, date, session) do update set"
                " signed_in = excluded.signed_in, signed_out = excluded.signed_out, source = excluded.source,"
                " entered_by = excluded.entered_by, at = excluded.at",
                [
                    count.class_id,
                    count.date.isoformat(),
                    count.session.value,
                    count.signed_in,
                    count.signed_out,
                    count.source,
                    count.by,
                    clocks.format_utc(count.at),
                ],
            )

    def get(self, class_id: str, day: date, session: Session) -> SignInCount | None:
        row = self._store.row(
            "select * from sign_ins where class_id = ? and date = ? and session = ?",
            [class_id, day.isoformat(), session.value],
        )
        return _to_count(row) if row else None

    def of_class(self, class_id: str) -> dict[tuple[date, Session], SignInCount]:
        """Return the counts of a class by half-day."""
        rows = self._store.rows("select * from sign_ins where class_id = ? order by date, session", [class_id])
        return {(x.date, x.session): x for x in map(_to_count, rows)}

    def columns(self) -> dict[str, str]:
        """Return what the columns of punch-in exports mean, as far as a person has said so: heading to role."""
        return dict(json.loads(self._facts.get(_COLUMNS_FACT) or "{}"))

    def map_columns(self, named: Mapping[str, str]) -> None:
        """Add what a person said that columns mean; of too many headings the oldest are forgotten."""
        known = {k: role for k, role in self.columns().items() if k not in named} | dict(named)
        kept = list(known.items())[-_MOST_COLUMNS:]
        self._facts.put(_COLUMNS_FACT, dump_json(dict(kept)))


def _to_count(row: Row) -> SignInCount:
    return SignInCount(
        row["class_id"],
        date.fromisoformat(row["date"]),
        Session(row["session"]),
        row["signed_in"],
        row["signed_out"],
        "file" if row["source"] == "file" else "typed",
        row["entered_by"],
        clocks.parse_time(row["at"]),
    )
