"""What a sequence parameter set says of the pictures, and the checks that H.264 and H.265 share."""

from __future__ import annotations

from typing import NamedTuple

from agent.rtsp.payload.bits import BadParameterSetError, BitReader

MAX_SIDE = 16384
"""Pixels; level 6.2 of either codec ends here."""
MAX_REORDER = 16
MIN_RATE, MAX_RATE = 0.01, 1000.0
_EXTENDED_ASPECT = 255


class SpsInfo(NamedTuple):
    """What a sequence parameter set says; `width`, `height`, `reorder` and `rate` as in PictureFormat."""

    width: int
    height: int
    reorder: int | None
    rate: float


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


def skip_colour_description(bits: BitReader) -> None:
    """Skip what begins the VUI of both codecs: aspect ratio, overscan, signal type, place of chroma samples."""
    if bits.read_flag() and bits.read(8) == _EXTENDED_ASPECT:
        bits.skip(32)
    if bits.read_flag():
        bits.skip(1)
    if bits.read_flag():
        bits.skip(4)
        if bits.read_flag():
            bits.skip(24)
    if bits.read_flag():
        bits.read_ue()
        bits.read_ue()
