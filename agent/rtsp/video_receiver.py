"""Takes the packets of the picture track and makes access units of them, whole ones only."""

from __future__ import annotations

from collections.abc import Callable

from agent.rtsp.formats import VideoFormat
from agent.rtsp.media_unit import MediaUnit
from agent.rtsp.payload.access_unit import MAX_UNIT, PIECE_COST, AccessUnit, CodedPicture
from agent.rtsp.payload.h264 import feed_h264
from agent.rtsp.payload.h265 import feed_h265
from agent.rtsp.picture_maker import PictureMaker
from agent.rtsp.rtp_receiver import RtpReceiver

_REGULAR = 16
"""Access units in a row that ended with a marker, after which the marker ends them at once."""
_FIELDS = 2
"""Pictures that may share a stamp: two fields. More of them mean that the stamps stand still."""


class VideoReceiver(RtpReceiver):
    """Receives the picture track. Access units go to `deliver` in order of decoding.

    format     of the session description
    damaged    access units that were left out because packets of them were missing
    """

    def __init__(
        self,
        payload_type: int,
        video: VideoFormat,
        deliver: Callable[[MediaUnit], None],
        named_source: int | None = None,
    ) -> None:
        super().__init__(payload_type, video.clock_rate, named_source)
        self.format = video
        self.damaged = 0
        self._maker = PictureMaker(video, deliver)
        self._feed = feed_h264 if video.codec == "h264" else feed_h265
        self._has_don = video.codec != "h264" and video.has_don
        self._unit = AccessUnit(self._maker.rules)
        self._regular = 0
        self._markers_lie = self._sealed = False
        self._still = 0

    @property
    def signed(self) -> bool:
        """True once a unit of ONVIF media signing has come."""
        return self._maker.signed

    def flush(self) -> None:
        """Hand out the access unit under way where it is certain that nothing of it will follow.

        Call when all that has come was taken: otherwise each picture would wait for the next one.
        """
        unit = self._unit
        if self._regular >= _REGULAR and unit.marked and unit.has_slice and not self._markers_lie:
            self._finish()
            self._sealed = True

    def end(self) -> None:
        """Hand out what is left, at the end of the connection."""
        if self._unit.marked:
            self._finish()
        self._maker.end()

    def _turn(self, stamp: int, gap: bool) -> None:
        unit = self._unit
        if self._sealed:
            self._sealed = False
            self._drop_tail()
        else:
            if gap and (not unit.marked or self._markers_lie):
                unit.damaged = True  # its end is missing
            self._regular = self._regular + 1 if unit.marked else 0
            self._finish()
        super()._turn(stamp, gap)

    def _take(self, data: bytearray, at: int, end: int, marker: int, gap: bool) -> None:
        unit = self._unit
        if gap and unit.size:
            unit.damaged = True
        if at >= end:  # keep the marker, there is nothing else in it
            unit.marked = unit.marked or marker > 0
            return
        if unit.marked:
            self._markers_lie = True
        unit.size += end - at + PIECE_COST
        if unit.size > MAX_UNIT:
            unit.clear()
            unit.damaged = True
            return
        was_damaged = unit.damaged
        if self._has_don:
            feed_h265(unit, data, at, end, True)
        else:
            self._feed(unit, data, at, end)
        if marker:
            unit.marked = True
        if len(unit.starts) > _FIELDS:
            self._take_finished(was_damaged)

    def _take_finished(self, was_damaged: bool) -> None:
        """Hand out the pictures before the one that has just begun, which share its stamp."""
        unit = self._unit
        pictures = unit.take_finished()
        if unit.damaged or unit.headless:
            self.damaged += len(pictures)
            # what was missing before this packet is missing of those
            unit.damaged = not was_damaged and unit.damaged
            unit.headless = False
        else:
            self._hand_out(pictures, standing_still=True)

    def _drop_tail(self) -> None:
        """Leave out what came behind the marker that seemed to end an access unit: it is out already."""
        if self._unit.size:
            self._markers_lie = True
            self.damaged += 1
            self._unit.clear()

    def _finish(self) -> None:
        """End the access unit under way."""
        unit = self._unit
        if not unit.size:
            unit.clear()
            return
        if unit.damaged or unit.headless or unit.fragment:
            self.damaged += 1
            unit.clear()
            return
        self._hand_out(unit.take(), standing_still=False)

    def _hand_out(self, pictures: list[CodedPicture], *, standing_still: bool) -> None:
        for number, picture in enumerate(pictures):
            # stamps that stand still: counted on by the usual interval, from one picture to the next
            self._still += self._maker.interval if number and not standing_still else 0
            pts = self.clock.ticks + self._still
            self._maker.make(picture, pts, self.clock.read_sender_time(pts))
            self._still += self._maker.interval if standing_still else 0
