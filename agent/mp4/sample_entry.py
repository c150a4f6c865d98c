"""Sample entries (the codec descriptions in `stsd`): compare those of two segments, adapt them for players."""

from __future__ import annotations

from contextlib import suppress

from agent.mp4.boxes import BadMp4Error, make_box, walk_child_boxes
from agent.mp4.nal import extend_avcc
from agent.mp4.samples import Mp4Track

_HEADER_SIZES = {"vide": 8 + 78, "soun": 8 + 28}
"""Bytes of a sample entry before its inner boxes, box header included."""


def is_same_format(one: Mp4Track, two: Mp4Track) -> bool:
    """Return True where a decoder set up for `one` also decodes `two`. Bit rates, which differ in each file, do not count."""
    return (one.kind, one.codec, _read_setup(one)) == (two.kind, two.codec, _read_setup(two))


def _read_setup(track: Mp4Track) -> tuple[bytes, ...]:
    head = _HEADER_SIZES[track.kind]
    inner = dict(_list_inner_boxes(track.entry, head))
    if track.kind == "vide":
        size = track.entry[8 + 24 : 8 + 28]
        return size, *(inner[name] for name in (b"avcC", b"hvcC") if name in inner)
    shape = track.entry[8 + 16 : 8 + 28]
    return shape, *(_read_decoder_config(body) for name, body in inner.items() if name == b"esds")


def read_sound_config(entry: bytes) -> tuple[int, bytes]:
    """Return (object type, AudioSpecificConfig) of an `mp4a` entry; (0, b"") where there is none."""
    esds = dict(_list_inner_boxes(entry, _HEADER_SIZES["soun"])).get(b"esds", b"")
    found = _read_decoder_config(esds)
    return (found[0], found[1:]) if found and found != esds else (0, b"")


def _read_decoder_config(esds: bytes) -> bytes:
    """Object type and AudioSpecificConfig out of an `esds` box (ISO/IEC 14496-1, 7.2.6); the whole box if not understood."""
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


def tag_for_players(entry: bytes) -> bytes:
    """Return the entry with H.265 tagged `hvc1`, which the players of Apple and Windows require.

    A `hev1` entry that holds its parameter sets differs from `hvc1` in the tag only.
    """
    if entry[4:8] != b"hev1":
        return entry
    arrays = dict(_list_inner_boxes(entry, _HEADER_SIZES["vide"])).get(b"hvcC", b"")
    return entry[:4] + b"hvc1" + entry[8:] if len(arrays) > 22 and arrays[22] >= 3 else entry


def add_parameter_sets(entry: bytes, sps: list[bytes], pps: list[bytes]) -> bytes:
    """Return an `avc1` entry whose `avcC` also holds these parameter sets."""
    head = _HEADER_SIZES["vide"]
    parts = []
    for name, data in _list_inner_boxes(entry, head):
        parts.append(make_box(name, extend_avcc(data, sps, pps) if name == b"avcC" else data))
    return make_box(entry[4:8], entry[8:head], *parts)


def read_avcc(entry: bytes) -> bytes:
    """Return the content of an entry's `avcC` box; empty where there is none."""
    return dict(_list_inner_boxes(entry, _HEADER_SIZES["vide"])).get(b"avcC", b"")


def read_hvcc(entry: bytes) -> bytes:
    """Return the content of an entry's `hvcC` box; empty where there is none."""
    return dict(_list_inner_boxes(entry, _HEADER_SIZES["vide"])).get(b"hvcC", b"")


def _list_inner_boxes(entry: bytes, head: int) -> list[tuple[bytes, bytes]]:
    """(kind, content) of the boxes behind the first `head` bytes; of a damaged entry those before the damage."""
    found = []
    with suppress(BadMp4Error):
        for kind, body in walk_child_boxes(memoryview(entry)[head:]):
            found.append((kind, bytes(body)))
    return found
