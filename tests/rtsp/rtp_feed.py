"""Feeds packets that a test writes down to one receiver, or to a client that plays."""

from __future__ import annotations

import struct

from agent.rtsp.client import RtspClient
from agent.rtsp.formats import VideoFormat
from agent.rtsp.media_unit import MediaUnit
from agent.rtsp.target import StreamTarget
from agent.rtsp.video_receiver import VideoReceiver

SC = b"\0\0\0\1"
SPS = bytes.fromhex("674d400deca0a0fd0800000300080015f90078a14cb0")
PPS = bytes.fromhex("68ce0fc8")
URL = "rtsp://10.0.0.9:554/live"
SSRC = 0x11


def build_rtp(
    payload: bytes, sequence: int, stamp: int, marker: bool = False, kind: int = 96, ssrc: int = SSRC, first: int = 0x80
) -> bytes:
    return struct.pack(">BBHII", first, kind | marker << 7, sequence & 0xFFFF, stamp & 0xFFFFFFFF, ssrc) + payload


def split_fu(unit: bytes, size: int) -> list[bytes]:
    """Return a NAL unit of H.264 as fragments (FU-A)."""
    parts = [unit[at : at + size] for at in range(1, len(unit), size)]
    last = len(parts) - 1
    return [
        bytes((unit[0] & 0xE0 | 28, unit[0] & 0x1F | 0x80 * (not n) | 0x40 * (n == last))) + part
        for n, part in enumerate(parts)
    ]


def split_fu_h265(unit: bytes, size: int, don: bytes = b"") -> list[bytes]:
    parts = [unit[at : at + size] for at in range(2, len(unit), size)]
    last = len(parts) - 1
    return [
        bytes((unit[0] & 0x81 | 49 << 1, unit[1], unit[0] >> 1 & 0x3F | 0x80 * (not n) | 0x40 * (n == last)))
        + (b"" if n else don)
        + part
        for n, part in enumerate(parts)
    ]


class PictureFeed:
    """A receiver of pictures whose depth of reordering is known to be 0, and what came out of it."""

    def __init__(
        self, codec: str = "h264", named: int | None = None, *, has_don: bool = False, sequence: int = 0
    ) -> None:
        self.units: list[MediaUnit] = []
        sets = (SPS, PPS) if codec == "h264" else ()
        self.receiver = VideoReceiver(96, VideoFormat(codec, 90_000, sets, 25.0, has_don), self.units.append, named)
        self.sequence = sequence

    def send(self, *payloads: bytes, stamp: int = 0, marker: str = "last", ssrc: int = SSRC) -> None:
        """Send the payloads of one picture."""
        for number, payload in enumerate(payloads):
            marked = marker == "all" or (marker == "last" and number == len(payloads) - 1)
            self.put(build_rtp(payload, self.sequence, stamp, marked, ssrc=ssrc))
            self.sequence += 1

    def put(self, packet: bytes) -> None:
        data = bytearray(b"....") + packet + bytearray(b"....")
        self.receiver.receive(data, 4, 4 + len(packet))

    def skip(self, count: int = 1) -> None:
        """Lose packets."""
        self.sequence += count

    def end(self) -> list[bytes]:
        self.receiver.end()
        return [unit.data for unit in self.units]


class ClientFeed:
    """A client and the camera's side of its conversation."""

    def __init__(self, url: str = URL, username: str = "", password: str = "", *, allow_basic: bool = False) -> None:
        self.client = RtspClient(StreamTarget(url, username, password, allow_basic))
        self.now = 1.0

    def ask(self) -> str:
        """Return the requests that the client has sent since the last call."""
        return self.client.session.take_output().decode()

    def feed(self, data: bytes) -> None:
        free = self.client.free()
        free[: len(data)] = data
        del free
        self.client.receive(len(data), self.now)

    def reply(self, *headers: str, status: str = "200 OK", body: bytes = b"", number: int | None = None) -> str:
        """Answer the request that waits; return the one after it."""
        asked = self.ask()
        if number is None:
            number = int(asked.partition("CSeq: ")[2].partition("\r\n")[0] or 0)
        lines = [f"RTSP/1.0 {status}", f"CSeq: {number}", *headers, f"Content-Length: {len(body)}", "", ""]
        self.feed("\r\n".join(lines).encode() + body)
        return self.peek()

    def peek(self) -> str:
        return bytes(self.client.session._out).decode()

    def frame(self, channel: int, packet: bytes) -> None:
        self.feed(struct.pack(">BBH", 36, channel, len(packet)) + packet)

    def open(self, sdp: str, *transports: str, public: str = "OPTIONS, GET_PARAMETER", play: str = "") -> None:
        """Open a stream with as many SETUPs as `transports`."""
        self.reply(f"Public: {public}")
        self.reply("Content-Type: application/sdp", body=sdp.encode())
        for transport in transports:
            self.reply("Session: 77;timeout=30", f"Transport: {transport}")
        self.reply("Session: 77", *([f"RTP-Info: {play}"] if play else []))
        assert self.client.playing
