"""Sound on its way into segments: its stamps repaired, its packets held back until the pictures have passed them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from enum import Enum, auto

from agent.media.containers import MediaPacket
from agent.recording.sound import Sound
from agent.recording.timeline import Timeline

STEP_BACK = 1.0
"""Seconds by which sound may step back and be left out, rather than moved."""


class SoundStep(Enum):
    """What became of a sound packet; OUT_OF_STEP: queued, but its stamps do not follow the ones before."""

    LEFT_OUT = auto()
    IN_STEP = auto()
    OUT_OF_STEP = auto()


class SoundQueue:
    """The sound of one connection. `tick`: seconds that one step of the stamps of packets from the camera lasts."""

    def __init__(self, sound: Sound, tick: float) -> None:
        self.sound = sound
        self._tick = tick
        self._line = Timeline(STEP_BACK)
        self._held: deque[tuple[float, MediaPacket]] = deque()

    def feed(self, packet: MediaPacket, arrival: float) -> SoundStep:
        """Queue what `packet` becomes in the file; a packet without a stamp, or a small step back, is left out."""
        if packet.pts is None:
            return SoundStep.LEFT_OUT
        placed = self._line.place(packet.pts * self._tick, arrival)
        if placed is None:
            return SoundStep.LEFT_OUT
        self._hold(self.sound.feed(packet, placed.at))
        return SoundStep.OUT_OF_STEP if placed.broken else SoundStep.IN_STEP

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

    def _hold(self, packets: list[MediaPacket]) -> None:
        tick = self.sound.tick
        for packet in packets:
            self._held.append(((packet.pts or 0) * tick, packet))
