"""The RTSP conversation with a camera: requests with digests, replies, redirects on the same host."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

from agent.core import http_digest
from agent.core.errors import CameraDenied, CameraUnreachable
from agent.recording import rtsp
from agent.recording.deadline import Deadline
from agent.recording.options import StreamSource
from agent.recording.refusal import build_refusal_error, build_unreachable_error, sanitize_camera_text
from agent.recording.rtsp import RtspMessage
from agent.recording.wire import Wire

_REDIRECTS = 3


class CameraDialogue:
    """Sends FFmpeg's requests to a camera. Connects at once; raises CameraUnreachable.

    wire            the connection to the camera; another one after a redirect
    from_camera     bytes that came behind the last reply
    channels        channels agreed on for interleaved data
    local_url       FFmpeg's name for the stream, set before the first request
    """

    def __init__(self, source: StreamSource, timeout: float, deadline: Deadline) -> None:
        self._source, self._timeout, self._deadline = source, timeout, deadline
        self._remote = rtsp.normalize_rtsp_url(source.url)
        self.local_url = ""
        self.channels: set[int] = set()
        self.from_camera = b""
        self._challenge: http_digest.DigestChallenge | None = None
        self._answers = self._sequence = self._redirects = 0
        self._unanswered: RtspMessage | None = None
        self.wire = self._connect()

    @property
    def path_ends_with_slash(self) -> bool:
        return self._remote.endswith("/")

    def knows(self, request: RtspMessage) -> bool:
        """Return True where a request is FFmpeg's: it names `local_url`, or comes behind one that did."""
        return bool(self._remote_uri(request))

    def exchange(self, request: RtspMessage) -> RtspMessage:
        """Send a request of FFmpeg; return the camera's answer of 2xx. Raises CameraDenied, CameraUnreachable."""
        self._deadline.start_step()
        answered = 0
        while True:
            proven = self._challenge is not None
            self._send(request)
            reply = self._reply()
            if reply.status // 100 == 2:
                self._agree_on_channels(request, reply)
                return reply
            if reply.status == 401:
                # one answer to an old nonce, one to the new, one more where the camera says that it was too old again
                answered += proven
                self._take_challenge(reply, answered)
            elif reply.status // 100 == 3 and not self.channels:
                self._redirect(reply)
            else:
                raise build_refusal_error(reply, self._source.url)

    def forward(self, request: RtspMessage) -> None:
        """Send a request of FFmpeg to a playing camera, without waiting for the answer."""
        self._unanswered = request
        self._send(request)

    def handle(self, message: RtspMessage) -> None:
        """Handle what a playing camera says: the only thing that matters is that its nonce is too old. Raises Unreadable."""
        if not message.is_reply:
            self._decline(message)
        elif (
            message.status == 401
            and self._challenge
            and (found := http_digest.choose_strongest(message.all("WWW-Authenticate")))
        ):
            # a keep-alive that was refused keeps no session, so it is sent again; but a proof that was refused at once is
            # not given twice
            again = self._unanswered if self._answers > 1 or found.stale else None
            self._challenge, self._answers, self._unanswered = found, 0, None
            if again is not None:
                self._send(again)

    def _agree_on_channels(self, request: RtspMessage, reply: RtspMessage) -> None:
        method, _ = request.request()
        if method != "SETUP":
            return
        # where the reply does not name channels, those of the request hold
        self.channels |= rtsp.find_channels(reply) or rtsp.find_channels(request)
        if rtsp.wants_udp(reply):
            raise CameraUnreachable("recording.only_udp", url=self._source.url)

    def _connect(self) -> Wire:
        parts = urlsplit(self._remote)
        host, check = str(parts.hostname), self._deadline.check
        try:
            sock = socket.create_connection((host, parts.port or 0), self._timeout)
            if parts.scheme == "rtsps":
                from agent.recording.tls import TlsWire  # few cameras need it, and it takes long to import

                return TlsWire(sock, host, check, ConnectionError)
            return Wire(sock, check, ConnectionError)
        except socket.gaierror:
            raise CameraUnreachable("recording.no_name", url=self._source.url, name=host) from None
        except (OSError, UnicodeError) as error:
            raise build_unreachable_error(self._source.url, error) from None

    def _remote_uri(self, request: RtspMessage) -> str:
        """Return the URI of FFmpeg's request as the camera knows it; "" where the sender does not know the token.

        What the camera has named itself (Content-Base, control) stays as it is.
        """
        _, uri = request.request()
        if uri.startswith(self.local_url):
            return self._remote + uri[len(self.local_url) :]
        return uri if self._sequence else ""

    def _send(self, request: RtspMessage) -> None:
        method, _ = request.request()
        uri = self._remote_uri(request)
        self._sequence += 1
        headers = [("CSeq", str(self._sequence))]
        headers += [(name, value) for name, value in request.headers if name.lower() not in ("cseq", "authorization")]
        if self._challenge is not None:
            self._answers += 1
            headers.append(("Authorization", self._challenge.answer(self._source, method, uri, self._answers)))
        self.wire.send(RtspMessage(f"{method} {uri} RTSP/1.0", tuple(headers), request.body).encode())

    def _reply(self) -> RtspMessage:
        """Return the camera's next reply. Pictures that come before it are left out, as FFmpeg does."""
        while True:
            self._deadline.check()
            message, used = rtsp.take_message(self.from_camera)
            self.from_camera = self.from_camera[used:]
            if message is None:
                self.from_camera += self.wire.receive()
            elif not message.is_reply:
                self._decline(message)
            elif message.status >= 200:  # lower ones say that the camera is still at work
                return message

    def _decline(self, request: RtspMessage) -> None:
        """Answer a request of the camera itself: nothing that it may ask for is needed. Raises Unreadable."""
        request.request()
        answer = RtspMessage("RTSP/1.0 501 Not Implemented", (("CSeq", request.one("CSeq")),))
        self.wire.send(answer.encode())

    def _take_challenge(self, reply: RtspMessage, answered: int) -> None:
        """Take the strongest digest offered. Raises CameraDenied where there is none, or where the last proof was refused."""
        url, offers = self._source.url, reply.all("WWW-Authenticate")
        found = http_digest.choose_strongest(offers)
        if found is None:
            if algorithm := http_digest.find_unknown_algorithm(offers):
                raise CameraDenied("recording.digest", url=url, algorithm=sanitize_camera_text(algorithm))
            key = "recording.basic" if http_digest.is_basic_offered(offers) else "recording.challenge"
            raise CameraDenied(key, url=url)
        fresh = self._challenge is not None and self._answers == 1 and not found.stale
        if not self._source.username or fresh or answered > 2:
            raise CameraDenied("recording.denied", url=url)
        self._challenge, self._answers = found, 0

    def _redirect(self, reply: RtspMessage) -> None:
        """Follow a redirect on the same host. Raises CameraUnreachable."""
        location = reply.one("Location")
        target = rtsp.resolve_redirect(self._remote, location, self.wire.sock.getpeername()[0])
        self._redirects += 1
        if not target or self._redirects > _REDIRECTS:
            host = sanitize_camera_text(location.partition("://")[2].partition("/")[0].rpartition("@")[2])
            raise CameraUnreachable("recording.redirect", url=self._source.url, host=host or "—")
        self.wire.close()
        self._remote, self._challenge, self._answers, self.from_camera = target, None, 0, b""
        self.wire = self._connect()
