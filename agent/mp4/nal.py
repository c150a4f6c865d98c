"""NAL units of H.264 and H.265: Annex B byte streams, and the parameter sets in an `avcC` record (ISO/IEC 14496-15).

This module does not import numpy: recording uses it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

START_CODE = b"\x00\x00\x01"


def split_annex_b(data: bytes, stop_before: Callable[[int], bool] | None = None) -> Iterator[bytes]:
    """Yield the NAL units of a byte stream with start codes, without the zeros that may follow a unit.

    `stop_before` gets the first byte of each unit and ends the walk where it returns True: the units before the first slice
    are found without scanning the slice, which is most of a picture.
    """
    at = data.find(START_CODE)
    while at >= 0:
        begin = at + len(START_CODE)
        if stop_before is not None and begin < len(data) and stop_before(data[begin]):
            return
        at = data.find(START_CODE, begin)
        unit = data[begin : at if at >= 0 else len(data)].rstrip(b"\x00")
        if unit:
            yield unit


def split_avcc(avcc: bytes) -> tuple[list[bytes], list[bytes], bytes]:
    """Return (SPS, PPS, what follows them) of an `avcC` record. Raises IndexError or struct.error on a broken one."""
    at, found = 5, []
    for mask in (0x1F, 0xFF):
        units = []
        count, at = avcc[at] & mask, at + 1
        for _ in range(count):
            size = struct.unpack_from(">H", avcc, at)[0]
            units.append(avcc[at + 2 : at + 2 + size])
            at += 2 + size
        found.append(units)
    return found[0], found[1], avcc[at:]


def extend_avcc(avcc: bytes, more_sps: list[bytes], more_pps: list[bytes]) -> bytes:
    """Return an `avcC` record that also holds these parameter sets. Raises IndexError or struct.error on a broken one."""
    sps, pps, tail = split_avcc(avcc)
    sps, pps = sps + more_sps, pps + more_pps
    parts = [avcc[:5], bytes([0xE0 | len(sps)]), *map(_prefix_length, sps)]
    parts += [bytes([len(pps)]), *map(_prefix_length, pps), tail]
    return b"".join(parts)


def _prefix_length(unit: bytes) -> bytes:
    return struct.pack(">H", len(unit)) + unit


def read_length_size(avcc: bytes) -> int:
    """Return how many bytes hold the length in front of each NAL unit of a sample."""
    return (avcc[4] & 3) + 1


def read_parameter_set_id(unit: bytes) -> int:
    """Return the ID of an H.264 SPS or PPS. Raises ValueError on a broken one."""
    # an SPS holds profile, constraints and level (three bytes) before its ID
    return read_exp_golomb(unit[4:] if unit[0] & 31 == 7 else unit[1:])


def read_exp_golomb(data: bytes) -> int:
    """Return the unsigned Exp-Golomb number at the beginning of `data` (ITU-T H.264, 9.1). Raises ValueError without one."""
    bits = "".join(f"{byte:08b}" for byte in data[:8])
    zeros = bits.index("1")
    return int(bits[zeros : 2 * zeros + 1], 2) - 1
