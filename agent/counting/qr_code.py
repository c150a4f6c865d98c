"""QR codes: made for the page, and read in pictures of cameras."""

from __future__ import annotations

import cv2
import numpy as np

from agent.media.containers import BgrImage

_ENLARGED = 2
_MOST_PIXELS = 1920 * 1088
"""Larger pictures are not enlarged: it would take a second, and their codes are large enough."""


def encode_qr(text: str) -> tuple[str, ...]:
    """Return the rows of a QR code without its margin, `1` for a dark module. Alphanumeric text, medium correction."""
    options = cv2.QRCodeEncoder_Params()
    options.mode = cv2.QRCODE_ENCODER_MODE_ALPHANUMERIC
    options.correction_level = cv2.QRCODE_ENCODER_CORRECT_LEVEL_M
    drawn = np.asarray(cv2.QRCodeEncoder.create(options).encode(text)) < 128
    rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
    code = drawn[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return tuple("".join("1" if dark else "0" for dark in row) for row in code)


def read_qr(picture: BgrImage) -> set[str]:
    """Return the texts of the QR codes in a picture (height x width x 3); a second try is made on the enlarged picture."""
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    if found := _read(grey):
        return found
    if grey.size > _MOST_PIXELS:
        return set()
    return _read(cv2.resize(grey, None, fx=_ENLARGED, fy=_ENLARGED, interpolation=cv2.INTER_CUBIC))


def _read(grey: np.ndarray) -> set[str]:
    try:
        _, texts, _, _ = cv2.QRCodeDetector().detectAndDecodeMulti(grey)
    except cv2.error:  # it fails on some patterns that only look like a code
        return set()
    return {text for text in texts or () if text}
