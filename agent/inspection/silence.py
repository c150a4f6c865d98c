"""Fill holes in recorded sound with silent packets, so that a player shows the pictures that were recorded without sound.

A browser plays a stretch only where picture and sound are both there. Pure.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np

from agent.mp4.sample_entry import read_sound_config
from agent.mp4.samples import Int64Array, Mp4Track

_AAC_LC = 2
_SILENT_PACKETS = {1: bytes.fromhex("00c800802380"), 2: bytes.fromhex("210049900219002380")}
"""A silent AAC LC packet (ISO/IEC 14496-3) of one and of two channels."""
_MOST_PACKETS = 1_000_000


def fill_with_silence(sound: Mp4Track, seconds: float, offset: int) -> tuple[Mp4Track | None, bytes]:
    """Return the sound with a packet at any time from 0 to `seconds`, and the packet that was filled in.

    Packets filled in have `offset` as their place. Returns None as the sound where it has holes and no silent packet of its
    format is known: a player then gets the pictures alone.
    """
    usual = int(np.median(sound.length)) if sound.size.size else 0
    silence = _find_silent_packet(sound.entry)
    if usual <= 0 or np.any(np.diff(sound.dts) <= 0):
        return None, b""
    edges = np.concatenate([[-usual], sound.dts, [round(Fraction(seconds) * sound.timescale)]])
    missing = np.maximum(0, np.round(np.diff(edges) / usual).astype(np.int64) - 1)
    if not missing.any():
        return replace(sound, length=_distances(sound.dts, usual)), silence
    if not silence or int(missing.sum()) > _MOST_PACKETS:
        return None, b""
    return _insert(sound, edges, missing, usual, len(silence), offset), silence


def _find_silent_packet(entry: bytes) -> bytes:
    kind, config = read_sound_config(entry)
    if kind != 0x40 or len(config) < 2 or config[0] >> 3 != _AAC_LC:
        return b""
    bits = int.from_bytes(config[:2], "big")
    return _SILENT_PACKETS.get(bits >> 3 & 15, b"") if bits >> 7 & 15 != 15 else b""


def _insert(sound: Mp4Track, edges: Int64Array, missing: Int64Array, usual: int, size: int, offset: int) -> Mp4Track:
    """Insert missing[i] packets in front of sample i (behind the last one for the last entry)."""
    places = np.repeat(np.arange(missing.size), missing)
    turn = np.arange(places.size) - np.repeat(np.cumsum(missing) - missing, missing) + 1
    dts = np.insert(sound.dts, places, edges[places] + turn * usual)
    return replace(
        sound,
        offset=np.insert(sound.offset, places, offset),
        size=np.insert(sound.size, places, size),
        dts=dts,
        pts=dts,
        length=_distances(dts, usual),
        key=np.ones(dts.size, np.bool_),
    )


def _distances(dts: Int64Array, usual: int) -> Int64Array:
    found: Int64Array = np.append(np.diff(dts), usual)
    return found
