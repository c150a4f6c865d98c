"""The counts of wrong passwords as stored text, and the processes and boots that they name."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import NotRequired, TypedDict, cast

from agent.core.clock import format_utc, parse_time

ATTEMPT_PAUSE_S = 3600.0
ATTEMPT_OPEN_S = 60.0  # an attempt that is still open after this time belongs to a process that was killed
_BOOT_FILE = Path("/proc/sys/kernel/random/boot_id")


@dataclass(slots=True)
class AttemptEntry:
    """Wrong answers of one camera name for one account.

    `proof` identifies the account without revealing it. `last` is the time of the last wrong answer (monotonic),
    `wrong` the count for each door (protocol). `accepted` are the doors that have accepted the account since; `open`
    are attempts in progress, with the time at which each stops counting.
    """

    name: str
    proof: str
    last: float
    wrong: Counter[str] = field(default_factory=Counter)
    accepted: set[str] = field(default_factory=set)
    open: dict[str, float] = field(default_factory=dict)

    def matters(self, now: float) -> bool:
        """Drop what has expired; return True where anything is left."""
        self.open = {t: end for t, end in self.open.items() if now < end <= now + ATTEMPT_OPEN_S and _is_alive(t)}
        if self.last + ATTEMPT_PAUSE_S <= now:
            self.wrong.clear()
        return bool(self.open or self.wrong.total())


class _Row(TypedDict):
    """An entry as JSON. Version 0.1 wrote neither `boot`, `monotonic` nor `open`."""

    name: str
    proof: str
    last: str
    wrong: dict[str, int]
    accepted: list[str]
    boot: NotRequired[str]
    monotonic: NotRequired[float]
    open: NotRequired[dict[str, float]]


@dataclass(frozen=True, slots=True)
class BootMoment:
    """One instant: by the monotonic clock of this boot, and by the wall clock, which may have stepped."""

    boot: str
    monotonic: float
    now: datetime


def dump_attempts(salt: str, entries: Iterable[AttemptEntry], at: BootMoment) -> str:
    """Return the entries as text."""
    rows: list[_Row] = [
        {
            "name": e.name,
            "proof": e.proof,
            "boot": at.boot,
            "monotonic": e.last,
            "last": format_utc(at.now - timedelta(seconds=at.monotonic - e.last)),
            "wrong": dict(e.wrong),
            "accepted": sorted(e.accepted),
            "open": e.open,
        }
        for e in entries
    ]
    return json.dumps({"salt": salt, "entries": rows})


def load_attempts(text: str | None, at: BootMoment) -> tuple[str, list[AttemptEntry]]:
    """Return salt and entries of a stored text; nothing where it cannot be read."""
    try:
        state = json.loads(text or "{}")
        return str(state.get("salt", "")), [_parse_entry(row, at) for row in _list_rows(state.get("entries", ()))]
    except (ValueError, KeyError, TypeError, AttributeError):
        return "", []  # a file that was truncated by a full disk


def _parse_entry(row: _Row, at: BootMoment) -> AttemptEntry:
    last = row.get("monotonic", math.inf)
    same = row.get("boot") == at.boot and last <= at.monotonic
    if not same:  # of an earlier boot: the rest of its hour by the wall clock
        last = at.monotonic - _compute_age(parse_time(row["last"]), at.now)
    opened = row.get("open", {}) if same else {}
    return AttemptEntry(row["name"], row["proof"], last, Counter(row["wrong"]), set(row["accepted"]), opened)


def _compute_age(last: datetime, now: datetime) -> float:
    """Return the seconds since `last` by the wall clock, which may have stepped: between 0 and a whole pause."""
    return min(ATTEMPT_PAUSE_S, max(0.0, (now - last).total_seconds()))


def _list_rows(entries: object) -> list[_Row]:
    """Return the entries as a list. Version 0.1 kept a mapping with one entry for each name."""
    if isinstance(entries, Mapping):
        return [cast(_Row, {"name": name, **entry}) for name, entry in entries.items()]
    return list(cast(Iterable[_Row], entries))


def read_boot_id() -> str:
    """Return the ID of this boot of the machine; the monotonic clock counts from it."""
    try:
        return _BOOT_FILE.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def describe_process(pid: int) -> str:
    """Return process ID and start time as one word; empty where there is no such process.

    The start time is needed since process IDs are reused.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return f"{pid}.{stat.rpartition(')')[2].split()[19]}"


def _is_alive(token: str) -> bool:
    """Return whether the process that took a try still runs; a killed one ends no attempt."""
    process = token.partition("-")[0]
    return bool(process) and describe_process(int(process.partition(".")[0])) == process
