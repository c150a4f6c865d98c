"""The audit's chain of entries: each holds the hash of the one before, so that a changed or missing entry is detected.

The hash of an entry is SHA-256 over the UTF-8 of `previous hash, LF, compact JSON list [id, at, who, action, object, detail]`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from agent.core.clock import parse_time
from agent.core.model import JsonObject

GENESIS = "0" * 64


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One entry. `object`: what was acted on (a class ID, a clip's name, an account). `detail` must not hold secrets."""

    entry_id: int
    at: datetime
    who: str
    action: str
    object: str
    detail: JsonObject
    previous: str
    hash: str


def compute_entry_hash(previous: str, number: int, at: str, who: str, action: str, object_: str, detail: str) -> str:
    """Compute the hash of an entry; `at` is a `clock.format_utc` text, `detail` the entry's JSON text."""
    fields = json.dumps([number, at, who, action, object_, detail], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(f"{previous}\n{fields}".encode()).hexdigest()


def compute_row_hash(row: Mapping[str, Any]) -> str:
    """Compute the hash that a row of the audit's table must have. Raises KeyError if a column is missing."""
    return compute_entry_hash(
        row["previous"], row["id"], row["at"], row["who"], row["action"], row["object"], row["detail"]
    )


def build_entry(row: Mapping[str, Any]) -> AuditEntry:
    """Build the entry of a row of the audit's table."""
    return AuditEntry(
        row["id"],
        parse_time(row["at"]),
        row["who"],
        row["action"],
        row["object"],
        json.loads(row["detail"]),
        row["previous"],
        row["hash"],
    )


class AuditChainCheck:
    """Checks rows in their order and remembers how far they held; `last` is the number of the last one that did."""

    def __init__(self) -> None:
        self.last, self._previous = 0, GENESIS

    def find_fault(self, rows: Iterable[Mapping[str, Any]]) -> int | None:
        """Return the number of the first row that does not follow the one before, or None."""
        for row in rows:
            if (row["id"], row["previous"], row["hash"]) != (self.last + 1, self._previous, compute_row_hash(row)):
                return int(row["id"])
            self.last, self._previous = row["id"], row["hash"]
        return None
