"""A socket client that shows what a server really sends, byte for byte; it follows no quirk and forgives none."""

from __future__ import annotations

import hashlib
import re
import socket
import ssl
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from simulator.quirk_server import QuirkServer


@dataclass(frozen=True)
class PlainReply:
    status: int
    head: bytes
    body: bytes

    def values(self, name: str) -> list[str]:
        text = self.head.decode("utf-8")
        return [m.rstrip("\r") for m in re.findall(rf"(?im)^{name}: ?([^\n]*)", text)]

    def value(self, name: str) -> str:
        return next(iter(self.values(name)), "")


@dataclass(frozen=True)
class PlainPacket:
    channel: int
    flags: int
    marker: bool
    kind: int
    sequence: int
    stamp: int
    ssrc: int
    rest: bytes

    @property
    def payload(self) -> bytes:
        at = 4 * (self.flags & 15)
        if self.flags & 0x10:
            at += 4 + 4 * int.from_bytes(self.rest[at + 2 : at + 4], "big")
        return self.rest[at : len(self.rest) - (self.rest[-1] if self.flags & 0x20 else 0)]


@dataclass
class PlainClient:
    """`frames`: what came interleaved so far; `asked`: requests of the server."""

    server: QuirkServer
    sock: socket.socket
    name: str = "main"
    username: str = ""
    password: str = ""
    frames: list[tuple[int, bytes]] = field(default_factory=list)
    asked: list[bytes] = field(default_factory=list)
    closed: bool = False
    session: str = ""
    _buffer: bytes = b""
    _count: int = 0

    @property
    def url(self) -> str:
        return self.server.url(self.name)

    def send(self, method: str, url: str, *headers: str) -> None:
        self._count += 1
        lines = [f"{method} {url} RTSP/1.0", f"CSeq: {self._count}", *headers]
        self.sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())

    def ask(self, method: str, url: str = "", *headers: str) -> PlainReply:
        """Return the answer; raises ConnectionError where the connection closes, TimeoutError where nothing comes."""
        self.send(method, url or self.url, *headers)
        while (reply := self.next_message()) is not None and reply.status == 100:
            self.asked.append(reply.head)
        if reply is None:
            raise ConnectionError("closed")
        return reply

    def next_message(self) -> PlainReply | None:
        while True:
            reply = self._take()
            if reply is not None:
                return reply
            if not self._receive():
                return None

    def _receive(self) -> bool:
        try:
            data = self.sock.recv(65536)
        except ConnectionResetError:
            data = b""
        self._buffer += data
        self.closed = not data
        return bool(data)

    def _take(self) -> PlainReply | None:
        """Move whole frames to `frames`; return a message where one is complete."""
        while self._buffer[:1] == b"$" and len(self._buffer) >= 4:
            size = 4 + int.from_bytes(self._buffer[2:4], "big")
            if len(self._buffer) < size:
                return None
            self.frames.append((self._buffer[1], self._buffer[4:size]))
            self._buffer = self._buffer[size:]
        found = re.match(rb"(?s)[^$].*?(?:\r\n\r\n|\n\n)", self._buffer)
        if not found:
            return None
        head = found[0]
        length = re.search(rb"(?i)content-length: ?(\d+)", head)
        end = len(head) + (int(length[1]) if length else 0)
        if len(self._buffer) < end:
            return None
        body, self._buffer = self._buffer[len(head) : end], self._buffer[end:]
        if not head.startswith(b"RTSP/"):
            self.asked.append(head)
            return self._take()
        return PlainReply(int(head.split(b" ")[1]), head, body)

    def authorize(self, method: str, url: str, offer: str, *, nc: int = 1) -> str:
        """Return the Authorization header that answers a challenge."""
        said = dict(re.findall(r'(\w+)="?([^",]*)"?', offer.partition(" ")[2]))
        algorithm = said.get("algorithm", "MD5")

        def hashed(text: str) -> str:
            return hashlib.new({"MD5": "md5", "SHA-256": "sha256"}[algorithm], text.encode()).hexdigest()

        first = hashed(f"{self.username}:{said['realm']}:{self.password}")
        second = hashed(f"{method}:{url}")
        between, more = "", ""
        if "qop" in said:
            between, more = f":{nc:08x}:abcd:auth", f', qop=auth, nc={nc:08x}, cnonce="abcd"'
        more += f', opaque="{said["opaque"]}"' if "opaque" in said else ""
        more += f", algorithm={algorithm}" if "algorithm" in said else ""
        response = hashed(f"{first}:{said['nonce']}{between}:{second}")
        return (
            f'Authorization: Digest username="{self.username}", realm="{said["realm"]}", nonce="{said["nonce"]}", '
            f'uri="{url}", response="{response}"{more}'
        )

    def setup(self, tracks: tuple[str, ...] = ("video", "audio")) -> list[PlainReply]:
        replies = []
        for index, track in enumerate(tracks):
            transport = f"Transport: RTP/AVP/TCP;unicast;interleaved={2 * index}-{2 * index + 1}"
            replies.append(self.ask("SETUP", f"{self.url}/{track}", transport, *self._name_session()))
            self.session = replies[-1].value("Session").partition(";")[0]
        return replies

    def _name_session(self) -> tuple[str, ...]:
        return (f"Session: {self.session}",) if self.session else ()

    def play(self, tracks: tuple[str, ...] = ("video", "audio")) -> PlainReply:
        self.setup(tracks)
        return self.ask("PLAY", self.url, *self._name_session())

    def listen(self, seconds: float) -> list[tuple[int, bytes]]:
        """Return the frames of some seconds, or until the server closes."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.closed:
            self.sock.settimeout(max(0.01, end - time.monotonic()))
            try:
                self._receive()
            except TimeoutError:
                break
            self._take()
        self.sock.settimeout(3)
        return self.frames

    def packets(self, channel: int = 0) -> list[PlainPacket]:
        """Return the RTP packets that came on a channel."""
        return [parse_packet(channel, data) for at, data in self.frames if at == channel]

    def reports(self, channel: int = 1) -> list[tuple[float, int]]:
        """Return the wall clock (Unix seconds) and RTP stamp of each sender report."""
        parts = [struct.unpack(">III", data[8:20]) for at, data in self.frames if at == channel and data[1] == 200]
        return [(high - 2_208_988_800 + low / 2**32, stamp) for high, low, stamp in parts]

    @property
    def unread(self) -> bytes:
        return self._buffer


def parse_packet(channel: int, data: bytes) -> PlainPacket:
    flags, second, sequence, stamp, ssrc = struct.unpack(">BBHII", data[:12])
    return PlainPacket(channel, flags, bool(second & 0x80), second & 0x7F, sequence, stamp, ssrc, data[12:])


@contextmanager
def plain_client(
    server: QuirkServer, name: str = "main", username: str = "", password: str = ""
) -> Iterator[PlainClient]:
    sock = socket.create_connection((server.address, server.port), 3)
    if server.url().startswith("rtsps"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        sock = context.wrap_socket(sock)
    with sock:
        yield PlainClient(server, sock, name, username, password)
