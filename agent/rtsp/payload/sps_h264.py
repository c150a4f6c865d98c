"""The sequence parameter set of H.264 (ITU-T H.264, 7.3.2.1.1 and annex E)."""

from __future__ import annotations

from contextlib import suppress

from agent.rtsp.payload.bits import BadParameterSetError, BitReader
from agent.rtsp.payload.picture_format import UNSAID_LOOK, PictureLook
from agent.rtsp.payload.sps import (
    MAX_REORDER,
    Crop,
    SpsInfo,
    compute_rate,
    compute_shown_size,
    get_chroma_unit,
    read_crop,
    read_look,
)

_BASELINE = 66
_WITH_CHROMA = frozenset((44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244))
"""Profiles whose set says how colour is sampled."""
_INTRA_ONLY = frozenset((44, 86, 100, 110, 122, 244))
"""Profiles in which constraint_set3_flag means that all pictures are key frames (E.2.1, max_num_reorder_frames)."""
_CONSTRAINT_SET3 = 0x10
_MACROBLOCK = 16
_MAX_CYCLE = 255
_MAX_BUFFERS = 32


def parse_h264_sps(unit: bytes) -> SpsInfo:
    """Return what an SPS says; `unit` begins with the NAL unit header. Raises BadParameterSetError."""
    bits = BitReader(unit, skip=1)
    profile, constraints = bits.read(8), bits.read(8)
    bits.skip(8)  # level
    bits.read_ue()  # ID
    chroma_format, separate_planes = _read_chroma(bits) if profile in _WITH_CHROMA else (1, False)
    bits.read_ue()  # log2_max_frame_num_minus4
    order_kind = _read_order_kind(bits)
    bits.read_ue()  # max_num_ref_frames
    bits.skip(1)
    width, map_height = (bits.read_ue() + 1) * _MACROBLOCK, (bits.read_ue() + 1) * _MACROBLOCK
    fields = 1 if bits.read_flag() else 2  # frame_mbs_only_flag
    bits.skip(fields)  # mb_adaptive_frame_field_flag (of fields only), direct_8x8_inference_flag
    unit_x, unit_y = get_chroma_unit(chroma_format, separate_planes=separate_planes)
    crop = read_crop(bits, unit_x, unit_y * fields) if bits.read_flag() else Crop()
    shown = compute_shown_size(width, map_height * fields, crop)
    look, rate, reorder = _read_vui(bits)
    if reorder is None and _is_never_reordered(profile, constraints, order_kind):
        reorder = 0
    return SpsInfo(*shown, reorder, rate, look)


def _is_never_reordered(profile: int, constraints: int, order_kind: int) -> bool:
    intra_only = profile in _INTRA_ONLY and constraints & _CONSTRAINT_SET3
    return order_kind == 2 or profile == _BASELINE or bool(intra_only)


def _read_chroma(bits: BitReader) -> tuple[int, bool]:
    """(chroma_format_idc, separate_colour_plane_flag); bit depths and scaling lists are skipped."""
    chroma_format = bits.read_count(3)
    separate_planes = chroma_format == 3 and bits.read_flag()
    bits.read_ue()
    bits.read_ue()
    bits.skip(1)
    if bits.read_flag():
        for number in range(12 if chroma_format == 3 else 8):
            if bits.read_flag():
                _skip_scaling_list(bits, 16 if number < 6 else 64)
    return chroma_format, separate_planes


def _skip_scaling_list(bits: BitReader, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.read_se()) % 256
        last = following or last


def _read_order_kind(bits: BitReader) -> int:
    """pic_order_cnt_type; what belongs to it is skipped."""
    kind = bits.read_count(2)
    if kind == 0:
        bits.read_ue()
    elif kind == 1:
        bits.skip(1)
        bits.read_se()
        bits.read_se()
        for _ in range(bits.read_count(_MAX_CYCLE)):
            bits.read_se()
    return kind


def _read_vui(bits: BitReader) -> tuple[PictureLook, float, int | None]:
    """(look, rate, reorder): unknown from where the VUI cannot be read, which is no reason to do without the picture."""
    look, rate, reorder = UNSAID_LOOK, 0.0, None
    with suppress(BadParameterSetError):
        if bits.read_flag():
            look = read_look(bits)
            if bits.read_flag():
                ticks, scale = bits.read(32), bits.read(32)
                rate = compute_rate(2 * ticks, scale)  # a picture is two fields
                bits.skip(1)
            reorder = _read_reorder(bits)
    return look, rate, reorder


def _read_reorder(bits: BitReader) -> int | None:
    """max_num_reorder_frames behind the buffering parameters; None where it is not given, or nonsense."""
    buffered = [_skip_buffering(bits), _skip_buffering(bits)]  # of NAL units, of slices
    bits.skip(2 if any(buffered) else 1)  # low_delay_hrd_flag, pic_struct_present_flag
    if not bits.read_flag():
        return None
    bits.skip(1)
    for _ in range(4):
        bits.read_ue()
    reorder, held = bits.read_ue(), bits.read_ue()
    return reorder if reorder <= min(held, MAX_REORDER) else None


def _skip_buffering(bits: BitReader) -> bool:
    """Skip hrd_parameters (E.1.2); return whether they are there."""
    if not bits.read_flag():
        return False
    count = bits.read_count(_MAX_BUFFERS - 1) + 1
    bits.skip(8)
    for _ in range(count):
        bits.read_ue()
        bits.read_ue()
        bits.skip(1)
    bits.skip(20)
    return True
