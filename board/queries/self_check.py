"""What a box last said of its own examination: findings with remedies, and how long its certificates last. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from agent.core.clock import parse_time

_MOST, _LONGEST = 50, 500
_TEXTS = ("check", "severity", "finding", "mend")


@dataclass(frozen=True, slots=True)
class BoxCertificate:
    """A certificate of a box. `purpose`: page, bureau, bureau_ca, broker; `until`: its last moment."""

    purpose: str
    until: datetime


@dataclass(frozen=True, slots=True)
class SelfCheck:
    """`findings`: those that need somebody, by check, severity, finding and mend, in the box's language."""

    findings: tuple[Mapping[str, str], ...] = ()
    certificates: tuple[BoxCertificate, ...] = ()

    @property
    def first_end(self) -> datetime | None:
        """Return when the first of the certificates ends."""
        return min((one.until for one in self.certificates), default=None)


def read_self_check(text: str | None) -> SelfCheck:
    """Return what the JSON of a message says; what does not read is left out."""
    if not text:
        return SelfCheck()
    body: object = json.loads(text)
    found = [
        {name: str(item.get(name) or "")[:_LONGEST] for name in _TEXTS}
        for item in _list_objects(body, "findings")
        if item.get("severity") in ("warning", "critical")
    ]
    certificates = [
        BoxCertificate(str(item.get("purpose"))[:32], until)
        for item in _list_objects(body, "certificates")
        if (until := _read_time(item.get("until"))) is not None
    ]
    return SelfCheck(tuple(found), tuple(sorted(certificates, key=lambda one: one.until)))


def _list_objects(body: object, name: str) -> list[Mapping[str, object]]:
    listed = body.get(name) if isinstance(body, Mapping) else None
    return [item for item in listed[:_MOST] if isinstance(item, Mapping)] if isinstance(listed, list) else []


def _read_time(value: object) -> datetime | None:
    try:
        return parse_time(value) if isinstance(value, str) else None
    except (ValueError, OverflowError):
        return None
