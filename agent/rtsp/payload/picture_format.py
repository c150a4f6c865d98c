"""What a decoder must know of a stream of pictures, from its parameter sets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class PictureLook(NamedTuple):
    """How a player shows the pictures; codes as in ITU-T H.273, 2: not said.

    aspect        width and height of a pixel; (0, 1): not said
    full_range    whether brightness takes all 256 steps; None: not said
    """

    aspect: tuple[int, int] = (0, 1)
    full_range: bool | None = None
    primaries: int = 2
    transfer: int = 2
    matrix: int = 2


UNSAID_LOOK = PictureLook()


@dataclass(frozen=True, slots=True)
class PictureFormat:
    """What a decoder must know.

    codec            as FFmpeg names it: h264 or hevc
    extradata        parameter sets with start codes, in the order VPS, SPS, PPS
    width, height    in pixels, as shown (cropped)
    reorder          how many pictures may come before one in order of decoding and after it in order of showing;
                     None where the stream does not say
    rate             pictures a second as the parameter sets say; 0.0 where they do not
    look             shape of the pixels and colours
    """

    codec: str
    extradata: bytes
    width: int
    height: int
    reorder: int | None = None
    rate: float = 0.0
    look: PictureLook = UNSAID_LOOK
