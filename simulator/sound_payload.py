"""RTP payloads of sound: AAC (RFC 3640, 6416), MPEG audio (2250), AC-3 (4184), G.711, G.722, G.726, L16 and Opus."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from simulator.source import SourceTrack


def pack_sound(
    units: Sequence[bytes], track: SourceTrack, *, mtu: int = 0, latm: bool = False, aal2: bool = True
) -> Iterator[bytes]:
    """Yield the payloads of one sample: its frames in one packet, or a frame larger than `mtu` (0: none is) in fragments.

    `aal2`: G.726 as FFmpeg's encoder packs it (AAL2-G726-32); otherwise the order of RFC 3551.
    """
    if track.codec == "aac":
        yield from _pack_latm(units, mtu) if latm else _pack_aac(units, mtu)
    elif track.codec in ("mp3float", "mp2"):
        yield bytes(4) + b"".join(units)
    elif track.codec == "ac3":
        yield from _pack_ac3(units, mtu)
    elif track.codec == "g726" and not aal2:
        yield bytes(byte << 4 & 0xF0 | byte >> 4 for byte in units[0])
    else:
        yield units[0]


def _pack_aac(units: Sequence[bytes], mtu: int) -> Iterator[bytes]:
    if len(units) == 1 and mtu and len(units[0]) > mtu:
        # every fragment names the size of the whole unit (RFC 3640, 3.2.3)
        head = b"\x00\x10" + struct.pack(">H", len(units[0]) << 3)
        for at in range(0, len(units[0]), mtu):
            yield head + units[0][at : at + mtu]
        return
    heads = b"".join(struct.pack(">H", len(unit) << 3) for unit in units)
    yield struct.pack(">H", len(heads) * 8) + heads + b"".join(units)


def _pack_latm(units: Sequence[bytes], mtu: int) -> Iterator[bytes]:
    """Yield AudioMuxElements without StreamMuxConfig (cpresent=0); frames of one element follow each other."""
    whole = b"".join(b"\xff" * (len(unit) // 255) + bytes((len(unit) % 255,)) + unit for unit in units)
    size = mtu or len(whole)
    for at in range(0, len(whole), size):
        yield whole[at : at + size]


def _pack_ac3(units: Sequence[bytes], mtu: int) -> Iterator[bytes]:
    if len(units) > 1 or not mtu or len(units[0]) <= mtu:
        yield bytes((0, len(units))) + b"".join(units)
        return
    parts = [units[0][at : at + mtu] for at in range(0, len(units[0]), mtu)]
    first = 1 if mtu >= len(units[0]) * 5 / 8 else 2
    for index, part in enumerate(parts):
        yield bytes((3 if index else first, len(parts))) + part


def build_mux_config(config: bytes, frames: int) -> bytes:
    """Return the StreamMuxConfig for an AudioSpecificConfig: one program, one layer, `frames` in an element."""
    bits = f"0{1:01b}{frames - 1:06b}{0:04b}{0:03b}"  # version, same framing, frames, programs, layers
    bits += "".join(f"{byte:08b}" for byte in config)
    bits += f"{0:03b}{0xFF:08b}00"  # frame length type, buffer fullness, no other data, no check sum
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")
