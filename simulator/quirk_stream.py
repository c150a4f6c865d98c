"""A live stream that sends its packets as `RtpQuirks` and `PacketQuirks` ask for them."""

from __future__ import annotations

import random
import time

from simulator.mpegts import TS_CLOCK, TS_TYPE, TransportMuxer
from simulator.quirk_packets import QuirkyPacket, build_interleaved, build_packet, group_sound, packetize, sign_source
from simulator.quirks import Quirks, Track
from simulator.rtp import build_sender_report
from simulator.source import Kind, MediaSource, SourceSample, SourceTrack
from simulator.stream import BACKLOG, RtpSink, RtpStream

METADATA = (
    b'<?xml version="1.0" encoding="UTF-8"?><tt:MetadataStream xmlns:tt="http://www.onvif.org/ver10/schema">'
    b"<tt:Event/></tt:MetadataStream>"
)
STRAY_SSRC, METADATA_SSRC, SECOND_SSRC = 0x57A0, 0x3E7A, 0x5EC0


class QuirkStream(RtpStream):
    """Like `RtpStream`, packet by packet; `lost` counts the packets that were left out on purpose.

    A client's `extra` are its channels for tracks that the base class does not know (metadata, second sound).
    """

    def __init__(self, source: MediaSource, quirks: Quirks) -> None:
        self.quirks = quirks
        self.lost = 0
        self._random = random.Random(1)  # noqa: S311 - jitter, the same in each run
        self._began = 0.0
        self._counted: dict[Kind, int] = {"video": 0, "audio": 0}
        self._next_metadata = 0.0
        self._reported: set[int] = set()
        self._muxer = TransportMuxer(source.video, source.audio) if quirks.packets.multiplex else None
        made = group_sound(source, quirks.packets.sound_units)
        super().__init__(sign_source(made) if quirks.packets.signed else made, quirks.rtp.report_s)
        self.faults.repeat = quirks.rtp.still
        self.faults.pace = quirks.rtp.pace
        self.faults.sound_gains = quirks.rtp.sound_gains

    def add(self, client: RtpSink) -> None:
        if not self.clients:
            self._begin_numbers()
        super().add(client)

    def remove(self, client: RtpSink) -> None:
        super().remove(client)
        self._reported.discard(id(client))

    def peek(self, kind: Kind) -> tuple[int, int, int]:
        """Return the next sequence number, the RTP stamp of now and the SSRC of a track."""
        sender = self._senders[kind]
        now = time.monotonic() - self._zero
        return sender.sequence & 0xFFFF, self._timestamp(kind, now) & 0xFFFFFFFF, sender.ssrc

    def _begin_numbers(self) -> None:
        """Set stamps and sequence numbers so that they wrap when the quirks say, counted from now."""
        rtp = self.quirks.rtp
        self._began = time.monotonic() - self._zero
        self.lost = 0
        self._counted = dict.fromkeys(self._counted, 0)
        self._next_metadata = 0.0
        for kind, sender in self._senders.items():
            track = self.source.track(kind)
            if rtp.wrap_s is not None and track:
                sender.origin = round(2**32 - (self._began + rtp.wrap_s) * track.clock)
            if rtp.sequence_wrap is not None:
                sender.sequence = 0x10000 - rtp.sequence_wrap

    def _catch_up(self) -> None:
        super()._catch_up()
        # what a relay has cached is older than now: it is overdue, so that the loop sends it at once
        self._start -= self.quirks.rtp.burst_s

    def _send(self, sample: SourceSample, media: float) -> None:
        rtp, faults = self.quirks.rtp, self.faults
        elapsed = time.monotonic() - self._zero - self._began
        if faults.frozen or _is_over(rtp.all_stops_s, elapsed):
            return
        if _is_over(rtp.torn_s, elapsed):
            self._tear()
            return
        self._send_metadata(elapsed)
        if sample.kind == "video" and (not faults.send_video or _is_over(rtp.picture_stops_s, elapsed)):
            return
        track = self.source.track(sample.kind)
        if track is None or (sample.kind == "audio" and not faults.send_audio):
            return
        self._change_ssrc(sample.kind, elapsed)
        self._send_frame(sample, track, media)

    def _send_frame(self, sample: SourceSample, track: SourceTrack, media: float) -> None:
        kind, packets = sample.kind, self._packetize(sample, track, media)
        if self._muxer:
            kind, media = "video", media - sample.pts + sample.due
        numbered = self._number(kind, packets, track, media)
        starts = (sample.kind == "video" and sample.key) or not (self.source.video and self.faults.send_video)
        due = self._has_report_due(media)
        for client in list(self.clients):
            if client.backlog() > BACKLOG:
                client.close(reset=True)
                self.remove(client)
                continue
            if client.waiting and not starts:
                continue
            self._report_to(client, media, due)
            client.waiting = False
            client.send(self._join(client, kind, numbered))
        self.sent_frames[sample.kind] += 1

    def _packetize(self, sample: SourceSample, track: SourceTrack, media: float) -> list[QuirkyPacket]:
        if self._muxer is None:
            return packetize(sample, track, self.quirks.packets)
        pts, dts = (round(at * TS_CLOCK) for at in (media, media - sample.pts + sample.due))
        return [QuirkyPacket(payload, TS_TYPE) for payload in self._muxer.build_payloads(sample, track, pts, dts)]

    def _join(self, client: RtpSink, kind: Kind, packets: list[bytes]) -> bytes:
        """Return the frames of one picture for a client, and what else is to come on its connection."""
        out: list[bytes] = []
        channel = client.channels.get(kind)
        if kind == "video":
            out.append(self.quirks.rtp.garbage)
            stray = self.quirks.packets.stray_channel
            out += [build_interleaved(stray, b"\x80\x60stray data on a channel of nobody")] if stray is not None else []
        if channel is not None:
            out += [build_interleaved(channel, packet) for packet in packets]
        second = get_extra(client, "sound2") if kind == "audio" else None
        if second is not None:
            out += [build_interleaved(second, _relabel(packet)) for packet in packets]
        return b"".join(out)

    def _number(self, kind: Kind, packets: list[QuirkyPacket], track: SourceTrack, media: float) -> list[bytes]:
        """Give the packets their numbers; lost ones are left out, repeated ones come twice."""
        rtp, sender, out = self.quirks.rtp, self._senders[kind], []
        stamp = sender.timestamp if self.faults.repeat else self._stamp(kind, media, track)
        for packet in packets:
            if packet.extra:
                out.append(build_packet(packet, self._counted[kind], stamp, STRAY_SSRC, self.quirks.packets))
                continue
            told = stamp - round(packet.earlier * track.clock)
            data = build_packet(packet, sender.sequence, told, sender.ssrc, self.quirks.packets)
            sender.sequence += 1
            index = self._counted[kind]
            self._counted[kind] += 1
            if kind in rtp.lose_kinds and (index in rtp.lose or _is_turn(rtp.lose_every, index)):
                self.lost += 1
                continue
            out += [data] * (2 if kind == "video" and _is_turn(rtp.repeat_every, index) else 1)
            sender.packets += 1
            sender.octets += len(packet.payload)
        sender.timestamp = stamp
        return out

    def _stamp(self, kind: Kind, media: float, track: SourceTrack) -> int:
        if kind in self.quirks.rtp.wall_stamps:
            media = time.monotonic() - self._zero
        jitter = self.quirks.rtp.jitter.get(kind, 0.0)
        return self._timestamp(kind, media) + round(self._random.uniform(-jitter, jitter) * track.clock)

    def _timestamp(self, kind: Kind, media: float) -> int:
        rtp, track = self.quirks.rtp, self.source.track(kind)
        jumped = rtp.jump_s and media - self._began >= rtp.jump_at_s
        clock = track.clock if track else 90_000
        return super()._timestamp(kind, media) + (round(rtp.jump_s * clock) if jumped else 0)

    def _change_ssrc(self, kind: Kind, elapsed: float) -> None:
        sender = self._senders[kind]
        if not _is_over(self.quirks.rtp.ssrc_changes_s, elapsed):
            return
        if sender.ssrc & 0xFFFF0000 != 0xC4A60000:
            sender.ssrc = 0xC4A60000 | (kind == "audio")
            sender.sequence += 1000

    # Reports

    def _has_report_due(self, media: float) -> bool:
        due = media >= self._next_report
        if due:
            self._next_report = media + self.report_interval
        return due

    def _report_to(self, client: RtpSink, media: float, due: bool) -> None:
        mode = self.quirks.rtp.reports
        first = id(client) not in self._reported
        self._reported.add(id(client))
        if self.faults.reports and (first if mode == "start" else mode == "interval" and (first or due)):
            self._report(client, media)

    def _report(self, client: RtpSink, media: float) -> None:
        for kind, channel in client.channels.items():
            sender = self._senders[kind]
            wall = self._wall + self._zero + media + self.faults.report_offset
            wall += self.quirks.rtp.report_epoch.get(kind, 0.0)
            stamp = self._timestamp(kind, media)
            client.send(build_sender_report(channel + 1, sender.ssrc, wall, stamp, sender.packets, sender.octets))

    # What is not picture or sound

    def _send_metadata(self, elapsed: float) -> None:
        rtp = self.quirks.rtp
        if not rtp.metadata_s or elapsed < self._next_metadata:
            return
        self._next_metadata = elapsed + rtp.metadata_s
        packet = QuirkyPacket(METADATA, 107, marker=True)
        number = round(elapsed / rtp.metadata_s)
        data = build_packet(packet, number, round(elapsed * 90_000), METADATA_SSRC, self.quirks.packets)
        for client in self.clients:
            asked = get_extra(client, "metadata")
            channel = rtp.metadata_channel if asked is None else asked
            if channel is not None:
                client.send(build_interleaved(channel, data))

    def _tear(self) -> None:
        for client in list(self.clients):
            channel = client.channels.get("video", 0)
            client.send(build_interleaved(channel, bytes(1400))[:700])
            client.close()
            self.remove(client)


def get_extra(client: RtpSink, track: Track) -> int | None:
    """Return a client's channel for a track that is neither its picture nor its first sound."""
    channels: dict[Track, int] = getattr(client, "extra", {})
    return channels.get(track)


def _relabel(packet: bytes) -> bytes:
    """Return a packet of the first sound as one of the second: another payload type and source."""
    return packet[:1] + bytes((packet[1] & 0x80 | 99,)) + packet[2:8] + SECOND_SSRC.to_bytes(4, "big") + packet[12:]


def _is_over(limit: float | None, elapsed: float) -> bool:
    return limit is not None and elapsed >= limit


def _is_turn(every: int, index: int) -> bool:
    return bool(every) and index % every == every - 1
