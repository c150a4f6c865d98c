"""Reads the parameter sets that a session description carries (RFC 6184 8.1, RFC 7798 7.1): text in, bare NAL units out.

Cameras leave the padding away, write Annex B with start codes at either end, or write what is not base64. A set that
cannot be used is left out: the same sets come in band.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping

MAX_SETS = 64
_PARAMETERS = ("sprop-vps", "sprop-sps", "sprop-pps", "sprop-parameter-sets")
_START_CODE = b"\0\0\1"
_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/]")
_SHORTEST_SET = 3
_H264_SETS = (7, 8)
_HEVC_SETS = (32, 33, 34)
"""NAL unit types: SPS, PPS; VPS, SPS, PPS."""


def read_parameter_sets(codec: str, parameters: Mapping[str, str]) -> tuple[bytes, ...]:
    """Return the parameter sets that `fmtp` names, each once, in its order. `codec`: h264 or hevc."""
    texts = (text for name in _PARAMETERS for text in parameters.get(name, "").split(",", MAX_SETS))
    units = (unit for text in texts for unit in _split_units(_decode_base64(text)))
    return tuple(dict.fromkeys(_keep_sets(codec, units)))[:MAX_SETS]


def _decode_base64(text: str) -> bytes:
    """Return what base64, also the URL-safe kind, means up to its padding; b"" where it is not base64."""
    digits = "".join(text.split()).strip('"').partition("=")[0].replace("-", "+").replace("_", "/")
    if _NOT_BASE64.search(digits):
        return b""
    digits = digits[:-1] if len(digits) % 4 == 1 else digits  # one digit more than whole bytes have
    return base64.b64decode(digits + "=" * (-len(digits) % 4))


def _split_units(data: bytes) -> list[bytes]:
    """Return the NAL units of Annex B, or the one unit that stands without a start code.

    A unit ends with a bit that is set, so zeros behind it belong to the next start code or to nothing.
    """
    return [unit for piece in data.split(_START_CODE) if (unit := piece.rstrip(b"\0"))]


def _keep_sets(codec: str, units: Iterable[bytes]) -> Iterable[bytes]:
    for unit in units:
        is_set = unit[0] & 0x1F in _H264_SETS if codec == "h264" else unit[0] >> 1 & 0x3F in _HEVC_SETS
        if is_set and not unit[0] & 0x80 and len(unit) >= _SHORTEST_SET:
            yield unit
