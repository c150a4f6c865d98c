"""One live stream of a virtual camera: a source played in an endless loop on one time line, with faults on request."""

from __future__ import annotations

import asyncio
import random
import time
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Protocol

from simulator.rtp import build_frame, build_sender_report
from simulator.source import Kind, MediaSource, SourceSample

BACKLOG = 8_000_000
"""Bytes that may wait for one client before it is dropped, as a camera does with one that reads too slowly."""
GRAIN = 0.003
KINDS: tuple[Kind, Kind] = ("video", "audio")


class RtpSink(Protocol):
    """A client that plays: its RTP channel for each kind, and whether it still waits for a key frame."""

    channels: dict[Kind, int]
    waiting: bool

    def send(self, data: bytes) -> None: ...
    def backlog(self) -> int: ...
    def close(self, reset: bool = False) -> None: ...


@dataclass
class StreamFaults:
    """The faults of a stream; every field may be changed while it plays.

    frozen          nothing is sent, the connections stay; the time line continues (what was not sent is lost)
    held            nothing is sent; what was held back follows in one burst
    send_video/send_audio   whether frames of that kind are sent
    offer_audio     whether DESCRIBE names the sound track
    reports         whether sender reports are sent
    report_offset   seconds added to the wall clock in sender reports (the camera's clock is wrong)
    repeat          RTP timestamps do not change
    shift           seconds added to the RTP timestamps, by kind
    pace            speed of RTP timestamps: below 1 for firmware that counts pictures and makes fewer than it states
    sound_gains     fraction by which the clock of the sound runs fast: its RTP timestamps gain on those of the picture
    """

    frozen: bool = False
    held: bool = False
    send_video: bool = True
    send_audio: bool = True
    offer_audio: bool = True
    reports: bool = True
    report_offset: float = 0.0
    repeat: bool = False
    shift: dict[Kind, float] = field(default_factory=lambda: {"video": 0.0, "audio": 0.0})
    pace: float = 1.0
    sound_gains: float = 0.0


@dataclass
class _Sender:
    """RTP state of one track, the same for all clients."""

    ssrc: int
    origin: int
    sequence: int
    timestamp: int = 0
    packets: int = 0
    octets: int = 0


class RtpStream:
    """Play `source` to its clients from one task of the server's loop; each packet is sent at its own time.

    The first client after a time without clients gets a key frame at once (up to one key-frame interval of the file is
    skipped for that); a client that joins others waits for the next key frame.
    """

    def __init__(self, source: MediaSource, report_interval: float = 5.0) -> None:
        self.faults = StreamFaults()
        self.clients: list[RtpSink] = []
        self.sent_frames: dict[Kind, int] = {"video": 0, "audio": 0}
        self.report_interval = report_interval
        self._wake = asyncio.Event()
        self._senders = {kind: _Sender(*(random.getrandbits(n) for n in (32, 32, 16))) for kind in KINDS}
        self._wall = time.time() - time.monotonic()
        self._zero = time.monotonic()
        self._next_report = 0.0
        self._use(source, 0.0)

    @property
    def position(self) -> float:
        """Seconds into the file, now."""
        return (time.monotonic() - self._zero - self._start) % self.source.duration

    def _use(self, source: MediaSource, start: float) -> None:
        self.source = source
        self._dues = [s.due for s in source.samples]
        self._start = start
        self._index = 0

    def swap(self, source: MediaSource) -> None:
        """Continue with another file. Clients stay only where it has the same codecs and clock rates."""
        if not source.same_format(self.source):
            self.drop()
        for client in self.clients:
            client.waiting = True
        self._use(source, time.monotonic() - self._zero)

    def add(self, client: RtpSink) -> None:
        """Play to one more client, from the next key frame on."""
        client.waiting = True
        self.clients.append(client)
        self._wake.set()

    def remove(self, client: RtpSink) -> None:
        """Stop playing to a client."""
        if client in self.clients:
            self.clients.remove(client)

    def drop(self, reset: bool = False) -> None:
        """Close the connections of all clients."""
        for client in list(self.clients):
            client.close(reset)
            self.remove(client)

    async def run(self) -> None:
        """Send in an endless loop; sleep while nobody plays."""
        while True:
            if not self.clients:
                self._wake.clear()
                await self._wake.wait()
                self._catch_up()
            sample = self.source.samples[self._index]
            media = self._start + sample.due
            delay = self._zero + media - time.monotonic()
            if delay > GRAIN or self.faults.held:
                # wait 0.1 s at most, so that a swap or a released hold takes effect soon
                await asyncio.sleep(0.05 if self.faults.held else min(delay, 0.1))
                continue
            self._send(sample, self._start + sample.pts)
            self._index += 1
            if self._index == len(self.source.samples):
                self._index = 0
                self._start += self.source.duration

    def _catch_up(self) -> None:
        """Continue at the next key frame, at once: cameras make one when a client asks for the stream."""
        now = time.monotonic() - self._zero
        at = bisect_left(self._dues, (now - self._start) % self.source.duration)
        keys = [i for i, sample in enumerate(self.source.samples) if sample.key and sample.kind == self._leading()]
        self._index = next((i for i in keys if i >= at), keys[0])
        self._start = now - self._dues[self._index]

    def _leading(self) -> Kind:
        return "video" if self.source.video else "audio"

    def _send(self, sample: SourceSample, media: float) -> None:
        track, faults = self.source.track(sample.kind), self.faults
        wanted = faults.send_video if sample.kind == "video" else faults.send_audio
        if track is None or faults.frozen or not wanted:
            return
        sender = self._senders[sample.kind]
        stamp = sender.timestamp if faults.repeat else self._timestamp(sample.kind, media)
        first = sender.sequence
        built: dict[int, bytes] = {}
        count = octets = 0
        starts = (sample.kind == "video" and sample.key) or not (self.source.video and faults.send_video)
        report = faults.reports and media >= self._next_report
        for client in list(self.clients):
            channel = client.channels.get(sample.kind)
            if client.backlog() > BACKLOG:
                client.close(reset=True)
                self.remove(client)
                continue
            if (client.waiting and not starts) or channel is None:
                continue
            if (client.waiting or report) and faults.reports:
                self._report(client, media)
            client.waiting = False
            if channel not in built:
                built[channel], count, octets = build_frame(sample, track, channel, first, stamp, sender.ssrc)
            client.send(built[channel])
        if report:
            self._next_report = media + self.report_interval
        sender.timestamp = stamp
        sender.sequence = first + count
        sender.packets += count
        sender.octets += octets
        self.sent_frames[sample.kind] += bool(count)

    def _timestamp(self, kind: Kind, media: float) -> int:
        track = self.source.track(kind)
        clock = track.clock if track else 90_000
        rate = self.faults.pace * (1 + self.faults.sound_gains if kind == "audio" else 1.0)
        return self._senders[kind].origin + round((media * rate + self.faults.shift[kind]) * clock)

    def _report(self, client: RtpSink, media: float) -> None:
        wall = self._wall + self._zero + media + self.faults.report_offset
        for kind, channel in client.channels.items():
            if self.source.track(kind) is None:
                continue
            sender = self._senders[kind]
            stamp = self._timestamp(kind, media)
            client.send(build_sender_report(channel + 1, sender.ssrc, wall, stamp, sender.packets, sender.octets))
