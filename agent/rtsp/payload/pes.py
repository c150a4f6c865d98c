"""Joins the packets of one elementary stream to PES packets (ISO/IEC 13818-1, 2.4.3.6), whole ones only."""

from __future__ import annotations

from typing import NamedTuple

from agent.rtsp.payload.access_unit import MAX_UNIT

_MAX_SOUND = 128 << 10
_PREFIX = b"\x00\x00\x01"
_HEAD = 9
_STAMP = 5
_NO_STAMPS = frozenset((0xBC, 0xBE, 0xBF, 0xF0, 0xF1, 0xF2, 0xF8, 0xFF))
"""Stream IDs of packets that have no header with stamps; none of them carries pictures or sound."""


class PesPacket(NamedTuple):
    """A PES packet of pictures or of sound; of pictures with those behind it that have no stamp of their own.

    pts, dts   33-bit stamps of 90 kHz; None where it has none
    arrival    what `feed` was told when it began
    lost       something before it is missing
    """

    data: bytes
    pts: int | None
    dts: int | None
    arrival: int
    lost: bool


class PesAssembler:
    """Assembles the PES packets of one PID.

    damaged      packets that were left out because something of them was missing
    is_filled    the newest transport packet was filled up, as only the last one of a PES packet is; set by the caller
    """

    def __init__(self, *, is_picture: bool) -> None:
        self._is_picture = is_picture
        self._limit = MAX_UNIT if is_picture else _MAX_SOUND
        self.damaged = 0
        self.is_filled = False
        self._lost = False
        self._is_counted = True  # a packet may have begun before the connection
        self._clear()

    def lose(self) -> None:
        """Leave out the packet under way, and what follows until the next one begins: something is missing."""
        self.damaged += self._under_way
        self._is_counted = self._under_way
        self._clear()
        self._lost = True

    def feed(self, data: bytearray, at: int, end: int, starts: bool, arrival: int) -> list[PesPacket]:
        """Take the payload of a transport packet; return the PES packets that are complete now."""
        found: list[PesPacket] = []
        if starts:
            if self._goes_on(data, at, end):
                self._open_next(data, at)
            else:
                found += self._finish()
                if not self._open(data, at, end, arrival):
                    self.lose()
                    return found
            at += _HEAD + data[at + 8]
        if self._under_way:
            self._add(data, at, end)
        elif not self._is_counted:
            self.damaged += 1  # its begin is missing
            self._is_counted = True
        if self._room == 0 and not self._is_picture:
            found += self._finish()
        return found

    def end(self) -> list[PesPacket]:
        """Return the packet under way, at the end of the connection, where it is whole.

        One that does not say its length is whole where its newest transport packet was filled up.
        """
        return self._finish() if self._room == 0 or (self._room is None and self.is_filled) else []

    def _clear(self) -> None:
        self._pieces: list[bytearray] = []
        self._size = self._skipped = self._arrival = 0
        self._pts: int | None = None
        self._dts: int | None = None
        self._under_way = False
        self._room: int | None = None  # bytes that are still to come, where that is known

    def _goes_on(self, data: bytearray, at: int, end: int) -> bool:
        """Return True where a PES packet of pictures has no stamp: it continues the one before."""
        return self._is_picture and self._under_way and _has_head(data, at, end) and not data[at + 7] & 0x80

    def _open_next(self, data: bytearray, at: int) -> None:
        if self._room:
            self.lose()
        self._room = _read_room(data, at)

    def _open(self, data: bytearray, at: int, end: int, arrival: int) -> bool:
        """Begin a packet; return False where no header with the stamps that it needs stands here."""
        if not _has_head(data, at, end):
            return False
        flags = data[at + 7] >> 6
        stamps = at + _HEAD
        if flags & 2:
            if end - stamps < _STAMP:
                return False
            self._pts = _read_stamp(data, stamps)
            if flags & 1 and end - stamps >= 2 * _STAMP:
                self._dts = _read_stamp(data, stamps + _STAMP)
        elif self._is_picture:
            return False
        self._room, self._arrival, self._under_way = _read_room(data, at), arrival, True
        return True

    def _add(self, data: bytearray, at: int, end: int) -> None:
        """Add bytes; a header that reaches into the next payload leaves some of them to be skipped there."""
        at += self._skipped
        self._skipped = max(at - end, 0)
        count = max(end - at, 0)
        if self._room is not None:
            count = min(count, self._room)
            self._room -= count
        if count:
            self._pieces.append(data[at : at + count])
            self._size += count
            if self._size > self._limit:
                self.lose()

    def _finish(self) -> list[PesPacket]:
        """Return the packet under way, and begin anew; nothing where there is none, or not all of it has come."""
        if self._room:
            self.lose()
        if not self._pieces:
            self._clear()
            return []
        made = PesPacket(b"".join(self._pieces), self._pts, self._dts, self._arrival, self._lost)
        self._clear()
        self._lost = self._is_counted = False
        return [made]


def _has_head(data: bytearray, at: int, end: int) -> bool:
    return (
        end - at >= _HEAD
        and data[at : at + 3] == _PREFIX
        and data[at + 3] not in _NO_STAMPS
        and data[at + 6] & 0xC0 == 0x80
    )


def _read_room(data: bytearray, at: int) -> int | None:
    """Return how many bytes the packet holds behind its header; None where it does not say."""
    length = data[at + 4] << 8 | data[at + 5]
    return max(length - 3 - data[at + 8], 0) if length else None


def _read_stamp(data: bytearray, at: int) -> int:
    """Return a stamp of 33 bits, which lie between marker bits."""
    high, middle, low = data[at] >> 1 & 7, data[at + 1] << 7 | data[at + 2] >> 1, data[at + 3] << 7 | data[at + 4] >> 1
    return high << 30 | middle << 15 | low
