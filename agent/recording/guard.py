"""Stands between FFmpeg and a camera: FFmpeg never learns the password, nor does it meet a reply that nobody has looked at.

FFmpeg answers whatever a camera asks (the password in clear text, another host), takes a reply of any length into memory,
and does not come back from data that it does not want. So it connects to the loopback without an account, and one thread here
passes its requests on: it answers digests itself, refuses clear text, follows no redirect to another host, bounds lengths and
times, and lets through only the frames on channels that were agreed on.
"""

from __future__ import annotations

import secrets
import select
import socket
import threading
import time
from contextlib import suppress
from urllib.parse import urlsplit

from agent import digest
from agent.errors import CameraDenied, CameraError, CameraUnreachable, SiteAgentError
from agent.recording import rtsp
from agent.recording.options import Source
from agent.recording.refusal import clean, refusal, unreachable
from agent.recording.rtsp import Message
from agent.recording.wire import SLICE_MS, Wire, wait

_BUFFER = 1 << 18
_GOLDEN = 0.618
_STOPPING_S = 1.0
"""How long FFmpeg may stay in a read when the service is to stop."""
_OPENING, _READING = 3, 2
"""How many timeouts it may take to open a stream, and FFmpeg to come back from a read."""
_STEP = 0.9
"""How much of a timeout an answer may take: it is said here what is wrong, before FFmpeg gives up without a word."""
_REDIRECTS = 3
_PASSED = ("content-type", "content-base", "session", "transport", "public", "rtp-info", "range")
"""What FFmpeg needs of a reply's headers."""


class Stalled(CameraError):
    """No picture for too long although the connection stands."""


class Guard:
    """Connects to the camera of `source` at once; raises CameraUnreachable. FFmpeg then opens `url`.

    `timeout`: seconds for each step of the network; `nap`: how long the thread rests after each look at a playing camera;
    `stop`: when set, an opening or a read that lasts is cut off. `error` says why the guard has cut the connection, None where
    it has not.
    """

    def __init__(self, source: Source, timeout: float, nap: float, stop: threading.Event | None = None) -> None:
        self._source, self._timeout, self._nap = source, timeout, nap
        self._stop = stop or threading.Event()
        self._closing = threading.Event()
        self.error: SiteAgentError | None = None
        self.opened = self._playing = False
        self._began = self._step = time.monotonic()
        self._read_since: float | None = None
        self._remote = rtsp.absolute(source.url)
        self._challenge: digest.Challenge | None = None
        self._answers = self._sequence = self._redirects = 0
        self._channels: set[int] = set()
        self._from_camera = self._from_player = b""
        self._unanswered: Message | None = None
        self._player: Wire | None = None
        self._camera = self._connect()
        try:
            self._listener = socket.create_server(("127.0.0.1", 0), backlog=1)
        except OSError as error:
            self._camera.close()
            raise unreachable(source.url, error) from None
        self._listener.setblocking(False)
        slash = "/" if self._remote.endswith("/") else ""
        # the token keeps other programs of this machine out
        self.url = f"rtsp://127.0.0.1:{self._listener.getsockname()[1]}/{secrets.token_hex(16)}{slash}"
        # daemon: it must never keep the process from ending
        self._thread = threading.Thread(target=self._run, name="guard", daemon=True)
        self._thread.start()

    def reading(self, since: float | None) -> None:
        """FFmpeg has been asked for a packet at `since` (monotonic seconds), None: it has answered."""
        self._read_since = since

    def close(self) -> None:
        """After FFmpeg: what it said last goes to the camera, then the connection ends."""
        self._closing.set()
        self._thread.join(2.0)

    def cut(self) -> None:
        """End the connection now, from whatever thread: FFmpeg comes back with an error."""
        self.error = self.error or CameraError("recording.ended", url=self._source.url)
        self._closing.set()
        for end in (self._camera, self._player):
            if end is not None:
                end.shut()

    def _run(self) -> None:
        try:
            self._player = self._accept()
            while not self._handshake(self._player):
                pass
            self._relay(self._player)
        except EOFError:
            pass  # FFmpeg has gone
        except (SiteAgentError, rtsp.TooLarge, rtsp.Unreadable, OSError) as error:
            # FFmpeg hears of it by the end of its connection: what there is to say must stand before
            self.error = self.error or self._told(error)
        finally:
            self._listener.close()
            for end in (self._camera, self._player):
                if end is not None:
                    end.close()

    def _told(self, error: Exception) -> SiteAgentError | None:
        url = self._source.url
        if isinstance(error, SiteAgentError):
            return error
        if isinstance(error, rtsp.TooLarge):
            return CameraUnreachable("recording.too_large", url=url, limit=error.limit)
        if isinstance(error, rtsp.Unreadable):
            return CameraUnreachable("recording.no_rtsp", url=url)
        if self.opened:
            return None  # FFmpeg gives out what it still holds, and sees the end
        return unreachable(url, error)

    def _connect(self) -> Wire:
        parts = urlsplit(self._remote)
        host = str(parts.hostname)
        try:
            sock = socket.create_connection((host, parts.port or 0), self._timeout)
            if parts.scheme == "rtsps":
                from agent.recording.tls import TlsWire  # few cameras need it, and it takes long to import

                return TlsWire(sock, host, self._check, ConnectionError)
            return Wire(sock, self._check, ConnectionError)
        except socket.gaierror:
            raise CameraUnreachable("recording.no_name", url=self._source.url, name=host) from None
        except (OSError, UnicodeError) as error:
            raise unreachable(self._source.url, error) from None

    def _accept(self) -> Wire:
        wait(self._listener, select.POLLIN, self._check)
        sock, _ = self._listener.accept()
        self._listener.close()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return Wire(sock, self._check, EOFError)

    def _check(self) -> None:
        """Raises CameraError where something has lasted too long, EOFError where nobody waits for it any more."""
        now, url = time.monotonic(), self._source.url
        since = self._read_since if self.opened else self._began
        if self._closing.is_set():
            raise EOFError
        if since is None:
            return
        lasting = now - since
        if self._stop.is_set() and lasting > _STOPPING_S:
            raise CameraError("recording.ended", url=url)
        if not self.opened:
            if late := self.late():
                raise late
        elif lasting > _READING * self._timeout:
            raise Stalled("recording.stalled", url=url, seconds=round(lasting))

    def late(self) -> CameraError | None:
        """What is to be said of a camera that has not finished its answer in time, while the stream is opened; None where it
        has time yet."""
        now, url = time.monotonic(), self._source.url
        step = now - self._step
        if now - self._began <= _OPENING * self._timeout and step <= _STEP * self._timeout:
            return None
        if self._playing:
            return Stalled("recording.stalled", url=url, seconds=round(step))
        return CameraUnreachable("recording.slow", url=url, seconds=round(step))

    # the conversation until the camera plays

    def _handshake(self, player: Wire) -> bool:
        """One request of FFmpeg, answered; True once the camera plays."""
        request = self._next_request(player)
        method, _ = request.request()
        reply = self._exchange(request)
        if method == "SETUP":
            # without a word of them those hold that were asked for
            self._channels |= rtsp.channels(reply) or rtsp.channels(request)
            if rtsp.wants_udp(reply):
                raise CameraUnreachable("recording.only_udp", url=self._source.url)
        headers = [(name, value) for name, value in reply.headers if name.lower() in _PASSED]
        headers = [(n, rtsp.session(value) if n.lower() == "session" else value) for n, value in headers]
        headers += [("CSeq", request.one("CSeq")), ("Content-Length", str(len(reply.body)))]
        player.send(Message("RTSP/1.0 200 OK", tuple(headers), reply.body).encode())
        return method == "PLAY"

    def _next_request(self, player: Wire) -> Message:
        while True:
            request, length = rtsp.parse(self._from_player)
            if request:
                self._from_player = self._from_player[length:]
                if not self._uri(request):
                    raise EOFError  # another program of this machine
                return request
            self._from_player += player.receive()

    def _uri(self, request: Message) -> str:
        """The URI of FFmpeg's request at the camera; "" where it does not know the token. What the camera has named itself
        (Content-Base, control) stays as it is."""
        _, uri = request.request()
        if uri.startswith(self.url):
            return self._remote + uri[len(self.url) :]
        return uri if self._sequence else ""

    def _exchange(self, request: Message) -> Message:
        """The camera's answer of 2xx. Raises CameraDenied, CameraUnreachable."""
        self._step = time.monotonic()
        answered = 0
        while True:
            proven = self._challenge is not None
            self._put(request)
            reply = self._reply()
            if reply.status // 100 == 2:
                return reply
            if reply.status == 401:
                # one answer to an old nonce, one to the new, one more where the camera says that it was too old again
                answered += proven
                self._take_challenge(reply, answered)
            elif reply.status // 100 == 3 and not self._channels:
                self._redirect(reply)
            else:
                raise refusal(reply, self._source.url)

    def _put(self, request: Message) -> None:
        method, _ = request.request()
        uri = self._uri(request)
        self._sequence += 1
        headers = [("CSeq", str(self._sequence))]
        headers += [(name, value) for name, value in request.headers if name.lower() not in ("cseq", "authorization")]
        if self._challenge is not None:
            self._answers += 1
            headers.append(("Authorization", self._challenge.answer(self._source, method, uri, self._answers)))
        self._camera.send(Message(f"{method} {uri} RTSP/1.0", tuple(headers), request.body).encode())

    def _reply(self) -> Message:
        """The camera's next reply. (FFmpeg too leaves out the pictures that come before it.)"""
        while True:
            self._check()
            message, used = rtsp.next_message(self._from_camera)
            self._from_camera = self._from_camera[used:]
            if message is None:
                self._from_camera += self._camera.receive()
            elif not message.is_reply:
                self._put_off(message)
            elif message.status >= 200:  # before, it is only at work on it
                return message

    def _put_off(self, request: Message) -> None:
        """A camera asks something itself: there is nothing that it needs. Raises Unreadable."""
        request.request()
        answer = Message("RTSP/1.0 501 Not Implemented", (("CSeq", request.one("CSeq")),))
        self._camera.send(answer.encode())

    def _take_challenge(self, reply: Message, answered: int) -> None:
        url, offers = self._source.url, reply.all("WWW-Authenticate")
        found = digest.strongest(offers)
        if found is None:
            if algorithm := digest.unknown(offers):
                raise CameraDenied("recording.digest", url=url, algorithm=clean(algorithm))
            key = "recording.basic" if digest.wants_clear_text(offers) else "recording.challenge"
            raise CameraDenied(key, url=url)
        fresh = self._challenge is not None and self._answers == 1 and not found.stale
        if not self._source.username or fresh or answered > 2:
            raise CameraDenied("recording.denied", url=url)
        self._challenge, self._answers = found, 0

    def _redirect(self, reply: Message) -> None:
        """Follow it on the same host. Raises CameraUnreachable."""
        location = reply.one("Location")
        target = rtsp.redirected(self._remote, location, self._camera.sock.getpeername()[0])
        self._redirects += 1
        if not target or self._redirects > _REDIRECTS:
            host = clean(location.partition("://")[2].partition("/")[0].rpartition("@")[2])
            raise CameraUnreachable("recording.redirect", url=self._source.url, host=host or "—")
        self._camera.close()
        self._remote, self._challenge, self._answers, self._from_camera = target, None, 0, b""
        self._camera = self._connect()

    # the playing camera

    def _relay(self, player: Wire) -> None:
        """Frames to FFmpeg, its signs of life to the camera, until one of them ends. FFmpeg's farewell reaches the camera."""
        self._playing, self._step = True, time.monotonic()
        try:
            self._pass_all(player)
        finally:
            with suppress(EOFError, ConnectionError):
                self._pass_requests(player)

    def _pass_all(self, player: Wire) -> None:
        # most of the cost is waking up, and making and joining objects of this size: long rests, one buffer
        player_says, anything = select.poll(), select.poll()
        player_says.register(player.sock, select.POLLIN)
        anything.register(player.sock, select.POLLIN)
        anything.register(self._camera.sock, select.POLLIN)
        buffer = bytearray(_BUFFER)
        held = len(self._from_camera)
        buffer[:held] = self._from_camera
        held, rest, turn = self._pass_frames(player, buffer, held), 0.0, 0.0
        while not self._closing.is_set():
            self._check()
            if player_says.poll(rest):
                self._pass_requests(player)
            count = self._camera.receive_into(memoryview(buffer)[held:])
            rest = 0.0
            if count is None:
                anything.poll(SLICE_MS)
                continue
            full = held + count == _BUFFER
            held = self._pass_frames(player, buffer, held + count)
            if self.opened and not full:
                # never in step with the pictures: the latest would always be equally late
                turn = (turn + _GOLDEN) % 1
                rest = 1000 * self._nap * (0.8 + 0.2 * turn)

    def _pass_frames(self, player: Wire, buffer: bytearray, held: int) -> int:
        """Pass on what is whole of the `held` bytes in `buffer`; returns how many are left, at its beginning."""
        frames, messages, used = rtsp.cut(buffer, held, self._channels)
        if frames:
            self._step = time.monotonic()
        view = memoryview(buffer)
        for first, last in frames:
            player.send(view[first:last])
        for message in messages:
            with suppress(rtsp.Unreadable):
                self._between(message)
        left = held - used
        buffer[:left] = buffer[used:held]
        return left

    def _between(self, message: Message) -> None:
        """Something that a playing camera says: only that its nonce is too old concerns anybody."""
        if not message.is_reply:
            self._put_off(message)
        elif message.status == 401 and self._challenge and (found := digest.strongest(message.all("WWW-Authenticate"))):
            # unheeded, a sign of life keeps no session; but a proof that was refused at once is not given twice
            again = self._unanswered if self._answers > 1 or found.stale else None
            self._challenge, self._answers, self._unanswered = found, 0, None
            if again is not None:
                self._put(again)

    def _pass_requests(self, player: Wire) -> None:
        self._from_player += player.try_receive() or b""
        while True:
            request, length = rtsp.parse(self._from_player)
            if request is None:
                return
            self._from_player = self._from_player[length:]
            self._unanswered = request
            self._put(request)
