"""The audit's chain of entries: each holds the hash of the one before, so that a changed or missing entry is detected.

The hash of an entry is SHA-256 over the UTF-8 of `previous hash, LF, compact JSON list [id, at, who, action, object, detail]`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime

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
