"""The RTSP client without sockets: bytes of the camera in, requests and access units out.

Opening goes OPTIONS, DESCRIBE, SETUP of the picture, SETUP of the sound, PLAY; each step begins with the reply to the one
before. Only these two tracks are set up: metadata, a back channel and a second sound never come.
"""

from __future__ import annotations

from agent.core.errors import CameraError, CameraUnreachable
from agent.rtsp.formats import AudioFormat, VideoFormat
from agent.rtsp.interleaved import FrameReceiver, InterleavedBuffer
from agent.rtsp.media_unit import MediaUnit, SoundDepacketizer
from agent.rtsp.message import RtspMessage, RtspTooLarge, RtspUnreadable
from agent.rtsp.payload.sound import build_sound_depacketizer
from agent.rtsp.reply_headers import SetupTransport, parse_rtp_info, parse_transport
from agent.rtsp.rtp_receiver import RtpReceiver
from agent.rtsp.sdp import SdpUnreadable, parse_sdp
from agent.rtsp.session import ReplyHandler, RtspSession
from agent.rtsp.sound_offset import SoundOffset
from agent.rtsp.sound_receiver import SoundReceiver
from agent.rtsp.target import StreamTarget
from agent.rtsp.tracks import ENCRYPTED, MULTIPLEX, AudioTrack, VideoTrack, choose_tracks
from agent.rtsp.transport_receiver import TransportReceiver
from agent.rtsp.urls import resolve_aggregate, resolve_control
from agent.rtsp.video_receiver import VideoReceiver

MAX_UNITS = 8192
"""Pictures and frames of sound that wait to be taken, at most; some 100 a second come."""


class RtspClient:
    """Opens and receives one stream. Methods raise CameraDenied and CameraUnreachable, CameraError where it has ended.

    session    the conversation, with what is to be sent
    playing    the camera has agreed to play
    """

    def __init__(self, target: StreamTarget) -> None:
        self._target = target
        self.session = RtspSession(target)
        self.playing = False
        self._base = "", "", ""
        self._aggregate = ""  # what PLAY and the keep-alive name
        self._controls = "", ""
        self._buffer = InterleavedBuffer(self.session.handle)
        self._units: list[MediaUnit] = []
        self._video: VideoReceiver | TransportReceiver | None = None
        self._transport: TransportReceiver | None = None  # the same, where the sound is in it too
        self._audio: SoundReceiver | None = None
        self._offset: SoundOffset | None = None
        self._begin()

    @property
    def opened(self) -> bool:
        """True once the camera plays and the formats are known, which a transport stream tells only then."""
        return self.playing and (self._transport is None or self._transport.is_known)

    @property
    def video(self) -> VideoFormat:
        """Format of the picture; known once the stream is opened."""
        assert self._video is not None
        return self._video.format

    @property
    def audio(self) -> AudioFormat | None:
        """Format of the sound; None where there is none."""
        if self._transport is not None:
            return self._transport.sound
        return self._audio.format if self._audio else None

    @property
    def signed(self) -> bool:
        """True once the camera has sent a unit of ONVIF media signing."""
        return self._video is not None and self._video.signed

    @property
    def lost(self) -> int:
        """RTP packets that never came."""
        return sum(track.lost for track in (self._video, self._audio) if track)

    @property
    def damaged(self) -> int:
        """Access units and frames of sound that were left out because something of them was missing."""
        return sum(track.damaged for track in (self._video, self._audio) if track)

    def free(self) -> memoryview:
        """Return the buffer for what the camera sends."""
        return self._buffer.free()

    def receive(self, count: int, now: float) -> None:
        """Take in `count` bytes that were put into `free`. `now`: monotonic seconds."""
        try:
            self._buffer.split(count)
        except RtspTooLarge as error:
            raise CameraUnreachable("recording.too_large", url=self._target.url, limit=error.limit) from None
        except RtspUnreadable:
            raise CameraUnreachable("recording.no_rtsp", url=self._target.url) from None
        if self._transport is not None:
            self._check_transport(self._transport)
        if self._video is not None and self._video.clock.began:
            self._video.clock.observe(now)
        if self._audio is not None and self._audio.clock.began:
            self._audio.clock.observe(now)

    def is_in_burst(self, now: float) -> bool:
        """Return True while older media of the beginning may still come: when they were taken is not known before its end."""
        return self._video is not None and self._video.clock.is_in_burst(now)

    def take_units(self, now: float) -> list[MediaUnit]:
        """Return the pictures and the sound that are complete, and forget them; call when all that has come was received."""
        if self._video is not None:
            self._video.flush()
        if self._audio is not None and self._offset is not None:
            self._offset.update(now)
            self._audio.hand_out(self._offset)
        units = self._units[:]
        self._units.clear()  # the receivers hold this very list
        for unit in units:
            unit.arrival = self._video.clock.estimate_arrival(unit.pts, now) if unit.is_video and self._video else now
        return units

    def end(self, now: float) -> list[MediaUnit]:
        """Return the last picture and what sound still waits, at the end of the connection."""
        if self._video is not None:
            self._video.end()
        return self.take_units(now)

    def keep_alive(self, now: float) -> None:
        """Send a sign of life where one is due."""
        if self.playing:
            self.session.keep_alive(self._aggregate, now)

    def tear_down(self) -> None:
        """Say farewell."""
        self.session.tear_down(self._aggregate)

    def restart(self) -> None:
        """Begin anew after a redirect, on a new connection."""
        self.session.restart()
        self._buffer = InterleavedBuffer(self.session.handle)
        self._video = self._audio = self._offset = None
        self._begin()

    # the steps of opening

    def _begin(self) -> None:
        self.session.request("OPTIONS", self.session.url, self._after_options, self._after_no_options)

    def _after_options(self, reply: RtspMessage) -> None:
        self.session.take_methods(reply)
        self._describe()

    def _after_no_options(self, reply: RtspMessage) -> None:
        """Go on without it, unless it leads elsewhere: not all cameras know OPTIONS."""
        if reply.status // 100 == 3:
            self.session.redirect(reply)
        else:
            self._describe()

    def _describe(self) -> None:
        headers = (("Accept", "application/sdp"),)
        self.session.request("DESCRIBE", self.session.url, self._after_describe, headers=headers)

    def _after_describe(self, reply: RtspMessage) -> None:
        url = self._target.url
        try:
            description = parse_sdp(reply.body)
        except SdpUnreadable:
            raise CameraUnreachable("recording.no_video", url=url) from None
        chosen = choose_tracks(description)
        if chosen.video is None:
            if ENCRYPTED in chosen.refused:
                raise CameraUnreachable("recording.encrypted", url=url)
            if chosen.refused:
                raise CameraUnreachable("recording.codec", url=url, codec=chosen.refused[0])
            raise CameraUnreachable("recording.no_video", url=url)
        self._base = reply.one("Content-Base"), reply.one("Content-Location"), description.control
        self._aggregate = resolve_aggregate(self.session.url, *self._base)
        self._set_up_video(chosen.video, chosen.audio)

    def _set_up_video(self, video: VideoTrack, audio: AudioTrack | None) -> None:
        def accept(reply: RtspMessage) -> None:
            transport = self._agree(reply)
            if video.format.codec == MULTIPLEX:
                self._set_up_multiplex(video, transport)
                return
            self._controls = (video.control, audio.control if audio else "")
            self._video = VideoReceiver(video.payload_type, video.format, self._deliver, transport.ssrc)
            self._listen(self._video, transport.channels, 0)
            depacketizer = build_sound_depacketizer(audio.format) if audio else None
            if audio is None or depacketizer is None:
                self._play()
            else:
                self._set_up_audio(self._video, audio, depacketizer)

        self._set_up(video.control, 0, accept)

    def _set_up_multiplex(self, track: VideoTrack, transport: SetupTransport) -> None:
        """Receive picture and sound by one track."""
        made = TransportReceiver(track.payload_type, track.format.clock_rate, self._units.append, transport.ssrc)
        self._video = self._transport = made
        self._listen(made, transport.channels, 0)
        self._play()

    def _check_transport(self, receiver: TransportReceiver) -> None:
        """Raise CameraUnreachable where no picture in it can be recorded, CameraError where it is another one by now."""
        url, refused = self._target.url, receiver.refused
        if refused:
            raise CameraUnreachable("recording.codec", url=url, codec=refused)
        if refused is not None:
            raise CameraUnreachable("recording.no_video", url=url)
        if receiver.changed:
            raise CameraError("recording.ended", url=url)

    def _set_up_audio(self, video: VideoReceiver, audio: AudioTrack, depacketizer: SoundDepacketizer) -> None:
        def accept(reply: RtspMessage) -> None:
            transport = self._agree(reply)
            made = SoundReceiver(audio.payload_type, audio.format, depacketizer, self._deliver, transport.ssrc)
            self._audio, self._offset = made, SoundOffset(video.clock, made.clock)
            self._listen(made, transport.channels, 2)
            self._play()

        def refuse(reply: RtspMessage) -> None:
            """Go on without sound, which is alerted where it is required."""
            self._play()

        self._set_up(audio.control, 2, accept, refuse)

    def _set_up(self, control: str, channel: int, accept: ReplyHandler, refuse: ReplyHandler | None = None) -> None:
        transport = f"RTP/AVP/TCP;unicast;interleaved={channel}-{channel + 1}"
        url = resolve_control(self.session.url, *self._base, control)
        self.session.request("SETUP", url, accept, refuse, (("Transport", transport),))

    def _agree(self, reply: RtspMessage) -> SetupTransport:
        """Return what SETUP agreed on. Raises CameraUnreachable where that is UDP."""
        self.session.take_session(reply)
        transport = parse_transport(reply.one("Transport"))
        if transport.wants_udp:
            raise CameraUnreachable("recording.only_udp", url=self._target.url)
        return transport

    def _listen(self, receiver: RtpReceiver, agreed: tuple[int, ...], asked: int) -> None:
        """Receive on the channels agreed on, else on those asked for.

        Two tracks on one channel are told apart by their payload types.
        """
        first = agreed[0] if agreed else asked
        channels = first, agreed[1] if len(agreed) > 1 else first + 1
        for channel, take in zip(channels, (receiver.receive, receiver.receive_report), strict=True):
            before = self._buffer.receivers.get(channel)
            self._buffer.receivers[channel] = take if before is None else _join_receivers(before, take)

    def _deliver(self, unit: MediaUnit) -> None:
        """Keep a unit until it is taken; those of a camera that floods are left out."""
        if len(self._units) < MAX_UNITS:
            self._units.append(unit)

    def _play(self) -> None:
        self.session.request("PLAY", self._aggregate, self._after_play, headers=(("Range", "npt=0.000-"),))

    def _after_play(self, reply: RtspMessage) -> None:
        self.session.take_session(reply)
        self.playing = True
        infos = parse_rtp_info(reply.one("RTP-Info"))
        if self._offset is None or len(infos) != 2:
            return
        if infos[0].url.endswith(self._controls[1]) and infos[1].url.endswith(self._controls[0]):
            infos = infos[::-1]
        if infos[0].rtptime is not None and infos[1].rtptime is not None:
            self._offset.announce(infos[0].rtptime, infos[1].rtptime)


def _join_receivers(one: FrameReceiver, two: FrameReceiver) -> FrameReceiver:
    def receive(data: bytearray, at: int, end: int) -> None:
        one(data, at, end)
        two(data, at, end)

    return receive
