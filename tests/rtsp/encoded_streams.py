"""Streams that x264 and x265 make in the test, and what FFmpeg says of them."""

from __future__ import annotations

import io
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import av
import numpy as np

from agent.mp4.nal import split_annex_b

RATE = 90_000


@dataclass(frozen=True)
class EncodedPicture:
    data: bytes
    pts: int
    dts: int
    key: bool

    @property
    def units(self) -> list[bytes]:
        return list(split_annex_b(self.data))


def encode_stream(
    codec: str,
    params: str = "",
    *,
    size: tuple[int, int] = (320, 240),
    rate: Fraction = Fraction(25),
    count: int = 30,
    pixels: str = "yuv420p",
    stamps: list[int] | None = None,
    **options: str,
) -> list[EncodedPicture]:
    """Pictures of `codec` (h264, hevc) in order of decoding, Annex B, stamps in ticks of RATE; `params` as x264 has them."""
    library = {"h264": "libx264", "hevc": "libx265"}[codec]
    quiet = "log-level=none:" if codec == "hevc" else ""
    context = av.CodecContext.create(library, "w")
    context.width, context.height = size
    context.pix_fmt = pixels
    context.time_base = Fraction(1, RATE)
    context.framerate = rate
    context.options = {"preset": "ultrafast", f"{library[3:]}-params": quiet + params, **options}
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 255, (size[1] // 8 + 20, size[0] // 8 + 20), np.uint8).repeat(8, 0).repeat(8, 1)
    packets = []
    step = Fraction(RATE) / rate
    for number in range(count):
        down, right = number % 160, 2 * number % 160
        gray = noise[down : down + size[1], right : right + size[0]]
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(gray), format="gray").reformat(format=pixels)
        frame.pts = stamps[number] if stamps else round(number * step)
        frame.time_base = context.time_base
        packets += context.encode(frame)
    packets += context.encode(None)
    return [EncodedPicture(bytes(p), p.pts or 0, p.dts or 0, p.is_keyframe) for p in packets]


def probe_stream(codec: str, pictures: list[EncodedPicture]) -> tuple[int, int, int]:
    """(width, height, depth of reordering) as FFmpeg's own parser and decoder have them."""
    data = b"".join(p.data for p in pictures)
    with av.open(io.BytesIO(data), format=codec) as source:
        stream = source.streams.video[0]
        for _ in source.decode(stream):
            pass
        return stream.width, stream.height, stream.codec_context.has_b_frames


def measure_depth(pictures: list[EncodedPicture]) -> int:
    """How many pictures come before one in order of decoding and after it in order of showing, at most."""
    stamps = [p.pts for p in pictures]
    return max(sum(before > pts for before in stamps[:at]) for at, pts in enumerate(stamps))


def has_rising_times(pictures: list[EncodedPicture]) -> bool:
    return all(a.dts < b.dts for a, b in pairwise(pictures))


def add_emulation_prevention(data: bytes) -> bytes:
    out = bytearray()
    for byte in data:
        if out[-2:] == b"\0\0" and byte <= 3:
            out.append(3)
        out.append(byte)
    return bytes(out)
