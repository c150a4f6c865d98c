"""Find the signatures that a camera puts into its stream (ONVIF Media Signing Specification)."""

from __future__ import annotations

from agent.rtsp.payload.bits import strip_emulation_prevention

SIGNING_UUID = bytes.fromhex("005bc93f2d715e95ada4796f90877a6f")
"""Marks the SEI message (user_data_unregistered) that holds a signature."""
_UNREGISTERED = 5
_WALKED_BYTES = 64 << 10
"""How far into a unit messages are walked; few stand before a signature."""


def is_signature(unit: bytes, codec: str) -> bool:
    """Return True where `unit`, with its NAL unit header, is an SEI unit that holds a signature. `codec`: h264 or hevc."""
    if codec == "h264":
        header, is_sei = 1, unit[:1] and unit[0] & 0x1F == 6
    else:
        header, is_sei = 2, unit[:1] and unit[0] >> 1 & 0x3F in (39, 40)
    # the UUID has no two zeros in a row, and at most one stands before it: emulation prevention never splits it
    if not is_sei or SIGNING_UUID not in unit:
        return False
    return _has_message(strip_emulation_prevention(unit[header : header + _WALKED_BYTES]))


def _has_message(payload: bytes) -> bool:
    """Walk the SEI messages (ITU-T H.264 and H.265, 7.3.2.3): type and size are sums of bytes, of which 255 goes on."""
    at = 0
    while at < len(payload):
        kind, at = _read_sum(payload, at)
        size, at = _read_sum(payload, at)
        if kind == _UNREGISTERED and size >= len(SIGNING_UUID) and payload.startswith(SIGNING_UUID, at):
            return True
        at += size
    return False


def _read_sum(payload: bytes, at: int) -> tuple[int, int]:
    total = 0
    while at < len(payload) and payload[at] == 0xFF:
        total, at = total + 0xFF, at + 1
    return total + (payload[at] if at < len(payload) else 0), at + 1
