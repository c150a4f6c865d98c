"""Makes media units of coded pictures: what a decoder must know, key frames, signatures, times of decoding."""

from __future__ import annotations

from collections.abc import Callable

from agent.rtsp.formats import VideoFormat
from agent.rtsp.media_unit import MediaUnit
from agent.rtsp.payload.access_unit import CodedPicture, NalRules
from agent.rtsp.payload.decode_order import DecodeOrder
from agent.rtsp.payload.h264 import H264Rules
from agent.rtsp.payload.h265 import H265Rules
from agent.rtsp.payload.parameter_sets import ParameterSets
from agent.rtsp.payload.sei import has_recovery_point
from agent.rtsp.payload.signing import is_signature

_USUAL_RATE = 25.0


class PictureMaker:
    """Makes the media units of one stream of pictures. They go to `deliver` in order of decoding.

    rules     of the codec
    signed    True once a unit of ONVIF media signing has come
    """

    def __init__(self, video: VideoFormat, deliver: Callable[[MediaUnit], None]) -> None:
        self.rules: NalRules = H264Rules() if video.codec == "h264" else H265Rules()
        self.signed = False
        self._video = video
        self._deliver = deliver
        self._sets = ParameterSets(video.codec, video.parameter_sets)
        self._order: DecodeOrder | None = None
        self._disorders = 0

    @property
    def interval(self) -> int:
        """Usual ticks between two pictures."""
        known = self._sets.format()
        rate = self._video.rate or (known.rate if known else 0.0) or _USUAL_RATE
        return round(self._video.clock_rate / rate)

    def make(self, picture: CodedPicture, pts: int, sender_time: float | None, dts: int | None = None) -> None:
        """Take a picture that is shown at `pts`, in ticks. `dts`: when it is decoded, where the stream says that."""
        unit = MediaUnit(picture.data, pts, pts, 0, True, picture.is_key_slice)
        if picture.others:
            unit.is_key = self._look_into(picture) or unit.is_key
        if unit.is_key:
            unit.format = self._sets.format()
            unit.sender_time = sender_time
        for placed in self._put_in_order(unit) if dts is None else self._take_order(unit, dts):
            self._deliver(placed)

    def end(self) -> None:
        """Hand out what waits for its time of decoding."""
        for unit in self._order.flush() if self._order else ():
            self._deliver(unit)

    def _put_in_order(self, unit: MediaUnit) -> list[MediaUnit]:
        """Return the pictures whose decode time is known now."""
        order = self._order
        if order is None:
            known = self._sets.format()
            order = self._order = DecodeOrder(known.reorder if known else None, self.interval, self._video.clock_rate)
        elif unit.is_key:
            order.raise_depth(unit.format.reorder if unit.format else None)
            unit.new_order = order.disorders > self._disorders
            self._disorders = order.disorders
        return order.feed(unit)

    def _take_order(self, unit: MediaUnit, dts: int) -> list[MediaUnit]:
        """Return a picture whose decode time is told, behind those that still waited for theirs."""
        waiting, self._order = self._order.flush() if self._order else [], None
        unit.dts, unit.pts = dts, max(unit.pts, dts)
        return [*waiting, unit]

    def _look_into(self, picture: CodedPicture) -> bool:
        """Take parameter sets out of an access unit; return True where its SEI says that decoding may begin with it."""
        rules, is_entry = self.rules, False
        sets = [unit for kind, unit in picture.others if rules.is_parameter_set(kind)]
        if sets:
            self._sets.take(sets)
        for kind, unit in picture.others:
            if rules.is_sei(kind):
                is_entry = is_entry or has_recovery_point(unit, rules.header)
                self.signed = self.signed or is_signature(unit, self._video.codec)
        return is_entry
