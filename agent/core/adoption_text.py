"""The bureau's word that a box may take over the drive of another box, and the request for it, as text.

Both are lines `key: value`, so that a person can read them; the word is signed with OpenSSH under a namespace of its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from agent.core.clock import format_utc, parse_time

ADOPTION_NAMESPACE = "site-agent-adoption"
"""Of the bureau's word: no countersignature can be taken for one."""
MAX_WORD = 64 * 1024
_REQUEST, _WORD = "site-agent adoption request 1", "site-agent adoption 1"
_ABOUT = ("box", "drive_id", "old_key", "new_key")


@dataclass(frozen=True, slots=True)
class AdoptionRequest:
    """Which box (county/site/box, key `new_key`) asks for which drive of the key `old_key`."""

    box: str
    drive_id: str
    old_key: str
    new_key: str

    def write(self) -> str:
        """Return the text that a person carries to the bureau."""
        return _write_lines(_REQUEST, self._values())

    def _values(self) -> dict[str, str]:
        return {name: getattr(self, name) for name in _ABOUT}


@dataclass(frozen=True, slots=True)
class AdoptionWord:
    """The bureau's answer: `request` is granted at `time` for `reason`."""

    request: AdoptionRequest
    time: datetime
    reason: str

    def write(self) -> str:
        """Return the text that is signed."""
        values = {name: getattr(self.request, name) for name in _ABOUT}
        return _write_lines(_WORD, {**values, "time": format_utc(self.time), "reason": self.reason})


def parse_request(text: str) -> AdoptionRequest:
    """Parse a request. Raises ValueError for anything that `write` cannot have written."""
    return AdoptionRequest(**_parse_lines(text, _REQUEST, _ABOUT))


def parse_word(text: str) -> AdoptionWord:
    """Parse a signed text. Raises ValueError for anything that `write` cannot have written."""
    values = _parse_lines(text, _WORD, (*_ABOUT, "time", "reason"))
    time, reason = parse_time(values.pop("time")), values.pop("reason")
    return AdoptionWord(AdoptionRequest(**values), time, reason)


def pack_word(text: str, signature: str) -> bytes:
    """Return the file that carries the signed text to the box."""
    return json.dumps({"text": text, "signature": signature}, ensure_ascii=False, indent=1).encode() + b"\n"


def unpack_word(data: bytes) -> tuple[str, str]:
    """Return (signed text, signature) of such a file. Raises ValueError."""
    try:
        body = json.loads(data)
        return str(body["text"]), str(body["signature"])
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(str(error)) from None


def _write_lines(first: str, values: Mapping[str, str]) -> str:
    lines = [first, *(f"{name}: {' '.join(value.split())}" for name, value in values.items())]
    return "".join(f"{line}\n" for line in lines)


def _parse_lines(text: str, first: str, names: tuple[str, ...]) -> dict[str, str]:
    head, *rest = text.removeprefix("\ufeff").replace("\r\n", "\n").rstrip("\n").split("\n")
    pairs = [line.partition(": ")[::2] for line in rest]
    if head != first or [name for name, _ in pairs] != list(names) or not all(value for _, value in pairs):
        raise ValueError(head[:80])
    return dict(pairs)
