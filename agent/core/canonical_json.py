"""JSON in the one form of RFC 8785 (JSON Canonicalization Scheme), so that everybody hashes the same bytes.

Keys are sorted by their UTF-16 code units, there is no white space, and a number is written as ECMAScript writes it: a
receiver in any language gets the same bytes from a message that it has parsed and writes again.
"""

from __future__ import annotations

from collections.abc import Mapping
from json.encoder import encode_basestring
from math import isfinite

_LARGEST_PLAIN, _SMALLEST_PLAIN = 1e21, 1e-6
_EXACT = 1 << 53
_LITERALS = {None: "null", True: "true", False: "false"}


def encode_canonical(value: object) -> bytes:
    """Return the canonical bytes of a JSON value.

    Raises ValueError for what JSON or a double cannot hold: NaN, infinities, integers beyond 2^53, lone surrogates.
    """
    return _write(value).encode("utf-8")


def _write(value: object) -> str:
    # hot path (each text of each statement): json.dumps would make an encoder for every one
    if isinstance(value, str):
        return encode_basestring(value)
    if value is None or isinstance(value, bool):
        return _LITERALS[value]
    if isinstance(value, int):
        if abs(value) > _EXACT:
            raise ValueError(value)
        return str(int(value))
    if isinstance(value, float):
        return _write_number(value)
    if isinstance(value, Mapping):
        # UTF-16 order is the order of the text itself where all is ASCII
        plain = all(isinstance(key, str) and key.isascii() for key in value)
        keys = sorted(value) if plain else sorted(value, key=lambda key: str(key).encode("utf-16-be"))
        return "{" + ",".join(f"{_write(str(key))}:{_write(value[key])}" for key in keys) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_write, value)) + "]"
    raise ValueError(type(value).__name__)


def _write_number(value: float) -> str:
    """Write a double as ECMAScript does: shortest digits, plain from 1e-6 up to 1e21, else with an exponent."""
    if not isfinite(value):
        raise ValueError(value)
    if value == 0:
        return "0"
    mantissa, _, exponent = repr(value).partition("e")
    sign, mantissa = ("-", mantissa[1:]) if mantissa.startswith("-") else ("", mantissa)
    whole, _, fraction = mantissa.partition(".")
    fraction = "" if fraction == "0" else fraction
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    if _SMALLEST_PLAIN <= abs(value) < _LARGEST_PLAIN:
        if point <= 0:
            return f"{sign}0.{'0' * -point}{digits}"
        if len(digits) <= point:
            return sign + digits.ljust(point, "0")
        return f"{sign}{digits[:point]}.{digits[point:]}"
    rest = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{rest}e{point - 1:+d}"
