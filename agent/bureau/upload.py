"""Pushes files to a one-time address at the bureau's board over HTTPS, and goes on where a break left off.

POST opens the address with the box's signature over the request's ID and the token, and gives a key. HEAD says how much of a
file has come, PATCH appends (the three requests of tus that are needed here, without its protocol headers).
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import quote, urlsplit

from agent.bureau.rate_limit import RateLimit
from agent.core.clock import Clock
from agent.core.errors import BureauError
from agent.core.left_behind import wait_for_call
from agent.mqtt.connection import build_tls_context
from agent.mqtt.options import BrokerOptions

_SLICE = 32 << 10
_LEAST, _MOST = 64 << 10, 8 << 20
_PART_S = 4.0
_LARGEST_ANSWER = 64 << 10
_SEND_BUFFER = 512 << 10
_LOW_EFFORT = 0x20
"""IP's class for what gives way to everything else (CS1)."""


@dataclass(frozen=True, slots=True)
class UploadOptions:
    """`ca_file`: only certificates of this authority count. Delays between attempts grow up to `pause_max_s`."""

    ca_file: Path | None = None
    mbit_per_s: float = 20.0
    at_once: int = 2
    timeout_s: float = 10.0
    pause_min_s: float = 1.0
    pause_max_s: float = 60.0


@dataclass(frozen=True, slots=True)
class UploadAddress:
    """Where to push; nothing is taken after `until`. The token is no part of texts."""

    url: str
    token: str
    until: datetime

    def __repr__(self) -> str:
        return f"UploadAddress({self.url})"

    def make_proof_text(self, request_id: str) -> bytes:
        """Return what the box signs to open the address: nobody who only knows the address can."""
        return f"{request_id}\n{hashlib.sha256(self.token.encode()).hexdigest()}\n".encode()


class UploadStopped(Exception):
    """The service stops while something is pushed."""


class _Broken(Exception):
    """The connection broke, or the board cannot take anything just now: try again."""


class BoardUpload:
    """Pushes the files of one request.

    `address` gives the newest address of the request; `prove` signs the proof text; `told` is called with the bytes that the
    board has.
    """

    def __init__(
        self,
        address: Callable[[], UploadAddress],
        options: UploadOptions,
        clock: Clock,
        limit: RateLimit,
        stop: threading.Event,
        *,
        request_id: str,
        prove: Callable[[bytes], bytes],
        told: Callable[[int], None],
    ) -> None:
        self._newest = address
        self._address = address()
        self._options = options
        self._clock = clock
        self._limit = limit
        self._stop = stop
        self._request_id = request_id
        self._prove = prove
        self._told = told
        self._key = ""
        self._connection: http.client.HTTPSConnection | None = None
        self._part = 1 << 20
        self._problem = ""

    def push(self, files: Sequence[Path]) -> None:
        """Push all files. Raises BureauError where the board refuses or the address expires, UploadStopped."""
        left, finished, waits = list(files), 0, self._generate_delays()
        try:
            while left:
                moved = False
                try:
                    if not self._key:
                        self._open()
                    size = left[0].stat().st_size
                    for offset in self._push_file(left[0], size):
                        moved = True
                        self._told(finished + offset)
                    left.pop(0)
                    finished += size
                except _Broken as error:
                    self._problem = str(error)
                    self._close()
                    waits = self._generate_delays() if moved else waits
                    self._pause(next(waits))
        finally:
            self._close()

    def _generate_delays(self) -> Iterator[float]:
        # at first the board may not have heard over MQTT what comes: that takes it a moment
        pause = self._options.pause_min_s / 4
        while True:
            yield pause
            pause = min(pause * 2, self._options.pause_max_s)

    def _pause(self, seconds: float) -> None:
        if self._clock.now() >= self._newest().until:
            raise BureauError("upload.gave_up", host=self._host, detail=self._problem)
        if self._clock.wait(self._stop, seconds):
            raise UploadStopped

    @property
    def _host(self) -> str:
        return urlsplit(self._address.url).netloc

    def _open(self) -> None:
        """Open the address with the box's signature. Raises BureauError, _Broken."""
        self._address = self._newest()
        proof = self._prove(self._address.make_proof_text(self._request_id)).decode("ascii")
        body = json.dumps({"proof": proof}).encode()
        headers = {"Authorization": f"Bearer {self._address.token}", "Content-Type": "application/json"}
        status, _, answer = self._ask("POST", "", headers, body)
        if status == 200:
            try:
                self._key = str(json.loads(answer)["key"])
            except (ValueError, KeyError, TypeError):
                raise BureauError("upload.not_a_board", host=self._host) from None
            return
        self._judge(status, answer)

    def _push_file(self, file: Path, size: int) -> Iterator[int]:
        """Push one file from where it is; yield the offset after each part. Raises BureauError, _Broken."""
        status, headers, answer = self._ask("HEAD", file.name, self._keyed())
        offset = self._read_offset(status, headers, answer)
        again = False
        with file.open("rb") as content:
            while offset < size:
                offset = self._append(file.name, content.fileno(), offset, size)
                if offset == 0:
                    if again:  # it came twice with another hash than the announced one
                        raise BureauError("upload.altered", file=file.name)
                    again = True
                yield offset

    def _append(self, name: str, descriptor: int, offset: int, size: int) -> int:
        """Send one part; return the offset that the board names after it."""
        count = min(self._part, size - offset)
        headers = self._keyed() | {"Upload-Offset": str(offset), "Content-Type": "application/octet-stream"}
        begun = time.monotonic()
        with self._talking() as connection:
            connection.putrequest("PATCH", self._path(name), skip_accept_encoding=True)
            for key, value in (headers | {"Content-Length": str(count)}).items():
                connection.putheader(key, value)
            connection.endheaders()
            self._send(connection, descriptor, offset, count)
            response = connection.getresponse()
            answer = response.read(_LARGEST_ANSWER)
        took = max(0.001, time.monotonic() - begun)
        self._part = int(min(_MOST, max(_LEAST, count / took * _PART_S)))
        if response.status in (409, 422) and response.headers.get("Upload-Offset") is not None:
            here = self._read_offset(204, response.headers, answer)
            if here == offset:
                raise _Broken(f"HTTP {response.status}")
            return here
        return self._read_offset(response.status, response.headers, answer)

    def _send(self, connection: http.client.HTTPSConnection, descriptor: int, offset: int, count: int) -> None:
        end = offset + count
        while offset < end:
            block = os.pread(descriptor, min(_SLICE, end - offset), offset)
            if not block:
                raise BureauError("upload.altered", file="-")
            if self._limit.wait(self._stop, len(block)):
                raise UploadStopped
            connection.send(block)
            offset += len(block)

    def _read_offset(self, status: int, headers: http.client.HTTPMessage, answer: bytes) -> int:
        if status not in (200, 204):
            self._judge(status, answer)
        value = headers.get("Upload-Offset", "")
        if not value.isdecimal() or len(value) > 18:
            raise BureauError("upload.not_a_board", host=self._host)
        return int(value)

    def _judge(self, status: int, answer: bytes) -> None:
        """Raise what an answer means: try again where the board is busy or has not heard of the request yet."""
        text = answer[:200].decode("utf-8", "replace").strip()
        if status in (408, 425, 429) or status >= 500:
            raise _Broken(f"HTTP {status} {text}".strip())
        raise BureauError("upload.refused", host=self._host, status=status, detail=text or "-")

    def _keyed(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._key}"}

    def _path(self, name: str) -> str:
        path = urlsplit(self._address.url).path
        return f"{path}/{quote(name)}" if name else path or "/"

    def _ask(
        self, method: str, name: str, headers: dict[str, str], body: bytes | None = None
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        with self._talking() as connection:
            connection.request(method, self._path(name), body, headers)
            response = connection.getresponse()
            return response.status, response.headers, response.read(_LARGEST_ANSWER)

    @contextmanager
    def _talking(self) -> Iterator[http.client.HTTPSConnection]:
        """Give the connection; a break of any kind is `_Broken`. Raises BureauError for a certificate that is not trusted."""
        try:
            if self._connection is None:
                self._connection = wait_for_call("board connects", self._connect, self._raise_stopped)
            yield self._connection
        except ssl.SSLCertVerificationError as error:
            raise BureauError("upload.certificate", host=self._host, detail=error.verify_message) from None
        except (OSError, http.client.HTTPException) as error:
            raise _Broken(str(error) or type(error).__name__) from None

    def _raise_stopped(self) -> None:
        if self._stop.is_set():
            raise UploadStopped

    def _connect(self) -> http.client.HTTPSConnection:
        place = urlsplit(self._address.url)
        context = build_tls_context(BrokerOptions(ca_file=self._options.ca_file))
        made = http.client.HTTPSConnection(
            place.hostname or "", place.port or 443, timeout=self._options.timeout_s, context=context
        )
        made.connect()
        made.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        if made.sock.family == socket.AF_INET:
            made.sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, _LOW_EFFORT)
        return made

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
