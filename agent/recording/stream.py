"""One RTSP connection over TCP: packets as they come, errors as the project's own, credentials in no text."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import av

from agent.core.errors import CameraDenied, CameraError, CameraUnreachable
from agent.credentials.attempts import AttemptBudget
from agent.media.containers import MediaPacket, to_codec_name
from agent.recording.guard import CameraProxy
from agent.recording.options import StreamSource
from agent.recording.refusal import build_unreachable_error

_RECORDABLE = ("h264", "h265")


class LiveStream:
    """A playing stream. `video` is its picture, `audio` its sound or None. Use as a context manager.

    timeout    seconds for each step of the network, three of them for opening, two until `read` comes back whatever the
               camera sends
    nap        packets come in groups, so many seconds apart
    stop       when set, opening and reading end a second later

    Raises CameraDenied where the password is refused (`recording.denied`), and where it is not: the account may not watch, or
    not now (`recording.forbidden`), or the camera asks in a way that cannot be answered (`recording.digest`,
    `recording.challenge`) or must not be (`recording.basic`). Raises CameraUnreachable where nothing answers, or not as a
    camera does, or no picture is offered that can be recorded.
    """

    def __init__(
        self, source: StreamSource, timeout: float, nap: float = 0.0, stop: threading.Event | None = None
    ) -> None:
        self._url = source.url
        self._guard = CameraProxy(source, timeout, nap, stop)
        deadline = self._guard.deadline
        self._reading = deadline.reading
        # No `nobuffer`: it throws away what was read while opening, the first key frame with it.
        options = {
            "rtsp_transport": "tcp",
            "probesize": "32768",
            "analyzeduration": "0",
            "fpsprobesize": "0",
            "allowed_media_types": "video+audio",
            "timeout": str(round(timeout * 1e6)),
        }
        try:
            # a camera may call its session anything, in GBK too
            self._container = av.open(self._guard.url, options=options, metadata_errors="replace")
        except av.FFmpegError as error:
            late = deadline.late()
            self._guard.close()
            cause = self._guard.error or late or build_unreachable_error(self._url, error)
            # from None: FFmpeg's error carries the guard's address, which means nothing to the reader
            raise cause from None
        except BaseException:
            self._guard.close()
            raise
        deadline.opened = True
        if not self._container.streams.video:
            self.close()
            raise CameraUnreachable("recording.no_video", url=self._url)
        self.video: av.VideoStream = self._container.streams.video[0]
        codec = to_codec_name(self.video.codec_context.name) if self.video.codec_context else "?"
        if codec not in _RECORDABLE:
            self.close()
            raise CameraUnreachable("recording.codec", url=self._url, codec=codec)
        self.audio: av.AudioStream | None = self._container.streams.audio[0] if self._container.streams.audio else None
        self._wanted = {s.index for s in (self.video, self.audio) if s is not None}
        self._packets = self._demux()

    def read(self) -> MediaPacket | None:
        """Return the next packet; None where no picture or sound came within the timeout (the connection may yet go on).

        Raises CameraError where the stream has ended, and its subclass `Stalled` where data keeps coming but no packet.
        """
        self._reading(time.monotonic())
        try:
            packet = next(self._packets, None)
        except (av.error.TimeoutError, av.error.BlockingIOError):
            self._packets = self._demux()
            return None
        except av.FFmpegError as error:
            broken = CameraError("recording.broken", url=self._url, detail=_describe(error))
            raise self._guard.error or broken from None
        finally:
            self._reading(None)
        if packet is None:
            raise self._guard.error or CameraError("recording.ended", url=self._url)
        # a stream that is not recorded (a second sound) must not keep the caller waiting
        return packet if packet.size and packet.stream_index in self._wanted else None

    def cut(self) -> None:
        """End the connection from another thread: `read` comes back with an error."""
        self._guard.cut()

    def close(self) -> None:
        self._container.close()
        self._guard.close()

    def __enter__(self) -> LiveStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _demux(self) -> Iterator[MediaPacket]:
        return self._container.demux()


def connect(
    source: StreamSource, timeout: float, budget: AttemptBudget, nap: float = 0.0, stop: threading.Event | None = None
) -> LiveStream:
    """Open a stream. A wrong password counts against the camera's budget, which its web services share.

    Raises as LiveStream does, and CameraDenied where the password may not be tried now.
    """
    if not source.username:
        return LiveStream(source, timeout, nap, stop)
    with budget.attempt("rtsp", source.names or (source.host,), source) as attempt:
        try:
            stream = LiveStream(source, timeout, nap, stop)
        except CameraDenied as error:
            if error.key == "recording.denied":
                attempt.wrong()
            raise
        attempt.right()
        return stream


def read_sender_time(packet: MediaPacket) -> datetime | None:
    """Return when the camera says that it sent this picture (RTCP sender report); None where it does not say."""
    if not packet.has_sidedata("prft"):
        return None
    micros = int.from_bytes(bytes(packet.get_sidedata("prft"))[:8], "little", signed=True)
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=micros)


def _describe(error: av.FFmpegError) -> str:
    return error.strerror or type(error).__name__
