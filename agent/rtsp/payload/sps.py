"""What a sequence parameter set says of the pictures, and the checks that H.264 and H.265 share."""

from __future__ import annotations

from typing import NamedTuple

from agent.rtsp.payload.bits import BadParameterSetError, BitReader
from agent.rtsp.payload.picture_format import UNSAID_LOOK, PictureLook

MAX_SIDE = 16384
"""Pixels; level 6.2 of either codec ends here."""
MAX_REORDER = 16
MIN_RATE, MAX_RATE = 0.01, 1000.0
_EXTENDED_ASPECT = 255
_ASPECTS = (
    (0, 1), (1, 1), (12, 11), (10, 11), (16, 11), (40, 33), (24, 11), (20, 11), (32, 11), (80, 33), (18, 11), (15, 11),
    (64, 33), (160, 99), (4, 3), (3, 2), (2, 1),
)  # fmt: skip
"""Width and height of a pixel by sample_aspect_ratio_idc (ITU-T H.273, table 9)."""
_NOT_SAID = 2
_MAX_PRIMARIES, _MAX_TRANSFER, _MAX_MATRIX = 22, 18, 14


class SpsInfo(NamedTuple):
    """What a sequence parameter set says; fields as in PictureFormat."""

    width: int
    height: int
    reorder: int | None
    rate: float
    look: PictureLook = UNSAID_LOOK


class Crop(NamedTuple):
    """Pixels that are coded and not shown."""

    left: int = 0
    right: int = 0
    top: int = 0
    bottom: int = 0


def read_crop(bits: BitReader, unit_x: int, unit_y: int) -> Crop:
    """Return the crop that stands next, which counts units of chroma samples."""
    return Crop(bits.read_ue() * unit_x, bits.read_ue() * unit_x, bits.read_ue() * unit_y, bits.read_ue() * unit_y)


def compute_shown_size(width: int, height: int, crop: Crop) -> tuple[int, int]:
    """Return width and height as shown. Raises BadParameterSetError where no camera can send such a picture."""
    if width > MAX_SIDE or height > MAX_SIDE:
        raise BadParameterSetError(f"{width} x {height} pixels")
    width, height = width - crop.left - crop.right, height - crop.top - crop.bottom
    if width <= 0 or height <= 0:
        raise BadParameterSetError(f"{width} x {height} pixels")
    return width, height


def compute_rate(ticks: int, scale: int) -> float:
    """Return pictures a second; 0.0 where the figures make no sense."""
    rate = scale / ticks if ticks else 0.0
    return rate if MIN_RATE <= rate <= MAX_RATE else 0.0


def get_chroma_unit(chroma_format: int, *, separate_planes: bool) -> tuple[int, int]:
    """Return width and height of a chroma sample in luma samples (Table 6-1 of either standard)."""
    if separate_planes:
        return 1, 1
    return {1: (2, 2), 2: (2, 1)}.get(chroma_format, (1, 1))


def read_look(bits: BitReader) -> PictureLook:
    """Return what begins the VUI of both codecs: aspect ratio, colours. Overscan and place of chroma samples are skipped."""
    aspect, full_range, colours = _ASPECTS[0], None, (_NOT_SAID, _NOT_SAID, _NOT_SAID)
    if bits.read_flag():
        aspect = _read_aspect(bits)
    if bits.read_flag():
        bits.skip(1)
    if bits.read_flag():
        bits.skip(3)
        full_range = bits.read_flag()
        if bits.read_flag():
            limits = _MAX_PRIMARIES, _MAX_TRANSFER, _MAX_MATRIX
            primaries, transfer, matrix = (_limit(bits.read(8), most) for most in limits)
            colours = primaries, transfer, matrix
    if bits.read_flag():
        bits.read_ue()
        bits.read_ue()
    return PictureLook(aspect, full_range, *colours)


def _read_aspect(bits: BitReader) -> tuple[int, int]:
    number = bits.read(8)
    if number == _EXTENDED_ASPECT:
        width, height = bits.read(16), bits.read(16)
        return (width, height) if width and height else _ASPECTS[0]
    return _ASPECTS[number] if number < len(_ASPECTS) else _ASPECTS[0]


def _limit(code: int, most: int) -> int:
    """Return a code of H.273; codes that it does not have say nothing."""
    return code if code <= most else _NOT_SAID
