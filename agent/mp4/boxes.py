"""Boxes (also called atoms) of an MP4 file: walk them and make them (ISO/IEC 14496-12, 4.2).

Files come from removable disks, so every length is checked before it is used. This module does not import numpy: recording
uses it, and numpy would cost it memory.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

BOX_HEADER_SIZE = 8
"""Bytes of an ordinary box header: size (32 bits) and kind."""
_WIDE_HEADER_SIZE = 16


class BadMp4Error(Exception):
    """The file is not valid MP4; the text says where."""


class Mp4Box(NamedTuple):
    """Offsets of one box: header at `start`, content in [`body`, `end`).

    `sized` is False where the size field is 0, which means that the box reaches to the end of what contains it.
    """

    kind: bytes
    start: int
    body: int
    end: int
    sized: bool


def walk_boxes(read_at: Callable[[int, int], bytes | memoryview], length: int) -> Iterator[Mp4Box]:
    """Yield the boxes that lie one after another in `length` bytes; the last one may claim to reach beyond them.

    `read_at(offset, size)` returns at most `size` bytes. Raises BadMp4Error where a box is smaller than its own header.
    """
    at = 0
    while at + BOX_HEADER_SIZE <= length:
        head = read_at(at, _WIDE_HEADER_SIZE)
        size, kind = struct.unpack_from(">I4s", head)
        body = at + BOX_HEADER_SIZE
        if size == 1:
            if len(head) < _WIDE_HEADER_SIZE:
                raise BadMp4Error(f"box {kind!r} at {at} cut off in its header")
            size, body = struct.unpack_from(">Q", head, BOX_HEADER_SIZE)[0], at + _WIDE_HEADER_SIZE
        end = at + size if size else length
        if end < body:
            raise BadMp4Error(f"box {kind!r} of {size} bytes at {at}")
        yield Mp4Box(kind, at, body, end, size != 0)
        at = end


def walk_child_boxes(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Yield (kind, content) of the boxes inside the content of another box. Raises BadMp4Error."""
    for box in walk_boxes(lambda at, size: data[at : at + size], len(data)):
        if box.end > len(data):
            raise BadMp4Error(f"{box.kind!r} of {box.end - box.start} bytes in {len(data)}")
        yield box.kind, data[box.body : box.end]


def find_box(data: memoryview, *path: bytes) -> memoryview:
    """Return the content of the first box at a path of kinds; empty where there is none. Raises BadMp4Error."""
    for step in path:
        data = next((body for kind, body in walk_child_boxes(data) if kind == step), memoryview(b""))
    return data


def make_box(kind: bytes, *parts: bytes) -> bytes:
    """Return a box with `parts` as content."""
    body = b"".join(parts)
    return struct.pack(">I4s", len(body) + BOX_HEADER_SIZE, kind) + body


def make_full_box(kind: bytes, body: bytes, *, version: int = 0, flags: int = 0) -> bytes:
    """Return a box that begins with a version and flags ("full box")."""
    return make_box(kind, struct.pack(">I", version << 24 | flags), body)
