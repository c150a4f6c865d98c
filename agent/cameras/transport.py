"""HTTP client for the web services of cameras; all requests to them go through it.

It has a deadline for the whole exchange and a size limit for every reply, follows no redirects (the session follows one kind),
uses no proxies from the environment, and contacts no address outside the camera networks.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING
from urllib.parse import urlsplit

from agent.cameras.networks import Networks
from agent.core import shortage
from agent.core.clock import Clock
from agent.core.errors import CameraError, CameraUnreachable

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

REPLY_LIMIT = 1 << 20
_STOP_CHECK_S = 0.5  # longest wait for bytes before `stop` is checked
_CONNECT_S = 2.0  # a camera on the same network needs milliseconds; an unused address never answers


@dataclass(frozen=True, slots=True)
class HttpReply:
    """A reply. `headers` keeps repeated headers; their names are case-insensitive."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


class NoConnection(CameraUnreachable):
    """Nothing accepts connections at the address; `refused`: a machine is there and refused the connection."""

    refused = False


class Transport:
    """Sends POST requests to cameras; thread-safe.

    `timeout`: limit of one whole exchange, in seconds. Once `stop` is set, every exchange ends as if timed out.
    """

    def __init__(
        self, networks: Networks, clock: Clock, timeout: float = 5.0, stop: threading.Event | None = None
    ) -> None:
        self.networks = networks
        self.stop = stop or threading.Event()
        self._clock = clock
        self._timeout = timeout
        # cameras have self-signed certificates; the digest protects the password, not the certificate
        self._tls = ssl.create_default_context()
        self._tls.check_hostname = False
        self._tls.verify_mode = ssl.CERT_NONE
        # the outdated TLS of old firmware is still better than plain HTTP, which most cameras use
        self._tls.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        self._tls.set_ciphers("DEFAULT:@SECLEVEL=0")

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> HttpReply:
        """Send one request and return the reply.

        Raises CameraUnreachable (no answer in time, no device) and CameraError (an answer that is not HTTP or too large, or
        an address that must not be contacted).
        """
        if not self.networks.allows(url):
            raise CameraError("cameras.outside_reply", address=urlsplit(url).netloc[-80:])
        parts = urlsplit(url)
        if self.stop.is_set():
            raise CameraUnreachable("cameras.too_slow", address=parts.hostname, seconds="0")
        host, deadline = str(parts.hostname), self._clock.monotonic() + self._timeout
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            with self._connect(host, parts.port, parts.scheme == "https") as sock:
                wire = _DeadlineSocket(sock, self._clock, deadline, self.stop)
                wire.sendall(_build_http_request(parts.netloc.rpartition("@")[2], path, body, headers))
                return _read_reply(wire)
        except TimeoutError:
            raise CameraUnreachable("cameras.too_slow", address=host, seconds=f"{self._timeout:g}") from None
        except OSError as error:
            if found := shortage.find_shortage(error):
                raise found from None
            raise CameraUnreachable("cameras.no_answer", address=host, detail=_describe_os_error(error)) from None
        except (http.client.HTTPException, ValueError):
            # http.client raises ValueError for a status code or a chunk size that is not a number
            raise CameraError("cameras.not_http", address=host) from None

    def opens(self, host: str, port: int, timeout: float = 1.0) -> bool:
        """Return True if something accepts connections there."""
        if self.stop.is_set() or not self.networks.holds(host):
            return False
        try:
            with shortage.convert_shortage():
                socket.create_connection((host, port), timeout).close()
        except (OSError, OverflowError):
            return False
        return True

    def _connect(self, host: str, port: int | None, tls: bool) -> socket.socket:
        """Connect, with TLS if wanted. Raises NoConnection."""
        try:
            sock = socket.create_connection((host, port or (443 if tls else 80)), min(self._timeout, _CONNECT_S))
            return self._wrap_tls(sock) if tls else sock
        except TimeoutError:
            raise NoConnection("cameras.too_slow", address=host, seconds=f"{self._timeout:g}") from None
        except OSError as error:
            gone = NoConnection("cameras.no_answer", address=host, detail=_describe_os_error(error))
            gone.refused = isinstance(error, ConnectionRefusedError)
            raise gone from None

    def _wrap_tls(self, sock: socket.socket) -> socket.socket:
        try:
            return self._tls.wrap_socket(sock)
        except BaseException:
            sock.close()
            raise


def _describe_os_error(error: OSError) -> str:
    return str(getattr(error, "reason", None) or error.strerror or type(error).__name__)


class _DeadlineSocket(io.RawIOBase):
    """A socket with one deadline for all reads and writes: a peer that sends byte by byte cannot extend it."""

    def __init__(self, sock: socket.socket, clock: Clock, deadline: float, stop: threading.Event) -> None:
        self._sock, self._clock, self._deadline, self._stop = sock, clock, deadline, stop

    def _get_time_left(self) -> float:
        left = self._deadline - self._clock.monotonic()
        if left <= 0 or self._stop.is_set():
            raise TimeoutError
        return left

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        while True:
            self._sock.settimeout(min(self._get_time_left(), _STOP_CHECK_S))
            try:
                return self._sock.recv_into(buffer)
            except TimeoutError:
                # no bytes yet; `_get_time_left` checks the deadline
                continue

    def sendall(self, data: bytes) -> None:
        self._sock.settimeout(min(self._get_time_left(), _CONNECT_S))
        self._sock.sendall(data)

    def makefile(self, mode: str = "rb", *args: object) -> IO[bytes]:
        """Return a buffered reader; http.client calls this method of a socket."""
        return io.BufferedReader(self)


def _build_http_request(host: str, path: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    lines = [f"POST {path} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if any(ord(c) < 32 or ord(c) > 126 for line in lines for c in line):
        raise ValueError
    return "\r\n".join(lines).encode("ascii") + b"\r\n\r\n" + body


def _read_reply(wire: _DeadlineSocket) -> HttpReply:
    response = http.client.HTTPResponse(wire)  # type: ignore[arg-type]
    try:
        response.begin()
        body = response.read(REPLY_LIMIT + 1)
    except http.client.IncompleteRead as error:
        # cameras send a wrong Content-Length; the parser judges what has arrived
        body = error.partial
    finally:
        response.close()
    if len(body) > REPLY_LIMIT:
        raise CameraError("cameras.reply_too_large", limit=REPLY_LIMIT)
    return HttpReply(response.status, response.headers, body)
