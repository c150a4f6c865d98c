"""Parse RTSP messages (RFC 2326): pure functions, bytes in, values out, every length bounded.

Text is UTF-8 with `surrogateescape`: what a camera sends in another charset comes out as it went in.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_HEAD = 16 << 10
MAX_BODY = 64 << 10
"""Bytes of a head and of a body at most; session descriptions of cameras have some 2 KiB."""
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
"""Bytes that no head contains, whatever its charset."""


class RtspTooLarge(ValueError):
    """A message is too long to be read; `limit` in bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit


class RtspUnreadable(ValueError):
    """This is not RTSP; `seen`: how it begins."""

    def __init__(self, seen: str | bytes = b"") -> None:
        super().__init__(seen)
        self.seen = seen


@dataclass(frozen=True, slots=True)
class RtspMessage:
    """A request or a reply. `start`: its first line; `headers` in order, names as they came."""

    start: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def one(self, name: str) -> str:
        """Return the first header of that name; "" where there is none."""
        return next(iter(self.all(name)), "")

    @property
    def is_reply(self) -> bool:
        return self.start[:5].upper() == "RTSP/"

    @property
    def status(self) -> int:
        """Status of a reply. Raises Unreadable."""
        found = re.match(r"(?i)RTSP/\S+\s+(\d{3})\b", self.start)
        if not found:
            raise RtspUnreadable(self.start[:20])
        return int(found[1])

    def request(self) -> tuple[str, str]:
        """Return method and URI of a request. Raises Unreadable."""
        method, _, rest = self.start.partition(" ")
        uri, _, version = rest.rpartition(" ")
        if not uri or not version.upper().startswith("RTSP/"):
            raise RtspUnreadable(self.start[:20])
        return method, uri

    def encode(self) -> bytes:
        lines = [self.start, *(f"{name}: {value}" for name, value in self.headers)]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape") + self.body


def parse_message(data: bytes) -> tuple[RtspMessage | None, int]:
    """Return the message at the beginning of `data` and how many bytes it has; None and 0 while more is needed.

    Raises TooLarge as soon as the length is known, Unreadable.
    """
    end = _HEAD_END.search(data, 0, MAX_HEAD)
    if end is None:
        if len(data) >= MAX_HEAD:
            raise RtspTooLarge(MAX_HEAD)
        return None, 0
    start, *lines = re.split(r"\r?\n", data[: end.start()].decode("utf-8", "surrogateescape"))
    pairs = (line.partition(":") for line in lines)
    headers = tuple((name.strip(), value.strip()) for name, _, value in pairs)
    length = RtspMessage(start, headers).one("Content-Length")
    if length and not (length.isascii() and length.isdigit()):
        raise RtspUnreadable(length[:20])
    size = int(length[:10] or 0)
    if size > MAX_BODY:
        raise RtspTooLarge(MAX_BODY)
    whole = end.end() + size
    return (RtspMessage(start, headers, data[end.end() : whole]), whole) if len(data) >= whole else (None, 0)


def is_head_possible(data: bytes | bytearray, at: int, end: int) -> bool:
    """Return True where a message may begin at `at`: text up to the end of its head, or to `end`."""
    if not data[at : at + 1].isalpha():
        return False
    limit = min(end, at + MAX_HEAD)
    # this search first: among garbage it ends after some bytes
    binary = _BINARY.search(data, at, limit)
    return binary is None or _HEAD_END.search(data, at, binary.start()) is not None
