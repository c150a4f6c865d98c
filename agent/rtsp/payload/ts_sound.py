"""Cuts the sound of an MPEG transport stream into frames: AAC (ADTS, LOAS), MPEG audio and AC-3.

A PES packet need not begin with a frame. Its stamp is that of the first frame that begins in it.
"""

from __future__ import annotations

from agent.rtsp.formats import AudioFormat
from agent.rtsp.media_unit import SoundFrame
from agent.rtsp.payload.frame_steps import FrameSteps
from agent.rtsp.payload.latm import LatmDepacketizer
from agent.rtsp.payload.ts_frames import HEAD, READERS, SYNC_BYTES, TS_CLOCK, TsFrame

_FOREIGN = 50
"""Frames of another format in a row after which the sound is another one; fewer are damaged, or no frames."""


class TsSoundSplitter:
    """Splits the sound of one elementary stream. `coding`: as TsStream has it. `feed` never raises.

    format     of the first frame; None before that
    changed    the sound has become another one
    damaged    frames and pieces that could not be used
    """

    def __init__(self, coding: str) -> None:
        self._read, self._sync = READERS[coding], SYNC_BYTES[coding]
        self.format: AudioFormat | None = None
        self.changed = False
        self.damaged = 0
        self._part = b""
        self._foreign = 0
        self._latm: LatmDepacketizer | None = None
        self._anchor: int | None = None
        self._number = self._fed = 0

    def feed(self, data: bytes, stamp: int | None, lost: bool) -> list[SoundFrame]:
        """Return the frames that are whole now.

        `stamp`: of the PES packet, unwrapped, in ticks of TS_CLOCK. `lost`: something before the packet is missing.
        """
        if lost:
            self.damaged += bool(self._part)
            self._part, self._anchor = b"", None
        begins = len(self._part)
        whole = self._part + data
        frames, at = list[SoundFrame](), 0
        while len(whole) - at >= HEAD:
            found = self._read(whole, at)
            if found is None or not self._is_ours(found):
                at = self._skip(whole, at)
                continue
            if at >= begins:
                self._set_anchor(stamp)
                stamp = None
            if at + found.size > len(whole):
                break
            frames += self._take(whole[at + found.framing : at + found.size], found)
            at += found.size
        if begins <= at < len(whole):
            self._set_anchor(stamp)  # the head of a frame that goes on in the next packet
        self._part = whole[at:]
        return frames

    def _set_anchor(self, stamp: int | None) -> None:
        """Begin to count at a frame that has a stamp of its own."""
        if stamp is not None:
            self._anchor, self._number = stamp, 0

    def _is_ours(self, found: TsFrame) -> bool:
        """Return True where a frame has the format of the first one; a pattern inside of a frame seldom has."""
        if found.format is None or found.format == self.format:
            self._foreign = 0
            return True
        if self.format is None:
            self.format = found.format
            self._latm = LatmDepacketizer(found.format) if found.format.payload == "latm" else None
            return True
        self._foreign += 1
        self.changed = self.changed or self._foreign >= _FOREIGN
        return False

    def _skip(self, data: bytes, at: int) -> int:
        """Return where a frame may begin behind `at`."""
        self.damaged += 1
        found = data.find(self._sync, at + 1)
        return found if found >= 0 else len(data)

    def _take(self, frame: bytes, found: TsFrame) -> list[SoundFrame]:
        """Return what is in a frame, with its stamp; nothing before the format and a first stamp are known."""
        anchor = self._anchor
        self._fed += 1
        # fed in any case, as its configuration does not come with each frame; with a stamp of its own, as one element is
        inside = self._latm.feed(frame, self._fed, True, False) if self._latm else []
        if anchor is None or self.format is None:
            return []
        if self._latm is not None:
            self._anchor = anchor + sum(each.duration for each in inside)
            return [each._replace(stamp=anchor + each.stamp - self._fed) for each in inside]
        steps = FrameSteps(found.samples, TS_CLOCK, self.format.sample_rate)
        self._number += 1
        return steps.stamp([frame], anchor, self._number - 1)
