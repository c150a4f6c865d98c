"""Parses RTSP messages (RFC 2326) and interleaved frames: pure functions, bytes in, values out, every length bounded.

Text is UTF-8 with `surrogateescape`: what a camera sends in another charset comes out as it went in.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

MAX_HEAD = 16 << 10
MAX_BODY = 64 << 10
"""Bytes of a head and of a body at most; session descriptions of cameras have some 2 KiB."""
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_FILLING = re.compile(rb"[\s\0]+")
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1f]")
"""Bytes that no head contains, whatever its charset."""
_MARK = 0x24


class RtspTooLarge(ValueError):
    """A message is too long to be read; `limit` in bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit


class RtspUnreadable(ValueError):
    """This is not RTSP."""


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


def split_interleaved(
    data: bytes | bytearray, size: int, channels: Collection[int]
) -> tuple[list[tuple[int, int]], list[RtspMessage], int]:
    """Sort the first `size` bytes of what a playing camera sends.

    Returns where whole frames on `channels` lie (from, to), the messages between, and how many bytes these are. Frames on
    other channels, and bytes that are neither, are left out: after a camera has lost some bytes, reading goes on at its next
    frame on `channels`. Raises TooLarge, Unreadable.
    """
    kept: list[tuple[int, int]] = []
    messages: list[RtspMessage] = []
    at = begun = 0
    while at < size:
        if data[at] == _MARK:
            if at + 4 > size:
                break
            end = at + 4 + (data[at + 2] << 8 | data[at + 3])
            if end > size:
                break
            if data[at + 1] in channels:
                at = end
                continue
        else:
            piece = bytes(data[at : min(size, at + MAX_HEAD + MAX_BODY)])
            end = at + (
                _measure_message(piece, messages) if _may_be_message(piece) else _find_next_frame(piece, channels)
            )
            if end == at:
                break
        if begun < at:
            kept.append((begun, at))
        at = begun = end
    if begun < at:
        kept.append((begun, at))
    return kept, messages, at


def take_message(data: bytes) -> tuple[RtspMessage | None, int]:
    """Return the next message (None while more is needed) and how many bytes end with it; frames before it are left out.

    Raises TooLarge, Unreadable.
    """
    found: list[RtspMessage] = []
    at = 0
    while at < len(data) and not found:
        if data[at] == _MARK:
            end = at + 4 + int.from_bytes(data[at + 2 : at + 4], "big")
            if len(data) < max(end, at + 4):
                break
        else:
            end = at + _measure_message(data[at:], found)
            if end == at:
                break
        at = end
    return (found[0] if found else None), at


def _measure_message(data: bytes, messages: list[RtspMessage]) -> int:
    """Return the length of the message at the beginning of `data`, or of bytes that are not one; 0 while more is needed."""
    if not data[:1].isalpha():
        filling = _FILLING.match(data)
        mark = data.find(b"$")
        return filling.end() if filling else mark if mark > 0 else len(data)
    message, length = parse_message(data)
    if message:
        messages.append(message)
    return length


def _may_be_message(data: bytes) -> bool:
    """Return True where a message may begin here, or what stands between messages."""
    if not data[:1].isalpha():
        return _FILLING.match(data) is not None
    end = _HEAD_END.search(data, 0, MAX_HEAD)
    return _BINARY.search(data, 0, end.start() if end else MAX_HEAD) is None


def _find_next_frame(data: bytes, channels: Collection[int]) -> int:
    """Return how many bytes stand before the next frame on `channels`."""
    at = data.find(_MARK, 1)
    while at >= 0:
        if data[at + 1 : at + 2] == b"" or data[at + 1] in channels:
            return at
        at = data.find(_MARK, at + 1)
    return len(data)


def normalize_session(value: str) -> str:
    """Rewrite a Session header as FFmpeg reads it.

    Some cameras put blanks beside the `;`, and FFmpeg would not see after which time they want a keep-alive.
    """
    name, _, rest = value.partition(";")
    found = re.search(r"(?i)\btimeout\s*=\s*\"?(\d{1,6})", rest)
    return f"{name.strip()};timeout={found[1]}" if found else name.strip()


def wants_udp(setup: RtspMessage) -> bool:
    """Return True where a reply to SETUP offers UDP ports instead of the channels that were asked for."""
    transport = setup.one("Transport").lower()
    return "_port" in transport and "interleaved" not in transport and "/tcp" not in transport


def find_channels(setup: RtspMessage) -> set[int]:
    """Return the channels that SETUP, or the reply to it, names for interleaved data."""
    found = re.search(r"(?i)\binterleaved\s*=\s*(\d{1,3})(?:\s*-\s*(\d{1,3}))?", setup.one("Transport"))
    return {int(number) for number in found.groups() if number} if found else set()


def resolve_redirect(url: str, location: str, peer: str) -> str:
    """Return where a redirect from `url` leads, with its port; "" where it leads to another host.

    The same host is the one that was asked, by its name or by `peer`, its address.
    """
    try:
        old, new = urlsplit(url), urlsplit(location)
        port = new.port
    except ValueError:
        return ""
    if new.scheme != old.scheme or new.username or new.hostname not in {old.hostname, peer}:
        return ""
    return normalize_rtsp_url(urlunsplit(new), port)


def normalize_rtsp_url(url: str, port: int | None = None) -> str:
    """Return a stream's URL as requests name it: no account, always a port, nothing that would end the request line."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    number = port or parts.port or get_default_port(parts.scheme)
    made = urlunsplit(parts._replace(netloc=f"{host}:{number}", fragment=""))
    return re.sub(r"[\s\x00-\x1f]", lambda found: f"%{ord(found[0]):02X}", made)


def get_default_port(scheme: str) -> int:
    return 322 if scheme == "rtsps" else 554
