"""Sound on its way into segments: its stamps repaired, its packets held back until the pictures have passed them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from enum import Enum, auto

from agent.media.containers import MediaPacket
from agent.recording.sound import Sound
from agent.recording.sound_line import SoundLine
from agent.recording.timeline import PlacedPacket, Timeline
from agent.rtsp.media_unit import MediaUnit

STEP_BACK = 1.0
"""Seconds by which sound may step back and be left out, rather than moved."""

MAX_HELD = 2048
"""Packets that wait for pictures at most: 43 seconds of sound at 48 kHz; the oldest go first."""


class SoundStep(Enum):
    """What became of a sound unit; OUT_OF_STEP: queued, but its stamps do not follow the ones before."""

    LEFT_OUT = auto()
    IN_STEP = auto()
    OUT_OF_STEP = auto()


class SoundQueue:
    """The sound of one connection. `tick`: seconds that one step of the stamps of units from the camera lasts."""

    def __init__(self, sound: Sound, tick: float) -> None:
        self.sound = sound
        self._tick = tick
        self._even = SoundLine()
        self._line = Timeline(STEP_BACK)
        self._held: deque[tuple[float, MediaPacket]] = deque()
        self._unplaced = 0
        self._last = float("-inf")
        self._is_settling = False

    @property
    def left_out(self) -> int:
        """How many units or packets are in no file: they could not be placed or decoded, or no picture came."""
        return self._unplaced + self.sound.left_out

    def feed(self, unit: MediaUnit, arrival: float, picture_shift: float | None = None) -> SoundStep:
        """Queue what `unit` becomes in the file; one that lies on the sound before it is left out.

        `picture_shift`: seconds that are added to the stamps of the pictures, which have the same clock.
        """
        duration = unit.duration * self._tick
        even = self._even.place(unit.pts * self._tick, duration)
        placed = None if even is None else self._place(even, arrival, picture_shift)
        if placed is None or placed.at <= self._last:
            self._unplaced += 1
            return SoundStep.LEFT_OUT
        self._last = placed.at
        self._hold(self.sound.feed(unit.data, placed.at, duration))
        return SoundStep.OUT_OF_STEP if placed.broken else SoundStep.IN_STEP

    def settle(self) -> None:
        """At a new segment: put sound right that was moved, as the pictures are; see Timeline.settle."""
        self._is_settling = True

    def flush(self) -> None:
        """Queue what the encoder still holds, at the end of the connection."""
        self._hold(self.sound.flush())

    def take(self, until: float) -> Iterable[tuple[float, MediaPacket]]:
        """Take out, one by one, the packets that begin at or before `until`: (seconds on the time line, packet).

        What the caller does not ask for, because a write failed, stays in the queue.
        """
        held = self._held
        # hot path: after most pictures nothing is due, and a generator would be made for nothing
        return self._take(until) if held and held[0][0] <= until else ()

    def _take(self, until: float) -> Iterator[tuple[float, MediaPacket]]:
        held = self._held
        while held and held[0][0] <= until:
            yield held.popleft()

    def _place(self, stamp: float, arrival: float, beside: float | None) -> PlacedPacket | None:
        if self._is_settling:
            self._is_settling = False
            self._line.settle(stamp, arrival)
        return self._line.place(stamp, arrival, beside)

    def _hold(self, packets: list[MediaPacket]) -> None:
        tick = self.sound.tick
        for packet in packets:
            self._held.append(((packet.pts or 0) * tick, packet))
        while len(self._held) > MAX_HELD:
            self._held.popleft()
            self._unplaced += 1
