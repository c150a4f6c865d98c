"""Parses session descriptions (SDP, RFC 8866) as cameras write them: a pure function, bytes in, values out.

Nothing is required but one `m=` line. Lines end with CR, LF or both; names are compared without case; what cannot be read
is left out, line by line. Text is UTF-8 with `surrogateescape`: a control attribute in GBK goes back to the camera as it came.
The caller limits the description to 64 KiB; here lines, media and what one medium holds are limited as well.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

MAX_LINES = 4096
MAX_MEDIA = 32
MAX_PAYLOAD_TYPES = 32
MAX_CONTROL = 2048
"""Characters of a control attribute at most; a longer one is left out."""
_DIRECTIONS = ("sendonly", "recvonly", "sendrecv", "inactive")
_FRAME_RATES = ("framerate", "x-framerate")
_MIN_FRAME_RATE, _MAX_FRAME_RATE = 0.01, 1000.0

_LINE_ENDS = re.compile(r"[\r\n\0]+")
_LINE = re.compile(r"\s*([A-Za-z])\s*=\s*(.*)", re.DOTALL)
_NUMBERED = re.compile(r"(\d{1,3})(?:\s+(.*))?", re.ASCII | re.DOTALL)
_NUMBER = re.compile(r"\d{1,9}", re.ASCII)
_RATE = re.compile(r"\d{1,4}(?:\.\d{1,12})?", re.ASCII)
_NEXT_PARAMETER = re.compile(r" (?=[A-Za-z][\w-]*=[^=;, ])")
"""A blank where a camera should have written `;`. A word of base64 that ends with padding is not a parameter."""


class SdpUnreadable(ValueError):
    """This describes no media at all."""


class RtpMap(NamedTuple):
    """What a payload type is. `encoding` in upper case; `clock_rate` and `channels`: 0 where they cannot be read."""

    encoding: str
    clock_rate: int = 0
    channels: int = 0


@dataclass(slots=True)
class MediaDescription:
    """One medium: a track, or a choice of formats for one.

    kind             video, audio, application …, in lower case
    proto            as RTP/AVP, in upper case
    payload_types    those that the `m=` line names, in its order
    rtpmap, fmtp     by payload type, whether the `m=` line names it or not; parameters' names in lower case
    control          as the camera wrote it; "" where there is none
    direction        sendonly, recvonly, sendrecv, inactive; "" where neither the medium nor the session says
    framerate        pictures a second; 0.0 where the description does not say
    """

    kind: str
    proto: str = ""
    payload_types: tuple[int, ...] = ()
    rtpmap: dict[int, RtpMap] = field(default_factory=dict)
    fmtp: dict[int, dict[str, str]] = field(default_factory=dict)
    control: str = ""
    direction: str = ""
    framerate: float = 0.0


@dataclass(frozen=True, slots=True)
class SessionDescription:
    """What DESCRIBE brought. `control`: of the whole session, "" where there is none; `media` in the camera's order."""

    control: str
    media: tuple[MediaDescription, ...]


def parse_sdp(data: bytes) -> SessionDescription:
    """Return what a session description says, as far as it can be read. Raises SdpUnreadable where it names no media."""
    session = MediaDescription("")
    media: list[MediaDescription] = []
    current: MediaDescription | None = session
    for line in _LINE_ENDS.split(data.decode("utf-8", "surrogateescape"), MAX_LINES)[:MAX_LINES]:
        found = _LINE.match(line)
        if not found:
            continue
        letter, value = found[1].lower(), found[2].strip()
        if letter == "m":
            current = _parse_media_line(value) if len(media) < MAX_MEDIA else None
            if current:
                media.append(current)
        elif letter == "a" and current:
            _read_attribute(current, value)
    if not media:
        raise SdpUnreadable("no media")
    for medium in media:
        medium.direction = medium.direction or session.direction
    return SessionDescription(session.control, tuple(media))


def _parse_media_line(value: str) -> MediaDescription:
    """Return a medium of which only its `m=` line is known: kind, port, protocol, payload types."""
    kind, _, proto, *types = [*value.split(None, 3 + MAX_PAYLOAD_TYPES), "", "", ""][: 3 + MAX_PAYLOAD_TYPES]
    numbers = [number for number in map(_read_payload_type, types) if number is not None]
    return MediaDescription(kind.lower(), proto.upper(), tuple(dict.fromkeys(numbers)))


def _read_attribute(medium: MediaDescription, text: str) -> None:
    name, _, value = text.partition(":")
    name, value = name.strip().lower(), value.strip()
    if name == "control" and not medium.control and len(value) <= MAX_CONTROL:
        medium.control = value
    elif name in _DIRECTIONS:
        medium.direction = name
    elif name in _FRAME_RATES and _RATE.fullmatch(value) and _MIN_FRAME_RATE <= float(value) <= _MAX_FRAME_RATE:
        medium.framerate = float(value)
    elif name in ("rtpmap", "fmtp"):
        _read_format(medium, name, value)


def _read_format(medium: MediaDescription, name: str, value: str) -> None:
    """Note what `rtpmap` or `fmtp` says of one payload type."""
    found = _NUMBERED.fullmatch(value)
    number = _read_payload_type(found[1]) if found else None
    if found is None or number is None:
        return
    rest = found[2] or ""
    known: dict[int, RtpMap] | dict[int, dict[str, str]] = medium.rtpmap if name == "rtpmap" else medium.fmtp
    if number not in known and len(known) >= MAX_PAYLOAD_TYPES:
        return
    if name == "rtpmap":
        medium.rtpmap.setdefault(number, _parse_rtpmap(rest))
    else:
        parameters = medium.fmtp.setdefault(number, {})
        for key, told in _parse_parameters(rest).items():
            parameters.setdefault(key, told)


def _parse_rtpmap(text: str) -> RtpMap:
    name, clock_rate, channels = (part.strip() for part in [*text.split("/", 2), "", ""][:3])
    encoding = next(iter(name.split(None, 1)), "")
    return RtpMap(encoding.upper(), _read_number(clock_rate), _read_number(channels))


def _parse_parameters(text: str) -> dict[str, str]:
    """Return the parameters of an `fmtp` attribute; the first of a name counts."""
    found: dict[str, str] = {}
    for group in " ".join(text.split()).split(";"):
        for pair in _NEXT_PARAMETER.split(group):
            key, _, value = pair.partition("=")
            if key.strip():
                found.setdefault(key.strip().lower(), value.strip().strip('"'))
    return found


def _read_payload_type(text: str) -> int | None:
    return int(text) if _NUMBER.fullmatch(text) and int(text) < 128 else None


def _read_number(text: str) -> int:
    """Return a number of at most nine digits; 0 where this is not one."""
    return int(text) if _NUMBER.fullmatch(text) else 0
