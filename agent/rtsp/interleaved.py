"""Splits what a camera sends over TCP into interleaved frames and messages (RFC 2326, 10.12).

Bytes in, calls out, no sockets. After a camera has lost some bytes, reading goes on at the next frame on a known channel.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Collection
from typing import TypeAlias

from agent.rtsp.message import MAX_BODY, MAX_HEAD, RtspMessage, is_head_possible, parse_message

FrameReceiver: TypeAlias = Callable[[bytearray, int, int], None]
"""Takes an interleaved frame: the buffer, and where in it the payload begins and ends; valid during the call only."""
CAPACITY = 256 << 10
"""Bytes of the buffer: several frames of the greatest length (64 KiB), or the longest message."""
_PIECE = 64 << 10
"""Bytes taken in at once at most, so that a flood of small messages leaves time to look at the clock."""
_HEADER = struct.Struct(">BBH")
_MARK = 0x24
_FILLING = re.compile(rb"[\s\0]+")


class InterleavedBuffer:
    """Holds the bytes of one connection until they are whole frames or messages.

    Fill `free()` and call `split` with the number of bytes that came.

    receivers   by channel; frames on other channels are left out
    on_message  called with each message
    """

    def __init__(self, on_message: Callable[[RtspMessage], None]) -> None:
        self.receivers: dict[int, FrameReceiver] = {}
        self._on_message = on_message
        self._data = bytearray(CAPACITY)
        self._held = 0

    def free(self) -> memoryview:
        """Return the part of the buffer that is to be filled; never empty."""
        return memoryview(self._data)[self._held : self._held + _PIECE]

    def split(self, count: int) -> None:
        """Take in `count` bytes that were put into `free`. Raises RtspTooLarge, RtspUnreadable, and what a receiver raises."""
        self._held += count
        used = self._split()
        left = self._held - used
        if used and left:
            self._data[:left] = self._data[used : self._held]
        self._held = left

    def _split(self) -> int:
        """Hand out what is whole; return how many bytes that was."""
        # hot path: some 400 frames a second and camera
        data, size, receivers, unpack = self._data, self._held, self.receivers, _HEADER.unpack_from
        at = 0
        while at + 4 <= size:
            mark, channel, length = unpack(data, at)
            if mark != _MARK:
                end = self._skip(at)
                if end == at:
                    break
                at = end
                continue
            end = at + 4 + length
            if end > size:
                break
            receiver = receivers.get(channel)
            if receiver is not None:
                receiver(data, at + 4, end)
            at = end
        return at

    def _skip(self, at: int) -> int:
        """Handle what is not a frame; return where it ends, `at` while more is needed."""
        data, size = self._data, self._held
        if filling := _FILLING.match(data, at, size):
            return filling.end()
        if not is_head_possible(data, at, size):
            return find_frame(data, at, size, self.receivers)
        message, length = parse_message(bytes(data[at : min(size, at + MAX_HEAD + MAX_BODY)]))
        if message:
            self._on_message(message)
        return at + length


def find_frame(data: bytes | bytearray, at: int, end: int, channels: Collection[int]) -> int:
    """Return where the next frame on one of `channels` begins behind `at`; `end` where there is none."""
    found = data.find(_MARK, at + 1, end)
    while found >= 0:
        if found + 1 == end or data[found + 1] in channels:
            return found
        found = data.find(_MARK, found + 1, end)
    return end
