"""Describes the picture track of a file to the muxer: PyAV takes a stream as template, so one is opened in memory.

`add_mux_stream` gives a stream without a codec context, so nowhere to put the parameter sets.
"""

from __future__ import annotations

import io
from typing import Any

import av

from agent.media.containers import to_codec_name
from agent.rtsp.payload.picture_format import PictureFormat


class PictureTemplate:
    """The first access unit of a format, opened as a stream. `stream` serves as template until `close`."""

    def __init__(self, picture: PictureFormat, container: av.container.InputContainer) -> None:
        self.picture = picture
        self._container = container
        self.stream: av.VideoStream = container.streams.video[0]

    @property
    def codec(self) -> str:
        """The project's name of the codec."""
        return to_codec_name(self.picture.codec)

    def close(self) -> None:
        """Release the memory."""
        self._container.close()


def open_template(picture: PictureFormat, access_unit: bytes) -> PictureTemplate | None:
    """Return a template for streams like this access unit (with start codes); None where FFmpeg cannot make sense of it.

    Size, aspect ratio and colours are not in it: whoever uses it takes them from `picture`.
    """
    try:
        data = io.BytesIO(picture.extradata + access_unit)
        # decoding the picture would take 13 ms, to learn what `picture` says already
        options: list[Any] = [{"skip_frame": "all"}]
        container = av.open(data, "r", format=picture.codec, stream_options=options)
    except av.FFmpegError:
        return None
    if not container.streams.video:
        container.close()
        return None
    return PictureTemplate(picture, container)
