"""What a decoder must know of a stream of pictures, from its parameter sets."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PictureFormat:
    """What a decoder must know.

    codec            as FFmpeg names it: h264 or hevc
    extradata        parameter sets with start codes, in the order VPS, SPS, PPS
    width, height    in pixels, as shown (cropped)
    reorder          how many pictures may come before one in order of decoding and after it in order of showing;
                     None where the stream does not say
    rate             pictures a second as the parameter sets say; 0.0 where they do not
    """

    codec: str
    extradata: bytes
    width: int
    height: int
    reorder: int | None = None
    rate: float = 0.0
