"""SEI messages (ITU-T H.264 7.3.2.3, H.265 7.3.5): which kinds a unit holds, and what is in them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from agent.rtsp.payload.bits import strip_emulation_prevention

_RECOVERY_POINT = 6
_MOST = 64
"""Messages of one unit that are looked at."""
_WALKED_BYTES = 64 << 10
"""How far into a unit messages are walked."""


class SeiMessage(NamedTuple):
    """A message: its type, and its payload without emulation prevention."""

    kind: int
    payload: bytes


def iter_sei_messages(unit: bytes, header: int) -> Iterator[SeiMessage]:
    """Yield the messages of an SEI unit; `header`: bytes of its NAL header. Ends at the first that does not fit."""
    data = strip_emulation_prevention(unit[: header + _WALKED_BYTES])
    at = header
    for _ in range(_MOST):
        kind, at = _read_number(data, at)
        size, at = _read_number(data, at)
        if at > len(data):
            return
        yield SeiMessage(kind, data[at : at + size])
        at += size
        if at >= len(data) - 1:  # the last byte holds the trailing bits
            return


def has_recovery_point(unit: bytes, header: int) -> bool:
    """Return True where decoding may begin with the picture of this SEI unit although it is no key frame by its type."""
    return any(message.kind == _RECOVERY_POINT for message in iter_sei_messages(unit, header))


def _read_number(data: bytes, at: int) -> tuple[int, int]:
    """Return a number of which each full byte stands for 255, and where the next begins; behind `data` where it is cut off."""
    total = 0
    while at < len(data):
        total += data[at]
        at += 1
        if data[at - 1] != 255:
            return total, at
    return total, len(data) + 1
