"""The RTSP conversation from OPTIONS to TEARDOWN, without sockets: messages in, requests out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from agent.core.errors import CameraUnreachable
from agent.rtsp.authorization import Authorization
from agent.rtsp.message import RtspMessage, RtspUnreadable
from agent.rtsp.refusal import build_redirect_error, build_refusal_error
from agent.rtsp.reply_headers import SESSION_TIMEOUT_S, parse_session
from agent.rtsp.target import StreamTarget
from agent.rtsp.urls import normalize_rtsp_url, resolve_redirect

_REDIRECTS = 3
_MAX_CSEQ = 32
_MAX_OUT = 64 << 10
"""Characters of a number that is sent back; bytes of answers that wait, beyond which the camera floods."""
ReplyHandler = Callable[[RtspMessage], None]


@dataclass(frozen=True, slots=True)
class SentRequest:
    """A request that waits for its reply; `accept` takes one of 2xx, `refuse` any other than 401."""

    method: str
    uri: str
    headers: tuple[tuple[str, str], ...]
    accept: ReplyHandler
    refuse: ReplyHandler


class RtspSession:
    """One conversation with a camera.

    url        what is asked for; another one after a redirect
    redirected where a redirect leads, until the caller has connected there and calls `restart`
    """

    def __init__(self, target: StreamTarget) -> None:
        self._target = target
        self.url = normalize_rtsp_url(target.url)
        self.redirected = ""
        self.peer = ""
        self._authorization = Authorization(target)
        self._out = bytearray()
        self._sequence = self._redirects = 0
        self._pending: SentRequest | None = None
        self._session_id = ""
        self._session_s = SESSION_TIMEOUT_S
        self._methods: frozenset[str] = frozenset()
        self._next_sign = float("inf")

    @property
    def is_idle(self) -> bool:
        """True while no request waits for its reply."""
        return self._pending is None

    def take_output(self) -> bytes:
        """Return what is to be sent, and forget it."""
        out = bytes(self._out)
        self._out.clear()
        return out

    def restart(self) -> None:
        """Begin anew after a redirect, on a new connection."""
        self.url, self.redirected = self.redirected, ""
        self._authorization.reset()
        self._pending = None

    def request(
        self,
        method: str,
        uri: str,
        accept: ReplyHandler,
        refuse: ReplyHandler | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        """Send a request."""
        self._authorization.begin_request()
        self._pending = SentRequest(method, uri, headers, accept, refuse or self._refuse)
        self._send(self._pending)

    def take_methods(self, reply: RtspMessage) -> None:
        """Note which methods the camera knows, from its reply to OPTIONS."""
        listed = ",".join(reply.all("Public"))
        self._methods = frozenset(name.strip().upper() for name in listed.split(",") if name.strip())

    def take_session(self, reply: RtspMessage) -> None:
        """Note the session's name and life time."""
        if value := reply.one("Session"):
            self._session_id, seconds = parse_session(value)
            # the reply to PLAY names the session alone
            if "timeout" in value.lower():
                self._session_s = seconds

    def keep_alive(self, uri: str, now: float) -> None:
        """Send a sign of life where one is due: at half the session's life time. `now`: monotonic seconds."""
        if self._next_sign == float("inf"):
            self._next_sign = now + self._session_s / 2
        if now < self._next_sign or self._out:
            return  # not due, or the camera does not even take what was due before
        self._next_sign = now + self._session_s / 2
        method = "GET_PARAMETER" if "GET_PARAMETER" in self._methods else "OPTIONS"
        self.request(method, uri, self.take_session, self._refuse_sign)

    def tear_down(self, uri: str) -> None:
        """Say farewell: some servers go on sending a session that nobody has ended."""
        if self._session_id:
            self.request("TEARDOWN", uri, _ignore, _ignore)

    def handle(self, message: RtspMessage) -> None:
        """Take a message of the camera. Raises CameraDenied, CameraUnreachable, RtspUnreadable."""
        if not message.is_reply:
            self._decline(message)
            return
        status, pending = message.status, self._pending
        if status < 200 or pending is None or not self._is_answer(message):
            return  # it is still at work, or answers what nobody waits for
        if status == 401:
            self._prove(message, pending)
        elif status // 100 == 2:
            self._pending = None
            pending.accept(message)
        else:
            self._pending = None
            pending.refuse(message)

    def redirect(self, reply: RtspMessage) -> None:
        """Follow a redirect on the same host. Raises CameraUnreachable."""
        location = reply.one("Location")
        target = resolve_redirect(self.url, location, self.peer)
        self._redirects += 1
        if not target:
            raise build_redirect_error(location, self._target.url)
        if self._redirects > _REDIRECTS:
            raise CameraUnreachable("recording.redirects", url=self._target.url, count=_REDIRECTS)
        self.redirected = target

    def _prove(self, reply: RtspMessage, pending: SentRequest) -> None:
        if pending.refuse == self._refuse_sign:
            # a sign of life that was refused keeps no session, so it is sent again
            if not self._authorization.renew(reply):
                self._pending = None
                return
        else:
            self._authorization.take_challenge(reply)
        self._send(pending)

    def _refuse(self, reply: RtspMessage) -> None:
        if reply.status // 100 == 3 and not self._session_id:
            self.redirect(reply)
        else:
            raise build_refusal_error(reply, self._target.url)

    def _refuse_sign(self, reply: RtspMessage) -> None:
        """Say it with OPTIONS from now on: the pictures show whether the session goes on."""
        self._methods = frozenset()

    def _is_answer(self, reply: RtspMessage) -> bool:
        """Return True unless a reply names an earlier request; some cameras do not count at all."""
        number = reply.one("CSeq")
        return not (number.isascii() and number.isdigit() and 0 < int(number[:10]) < self._sequence)

    def _send(self, request: SentRequest) -> None:
        self._sequence += 1
        headers = [("CSeq", str(self._sequence)), ("User-Agent", "site-agent"), *request.headers]
        if self._session_id:
            headers.append(("Session", self._session_id))
        headers += self._authorization.build_headers(request.method, request.uri)
        self._out += RtspMessage(f"{request.method} {request.uri} RTSP/1.0", tuple(headers)).encode()

    def _decline(self, request: RtspMessage) -> None:
        """Answer a request of the camera itself: nothing that it may ask for is needed. Raises RtspUnreadable."""
        request.request()
        answer = RtspMessage("RTSP/1.0 501 Not Implemented", (("CSeq", request.one("CSeq")[:_MAX_CSEQ]),))
        self._out += answer.encode()
        if len(self._out) > _MAX_OUT:
            raise RtspUnreadable


def _ignore(_reply: RtspMessage) -> None:
    """Take a reply that changes nothing."""
