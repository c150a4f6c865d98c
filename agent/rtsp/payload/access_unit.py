"""Joins NAL units to access units: all that carries one RTP time stamp is one picture (RFC 6184, 5.1; RFC 7798, 4.1).

The marker bit is a hint only: cameras set it on every packet, on none, or on an SEI unit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import NamedTuple, Protocol

from agent.mp4.nal import START_CODE, split_annex_b

PREFIX = b"\x00" + START_CODE
MAX_UNIT = 8 << 20
"""Bytes of memory of an access unit at most; a key frame of 4K has some 1 MiB."""
PIECE_COST = 128
_UNIT_COST = 256
"""Bytes of memory that a piece and a NAL unit take beside their own."""
_MAX_CARRIED = 64 << 10
_MAX_CARRIED_UNITS = 64
_MAX_PACKED = 256
"""NAL units in one that are looked at."""


class NalRules(Protocol):
    """What differs between H.264 and H.265."""

    header: int

    def get_type(self, first: int) -> int:
        """Return the type of a NAL unit by its first byte."""

    def is_slice(self, kind: int) -> bool: ...
    def is_parameter_set(self, kind: int) -> bool: ...
    def is_sei(self, kind: int) -> bool: ...
    def is_delimiter(self, kind: int) -> bool: ...
    def is_random_access(self, kind: int) -> bool:
        """Return True for a slice of a picture that needs none before it."""


class NalEntry(NamedTuple):
    """A NAL unit of the access unit under way: its type, and the index of its first piece."""

    kind: int
    piece: int


@dataclass(frozen=True, slots=True)
class CodedPicture:
    """An access unit: its bytes with start codes, and its units other than slices without."""

    data: bytes
    is_key_slice: bool
    others: tuple[tuple[int, bytes], ...]


class AccessUnit:
    """Collects the NAL units of one time stamp.

    pieces      what they consist of, in order, with start codes
    size        bytes of memory that it takes, about; payloads are counted by the caller
    damaged     something of it is missing
    fragment    a NAL unit is under way of which only fragments have come
    marked      a packet with the marker bit has come
    headless    the slice that begins the picture is missing
    starts      indexes of the NAL units that begin a picture: one, two where fields come apart, more where the stamps
                stand still
    """

    def __init__(self, rules: NalRules) -> None:
        self._rules = rules
        self._carried: list[tuple[int, bytes]] = []
        self.clear()

    def clear(self) -> None:
        """Begin anew; what was collected is left out."""
        self.pieces: list[bytes | bytearray] = []
        self.size = 0
        self.damaged = self.fragment = self.marked = False
        self._nals: list[NalEntry] = []
        self.starts: list[int] = []
        self._slices = 0
        self.headless = self._stands_still = False

    @property
    def has_slice(self) -> bool:
        return self._slices > 0

    def begin(self, header: bytes, lead: int) -> None:
        """Begin a NAL unit with its header; what is put into `pieces` afterwards belongs to it.

        `lead`: the byte behind the header, whose first bit says of a slice whether a picture begins with it.
        """
        kind = self._rules.get_type(header[0])
        if self._rules.is_slice(kind):
            if lead & 0x80:
                self.starts.append(len(self._nals))
            elif not self._slices:
                self.headless = True
            self._slices += 1
        self.size += _UNIT_COST
        self._nals.append(NalEntry(kind, len(self.pieces)))
        self.pieces.append(PREFIX + header)

    def add(self, unit: bytes | bytearray) -> None:
        """Add a whole NAL unit."""
        header = self._rules.header
        if len(unit) > header:
            self.begin(bytes(unit[:header]), unit[header])
            self.pieces.append(unit[header:])

    def take(self) -> list[CodedPicture]:
        """Return the pictures collected, one unless the stamps stand still, and begin anew.

        NAL units without a slice are kept for the next picture.
        """
        if len(self.starts) > 2 or self._stands_still:
            pictures = self._join_all([0, *self._find_bounds(), len(self._nals)])
        else:
            self._leave_out_repetition()
            picture = self._join(self._nals, len(self.pieces))
            pictures = [] if picture is None else [picture]
        self.clear()
        return pictures

    def take_finished(self) -> list[CodedPicture]:
        """Return the pictures before the one that has begun last, which stays: for stamps that stand still."""
        bounds = self._find_bounds()
        if not bounds:
            return []
        pictures = self._join_all([0, *bounds])
        self._stands_still = True
        last = bounds[-1]
        piece = self._nals[last].piece
        self.pieces = self.pieces[piece:]
        self.starts = [self.starts[-1] - last]
        self._nals = [NalEntry(nal.kind, nal.piece - piece) for nal in self._nals[last:]]
        self.size = sum(map(len, self.pieces)) + PIECE_COST * len(self.pieces)
        return pictures

    def _leave_out_repetition(self) -> None:
        """Leave out a picture that was sent twice under one stamp; two fields are never alike."""
        for bound in self._find_bounds():
            piece = self._nals[bound].piece
            first, second = self.pieces[:piece], self.pieces[piece:]
            if sum(map(len, first)) == sum(map(len, second)) and b"".join(first) == b"".join(second):
                self.pieces, self._nals = first, self._nals[:bound]

    def _join_all(self, bounds: list[int]) -> list[CodedPicture]:
        joined = (self._join(self._nals[a:b], self._get_piece(b)) for a, b in pairwise(bounds))
        return [picture for picture in joined if picture is not None]

    def _find_bounds(self) -> list[int]:
        """Return the indexes of the NAL units that begin the second picture and those after it."""
        bounds = []
        for start in self.starts[1:]:
            # parameter sets and SEI before a slice belong to its picture
            while start > 1 and not self._rules.is_slice(self._nals[start - 1].kind):
                start -= 1
            bounds.append(start)
        return bounds

    def _get_piece(self, nal: int) -> int:
        return self._nals[nal].piece if nal < len(self._nals) else len(self.pieces)

    def _join(self, nals: list[NalEntry], end: int) -> CodedPicture | None:
        """Join NAL units to a picture; None where no slice is among them."""
        if not nals:
            return None
        rules = self._rules
        kinds = {nal.kind for nal in nals}
        is_entry, is_slice = rules.is_random_access, rules.is_slice
        if all(map(is_slice, kinds)) and not self._carried:  # hot path: most pictures
            return CodedPicture(b"".join(self.pieces[nals[0].piece : end]), any(map(is_entry, kinds)), ())
        others = list(self._collect_others(nals, end))
        kinds |= {kind for kind, _ in others}
        if not any(map(is_slice, kinds)):
            self._carry(others)
            return None
        carried, self._carried = self._carried, []
        data = b"".join([*(PREFIX + unit for _, unit in carried), *self.pieces[nals[0].piece : end]])
        found = (*carried, *((kind, unit) for kind, unit in others if not is_slice(kind)))
        return CodedPicture(data, any(map(is_entry, kinds)), found)

    def _collect_others(self, nals: list[NalEntry], end: int) -> Iterator[tuple[int, bytes]]:
        """Yield the units other than slices, and slices that were packed into one (cameras send Annex B inside RTP)."""
        bounds = [*(nal.piece for nal in nals[1:]), end]
        for nal, until in zip(nals, bounds, strict=True):
            if self._rules.is_slice(nal.kind):
                continue
            whole = b"".join(self.pieces[nal.piece : until])
            for unit in islice(split_annex_b(whole), _MAX_PACKED):
                yield self._rules.get_type(unit[0]), unit

    def _carry(self, units: Iterable[tuple[int, bytes]]) -> None:
        self._carried += units
        if len(self._carried) > _MAX_CARRIED_UNITS or sum(len(unit) for _, unit in self._carried) > _MAX_CARRIED:
            self._carried = []
