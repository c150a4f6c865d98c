"""One RTSP connection over TCP: packets as they come, errors as the project's own, credentials in no text."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import av

from agent.attempts import Budget
from agent.errors import CameraDenied, CameraError, CameraUnreachable
from agent.media import codec_name
from agent.recording.challenge import foreign_digest
from agent.recording.options import Source

_RECORDABLE = ("h264", "h265")


class LiveStream:
    """A playing stream. `video` is its picture, `audio` its sound or None. Use as a context manager.

    Raises CameraDenied where the password is refused (`recording.denied`), and where it is not: the account may not watch, or
    not now (`recording.forbidden`), or the camera asks in a way that cannot be answered (`recording.digest`). Raises
    CameraUnreachable where nobody answers or no picture is offered that can be recorded.
    """

    def __init__(self, source: Source, timeout: float) -> None:
        self._url = source.url
        # No `nobuffer`: it throws away what was read while opening, the first key frame with it.
        options = {
            "rtsp_transport": "tcp", "probesize": "32768", "analyzeduration": "0", "fpsprobesize": "0",
            "timeout": str(round(timeout * 1e6)),
        }  # fmt: skip
        try:
            # a camera may call its session anything, in GBK too
            self._container = av.open(source.address(), options=options, metadata_errors="replace")
        except av.error.HTTPUnauthorizedError:
            if algorithm := foreign_digest(self._url, timeout):
                raise CameraDenied("recording.digest", url=self._url, algorithm=algorithm) from None
            # from None: FFmpeg's error carries the URL with the password
            raise CameraDenied("recording.denied", url=self._url) from None
        except av.error.HTTPForbiddenError:
            raise CameraDenied("recording.forbidden", url=self._url) from None
        except av.FFmpegError as error:
            raise CameraUnreachable("recording.unreachable", url=self._url, detail=_cause(error)) from None
        if not self._container.streams.video:
            self.close()
            raise CameraUnreachable("recording.no_video", url=self._url)
        self.video: av.VideoStream = self._container.streams.video[0]
        codec = codec_name(self.video.codec_context.name) if self.video.codec_context else "?"
        if codec not in _RECORDABLE:
            self.close()
            raise CameraUnreachable("recording.codec", url=self._url, codec=codec)
        self.audio: av.AudioStream | None = self._container.streams.audio[0] if self._container.streams.audio else None
        self._packets = self._demux()

    def read(self) -> av.Packet[Any] | None:
        """The next packet; None where nothing came within the timeout (the connection may yet go on).

        Raises CameraError where the stream has ended.
        """
        try:
            while True:
                packet = next(self._packets, None)
                if packet is None:
                    raise CameraError("recording.ended", url=self._url)
                if packet.size:
                    return packet
        except (av.error.TimeoutError, av.error.BlockingIOError):
            self._packets = self._demux()
            return None
        except av.FFmpegError as error:
            raise CameraError("recording.broken", url=self._url, detail=_cause(error)) from None

    def close(self) -> None:
        self._container.close()

    def __enter__(self) -> LiveStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _demux(self) -> Iterator[av.Packet[Any]]:
        return self._container.demux([s for s in (self.video, self.audio) if s is not None])


def connect(source: Source, timeout: float, budget: Budget) -> LiveStream:
    """Open a stream. A wrong password counts against the camera's budget, which its web services share. Raises as
    LiveStream does, and CameraDenied where the password may not be tried now."""
    if not source.username:
        return LiveStream(source, timeout)
    with budget.attempt("rtsp", source.names or (source.host,), source) as attempt:
        try:
            stream = LiveStream(source, timeout)
        except CameraDenied as error:
            if error.key == "recording.denied":
                attempt.wrong()
            raise
        attempt.right()
        return stream


def _cause(error: av.FFmpegError) -> str:
    return error.strerror or type(error).__name__


def sender_time(packet: av.Packet[Any]) -> datetime | None:
    """When the camera says that it sent this picture (RTCP sender report), None where it does not."""
    if not packet.has_sidedata("prft"):
        return None
    micros = int.from_bytes(bytes(packet.get_sidedata("prft"))[:8], "little", signed=True)
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=micros)
