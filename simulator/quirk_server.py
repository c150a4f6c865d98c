"""An RTSP server whose streams behave as the firmware of real cameras does; see `simulator.quirks` for the behaviours.

with QuirkServer(clip, FIRMWARE["metadata-goes-on"]) as server:
    record(server.url())

with QuirkServer({"plain": clip, "dahua": (clip, Quirks(sdp=SdpQuirks(control="trackID={number}")))}) as server:
    record(server.url("dahua"))
"""

from __future__ import annotations

import ssl
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from simulator.quirk_auth import QuirkAuthentication
from simulator.quirk_connection import QuirkConnection
from simulator.quirk_stream import QuirkStream
from simulator.quirks import Quirks
from simulator.rtsp import RtspServer
from simulator.stream import RtpStream

DEFAULT_STREAM = "main"
StreamMedia = Path | tuple[Path, Quirks]


@dataclass(frozen=True)
class HeardRequest:
    """One request as it came; `at` by the monotonic clock, names of headers in lower case."""

    at: float
    method: str
    url: str
    headers: Mapping[str, str]


class QuirkServer(RtspServer):
    """Serve one clip as "main", or clips by name, each with its quirks; a context manager.

    `quirks` holds for every stream that brings none of its own. `tls`: rtsps with a certificate made on the spot.
    `wants_tls`: a port for TLS only, which answers clear text with an alert. `heard` are the requests, `kicked` counts the
    sessions that ended as idle, `ghosts` those that were not torn down.
    """

    def __init__(
        self,
        media: Path | Mapping[str, StreamMedia],
        quirks: Quirks | None = None,
        address: str = "127.0.0.1",
        port: int = 0,
        username: str = "",
        password: str = "",
        *,
        tls: bool = False,
        wants_tls: bool = False,
    ) -> None:
        given: Mapping[str, StreamMedia] = media if isinstance(media, Mapping) else {DEFAULT_STREAM: media}
        own = {name: value[1] for name, value in given.items() if isinstance(value, tuple)}
        files = {name: value[0] if isinstance(value, tuple) else value for name, value in given.items()}
        super().__init__(files, address, port, username, password)
        self.heard: list[HeardRequest] = []
        self.kicked = self.ghosts = 0
        self.wants_tls = wants_tls
        self._quirks = {name: own.get(name, quirks or Quirks()) for name in files}
        self._authentications = {name: QuirkAuthentication(each.auth) for name, each in self._quirks.items()}
        self._quirky: dict[str, QuirkStream] = {}
        self._tls = make_tls_context(address) if tls else None

    def __enter__(self) -> QuirkServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def url(self, name: str = DEFAULT_STREAM) -> str:
        """Return the URL of a stream, without credentials."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{'rtsps' if self._tls else 'rtsp'}://{host}:{self.port}/{name}"

    def url_with_password(self, name: str = DEFAULT_STREAM) -> str:
        """Return the URL of a stream with user name and password, percent-encoded."""
        scheme, _, rest = self.url(name).partition("://")
        return f"{scheme}://{quote(self.username, safe='')}:{quote(self.password, safe='')}@{rest}"

    def name_of(self, url: str) -> str:
        """Return the name of the stream that a URL means ("" if none): a part of its path; cameras ignore the host."""
        parts = urlsplit(url).path.strip("/").split("/")
        return next((part for part in parts if part in self._quirks), "")

    def quirks_of(self, name: str) -> Quirks:
        """Return the quirks of a stream; those of the first one where no stream is named, as by `OPTIONS *`."""
        return self._quirks.get(name) or next(iter(self._quirks.values()))

    def authentication(self, name: str) -> QuirkAuthentication:
        """Return what asks for the password of a stream."""
        return self._authentications.get(name) or next(iter(self._authentications.values()))

    def quirky_stream(self, name: str) -> QuirkStream | None:
        """Return a stream by its name."""
        return self._quirky.get(name)

    def stream_of(self, url: str) -> RtpStream | None:
        return self._quirky.get(self.name_of(url))

    def allows(self, method: str, given: str) -> bool:
        """Return True: the connection has looked at the password before, by the quirks of the stream."""
        return True

    def note(self, method: str, url: str, headers: Mapping[str, str]) -> None:
        """Add a request to `heard`."""
        self.heard.append(HeardRequest(time.monotonic(), method, url, dict(headers)))

    def _begin(self) -> None:
        self._quirky = {name: QuirkStream(source, self._quirks[name]) for name, source in self._sources.items()}
        self.streams = dict(self._quirky)
        self._tasks = [self._loop.create_task(stream.run()) for stream in self.streams.values()]

    async def _listen(self) -> None:
        if self._listener is None:
            self._listener = await self._loop.create_server(
                lambda: QuirkConnection(self), self.address, self.port, ssl=self._tls
            )
            self.port = self._listener.sockets[0].getsockname()[1]


def make_tls_context(address: str) -> ssl.SSLContext:
    """Return the context of a server with a self-signed certificate for `address`, made by the openssl program."""
    with tempfile.TemporaryDirectory() as folder:
        key, certificate = Path(folder) / "key.pem", Path(folder) / "certificate.pem"
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        command += ["-days", "2", "-subj", "/CN=camera", "-addext", f"subjectAltName=IP:{address}"]
        command += ["-keyout", str(key), "-out", str(certificate)]
        subprocess.run(command, check=True, capture_output=True, timeout=20)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
    return context
