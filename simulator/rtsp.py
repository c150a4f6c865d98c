"""A small RTSP server (RFC 2326) for virtual cameras: RTP over TCP, digest or basic authentication, faults on request.

Alternatives that were considered: the server of aio-rtsp-toolkit supports neither authentication nor G.711 mu-law, reads the
file once per client, starts each client at the beginning of the file and cannot simulate faults; ipycam needs the ffmpeg
program.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from simulator.rtsp_auth import is_authorized, make_challenge
from simulator.sdp import build_sdp
from simulator.source import Kind, load_source
from simulator.stream import KINDS, RtpStream, StreamFaults

T = TypeVar("T")
METHODS = "OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, SET_PARAMETER, TEARDOWN"
REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 455: "Method Not Valid In This State"}
REASONS |= {461: "Unsupported Transport", 501: "Not Implemented"}


class _RtspConnection(asyncio.Protocol):
    """One client connection: answers requests and receives at most one stream."""

    def __init__(self, server: RtspServer) -> None:
        self.server = server
        self.channels: dict[Kind, int] = {}
        self.waiting = True
        self._buffer = b""
        self._stream: RtpStream | None = None
        self._session = secrets.token_hex(4)
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.server.connections.add(self)
        sock: socket.socket = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, exc: Exception | None) -> None:
        self.server.connections.discard(self)
        self._leave()

    def send(self, data: bytes) -> None:
        if self._transport and not self._transport.is_closing():
            self._transport.write(data)

    def backlog(self) -> int:
        return self._transport.get_write_buffer_size() if self._transport else 0

    def close(self, reset: bool = False) -> None:
        if self._transport and reset:
            sock: socket.socket = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()
        elif self._transport:
            self._transport.close()
        self._leave()

    def _leave(self) -> None:
        if self._stream:
            self._stream.remove(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while self._buffer and not self.server.hung:
            if self._buffer[0] == 0x24:
                size = 4 + int.from_bytes(self._buffer[2:4], "big")
                if len(self._buffer) < size:
                    return
                self._buffer = self._buffer[size:]
                continue
            head, found, rest = self._buffer.partition(b"\r\n\r\n")
            if not found:
                if len(head) > 65536:
                    self.close(reset=True)
                return
            lines = head.decode("latin-1").split("\r\n")
            pairs = (line.partition(":") for line in lines[1:])
            headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
            length = int(headers.get("content-length") or 0)
            if len(rest) < length:
                return
            self._buffer = rest[length:]
            self._answer(lines[0].split(" "), headers)

    def _answer(self, words: list[str], headers: Mapping[str, str]) -> None:
        if len(words) != 3:
            self._reply(400, headers)
            return
        method, url = words[0], words[1]
        if method != "OPTIONS" and not self.server.allows(method, headers.get("authorization", "")):
            self.server.refused += 1
            self.server.wrong += "authorization" in headers
            self._reply(401, headers, **{"WWW-Authenticate": c} if (c := self.server.challenge()) else {})
            return
        handler: Callable[[str, Mapping[str, str]], None] = {
            "OPTIONS": self._options,
            "DESCRIBE": self._describe,
            "SETUP": self._setup,
            "PLAY": self._play,
            "GET_PARAMETER": self._options,
            "SET_PARAMETER": self._options,
            "TEARDOWN": self._teardown,
        }.get(method, self._unknown)
        handler(url, headers)

    def _reply(self, status: int, asked: Mapping[str, str], body: str = "", **more: str) -> None:
        lines = [f"RTSP/1.0 {status} {REASONS[status]}", f"CSeq: {asked.get('cseq', '0')}"]
        lines += [f"{name.replace('_', '-')}: {line}" for name, value in more.items() for line in value.split("\n")]
        if body:
            lines.append(f"Content-Length: {len(body.encode())}")
        self.send(("\r\n".join(lines) + "\r\n\r\n" + body).encode())

    def _unknown(self, url: str, headers: Mapping[str, str]) -> None:
        self._reply(501, headers)

    def _options(self, url: str, headers: Mapping[str, str]) -> None:
        self._reply(200, headers, Public=METHODS, Session=self._session)

    def _describe(self, url: str, headers: Mapping[str, str]) -> None:
        stream = self.server.stream_of(url)
        if stream is None:
            self._reply(404, headers)
            return
        text = build_sdp(stream.source, self.server.address, stream.faults.offer_audio)
        base = url.rstrip("/") + "/"
        self._reply(200, headers, text, Content_Base=base, Content_Type="application/sdp")

    def _setup(self, url: str, headers: Mapping[str, str]) -> None:
        stream = self.server.stream_of(url)
        kind = next((k for k in KINDS if urlsplit(url).path.endswith("/" + k)), None)
        if stream is None or kind is None or stream.source.track(kind) is None:
            self._reply(404, headers)
            return
        transport = headers.get("transport", "")
        if "TCP" not in transport:
            self._reply(461, headers)
            return
        asked = re.search(r"interleaved=(\d+)", transport)
        channel = int(asked[1]) if asked else 2 * len(self.channels)
        self.channels[kind] = channel % 255
        self._stream = stream
        agreed = f"RTP/AVP/TCP;unicast;interleaved={channel}-{channel + 1}"
        self._reply(200, headers, Transport=agreed, Session=f"{self._session};timeout=60")

    def _play(self, url: str, headers: Mapping[str, str]) -> None:
        if self._stream is None:
            self._reply(455, headers)
            return
        self._reply(200, headers, Session=self._session)
        self._leave()
        self._stream.add(self)

    def _teardown(self, url: str, headers: Mapping[str, str]) -> None:
        self._reply(200, headers, Session=self._session)
        self.close()


class RtspServer:
    """Serve files as live streams at rtsp://address:port/<name> from one thread; port 0: the system chooses.

    `hung`: connections are accepted and requests never answered. `password` and `username` may be changed at any time; an
    empty user name means no authentication. `refused` counts responses with 401 (the first one of each client is usual),
    `wrong` those to a request that gave a password.
    """

    def __init__(
        self,
        streams: Mapping[str, Path],
        address: str = "127.0.0.1",
        port: int = 0,
        username: str = "",
        password: str = "",
        basic: bool = False,
        report_interval: float = 5.0,
    ) -> None:
        self.address, self.port = address, port
        self.username, self.password, self.basic = username, password, basic
        self.hung = False
        self.refused = self.wrong = 0
        self.connections: set[_RtspConnection] = set()
        self._sources = {name: load_source(path) for name, path in streams.items()}
        self._report_interval = report_interval
        self.streams: dict[str, RtpStream] = {}
        self._nonce = secrets.token_hex(16)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="rtsp-camera", daemon=True)
        self._listener: asyncio.Server | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Listen and play. Raises OSError where the address is not available."""
        self._thread.start()
        self._on_loop(self._begin)
        self.listen()

    def stop(self) -> None:
        """Close everything; the object cannot be started again."""
        if not self._thread.is_alive():
            return
        self.unlisten()
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def url(self, name: str) -> str:
        """Return the URL of a stream, without credentials."""
        return f"rtsp://{self.address}:{self.port}/{name}"

    def listen(self, address: str | None = None) -> None:
        """Accept connections (again), on the same port, at another address if one is given."""
        self.address = address or self.address
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(5)

    def unlisten(self) -> None:
        """Behave as if switched off: no new connections, the present ones are reset."""
        self._on_loop(self._unlisten)

    def drop(self, reset: bool = False) -> None:
        """Close every connection (orderly, or with a reset); clients may connect again at once."""
        self._on_loop(lambda: self._drop(reset))

    def swap(self, name: str, path: Path) -> None:
        """Play another file. Connections are closed where codecs or rates differ; a new size alone is sent in band."""
        source = load_source(path)
        self._on_loop(lambda: self.streams[name].swap(source))

    def faults(self, name: str) -> StreamFaults:
        """Return the fault switches of a stream."""
        return self.streams[name].faults

    def players(self, name: str) -> int:
        """Return how many clients are playing."""
        return len(self.streams[name].clients)

    def stream_of(self, url: str) -> RtpStream | None:
        """Return the stream that a URL names, also that of one of its tracks."""
        path = urlsplit(url).path.strip("/")
        return next((s for n, s in self.streams.items() if path == n or path.startswith(n + "/")), None)

    def challenge(self) -> str:
        """Return the value of WWW-Authenticate."""
        return make_challenge(self._nonce, self.basic)

    def allows(self, method: str, given: str) -> bool:
        """Return True where a request with this Authorization header is answered."""
        if not self.username:
            return True
        return is_authorized(method, given, self.username, self.password, self._nonce, basic=self.basic)

    def _on_loop(self, call: Callable[[], T]) -> T:
        done: Future[T] = Future()

        def run() -> None:
            try:
                done.set_result(call())
            except Exception as error:  # noqa: BLE001 - handed to the calling thread
                done.set_exception(error)

        self._loop.call_soon_threadsafe(run)
        return done.result(5)

    def _begin(self) -> None:
        self.streams = {name: RtpStream(source, self._report_interval) for name, source in self._sources.items()}
        self._tasks = [self._loop.create_task(stream.run()) for stream in self.streams.values()]

    async def _listen(self) -> None:
        if self._listener is None:
            self._listener = await self._loop.create_server(lambda: _RtspConnection(self), self.address, self.port)
            self.port = self._listener.sockets[0].getsockname()[1]

    def _unlisten(self) -> None:
        if self._listener:
            self._listener.close()
            self._listener = None
        self._drop(reset=True)

    def _drop(self, reset: bool) -> None:
        for connection in list(self.connections):
            connection.close(reset)

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
