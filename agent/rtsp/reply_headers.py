"""Reads the headers of replies to SETUP and PLAY, as cameras write them: text in, values out, nothing is raised."""

from __future__ import annotations

import re
from typing import NamedTuple

SESSION_TIMEOUT_S = 60
"""Seconds that a session lives without a request where its header does not say (RFC 2326, 12.37)."""
_MAX_TIMEOUT_S = 3600
_MAX_STREAMS = 32
_INTERLEAVED = re.compile(r"(?i)\binterleaved\s*=\s*\"?(\d{1,3})(?!\d)(?:\s*-\s*(\d{1,3})(?!\d))?", re.ASCII)
_SSRC = re.compile(r"(?i)\bssrc\s*=\s*\"?(?:0x)?([0-9a-f]{1,8})(?![0-9a-z])")
_TIMEOUT = re.compile(r"(?i)\btimeout\s*=\s*\"?(\d{1,6})", re.ASCII)
_SESSION_ID = re.compile(r"[^;\x00-\x1f\x7f]*")
_NEXT_STREAM = re.compile(r"(?i),(?=\s*url\s*=)")
_STREAM_URL = re.compile(r"(?i)\s*url\s*=(.*)", re.DOTALL)
_STREAM_FIELDS = re.compile(r"(?i);(?=\s*(?:seq|rtptime|ssrc)\s*=)")
_SEQ = re.compile(r"(?i);\s*seq\s*=\s*(\d{1,5})(?!\d)", re.ASCII)
_RTPTIME = re.compile(r"(?i);\s*rtptime\s*=\s*(\d{1,10})(?!\d)", re.ASCII)


class SetupTransport(NamedTuple):
    """What a Transport header says.

    channels     of the interleaved data: RTP, RTCP; one or none where the header names no more
    ssrc         None where the header names none, or 0; a hint, cameras send others
    wants_udp    it offers UDP although TCP was asked for
    """

    channels: tuple[int, ...] = ()
    ssrc: int | None = None
    wants_udp: bool = False


class RtpInfo(NamedTuple):
    """What RTP-Info says of one stream. `seq`, `rtptime`: of its first packet; None where it is missing, unreadable or 0.

    Cameras that do not know these write 0.
    """

    url: str
    seq: int | None = None
    rtptime: int | None = None
    ssrc: int | None = None


def parse_transport(value: str) -> SetupTransport:
    """Return what the Transport header of a reply to SETUP says."""
    return SetupTransport(_read_channels(value), _read_ssrc(value), _is_udp(value.lower()))


def parse_session(value: str) -> tuple[str, int]:
    """Return the session's name, to be sent back as it is, and after how many seconds without a request it ends.

    A time of 0, or of more than an hour, is not believed.
    """
    name = _SESSION_ID.match(value.strip())
    found = _TIMEOUT.search(value.partition(";")[2])
    seconds = int(found[1]) if found else SESSION_TIMEOUT_S
    return name[0].strip() if name else "", seconds if 0 < seconds <= _MAX_TIMEOUT_S else SESSION_TIMEOUT_S


def parse_rtp_info(value: str) -> tuple[RtpInfo, ...]:
    """Return what RTP-Info says, in its order: a stream each, which names itself by a URL or by its control alone."""
    found = []
    for part in _NEXT_STREAM.split(value, _MAX_STREAMS)[:_MAX_STREAMS]:
        named = _STREAM_URL.match(part)
        if named:
            url, *fields = _STREAM_FIELDS.split(named[1])
            rest = ";" + ";".join(fields)
            seq, rtptime = _read_number(_SEQ, rest, 16), _read_number(_RTPTIME, rest, 32)
            found.append(RtpInfo(url.strip(' ;"'), seq, rtptime, _read_ssrc(rest)))
    return tuple(found)


def _read_channels(value: str) -> tuple[int, ...]:
    found = _INTERLEAVED.search(value)
    numbers = [int(number) for number in found.groups() if number] if found else []
    return tuple(dict.fromkeys(numbers)) if all(number < 256 for number in numbers) else ()


def _read_ssrc(value: str) -> int | None:
    found = _SSRC.search(value)
    return int(found[1], 16) or None if found else None


def _read_number(pattern: re.Pattern[str], text: str, bits: int) -> int | None:
    found = pattern.search(text)
    number = int(found[1]) if found else 0
    return number if 0 < number < 1 << bits else None


def _is_udp(value: str) -> bool:
    is_offered = "_port" in value or "/udp" in value or "multicast" in value
    return is_offered and "interleaved" not in value and "/tcp" not in value
