"""A server that answers as no camera should: each behaviour is a function that gets the connection and one request."""

from __future__ import annotations

import base64
import hashlib
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

USER, PASSWORD = "admin", "S3cret-xyz"
Behaviour = Callable[["Request"], None]


@dataclass
class Request:
    """One request as it came; `answer` sends a reply to it."""

    server: HostileServer
    sock: socket.socket
    text: str

    @property
    def method(self) -> str:
        return self.text.split(" ", 1)[0]

    def header(self, name: str) -> str:
        found = re.search(rf"(?im)^{name}:\s*(.*?)\r?$", self.text)
        return found[1] if found else ""

    def answer(self, status: str, *headers: str, body: bytes = b"") -> None:
        lines = [f"RTSP/1.0 {status}", f"CSeq: {self.header('CSeq')}", *headers]
        self.sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode() + body)


@dataclass
class HostileServer:
    """`heard` are the requests, `given` the bytes sent by a flood."""

    behaviour: Behaviour
    address: str = "127.0.0.1"
    heard: list[str] = field(default_factory=list)
    given: int = 0

    def __post_init__(self) -> None:
        self._listener = socket.create_server((self.address, 0))
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"rtsp://{self.address}:{self._listener.getsockname()[1]}/main"

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for sock in (self._listener, *self._sockets):
            sock.close()

    def secrets(self) -> list[str]:
        """Requests from which the password can be read."""
        plain = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        return [text for text in self.heard if plain in text or PASSWORD in text]

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                self._sockets.append(sock)
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        data = b""
        with suppress(OSError):
            while more := sock.recv(65536):
                data += more
                while b"\r\n\r\n" in data:
                    head, _, data = data.partition(b"\r\n\r\n")
                    self.heard.append(head.decode())
                    self.behaviour(Request(self, sock, head.decode()))
            sock.close()


@contextmanager
def hostile(behaviour: Behaviour, address: str = "127.0.0.1") -> Iterator[HostileServer]:
    server = HostileServer(behaviour, address)
    try:
        yield server
    finally:
        server.close()


def _drip(sock: socket.socket, piece: bytes) -> None:
    while True:
        sock.sendall(piece)
        time.sleep(0.05)


def drips_head(request: Request) -> None:
    request.sock.sendall(b"RTSP/1.0 200 OK\r\n")
    _drip(request.sock, b"X-a: b\r\n")


def drips_body(request: Request) -> None:
    request.answer("200 OK", "Content-Type: application/sdp", "Content-Length: 10000")
    _drip(request.sock, b"a")


def drips_frames(request: Request) -> None:
    _drip(request.sock, b"$\x00\x00\x04abcd")


def drips_requests(request: Request) -> None:
    _drip(request.sock, b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n")


def drips_redirects(request: Request) -> None:
    request.answer("302 Found", f"Location: {request.server.url}?{len(request.server.heard)}")


def says_nothing(request: Request) -> None:
    time.sleep(60)


def floods_head(request: Request) -> None:
    request.sock.sendall(b"RTSP/1.0 200 OK\r\n")
    while True:
        request.sock.sendall(b"X-a: " + b"b" * 60000 + b"\r\n")
        request.server.given += 60000


def floods_body(request: Request) -> None:
    request.answer("200 OK", "Content-Type: application/sdp", "Content-Length: 1500000000")
    while True:
        request.sock.sendall(b"a=x:" + b"A" * 65532)
        request.server.given += 65536


def floods_line(request: Request) -> None:
    """One header line without an end."""
    request.sock.sendall(b"RTSP/1.0 200 OK\r\nX-a: ")
    _flood(request, b"b" * 65536)


def floods_interim(request: Request) -> None:
    """100 Continue for ever."""
    _flood(request, b"RTSP/1.0 100 Continue\r\nCSeq: " + request.header("CSeq").encode() + b"\r\n\r\n")


def floods_frames(request: Request) -> None:
    """Interleaved frames on a channel of nobody, as fast as they are taken, and never an answer."""
    _flood(request, b"$\x07\xff\xff" + b"c" * 65535)


def floods_sections(request: Request) -> None:
    """A description with a right length and 3000 media sections, 60 MB in all."""
    sets = "A" * 20_000
    part = f"m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 sprop-parameter-sets={sets}\r\na=control:t\r\n"
    body = ("v=0\r\no=- 0 0 IN IP4 1.1.1.1\r\ns=x\r\nt=0 0\r\n" + part * 3000).encode()
    request.answer("200 OK", "Content-Type: application/sdp", f"Content-Length: {len(body)}")
    for at in range(0, len(body), 65536):
        request.sock.sendall(body[at : at + 65536])
        request.server.given += 65536


def closes_in_body(request: Request) -> None:
    request.answer("200 OK", "Content-Type: application/sdp", "Content-Length: 10000", body=b"v=0\r\n")
    request.sock.shutdown(socket.SHUT_RDWR)


def says_tls_alert(request: Request) -> None:
    """Answer as a port for TLS only does: a fatal alert, then the end."""
    request.sock.sendall(bytes((21, 3, 1, 0, 2, 2, 70)))
    request.sock.shutdown(socket.SHUT_RDWR)


def _flood(request: Request, piece: bytes) -> None:
    while True:
        request.sock.sendall(piece)
        request.server.given += len(piece)


def redirects_slowly(request: Request) -> None:
    """Somewhere else on the same server, each time when half a second has passed."""
    time.sleep(0.5)
    drips_redirects(request)


def plays(then: Behaviour) -> Behaviour:
    """A camera like any other until PLAY is answered; `then` is what comes instead of pictures."""
    sets = "Z0LAHtkA8BPywEQAAAMABAAAAwDIPFi5IA==,aMuMsg=="
    body = (
        "v=0\r\no=- 0 0 IN IP4 1.1.1.1\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
        f"a=fmtp:96 packetization-mode=1;sprop-parameter-sets={sets}\r\na=control:t\r\n"
    ).encode()
    more = {
        "DESCRIBE": ("Content-Type: application/sdp", f"Content-Length: {len(body)}"),
        "SETUP": ("Transport: RTP/AVP/TCP;unicast;interleaved=0-1", "Session: 1;timeout=60"),
        "PLAY": ("Session: 1",),
    }

    def behaviour(request: Request) -> None:
        given = body if request.method == "DESCRIBE" else b""
        request.answer("200 OK", *more.get(request.method, ()), body=given)
        if request.method == "PLAY":
            then(request)

    return behaviour


def floods_pictures(request: Request) -> None:
    """Key pictures of 20 bytes, 40 ms apart by their stamps, as fast as they are taken."""
    head, picture = b"$\x00" + (32).to_bytes(2, "big"), b"\x65\x88" + bytes(18)
    numbers = ((n, n * 3600) for n in range(1 << 16))
    _flood(request, b"".join(head + struct.pack(">BBHII", 0x80, 0xE0, n, at, 7) + picture for n, at in numbers))


def lies_about_length(length: str) -> Behaviour:
    """A good description under a Content-Length that is not its length, or no number."""
    body = b"v=0\r\no=- 0 0 IN IP4 1.1.1.1\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
    return lambda request: request.answer(
        "200 OK", "Content-Type: application/sdp", f"Content-Length: {length}", body=body
    )


def says(status: str, *headers: str) -> Behaviour:
    return lambda request: request.answer(status, *headers)


def asks(*offers: str, then: Behaviour | None = None) -> Behaviour:
    """401 with these challenges; `then` answers who has proven something."""

    def behaviour(request: Request) -> None:
        if then and request.header("Authorization"):
            then(request)
        else:
            request.answer("401 Unauthorized", *(f"WWW-Authenticate: {offer}" for offer in offers))

    return behaviour


def proven(text: str, algorithm: str) -> bool:
    """Whether a request's Authorization is the right answer with `algorithm`."""
    fields = dict(re.findall(r'(\w+)="?([^",\r\n]*)"?', text.partition("Authorization: Digest ")[2]))
    if fields.get("algorithm", "MD5") != algorithm:
        return False

    def hashed(of: str) -> str:
        return hashlib.new(algorithm.replace("-", "").lower(), of.encode()).hexdigest()

    first, second = hashed(f"{USER}:{fields['realm']}:{PASSWORD}"), hashed(f"{text.split(' ', 1)[0]}:{fields['uri']}")
    between = f":{fields['nc']}:{fields['cnonce']}:{fields['qop']}" if "qop" in fields else ""
    return bool(fields["response"] == hashed(f"{first}:{fields['nonce']}{between}:{second}"))
