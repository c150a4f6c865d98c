"""Find the signatures that a camera puts into its stream (ONVIF Media Signing Specification)."""

from __future__ import annotations

from agent.rtsp.payload.sei import iter_sei_messages

SIGNING_UUID = bytes.fromhex("005bc93f2d715e95ada4796f90877a6f")
"""Marks the SEI message (user_data_unregistered) that holds a signature."""
_UNREGISTERED = 5


def is_signature(unit: bytes, codec: str) -> bool:
    """Return True where `unit`, with its NAL unit header, is an SEI unit that holds a signature. `codec`: h264 or hevc."""
    if codec == "h264":
        header, is_sei = 1, unit[:1] and unit[0] & 0x1F == 6
    else:
        header, is_sei = 2, unit[:1] and unit[0] >> 1 & 0x3F in (39, 40)
    # the UUID has no two zeros in a row, and at most one stands before it: emulation prevention never splits it
    if not is_sei or SIGNING_UUID not in unit:
        return False
    messages = iter_sei_messages(unit, header)
    return any(kind == _UNREGISTERED and payload.startswith(SIGNING_UUID) for kind, payload in messages)
