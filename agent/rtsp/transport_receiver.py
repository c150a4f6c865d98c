"""Takes the packets of a track that is an MPEG transport stream, and makes access units and sound of what is in it.

The stamps of picture and sound come from one clock, so nothing has to bring the two together. What they are only the stream
says: `is_known` tells when it has.
"""

from __future__ import annotations

from collections.abc import Callable

from agent.rtsp.formats import AudioFormat, VideoFormat
from agent.rtsp.media_unit import MediaUnit
from agent.rtsp.payload.mpegts import TransportDemuxer
from agent.rtsp.payload.pes import PesPacket
from agent.rtsp.payload.ts_frames import TS_CLOCK
from agent.rtsp.payload.ts_pictures import TsPictureJoiner
from agent.rtsp.payload.ts_sound import TsSoundSplitter
from agent.rtsp.payload.ts_tables import TsProgram
from agent.rtsp.picture_maker import PictureMaker
from agent.rtsp.rtp_receiver import RtpReceiver
from agent.rtsp.track_clock import TrackClock

_LONGEST_DELAY = 10 * TS_CLOCK
"""Ticks by which a picture may be decoded before it is shown; more is no stamp."""
_LONGEST_WAIT = 2 * TS_CLOCK
_MOST_WAITING = 8 << 20
"""How many ticks of pictures, or bytes, may pass until the first sound must have come that the stream announces."""


class TransportReceiver(RtpReceiver):
    """Receives a transport stream. Access units in order of decoding, and frames of sound, go to `deliver`.

    is_known    what the stream holds is known
    """

    def __init__(
        self,
        payload_type: int,
        clock_rate: int,
        deliver: Callable[[MediaUnit], None],
        named_source: int | None = None,
    ) -> None:
        super().__init__(payload_type, clock_rate, named_source)
        self.is_known = False
        self._deliver = deliver
        self._demuxer = TransportDemuxer()
        self._line = TrackClock(TS_CLOCK)
        self._picture: _TransportPicture | None = None
        self._sound: TsSoundSplitter | None = None
        self._size = 0

    @property
    def format(self) -> VideoFormat:
        """Format of the picture."""
        assert self._picture is not None
        return self._picture.format

    @property
    def sound(self) -> AudioFormat | None:
        """Format of the sound; None where there is none."""
        return self._sound.format if self._sound else None

    @property
    def refused(self) -> str | None:
        """Name of the picture's codec where it cannot be recorded, "" where there is no picture; None where it can be."""
        program = self._demuxer.program
        return program.refused if program and not program.picture else None

    @property
    def changed(self) -> bool:
        """True once the stream has become another one than it was when it became known."""
        return self._demuxer.changed or (self._sound is not None and self._sound.changed)

    @property
    def signed(self) -> bool:
        """True once a unit of ONVIF media signing has come."""
        return self._picture is not None and self._picture.maker.signed

    @property
    def damaged(self) -> int:
        """Pictures and pieces of sound that were left out because something of them was missing or wrong."""
        parts = (self._picture.joiner if self._picture else None, self._sound)
        return self._demuxer.damaged + sum(part.damaged for part in parts if part)

    def flush(self) -> None:
        """Do nothing: where a picture ends shows only when the next one begins."""

    def end(self) -> None:
        """Hand out what is left, at the end of the connection."""
        self._demuxer.end()
        self._hand_out()
        if self._picture:
            self._picture.maker.end()

    def _take(self, data: bytearray, at: int, end: int, marker: int, gap: bool) -> None:
        demuxer = self._demuxer
        if gap:
            demuxer.lose()
        demuxer.feed(data, at, end, self.clock.ticks)
        if not self.is_known:
            self._settle(demuxer.program)
        if demuxer.pictures or demuxer.sounds:
            self._hand_out()

    def _settle(self, program: TsProgram | None) -> None:
        """Begin with what the stream says that it holds, and find out when all of that is known."""
        if program is None or program.picture is None:
            return
        if self._picture is None:
            self._picture = _TransportPicture(program.picture.coding, self._line, self._count)
            self._sound = TsSoundSplitter(program.sound.coding) if program.sound else None
        if self._sound is None or self._sound.format is not None:
            self.is_known = True
        elif self._line.ticks > _LONGEST_WAIT or self._size > _MOST_WAITING:
            self.is_known, self._sound = True, None

    def _count(self, unit: MediaUnit) -> None:
        self._size += len(unit.data)
        self._deliver(unit)

    def _hand_out(self) -> None:
        """Make units of the PES packets that are complete."""
        demuxer = self._demuxer
        pictures, demuxer.pictures = demuxer.pictures, []
        sounds, demuxer.sounds = demuxer.sounds, []
        if self._picture is not None:
            for packet in pictures:
                self._picture.show(packet, self.clock.read_sender_time(packet.arrival))
        if self._sound is not None:
            for packet in sounds:
                self._play(self._sound, packet)

    def _play(self, splitter: TsSoundSplitter, packet: PesPacket) -> None:
        """Make frames of sound; without a picture to lie beside it only its format is looked for."""
        stamp = self._line.find_ticks(packet.pts) if self._line.began and packet.pts is not None else None
        for frame in splitter.feed(packet.data, stamp, packet.lost):
            self._deliver(MediaUnit(frame.data, frame.stamp, frame.stamp, frame.duration, False))


class _TransportPicture:
    """The picture of a transport stream. `line`: unwraps its stamps; it begins with the first picture."""

    def __init__(self, codec: str, line: TrackClock, deliver: Callable[[MediaUnit], None]) -> None:
        self.format = VideoFormat(codec, TS_CLOCK)
        self.maker = PictureMaker(self.format, deliver)
        self.joiner = TsPictureJoiner(self.maker.rules)
        self._line = line
        self._tells_order = False

    def show(self, packet: PesPacket, sender_time: float | None) -> None:
        """Make units of the pictures in a PES packet. Its stamps are those of the first; others follow at their distance."""
        assert packet.pts is not None  # PesAssembler gives pictures no packet without
        for number, picture in enumerate(self.joiner.feed(packet.data)):
            if not number:
                self._line.advance(packet.pts)
            dts = self._find_decode_time(packet)
            shift = number * self.maker.interval if number else 0
            self.maker.make(picture, self._line.ticks + shift, sender_time, dts if dts is None else dts + shift)

    def _find_decode_time(self, packet: PesPacket) -> int | None:
        """Return when a picture is decoded; None where the stream does not say that.

        A stamp of decoding is left out where it is that of showing (2.4.3.7). A stream that reorders pictures has one with
        its first key frame, or leaves them all out although it must not.
        """
        pts = self._line.ticks
        self._tells_order = self._tells_order or packet.dts is not None
        if not self._tells_order:
            return None
        told = pts if packet.dts is None else self._line.find_ticks(packet.dts)
        return told if pts - _LONGEST_DELAY < told <= pts else pts
