"""Decode times of pictures, which RTP leaves out.

With a reorder depth of n, a picture is decoded at the n-th smallest presentation time before its own: the times of decoding
are those of showing, sorted, n pictures earlier. The first n count back from the first picture.

Where the stream does not say its depth, the first pictures wait, so that a step back in their stamps shows it. Where it says
too little, the depth grows when that shows. Stamps that stand still, jump or run backwards are not reordering: they go
through as they are, each with a decode time that keeps its distance, for the recorder's time line to repair.
"""

from __future__ import annotations

import heapq
from collections import deque
from itertools import pairwise

from agent.rtsp.media_unit import MediaUnit

MAX_WAITING = 4
"""How many pictures may wait at the beginning."""
MAX_WAITING_BYTES = 4 << 20
MAX_WAIT_S = 0.3
"""How long they may wait; of slow streams fewer do."""
MAX_DEPTH = 16
_UNTOLD_DEPTH = 4
"""Greatest depth that is taken from the stamps of a stream that says less; more is a clock that was set back."""
_CONTRADICTIONS = 5
"""Steps back within MAX_DEPTH pictures that outweigh what the stream says of its order."""
_REORDER_S = 2.0
_UNTOLD_REORDER_S = 0.6
"""Seconds by which a picture may be shown before one that was decoded before it, as far as the stream said, or did not say."""


class DecodeOrder:
    """Gives pictures their decode times, in order of decoding. Neither method raises.

    reorder     depth as PictureFormat has it; None: see from the stamps
    interval    usual distance of two pictures, in ticks of the clock
    rate        ticks of the clock a second

    disorders   how many pictures got other stamps than the camera meant, since they came out of an order that was not known:
                where this grows, a new segment should begin at the next key frame
    """

    def __init__(self, reorder: int | None, interval: int, rate: int) -> None:
        self._depth = min(max(0, reorder or 0), MAX_DEPTH)
        self._interval = max(1, interval)
        self._rate = rate
        self._is_told = reorder is not None
        self._number = 0
        self._doubts: deque[int] = deque(maxlen=_CONTRADICTIONS)
        self._waiting: list[MediaUnit] | None = [] if reorder is None else None
        self._sorted: list[int] = []
        self._recent: deque[int] = deque(maxlen=MAX_DEPTH + 1)
        self._newest: int | None = None
        self._first = self._previous = 0
        self._last: int | None = None
        self.disorders = 0

    @property
    def depth(self) -> int:
        """Return how many pictures later than its own time a picture may be decoded, as far as is known."""
        return self._depth

    def feed(self, unit: MediaUnit) -> list[MediaUnit]:
        """Return the pictures whose decode time is now known, with `dts` set, in the order they came in."""
        if self._waiting is None:
            self._place(unit)
            return [unit]
        self._waiting.append(unit)
        return self.flush() if self._has_waited_enough(self._waiting) else []

    def flush(self) -> list[MediaUnit]:
        """Return the pictures that still wait: the stream ends, or must go on."""
        if not self._waiting:
            return []
        waiting, self._waiting = self._waiting, None
        stamps: list[int] = []
        for unit in waiting:
            if not stamps or (not unit.is_key and 0 < max(stamps) - unit.pts <= self._rate * _UNTOLD_REORDER_S):
                self._depth = max(self._depth, sum(pts > unit.pts for pts in stamps))
            stamps.append(unit.pts)
        for unit in waiting:
            self._place(unit)
        return waiting

    def raise_depth(self, reorder: int | None) -> None:
        """Take in, before a key frame, what new parameter sets say; the depth never falls: too great a one does no harm."""
        if reorder is not None:
            self._depth = max(self._depth, min(reorder, MAX_DEPTH))

    def _has_waited_enough(self, waiting: list[MediaUnit]) -> bool:
        stamps = sorted(unit.pts for unit in waiting)
        steps = [later - early for early, later in pairwise(stamps) if later > early]
        step = min([self._interval, *steps])
        if sum(len(unit.data) for unit in waiting) > MAX_WAITING_BYTES:
            return True
        # the next one comes a step later, or never
        return len(waiting) >= MAX_WAITING or len(waiting) * step > MAX_WAIT_S * self._rate

    def _place(self, unit: MediaUnit) -> None:
        pts = unit.pts
        self._number += 1
        late = self._count_before(unit)
        if late is None:
            self._restart(pts)
        elif late > self._depth and self._is_jitter():
            late = None
        else:
            self._depth = max(self._depth, late)
        unit.dts = self._find_decode_time(pts)
        if pts < unit.dts:
            unit.pts = unit.dts
            # those before a first key frame lack what they are decoded from: their stamps do not matter
            self.disorders += pts > self._first and late is not None
        self._recent.append(pts)
        self._newest = pts if self._newest is None else max(self._newest, pts)
        self._previous, self._last = pts, unit.dts

    def _is_jitter(self) -> bool:
        """Return True where a step back contradicts what the stream says of its order, and does not come often.

        Jitter of the stamps makes such steps too; they are no reason for a new segment.
        """
        self._doubts.append(self._number)
        return self._is_told and (len(self._doubts) < _CONTRADICTIONS or self._number - self._doubts[0] > MAX_DEPTH)

    def _count_before(self, unit: MediaUnit) -> int | None:
        """How many pictures were decoded before this one and are shown after it; None: its stamp has jumped."""
        if self._newest is None:
            return None
        back = self._newest - unit.pts
        if back <= 0:
            return 0 if -back <= self._rate * _REORDER_S else None
        late = sum(pts > unit.pts for pts in self._recent)
        told = late <= self._depth
        # nothing that was decoded before a key frame is shown after it
        if unit.is_key or back > self._rate * (_REORDER_S if told else _UNTOLD_REORDER_S):
            return None
        return late if told or late <= max(_UNTOLD_DEPTH, 2 * self._depth) else None

    def _restart(self, pts: int) -> None:
        if self._newest is not None and pts <= self._newest:
            self._last = None
        self._sorted = [pts - number * self._interval for number in range(self._depth, 0, -1)]
        self._recent.clear()
        self._newest, self._first = None, pts

    def _find_decode_time(self, pts: int) -> int:
        heapq.heappush(self._sorted, pts)
        # where the depth has just grown nothing is left to be decoded before this one
        found = heapq.heappop(self._sorted) if len(self._sorted) > self._depth else None
        if self._last is None:
            return pts if found is None else found
        stands_still = self._newest is not None and pts == self._previous
        least = self._last if stands_still else self._last + 1
        return least if found is None else max(found, least)
