"""The one door to a camera's web services: HTTP with a deadline over the whole exchange, a cap on every reply, no redirects
(the session follows one kind), no proxies from the environment, and no address outside the camera networks."""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any
from urllib.parse import urlsplit

from agent import shortage
from agent.cameras.networks import Networks
from agent.clock import Clock
from agent.errors import CameraError, CameraUnreachable

REPLY_LIMIT = 1 << 20
_NAP_S = 0.5  # how soon a wait for bytes notices the stop
_CONNECT_S = 2.0  # a camera on the same network takes milliseconds; an address that is no longer one takes for ever


@dataclass(frozen=True, slots=True)
class Reply:
    """`headers` keep their repeats; their names compare without case."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


class NoConnection(CameraUnreachable):
    """Nothing takes connections at the address; `refused` where a machine is there that says so."""

    refused = False


class Transport:
    """Posts to cameras. One object serves all threads. `timeout` is for the whole of one exchange, in seconds; once `stop`
    is set the time of every exchange is up."""

    def __init__(
        self, networks: Networks, clock: Clock, timeout: float = 5.0, stop: threading.Event | None = None
    ) -> None:
        self.networks = networks
        self.stop = stop or threading.Event()
        self._clock = clock
        self._timeout = timeout
        # cameras carry certificates of their own making; what guards the password is the digest, not the certificate
        self._tls = ssl.create_default_context()
        self._tls.check_hostname = False
        self._tls.verify_mode = ssl.CERT_NONE
        # and old firmware's TLS is still better than the plain HTTP that is spoken to most
        self._tls.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        self._tls.set_ciphers("DEFAULT:@SECLEVEL=0")

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Raises CameraUnreachable (no answer in time, nothing there) and CameraError (an answer that is no HTTP, or too
        large, or an address that may not be contacted)."""
        if not self.networks.allows(url):
            raise CameraError("cameras.outside_reply", address=urlsplit(url).netloc[-80:])
        parts = urlsplit(url)
        if self.stop.is_set():
            raise CameraUnreachable("cameras.too_slow", address=parts.hostname, seconds="0")
        host, deadline = str(parts.hostname), self._clock.monotonic() + self._timeout
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            with self._connect(host, parts.port, parts.scheme == "https") as sock:
                wire = _Wire(sock, self._clock, deadline, self.stop)
                wire.sendall(_request(parts.netloc.rpartition("@")[2], path, body, headers))
                return _read(wire)
        except TimeoutError:
            raise CameraUnreachable("cameras.too_slow", address=host, seconds=f"{self._timeout:g}") from None
        except OSError as error:
            if found := shortage.of(error):
                raise found from None
            raise CameraUnreachable("cameras.no_answer", address=host, detail=_detail(error)) from None
        except (http.client.HTTPException, ValueError):
            # http.client lets ValueError out for a status line or a chunk size that is no number
            raise CameraError("cameras.not_http", address=host) from None

    def opens(self, host: str, port: int, timeout: float = 1.0) -> bool:
        """True where something takes connections."""
        if self.stop.is_set() or not self.networks.holds(host):
            return False
        try:
            with shortage.told():
                socket.create_connection((host, port), timeout).close()
        except (OSError, OverflowError):
            return False
        return True

    def _connect(self, host: str, port: int | None, tls: bool) -> socket.socket:
        """Raises NoConnection."""
        try:
            sock = socket.create_connection((host, port or (443 if tls else 80)), min(self._timeout, _CONNECT_S))
            return self._secured(sock) if tls else sock
        except TimeoutError:
            raise NoConnection("cameras.too_slow", address=host, seconds=f"{self._timeout:g}") from None
        except OSError as error:
            gone = NoConnection("cameras.no_answer", address=host, detail=_detail(error))
            gone.refused = isinstance(error, ConnectionRefusedError)
            raise gone from None

    def _secured(self, sock: socket.socket) -> socket.socket:
        try:
            return self._tls.wrap_socket(sock)
        except BaseException:
            sock.close()
            raise


def _detail(error: OSError) -> str:
    return str(getattr(error, "reason", None) or error.strerror or type(error).__name__)


class _Wire(io.RawIOBase):
    """A socket whose every read and write ends at one deadline: a peer that drips bytes gains nothing."""

    def __init__(self, sock: socket.socket, clock: Clock, deadline: float, stop: threading.Event) -> None:
        self._sock, self._clock, self._deadline, self._stop = sock, clock, deadline, stop

    def _left(self) -> float:
        left = self._deadline - self._clock.monotonic()
        if left <= 0 or self._stop.is_set():
            raise TimeoutError
        return left

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while True:
            self._sock.settimeout(min(self._left(), _NAP_S))
            try:
                return self._sock.recv_into(buffer)
            except TimeoutError:
                # nothing yet; whether there is time left is asked above
                continue

    def sendall(self, data: bytes) -> None:
        self._sock.settimeout(min(self._left(), _CONNECT_S))
        self._sock.sendall(data)

    def makefile(self, mode: str = "rb", *args: object) -> IO[bytes]:
        """What http.client asks of a socket."""
        return io.BufferedReader(self)


def _request(host: str, path: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    lines = [f"POST {path} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if any(ord(c) < 32 or ord(c) > 126 for line in lines for c in line):
        raise ValueError
    return "\r\n".join(lines).encode("ascii") + b"\r\n\r\n" + body


def _read(wire: _Wire) -> Reply:
    response = http.client.HTTPResponse(wire)  # type: ignore[arg-type]
    try:
        response.begin()
        body = response.read(REPLY_LIMIT + 1)
    except http.client.IncompleteRead as error:
        # cameras miscount; what came is judged by the parser
        body = error.partial
    finally:
        response.close()
    if len(body) > REPLY_LIMIT:
        raise CameraError("cameras.reply_too_large", limit=REPLY_LIMIT)
    return Reply(response.status, response.headers, body)
