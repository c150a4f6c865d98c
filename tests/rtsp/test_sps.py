"""Sequence parameter sets: what is read agrees with FFmpeg; damaged ones end in the project's error."""

from __future__ import annotations

import base64
import re
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.rtsp.payload.bits import BadParameterSetError, BitReader, strip_emulation_prevention
from agent.rtsp.payload.sps import SpsInfo
from agent.rtsp.payload.sps_h264 import parse_h264_sps
from agent.rtsp.payload.sps_h265 import parse_h265_sps
from tests.rtsp.encoded_streams import (
    EncodedPicture,
    add_emulation_prevention,
    encode_stream,
    measure_depth,
    probe_stream,
)

REPLIES = Path(__file__).parents[3] / "shared" / "field" / "rtsp-replies"
DAHUA_H265 = base64.b64decode("QgEBAWAAAAMAsAAAAwAAAwBaoAWCAeFja5JFL83BQYFBAAADAAEAAAMADKE=")
HIKVISION_H264 = base64.b64decode("Z0IAKZY1QPAET8s3AQEBQAAAAwBAAAAHoQ==")


def read_sps(codec: str, pictures: list[EncodedPicture]) -> SpsInfo:
    if codec == "h264":
        return next(parse_h264_sps(u) for u in pictures[0].units if u[0] & 31 == 7)
    return next(parse_h265_sps(u) for u in pictures[0].units if u[0] >> 1 == 33)


def count_early(pictures: list[EncodedPicture]) -> int:
    """The depth as the encoder's own decode times have it."""
    return sum(p.dts < pictures[0].pts for p in pictures)


H264 = [
    "bframes=0",
    "bframes=1",
    "bframes=2:b-pyramid=none:b-adapt=0",
    "bframes=3:b-pyramid=normal:b-adapt=0",
    "bframes=4:b-pyramid=strict:b-adapt=0",
    "bframes=3:open-gop=1:keyint=9",
    "interlaced=1:bframes=2",
    "interlaced=1:bframes=0",
    "cqm=jvt:bframes=0",
    "nal-hrd=vbr:vbv-bufsize=500:vbv-maxrate=500:bframes=2",
    "nal-hrd=cbr:vbv-bufsize=500:vbv-maxrate=500:bitrate=500:bframes=0",
    "sar=40/33:overscan=crop:videoformat=pal:colorprim=bt709:transfer=bt709:colormatrix=bt709:chromaloc=2",
    "aud=1:slices=4:sps-id=3",
    "keyint=1",
]


SIZES = [(320, 240), (634, 358), (1920, 1080)]


def with_sizes(settings: list[str], *shaped: str) -> list[tuple[str, tuple[int, int]]]:
    """Each setting with the size that has to be cropped; `shaped`, whose fields depend on the size, with each size."""
    return [(params, size) for params in settings for size in (SIZES if params in shaped else SIZES[1:2])]


@pytest.mark.parametrize(("params", "size"), with_sizes(H264, "bframes=0", "interlaced=1:bframes=2"))
def test_h264_says_what_ffmpeg_says(params: str, size: tuple[int, int]) -> None:
    if "interlaced" in params:
        size = (size[0], size[1] // 4 * 4)  # two fields of whole chroma samples
    pictures = encode_stream("h264", params, size=size, count=12)
    found = read_sps("h264", pictures)
    width, height, reorders = probe_stream("h264", pictures)
    assert (found.width, found.height) == (width, height) == size
    assert (found.reorder, bool(found.reorder)) == (count_early(pictures), reorders)


@pytest.mark.parametrize(
    ("profile", "pixels"),
    [
        ("baseline", "yuv420p"),
        ("main", "yuv420p"),
        ("high", "yuv420p"),
        ("high10", "yuv420p10le"),
        ("high422", "yuv422p"),
        ("high444", "yuv444p"),
        ("high", "gray"),
        ("high10", "gray10le"),
    ],
)
@pytest.mark.parametrize("params", ["interlaced=0", "interlaced=1", "cqm=jvt"])
def test_every_profile_of_h264_is_read(profile: str, pixels: str, params: str) -> None:
    if profile == "baseline" and params != "interlaced=0":
        pytest.skip("not in that profile")
    pictures = encode_stream("h264", params, size=(638, 356), pixels=pixels, profile=profile, count=6)
    found = read_sps("h264", pictures)
    assert (found.width, found.height) == probe_stream("h264", pictures)[:2] == (638, 356)
    assert found.reorder == count_early(pictures)


@pytest.mark.parametrize("rate", [Fraction(25, 2), Fraction(15), Fraction(25), Fraction(30_000, 1001)])
@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_the_rate_is_read(codec: str, rate: Fraction) -> None:
    params = f"force-cfr=1:fps={rate.numerator}/{rate.denominator}" if codec == "h264" else ""
    found = read_sps(codec, encode_stream(codec, params, rate=rate, count=3))
    assert found.rate == pytest.approx(float(rate))


H265 = [
    "bframes=0",
    "bframes=1:b-adapt=0",
    "bframes=3:b-adapt=0:b-pyramid=0",
    "bframes=4:b-adapt=0:b-pyramid=1",
    "bframes=3:open-gop=1:keyint=9:min-keyint=9",
    "scaling-list=default:bframes=0",
    "hrd=1:vbv-bufsize=500:vbv-maxrate=500:bframes=0",
    "sar=4:overscan=crop:videoformat=pal:colorprim=bt709:transfer=bt709:colormatrix=bt709:chromaloc=2",
    "temporal-layers=3:bframes=3:b-adapt=0",
    "interlace=tff:bframes=0",
    "display-window=8,8,8,8:bframes=0",
]


@pytest.mark.parametrize(
    ("params", "size"), with_sizes(H265, "bframes=0", "interlace=tff:bframes=0", "display-window=8,8,8,8:bframes=0")
)
def test_h265_says_what_ffmpeg_says(params: str, size: tuple[int, int]) -> None:
    pictures = encode_stream("hevc", params, size=size, count=12)
    found = read_sps("hevc", pictures)
    width, height, reorders = probe_stream("hevc", pictures)
    assert (found.width, found.height) == (width, height) == size
    assert bool(found.reorder) == reorders
    assert found.reorder is not None
    assert found.reorder >= measure_depth(pictures)
    # fields are counted where the stream is interlaced
    assert found.rate in (25.0, 50.0)


@pytest.mark.parametrize("pixels", ["yuv422p", "yuv444p", "gray", "yuv420p10le"])
def test_every_kind_of_colour_of_h265_is_read(pixels: str) -> None:
    pictures = encode_stream("hevc", "", size=(634, 358), pixels=pixels, count=4)
    found = read_sps("hevc", pictures)
    assert (found.width, found.height) == probe_stream("hevc", pictures)[:2] == (634, 358)


def test_sets_of_real_cameras() -> None:
    assert parse_h264_sps(HIKVISION_H264)[:4] == (1920, 1080, 0, 15.0)
    assert parse_h265_sps(DAHUA_H265)[:4] == (704, 480, 0, 12.0)


def list_described_sets() -> list[tuple[str, str]]:
    found = set()
    for path in sorted(REPLIES.glob("*.txt")):
        text = path.read_text(encoding="utf-8", errors="replace")
        found |= {("h264", sets.split(",")[0]) for sets in re.findall(r"sprop-parameter-sets=([^;\s]+)", text)}
        found |= {("hevc", sps) for sps in re.findall(r"sprop-sps=([^;\s]+)", text)}
    return sorted(found)


@pytest.mark.shared
@pytest.mark.skipif(not REPLIES.is_dir(), reason="real cameras' replies are not there")
@pytest.mark.parametrize(("codec", "text"), list_described_sets())
def test_described_sets_of_real_cameras_are_read_as_ffmpeg_reads_them(codec: str, text: str) -> None:
    import av

    unit = base64.b64decode(text + "==")
    found = (parse_h264_sps if codec == "h264" else parse_h265_sps)(unit)
    context = av.CodecContext.create(codec, "r")
    context.extradata = b"\0\0\0\1" + unit
    context.open()
    assert found.width % 2 == found.height % 2 == 0
    assert 100 < found.height <= found.width < 6000
    assert 0 <= found.rate <= 60
    if context.width:
        assert (context.width, context.height) == (found.width, found.height)


@pytest.mark.parametrize("codec", ["h264", "hevc"])
@pytest.mark.parametrize("behind", [b"\0\0\0\0", b"\x01\x02\x03\xff" * 8, b"\x80" * 3])
def test_bytes_behind_the_set_do_no_harm(codec: str, behind: bytes) -> None:
    unit, parse = (HIKVISION_H264, parse_h264_sps) if codec == "h264" else (DAHUA_H265, parse_h265_sps)
    assert parse(unit + behind) == parse(unit)


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_a_vui_that_is_cut_off_leaves_the_size(codec: str) -> None:
    unit, parse = (HIKVISION_H264, parse_h264_sps) if codec == "h264" else (DAHUA_H265, parse_h265_sps)
    whole = parse(unit)
    sizes, rates = set(), set()
    for cut in range(1, 8):
        found = parse(unit[:-cut])
        sizes.add((found.width, found.height))
        rates.add(found.rate)
    assert sizes == {(whole.width, whole.height)}
    assert 0.0 in rates


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30_000, 1001)])
def test_timing_in_the_place_of_the_default_display_window_is_read(rate: Fraction) -> None:
    pictures = encode_stream("hevc", "", rate=rate, count=2)
    unit = next(u for u in pictures[0].units if u[0] >> 1 == 33)
    bits = "".join(f"{byte:08b}" for byte in strip_emulation_prevention(unit))
    at = bits.index(f"01{rate.denominator:032b}{rate.numerator:032b}")
    shorter = bits[:at] + bits[at + 1 :] + "0"
    moved = add_emulation_prevention(int(shorter, 2).to_bytes(len(shorter) // 8, "big"))
    assert parse_h265_sps(moved)[:4] == parse_h265_sps(unit)[:4] == (320, 240, 2, pytest.approx(float(rate)))


class _BitWriter:
    def __init__(self) -> None:
        self.bits = ""

    def put(self, value: int, count: int) -> None:
        self.bits += f"{value:0{count}b}"

    def ue(self, *values: int) -> None:
        for value in values:
            text = f"{value + 1:b}"
            self.bits += "0" * (len(text) - 1) + text

    def to_bytes(self) -> bytes:
        text = self.bits + "1"
        return int(text.ljust(-(-len(text) // 8) * 8, "0"), 2).to_bytes(-(-len(text) // 8), "big")


def make_h264(profile: int, constraints: int, *, order: int = 0, width: int = 10, height: int = 10) -> bytes:
    bits = _BitWriter()
    bits.put(profile << 16 | constraints << 8 | 30, 24)
    bits.ue(0)
    if profile not in (66, 77, 88):
        bits.ue(1, 0, 0)
        bits.put(0, 2)
    bits.ue(0, order)
    if order == 0:
        bits.ue(0)
    bits.ue(1)
    bits.put(0, 1)
    bits.ue(width - 1, height - 1)
    bits.put(0b1100, 4)
    return b"\x67" + bits.to_bytes()


@pytest.mark.parametrize(
    ("sps", "reorder"),
    [
        (make_h264(66, 0), 0),
        (make_h264(66, 0xC0), 0),
        (make_h264(77, 0), None),
        (make_h264(77, 0, order=2), 0),
        (make_h264(100, 0), None),
        (make_h264(100, 0x10), 0),
        (make_h264(110, 0x10), 0),
        (make_h264(77, 0x10), None),
    ],
)
def test_the_depth_is_inferred_where_the_standard_says_so(sps: bytes, reorder: int | None) -> None:
    assert parse_h264_sps(sps)[:4] == (160, 160, reorder, 0.0)


@pytest.mark.parametrize(
    "sps", [b"", b"\x67", b"\x67\x64\0\x1f", make_h264(100, 0, width=1100), make_h264(66, 0, height=1 << 20)]
)
def test_nonsense_is_an_error(sps: bytes) -> None:
    with pytest.raises(BadParameterSetError):
        parse_h264_sps(sps)
    with pytest.raises(BadParameterSetError):
        parse_h265_sps(sps[:4])


def test_numbers_of_more_than_32_bits_are_refused() -> None:
    assert BitReader(b"\0\0\0\0\xff\xff\xff\xff\xff").left == 72
    with pytest.raises(BadParameterSetError):
        BitReader(b"\0\0\0\0\x01\xff\xff\xff\xff\xff").read_ue()
    with pytest.raises(BadParameterSetError):
        BitReader(b"\0" * 100 + b"\1").read_ue()
    # 31 zeros, the one, 31 bits: the greatest number of 32 bits but one
    assert BitReader(b"\0\0\0\x01" + b"\xff" * 4).read_ue() == (1 << 32) - 2


@given(st.binary(max_size=80), st.sampled_from(["h264", "hevc"]))
def test_any_bytes_end_in_a_picture_size_or_the_error(data: bytes, codec: str) -> None:
    try:
        found = parse_h264_sps(b"\x67" + data) if codec == "h264" else parse_h265_sps(b"\x42\x01" + data)
    except BadParameterSetError:
        return
    assert 0 < found.width <= 16384
    assert 0 < found.height <= 16384
    assert found.reorder is None or 0 <= found.reorder <= 16


@given(st.data(), st.sampled_from([HIKVISION_H264, DAHUA_H265]))
def test_flipped_bits_end_in_a_picture_size_or_the_error(data: st.DataObject, unit: bytes) -> None:
    changed = bytearray(unit)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(2, len(unit) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        found = (parse_h264_sps if unit is HIKVISION_H264 else parse_h265_sps)(bytes(changed))
    except BadParameterSetError:
        return
    assert 0 < found.width <= 16384
    assert 0 <= found.rate <= 1000
