"""The statement log of a box: its numbered, hash-chained messages, as values and rules (docs/proof.md).

Pure. A statement is one message that matters. Its number counts from 1 in its log and leaves no hole; its hash covers its
content and the hash of the statement before, so the newest hash stands for the whole log up to it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from agent.core.canonical_json import encode_canonical

GENESIS_HASH = "0" * 64
"""`statementprevious` of the first statement of a log."""
EVENT_TYPE = "cn.training.site-agent.{name}.v1"
"""The CloudEvents type of a message."""
STATEMENT_TYPES = frozenset({
    "log", "agent", "segment", "looks", "attendance", "alert", "gaps", "camera", "chain", "papers", "journal", "drive",
    "call",
})  # fmt: skip
"""Message names (last part of the CloudEvents type) that are statements."""
LogCause = Literal["first", "upgraded", "lost", "rollback", "restored", "adopted"]
"""Why a log begins: a new box; a box of a version without statements; a box that lost catalog and drive; a box that found
the broker to know more of its log than itself; a box set up from a backup without the drive that holds the newest
statements; a box that took over the drive of another."""
REPLAYED = "replayed"
"""Key in `data` that says how a message was delivered; it is not part of the statement."""
_LOG = re.compile(r"[0-9a-f]{32}")
_HASH = re.compile(r"[0-9a-f]{64}")
MAX_NUMBER = 1 << 31


@dataclass(frozen=True, slots=True)
class LogPosition:
    """A place in a log: the statement `number` of `log` has this `hash`."""

    log: str
    number: int
    hash: str

    def as_data(self) -> dict[str, object]:
        """Return it as messages carry it."""
        return {"log": self.log, "number": self.number, "hash": self.hash}


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. `type` is the full CloudEvents type, `time` the text in the envelope; `data` is without `replayed`."""

    log: str
    number: int
    previous: str
    hash: str
    event_id: str
    subject: str
    type: str
    time: str
    data: object

    @property
    def position(self) -> LogPosition:
        return LogPosition(self.log, self.number, self.hash)

    @property
    def name(self) -> str:
        """Return the message's name in its type: `segment` of cn.training.site-agent.segment.v1."""
        before, _, after = EVENT_TYPE.partition("{name}")
        return self.type.removeprefix(before).removesuffix(after)

    def is_sound(self) -> bool:
        """Return whether the hash is that of the content."""
        try:
            return self.hash == compute_statement_hash(self)
        except ValueError:
            return False


def compute_statement_hash(statement: Statement) -> str:
    """Return the SHA-256 of the canonical form (RFC 8785) of the hashed attributes and `data`.

    Raises ValueError where the content has no canonical form.
    """
    hashed = {
        "data": strip_delivery(statement.data),
        "id": statement.event_id,
        "statementlog": statement.log,
        "statementnumber": statement.number,
        "statementprevious": statement.previous,
        "subject": statement.subject,
        "time": statement.time,
        "type": statement.type,
    }
    return hashlib.sha256(encode_canonical(hashed)).hexdigest()


def hash_value(value: object) -> str:
    """Return the SHA-256 of the canonical form of a JSON value. Raises ValueError."""
    return hashlib.sha256(encode_canonical(value)).hexdigest()


def strip_delivery(data: object) -> object:
    """Return `data` without the key that says how the message was delivered."""
    if isinstance(data, Mapping) and REPLAYED in data:
        return {key: value for key, value in data.items() if key != REPLAYED}
    return data


def parse_statement(event: Mapping[str, object]) -> Statement | None:
    """Return the statement that a CloudEvent carries; None for an event without one, or with malformed attributes."""
    log, number = event.get("statementlog"), event.get("statementnumber")
    texts = [event.get(key) for key in ("statementprevious", "statementhash", "id", "subject", "type", "time")]
    if not isinstance(log, str) or _LOG.fullmatch(log) is None or not is_number(number):
        return None
    previous, digest, event_id, subject, type_, time = (x if isinstance(x, str) else "" for x in texts)
    if not is_hash(previous) or not is_hash(digest):
        return None
    assert isinstance(number, int)
    data = strip_delivery(event.get("data"))
    return Statement(log, number, previous, digest, event_id, subject, type_, time, data)


def parse_position(value: object) -> LogPosition | None:
    """Return a place in a log from the JSON of a message; None for anything else."""
    if not isinstance(value, Mapping):
        return None
    log, number, digest = value.get("log"), value.get("number"), value.get("hash")
    if not isinstance(log, str) or _LOG.fullmatch(log) is None or not is_number(number) or not is_hash(digest):
        return None
    assert isinstance(number, int) and isinstance(digest, str)
    return LogPosition(log, number, digest)


def is_number(value: object) -> bool:
    """Return whether this can be the number of a statement."""
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value < MAX_NUMBER


def is_hash(value: object) -> bool:
    """Return whether this is a SHA-256 in lower-case hex."""
    return isinstance(value, str) and _HASH.fullmatch(value) is not None
