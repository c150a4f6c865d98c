"""SEI messages (ITU-T H.264 7.3.2.3, H.265 7.3.5): which kinds a unit holds."""

from __future__ import annotations

from collections.abc import Iterator

_RECOVERY_POINT = 6
_MOST = 64
"""Messages of one unit that are looked at."""


def iter_sei_types(unit: bytes, header: int) -> Iterator[int]:
    """Yield the payload types of an SEI unit; `header`: bytes of its NAL header. Ends at the first that does not fit."""
    data = unit.replace(b"\x00\x00\x03", b"\x00\x00")
    at = header
    for _ in range(_MOST):
        kind, at = _read_number(data, at)
        size, at = _read_number(data, at)
        if at > len(data):
            return
        yield kind
        at += size
        if at >= len(data) - 1:  # the last byte holds the trailing bits
            return


def has_recovery_point(unit: bytes, header: int) -> bool:
    """Return True where decoding may begin with the picture of this SEI unit although it is no key frame by its type."""
    return any(kind == _RECOVERY_POINT for kind in iter_sei_types(unit, header))


def _read_number(data: bytes, at: int) -> tuple[int, int]:
    """Return a number of which each full byte stands for 255, and where the next begins; behind `data` where it is cut off."""
    total = 0
    while at < len(data):
        total += data[at]
        at += 1
        if data[at - 1] != 255:
            return total, at
    return total, len(data) + 1
