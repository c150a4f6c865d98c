"""The clock of one track: time stamps without their wrap, and how they lie against arrivals and sender reports."""

from __future__ import annotations

from typing import NamedTuple

_WRAP = 1 << 32
_HALF = 1 << 31
WINDOW = 10.0
"""Seconds over which the shortest delay is looked for; it is renewed after each."""

OLDEST = 10.0
"""Seconds that what is read may be old: some servers begin with the pictures since the last key frame."""
_JUMP_S = 10
"""Seconds between two stamps from which on the clock has jumped."""
_QUICKER_S = 0.1
"""Seconds by which what comes is quicker than before while older media come in a burst."""
_BURST_PAUSE_S, _LONGEST_BURST_S = 0.3, 3.0


class ClockReport(NamedTuple):
    """At `unix_time` (seconds, by the camera's clock) the track stood at `ticks`."""

    unix_time: float
    ticks: int


class TrackClock:
    """Counts the ticks of one track from its first packet on. Stamps of more than 32 bits may come, as MPEG has them.

    rate      ticks a second
    ticks     of the newest packet; 0 for the first
    report    newest sender report; None before the first
    delay     least arrival minus stamp over the last seconds (monotonic seconds); None before the first packet

    Relays begin with the pictures since the last key frame, all at once. Only the end of that burst shows when they came.
    """

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.ticks = 0
        self.report: ClockReport | None = None
        self.delay: float | None = None
        self._stamp: int | None = None
        self._early: ClockReport | None = None
        self._fresh = 0.0
        self._since = 0.0
        self._burst: tuple[float, float] | None = None  # delay and arrival when what comes was last quicker than before
        self._first = 0.0
        self._jump: int | None = None  # where the clock lay when it last went on by more than a second at once

    @property
    def began(self) -> bool:
        """True once a packet has come."""
        return self._stamp is not None

    def advance(self, stamp: int) -> None:
        """Go on to the stamp of a packet."""
        if self._stamp is None:
            self._stamp = stamp
            if self._early is not None:
                self.note_report(self._early.unix_time, self._early.ticks)
        distance = self._distance(stamp)
        if not -self.rate < distance < _JUMP_S * self.rate:
            self.delay = None  # its clock was set: what was seen before says nothing any more
        self.ticks += distance
        if abs(distance) > self.rate:
            self._jump = self.ticks if distance > 0 else None
        self._stamp = stamp

    def note_report(self, unix_time: float, stamp: int) -> None:
        """Note a sender report. One that comes before the first packet counts from then on."""
        if self._stamp is None:
            self._early = ClockReport(unix_time, stamp)
        else:
            self.report = ClockReport(unix_time, self.ticks + self._distance(stamp))

    def forget(self) -> None:
        """Forget reports and arrivals, at a packet of another source: they belong to other stamps."""
        self.report = self.delay = None

    def find_ticks(self, stamp: int) -> int:
        """Return where a stamp near the newest packet's lies."""
        return self.ticks + self._distance(stamp)

    def observe(self, arrival: float) -> None:
        """Note that the newest packet arrived at `arrival` (monotonic seconds)."""
        delay = arrival - self.ticks / self.rate
        if self._burst is None:
            self._first = arrival
        if self._burst is None or delay < self._burst[0] - _QUICKER_S:
            self._burst = delay, arrival
        if self.delay is None or arrival - self._since > WINDOW:
            before = self._fresh if self.delay is not None else delay
            self._since, self._fresh = arrival, delay
            self.delay = min(before, delay)
        else:
            self._fresh = min(self._fresh, delay)
            self.delay = min(self.delay, delay)

    def is_in_burst(self, now: float) -> bool:
        """Return True while what comes may still be the older media of the beginning."""
        return self._burst is not None and now < min(self._burst[1] + _BURST_PAUSE_S, self._first + _LONGEST_BURST_S)

    def estimate_arrival(self, ticks: int, now: float) -> float:
        """Return when what lies at `ticks` came, if it was as quick as the quickest; it was read at `now`."""
        # what came before the clock jumped has another delay
        if self.delay is None or (self._jump is not None and ticks < self._jump):
            return now
        return max(now - OLDEST, min(now, ticks / self.rate + self.delay))

    def read_sender_time(self, ticks: int) -> float | None:
        """Return when the camera says that it took what lies at `ticks` (Unix seconds); None where it does not say."""
        return None if self.report is None else self.report.unix_time + (ticks - self.report.ticks) / self.rate

    def _distance(self, stamp: int) -> int:
        assert self._stamp is not None
        return (stamp - self._stamp + _HALF) % _WRAP - _HALF
