"""Sample descriptions of MP4: do two segments decode alike, and the tag that H.265 needs."""

from __future__ import annotations

import struct

from agent.inspection.boxes import Track, boxes

_HEADS = {"vide": 8 + 78, "soun": 8 + 28}
"""Bytes of a sample entry before its inner boxes, the box head included."""


def same_format(one: Track, two: Track) -> bool:
    """True where a decoder set up for `one` decodes `two` as well. Bit rates, which each file states anew, do not count."""
    return (one.kind, one.codec, _setup(one)) == (two.kind, two.codec, _setup(two))


def _setup(track: Track) -> tuple[bytes, ...]:
    head = _HEADS[track.kind]
    inner = dict(boxes(memoryview(track.entry)[head:])) if len(track.entry) > head else {}
    if track.kind == "vide":
        size = track.entry[8 + 24 : 8 + 28]
        return size, *(bytes(inner[name]) for name in (b"avcC", b"hvcC") if name in inner)
    shape = track.entry[8 + 16 : 8 + 28]
    return shape, *(_decoder_config(bytes(body)) for name, body in inner.items() if name == b"esds")


def _decoder_config(esds: bytes) -> bytes:
    """Object type and AudioSpecificConfig out of an `esds` box (ISO/IEC 14496-1, 7.2.6); the whole box where it is odd."""
    kind, at = b"", 4
    while at + 2 <= len(esds):
        tag, at = esds[at], at + 1
        length = 0
        for _ in range(4):
            if at >= len(esds):
                return esds
            length, at, more = length << 7 | esds[at] & 0x7F, at + 1, esds[at] & 0x80
            if not more:
                break
        if tag == 3:
            at += 3
        elif tag == 4:
            kind, at = esds[at : at + 1], at + 13
        elif tag == 5:
            return kind + esds[at : at + length]
        else:
            return esds
    return esds


def playable(entry: bytes) -> bytes:
    """The entry with H.265 tagged `hvc1`, which Apple's and Windows' players ask for. A `hev1` entry that carries its
    parameter sets already is one in all but name."""
    if entry[4:8] != b"hev1":
        return entry
    inner = dict(boxes(memoryview(entry)[_HEADS["vide"] :]))
    arrays = inner.get(b"hvcC", b"")
    return entry[:4] + b"hvc1" + entry[8:] if len(arrays) > 22 and arrays[22] >= 3 else entry


def with_parameter_sets(entry: bytes, sps: list[bytes], pps: list[bytes]) -> bytes:
    """An `avc1` entry whose `avcC` also holds these parameter sets."""
    head = _HEADS["vide"]
    parts = []
    for name, body in boxes(memoryview(entry)[head:]):
        data = _merged(bytes(body), sps, pps) if name == b"avcC" else bytes(body)
        parts.append(struct.pack(">I4s", len(data) + 8, name) + data)
    whole = entry[4:head] + b"".join(parts)
    return struct.pack(">I", len(whole) + 4) + whole


def avcc_of(entry: bytes) -> bytes:
    """The body of an entry's `avcC` box; empty where there is none."""
    return bytes(dict(boxes(memoryview(entry)[_HEADS["vide"] :])).get(b"avcC", b""))


def _merged(avcc: bytes, more_sps: list[bytes], more_pps: list[bytes]) -> bytes:
    sps, pps, tail = parameter_sets(avcc)
    sps, pps = sps + more_sps, pps + more_pps
    return b"".join(
        [avcc[:5], bytes([0xE0 | len(sps)]), *(struct.pack(">H", len(x)) + x for x in sps), bytes([len(pps)]),
         *(struct.pack(">H", len(x)) + x for x in pps), tail]
    )  # fmt: skip


def parameter_sets(avcc: bytes) -> tuple[list[bytes], list[bytes], bytes]:
    """(SPS, PPS, what follows them) of an `avcC` body. Raises IndexError or struct.error on a broken one."""
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
