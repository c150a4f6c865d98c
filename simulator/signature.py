"""SEI units of ONVIF media signing, as a signing camera puts them into its key frames; the signature is not a real one."""

from __future__ import annotations

import hashlib
import uuid

SIGNING_UUID = uuid.UUID("005bc93f-2d71-5e95-ada4-796f90877a6f").bytes
SIGNATURE_BYTES = 300


def build_signature_unit(codec: str, index: int) -> bytes:
    """Return the SEI unit of key frame `index` (user_data_unregistered): the same bytes for the same index.

    The content has sequences that need emulation prevention, so that a reader which loses or adds such a byte is found.
    """
    content = b"".join(hashlib.sha256(f"{index} {part}".encode()).digest() for part in range(SIGNATURE_BYTES // 32))
    body = SIGNING_UUID + bytes((index & 0xFF, 0, 0, 1, 0, 0, 3, 0, 0, 0)) + content
    size = b"\xff" * (len(body) // 255) + bytes((len(body) % 255,))
    head = b"\x06" if codec == "h264" else b"\x4e\x01"
    return head + escape_rbsp(b"\x05" + size + body + b"\x80")


def escape_rbsp(data: bytes) -> bytes:
    """Insert the emulation prevention bytes of a NAL unit (H.264, 7.4.1)."""
    out = bytearray()
    zeros = 0
    for byte in data:
        if zeros >= 2 and byte <= 3:
            out.append(3)
            zeros = 0
        out.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(out)
