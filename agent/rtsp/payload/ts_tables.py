"""Tables of an MPEG transport stream (ISO/IEC 13818-1, 2.4.4): which programme there is, and what it consists of."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

PAT_PID = 0
_PAT_ID, _PMT_ID = 0, 2
_HEAD, _CHECK_SUM = 8, 4
_MAX_SECTION = 1024
_STUFFING = 0xFF
_PICTURES = {0x1B: "h264", 0x24: "hevc"}
_SOUNDS = {0x0F: "adts", 0x11: "loas", 0x03: "mpeg", 0x04: "mpeg", 0x81: "ac3"}
_OTHER_PICTURES = {0x01: "mpeg1video", 0x02: "mpeg2video", 0x10: "mpeg4", 0x21: "jpeg2000", 0x33: "vvc", 0x42: "avs"}
_PRIVATE = 0x06
_REGISTRATION, _DVB_AC3 = 0x05, 0x6A
_REGISTERED_PICTURES = {b"HEVC": "hevc"}
_REGISTERED_SOUNDS = {b"AC-3": "ac3"}


class TsStream(NamedTuple):
    """An elementary stream. `coding`: h264 or hevc; adts, loas, mpeg or ac3."""

    pid: int
    coding: str


class TsProgram(NamedTuple):
    """What is taken of a programme: its first picture and its first sound that can be used.

    `refused`: the name of a picture's codec that cannot be recorded; "" where there is none.
    """

    picture: TsStream | None
    sound: TsStream | None
    refused: str


class SectionBuffer:
    """Collects the sections of one PID."""

    def __init__(self) -> None:
        self._part: bytes | None = None

    def drop(self) -> None:
        """Forget a section under way: a packet of it is missing."""
        self._part = None

    def feed(self, payload: bytes, starts: bool) -> Iterator[bytes]:
        """Yield the whole sections whose check sum is right. `starts`: a section begins in this payload."""
        if starts and payload:
            behind = 1 + payload[0]
            if self._part is not None:
                yield from self._split(self._part + payload[1:behind])
            self._part = payload[behind:]
        elif self._part is not None:
            self._part += payload
        if self._part is not None:
            yield from self._split(self._part)

    def _split(self, data: bytes) -> Iterator[bytes]:
        """Yield whole sections; what is left is kept."""
        at = 0
        while len(data) - at >= 3 and data[at] != _STUFFING:
            size = 3 + ((data[at + 1] & 0x0F) << 8 | data[at + 2])
            if size > _MAX_SECTION:
                break
            if at + size > len(data):
                self._part = data[at:]
                return
            section = data[at : at + size]
            at += size
            if compute_crc(section) == 0:
                yield section
        # fewer than three bytes may still be the head of a section
        self._part = data[at:] if 0 < len(data) - at < 3 and data[at] != _STUFFING else None


def read_pat(section: bytes) -> int | None:
    """Return the PID of the first programme's map; None where the section does not name one."""
    if not _is_current(section, _PAT_ID):
        return None
    body = section[_HEAD:-_CHECK_SUM]
    for at in range(0, len(body) - 3, 4):
        if body[at] or body[at + 1]:  # programme 0 is the network's table
            return _read_pid(body, at + 2)
    return None


def read_pmt(section: bytes) -> TsProgram | None:
    """Return the streams of a programme; None where the section is no map."""
    if not _is_current(section, _PMT_ID) or len(section) < _HEAD + 4 + _CHECK_SUM:
        return None
    picture: TsStream | None = None
    sound: TsStream | None = None
    refused = ""
    for kind, pid, descriptors in _iter_streams(section):
        if coding := _find_picture(kind, descriptors):
            picture = picture or TsStream(pid, coding)
        elif coding := _find_sound(kind, descriptors):
            sound = sound or TsStream(pid, coding)
        else:
            refused = refused or _OTHER_PICTURES.get(kind, "")
    return TsProgram(picture, sound, refused)


def _iter_streams(section: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield the type, the PID and the descriptors of each elementary stream."""
    end = len(section) - _CHECK_SUM
    at = _HEAD + 4 + _read_length(section, _HEAD + 2)
    while at + 5 <= end:
        behind = at + 5 + _read_length(section, at + 3)
        yield section[at], _read_pid(section, at + 1), section[at + 5 : min(behind, end)]
        at = behind


def _find_picture(kind: int, descriptors: bytes) -> str:
    if kind == _PRIVATE:
        return next((_REGISTERED_PICTURES.get(name, "") for name in _iter_registrations(descriptors)), "")
    return _PICTURES.get(kind, "")


def _find_sound(kind: int, descriptors: bytes) -> str:
    if kind != _PRIVATE:
        return _SOUNDS.get(kind, "")
    if any(tag == _DVB_AC3 for tag, _ in _iter_descriptors(descriptors)):
        return "ac3"
    return next((_REGISTERED_SOUNDS.get(name, "") for name in _iter_registrations(descriptors)), "")


def _iter_registrations(descriptors: bytes) -> Iterator[bytes]:
    return (content[:4] for tag, content in _iter_descriptors(descriptors) if tag == _REGISTRATION)


def _iter_descriptors(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 2 <= len(data):
        behind = at + 2 + data[at + 1]
        yield data[at], data[at + 2 : behind]
        at = behind


def _is_current(section: bytes, table: int) -> bool:
    return len(section) >= _HEAD + _CHECK_SUM and section[0] == table and section[5] & 1 == 1


def _read_pid(data: bytes, at: int) -> int:
    return (data[at] & 0x1F) << 8 | data[at + 1]


def _read_length(data: bytes, at: int) -> int:
    return (data[at] & 0x0F) << 8 | data[at + 1]


@cache
def _make_crc_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        value <<= 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C11DB7 if value & 0x80000000 else 0)) & 0xFFFFFFFF
        table.append(value)
    return tuple(table)


def compute_crc(data: bytes) -> int:
    """Return the check sum of a section (ISO/IEC 13818-1, annex A); 0 for a section with its own."""
    value, table = 0xFFFFFFFF, _make_crc_table()
    for byte in data:
        value = value << 8 & 0xFFFFFFFF ^ table[value >> 24 ^ byte]
    return value
