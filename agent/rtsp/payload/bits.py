"""Read the bits of a NAL unit: fixed lengths and Exp-Golomb numbers (ITU-T H.264 and H.265, 7.2 and 9.1 or 9.2)."""

from __future__ import annotations

MAX_UNIT_BYTES = 16 << 10
"""How much of a unit is looked at; a parameter set of the largest legal size is smaller."""
_EMULATION = b"\x00\x00\x03"
_MAX_ZEROS = 32


class BadParameterSetError(ValueError):
    """The parameter set ends too early, or says what no camera can send; the text says what."""


def strip_emulation_prevention(unit: bytes) -> bytes:
    """Return the unit without the bytes that only keep start codes from showing up in it."""
    return unit.replace(_EMULATION, b"\x00\x00")


class BitReader:
    """The bits of a unit from byte `skip` on. All methods raise BadParameterSetError behind the end."""

    def __init__(self, unit: bytes, skip: int = 0) -> None:
        data = strip_emulation_prevention(unit[:MAX_UNIT_BYTES])[skip:]
        self._value = int.from_bytes(data, "big")
        self.left = len(data) * 8

    def peek(self, count: int) -> int:
        """Return the next bits without reading them."""
        if count > self.left:
            raise BadParameterSetError("the parameter set ends too early")
        return self._value >> (self.left - count) & ((1 << count) - 1)

    def read(self, count: int) -> int:
        """Return the next `count` bits as a number."""
        value = self.peek(count)
        self.left -= count
        return value

    def read_flag(self) -> bool:
        return self.read(1) == 1

    def skip(self, count: int) -> None:
        self.read(count)

    def read_ue(self) -> int:
        """Return an unsigned Exp-Golomb number of at most 32 bits."""
        zeros = 0
        while not self.read_flag():
            zeros += 1
            if zeros > _MAX_ZEROS:
                raise BadParameterSetError("number of more than 32 bits")
        value = (1 << zeros) - 1 + self.read(zeros)
        if value >= 1 << 32:
            raise BadParameterSetError("number of more than 32 bits")
        return value

    def read_se(self) -> int:
        """Return a signed Exp-Golomb number."""
        value = self.read_ue()
        return (value + 1) // 2 if value & 1 else -(value // 2)

    def read_count(self, limit: int) -> int:
        """Return an unsigned Exp-Golomb number that says how many items follow: `limit` at most."""
        value = self.read_ue()
        if value > limit:
            raise BadParameterSetError(f"{value} items where {limit} are allowed")
        return value
