"""A proxy between FFmpeg and a camera: FFmpeg never learns the password and sees no reply that was not checked here.

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
from contextlib import suppress

from agent.core.errors import CameraError, CameraUnreachable, SiteAgentError
from agent.recording import rtsp
from agent.recording.camera_dialogue import CameraDialogue
from agent.recording.deadline import Deadline
from agent.recording.options import StreamSource
from agent.recording.refusal import build_unreachable_error
from agent.recording.rtsp import RtspMessage
from agent.recording.wire import SLICE_MS, Wire, wait_for_socket

_BUFFER = 1 << 18
_GOLDEN = 0.618
_PASSED = ("content-type", "content-base", "session", "transport", "public", "rtp-info", "range")
"""What FFmpeg needs of a reply's headers."""


class CameraProxy:
    """Connects to the camera of `source` at once; raises CameraUnreachable. FFmpeg then opens `url`.

    timeout     seconds for each step of the network
    nap         seconds for which the thread rests after each look at a playing camera
    stop        when set, an opening or a read that lasts is cut off
    deadline    the time limits; the caller notes there when FFmpeg has opened the stream and when it reads
    error       why the guard has cut the connection; None where it has not
    """

    def __init__(self, source: StreamSource, timeout: float, nap: float, stop: threading.Event | None = None) -> None:
        self._source, self._nap = source, nap
        self.deadline = Deadline(source.url, timeout, stop)
        self.error: SiteAgentError | None = None
        self._from_player = b""
        self._player: Wire | None = None
        self._camera = CameraDialogue(source, timeout, self.deadline)
        try:
            self._listener = socket.create_server(("127.0.0.1", 0), backlog=1)
        except OSError as error:
            self._camera.wire.close()
            raise build_unreachable_error(source.url, error) from None
        self._listener.setblocking(False)
        slash = "/" if self._camera.path_ends_with_slash else ""
        # the token keeps other programs of this machine out
        self.url = f"rtsp://127.0.0.1:{self._listener.getsockname()[1]}/{secrets.token_hex(16)}{slash}"
        self._camera.local_url = self.url
        # daemon: it must never keep the process from ending
        self._thread = threading.Thread(target=self._run, name="guard", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the connection after FFmpeg: what it said last still goes to the camera."""
        self.deadline.closing.set()
        self._thread.join(2.0)

    def cut(self) -> None:
        """End the connection now, from whatever thread: FFmpeg comes back with an error."""
        self.error = self.error or CameraError("recording.ended", url=self._source.url)
        self.deadline.closing.set()
        for end in (self._camera.wire, self._player):
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
        except (SiteAgentError, rtsp.RtspTooLarge, rtsp.RtspUnreadable, OSError) as error:
            # FFmpeg notices by the end of its connection: the cause must be set before
            self.error = self.error or self._cause(error)
        finally:
            self._listener.close()
            for end in (self._camera.wire, self._player):
                if end is not None:
                    end.close()

    def _cause(self, error: Exception) -> SiteAgentError | None:
        url = self._source.url
        if isinstance(error, SiteAgentError):
            return error
        if isinstance(error, rtsp.RtspTooLarge):
            return CameraUnreachable("recording.too_large", url=url, limit=error.limit)
        if isinstance(error, rtsp.RtspUnreadable):
            return CameraUnreachable("recording.no_rtsp", url=url)
        if self.deadline.opened:
            return None  # FFmpeg gives out what it still holds, and sees the end
        return build_unreachable_error(url, error)

    def _accept(self) -> Wire:
        wait_for_socket(self._listener, select.POLLIN, self.deadline.check)
        sock, _ = self._listener.accept()
        self._listener.close()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return Wire(sock, self.deadline.check, EOFError)

    # the conversation until the camera plays

    def _handshake(self, player: Wire) -> bool:
        """Answer one request of FFmpeg; return True once the camera plays."""
        request = self._next_request(player)
        method, _ = request.request()
        reply = self._camera.exchange(request)
        headers = [(name, value) for name, value in reply.headers if name.lower() in _PASSED]
        headers = [(n, rtsp.normalize_session(value) if n.lower() == "session" else value) for n, value in headers]
        headers += [("CSeq", request.one("CSeq")), ("Content-Length", str(len(reply.body)))]
        player.send(RtspMessage("RTSP/1.0 200 OK", tuple(headers), reply.body).encode())
        return method == "PLAY"

    def _next_request(self, player: Wire) -> RtspMessage:
        while True:
            request, length = rtsp.parse_message(self._from_player)
            if request:
                self._from_player = self._from_player[length:]
                if not self._camera.knows(request):
                    raise EOFError  # another program of this machine
                return request
            self._from_player += player.receive()

    # the playing camera

    def _relay(self, player: Wire) -> None:
        """Pass frames to FFmpeg and its keep-alives to the camera until one of them ends; FFmpeg's TEARDOWN still goes out."""
        self.deadline.playing = True
        self.deadline.start_step()
        try:
            self._pass_all(player)
        finally:
            with suppress(EOFError, ConnectionError):
                self._pass_requests(player)

    def _pass_all(self, player: Wire) -> None:
        # most of the cost is waking up, and making and joining objects of this size: long rests, one buffer
        deadline, camera = self.deadline, self._camera.wire
        player_says, anything = select.poll(), select.poll()
        player_says.register(player.sock, select.POLLIN)
        anything.register(player.sock, select.POLLIN)
        anything.register(camera.sock, select.POLLIN)
        buffer = bytearray(_BUFFER)
        held = len(self._camera.from_camera)
        buffer[:held] = self._camera.from_camera
        held, rest, turn = self._pass_frames(player, buffer, held), 0.0, 0.0
        while not deadline.closing.is_set():
            deadline.check()
            if player_says.poll(rest):
                self._pass_requests(player)
            count = camera.receive_into(memoryview(buffer)[held:])
            rest = 0.0
            if count is None:
                anything.poll(SLICE_MS)
                continue
            full = held + count == _BUFFER
            held = self._pass_frames(player, buffer, held + count)
            if deadline.opened and not full:
                # never in step with the pictures: the latest would always be equally late
                turn = (turn + _GOLDEN) % 1
                rest = 1000 * self._nap * (0.8 + 0.2 * turn)

    def _pass_frames(self, player: Wire, buffer: bytearray, held: int) -> int:
        """Pass on what is whole of the `held` bytes in `buffer`; return how many are left, at its beginning."""
        frames, messages, used = rtsp.split_interleaved(buffer, held, self._camera.channels)
        if frames:
            self.deadline.start_step()
        view = memoryview(buffer)
        for first, last in frames:
            player.send(view[first:last])
        for message in messages:
            with suppress(rtsp.RtspUnreadable):
                self._camera.handle(message)
        left = held - used
        buffer[:left] = buffer[used:held]
        return left

    def _pass_requests(self, player: Wire) -> None:
        self._from_player += player.try_receive() or b""
        while True:
            request, length = rtsp.parse_message(self._from_player)
            if request is None:
                return
            self._from_player = self._from_player[length:]
            self._camera.forward(request)
