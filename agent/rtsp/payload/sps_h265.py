"""The sequence parameter set of H.265 (ITU-T H.265, 7.3.2.2 and annex E)."""

from __future__ import annotations

from contextlib import suppress

from agent.rtsp.payload.bits import BadParameterSetError, BitReader
from agent.rtsp.payload.picture_format import UNSAID_LOOK
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

_PROFILE_BITS, _LEVEL_BITS = 88, 8
_MAX_SHORT_TERM_SETS, _MAX_LONG_TERM_SETS, _MAX_PICTURES = 64, 32, 16
_TIMING_BITS = 66
"""Least bits behind vui_timing_info_present_flag where timing follows: two numbers, two flags."""
_TIMING_BEGINS = 0x100000
"""The next 21 bits where timing (1 of some scale) stands in the place of the default display window."""


def parse_h265_sps(unit: bytes) -> SpsInfo:
    """Return what an SPS says; `unit` begins with the NAL unit header. Raises BadParameterSetError."""
    bits = BitReader(unit, skip=2)
    bits.skip(4)  # ID of the VPS
    sub_layers = bits.read(3)
    bits.skip(1)
    _skip_profile_and_level(bits, sub_layers)
    bits.read_ue()  # ID
    chroma_format = bits.read_count(3)
    separate_planes = chroma_format == 3 and bits.read_flag()
    width, height = bits.read_ue(), bits.read_ue()
    crop = Crop()
    if bits.read_flag():
        crop = read_crop(bits, *get_chroma_unit(chroma_format, separate_planes=separate_planes))
    shown = compute_shown_size(width, height, crop)
    reorder, rate, look = None, 0.0, UNSAID_LOOK
    with suppress(BadParameterSetError):
        bits.read_ue()
        bits.read_ue()
        order_bits = bits.read_count(12) + 4
        reorder = _read_reorder(bits, sub_layers)
        _skip_coding_tools(bits, order_bits)
        if bits.read_flag():
            look = read_look(bits)
            rate = _read_rate(bits)
    return SpsInfo(*shown, reorder, rate, look)


def _skip_profile_and_level(bits: BitReader, sub_layers: int) -> None:
    """Skip profile_tier_level (7.3.3)."""
    bits.skip(_PROFILE_BITS + _LEVEL_BITS)
    present = [(bits.read_flag(), bits.read_flag()) for _ in range(sub_layers)]
    if sub_layers:
        bits.skip(2 * (8 - sub_layers))
    for profile, level in present:
        bits.skip(profile * _PROFILE_BITS + level * _LEVEL_BITS)


def _read_reorder(bits: BitReader, sub_layers: int) -> int | None:
    """sps_max_num_reorder_pics of the highest sub-layer; None where it is nonsense."""
    reorder = 0
    for _ in range(sub_layers + 1 if bits.read_flag() else 1):
        bits.read_ue()
        reorder = bits.read_ue()
        bits.read_ue()
    return reorder if reorder <= MAX_REORDER else None


def _skip_coding_tools(bits: BitReader, order_bits: int) -> None:
    """Skip what stands between sps_max_latency_increase_plus1 and the VUI."""
    for _ in range(6):
        bits.read_ue()
    if bits.read_flag() and bits.read_flag():
        _skip_scaling_lists(bits)
    bits.skip(2)
    if bits.read_flag():  # pcm_enabled_flag
        bits.skip(8)
        bits.read_ue()
        bits.read_ue()
        bits.skip(1)
    _skip_short_term_sets(bits)
    if bits.read_flag():
        bits.skip(bits.read_count(_MAX_LONG_TERM_SETS) * (order_bits + 1))
    bits.skip(2)


def _skip_scaling_lists(bits: BitReader) -> None:
    """Skip scaling_list_data (7.3.4)."""
    for size in range(4):
        for _ in range(0, 6, 3 if size == 3 else 1):
            if not bits.read_flag():
                bits.read_ue()
                continue
            if size > 1:
                bits.read_se()
            for _ in range(min(64, 1 << (4 + 2 * size))):
                bits.read_se()


def _skip_short_term_sets(bits: BitReader) -> None:
    """Skip the reference picture sets (7.3.7); the length of one may depend on the one before."""
    pictures = 0
    for number in range(bits.read_count(_MAX_SHORT_TERM_SETS)):
        if number and bits.read_flag():
            bits.skip(1)
            bits.read_ue()
            # used_by_curr_pic_flag, and use_delta_flag only where that is 0; a picture counts where either is 1
            pictures = sum(bits.read_flag() or bits.read_flag() for _ in range(pictures + 1))
        else:
            pictures = bits.read_count(_MAX_PICTURES) + bits.read_count(_MAX_PICTURES)
            for _ in range(pictures):
                bits.read_ue()
                bits.skip(1)


def _read_rate(bits: BitReader) -> float:
    """Return pictures a second out of the VUI behind its colours; 0.0 where it does not say."""
    bits.skip(3)
    # some encoders leave the default display window out, flag and all
    misplaced = bits.left >= _TIMING_BITS + 2 and bits.peek(21) == _TIMING_BEGINS
    if not misplaced and bits.read_flag():
        for _ in range(4):
            bits.read_ue()
    return compute_rate(bits.read(32), bits.read(32)) if bits.read_flag() else 0.0
